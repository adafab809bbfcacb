"""Step `graph`: the DOT text of member.graph, made from member.engine, read and compared with the expression."""

import re
from collections import Counter

import autodiff_bench
import dot_reader
from autodiff_oracle import data, grads

from cohort_cli.checking.authoring import check

NUMBER = r"[^\w\n+-]*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"


def some(rng, low=0.5, high=2.5):
    """A number with a few decimals, so that a message stays readable."""
    return round(rng.random.uniform(low, high), 3)


def expression(rng):
    """(program, its labels): sums and products only, whose Values are the same however an engine is written."""
    a, b = some(rng), -some(rng, 3.0, 5.0)
    program = [["leaf", a], ["leaf", b], ["*", "#0", "#1"], ["+", "#2", "#0"], ["*", "#3", "#3"], ["leaf", a]]
    program += [["*", "#4", "#5"], ["+", "#6", "#2"]]
    return program, ["alfa", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel"]


def drawn(member, expect, program, labels):
    """The text, and the Graph that it describes; a claim that it is DOT text at all."""
    texts, _ = member.bring(autodiff_bench).dot_texts(program, labels)
    trouble = None if isinstance(texts[0], str) else f"a {type(texts[0]).__name__}"
    try:
        graph = dot_reader.read(texts[0]) if trouble is None else dot_reader.Graph()
    except dot_reader.NotDot as error:
        trouble, graph = str(error), dot_reader.Graph()
    expect.that(trouble is None, f"to_dot gives no DOT text: {trouble}.", got=trouble)
    return graph


def said(text, word):
    """The last number that follows this word in a label; None if there is none."""
    found = re.findall(rf"\b{word}{NUMBER}", text)
    return float(found[-1]) if found else None


@check("graph-nodes", title="one node for each Value, with data and grad", needs=["backward-twice-used"])
def test_graph_nodes(member, expect, rng):
    """An expression of eight Values with labels, after backward(). As many nodes must be there, each with the label,
    the word data and its number, the word grad and its number, to four digits after the point. A Value that is used
    three times is one node, and two Values with the same number are two.

    The text is read as Graphviz would read it. Names, shapes, colours and the order of the lines are your own.
    """
    program, labels = expression(rng)
    graph = drawn(member, expect, program, labels)
    texts = [graph.label(name) for name in graph.nodes]
    counts = {label: sum(label in text for text in texts) for label in labels}
    say = "How many nodes there are for each label, and how many without any of them."
    others = sum(not any(label in text for label in labels) for text in texts)
    expect.equal({**counts, "none": others}, {**dict.fromkeys(labels, 1), "none": 0}, say=say)
    for word, numbers in (("data", data(program)), ("grad", grads(program))):
        got = {label: said(text, word) for label in labels for text in texts if label in text}
        wrong = [
            label
            for label, number in zip(labels, numbers, strict=True)
            if got[label] is None or abs(got[label] - number) > 6e-5 + 1e-9 * abs(number)
        ]
        want = {label: float(f"{number:.4f}") for label, number in zip(labels, numbers, strict=True)}
        expect.that(
            not wrong,
            f"The number after the word {word}, by label; None is no such number.",
            got={label: got[label] for label in wrong},
            want={label: want[label] for label in wrong},
        )


@check("graph-edges", title="one edge for each use, towards the result", needs=["graph-nodes"])
def test_graph_edges(member, expect, rng):
    """parent -> result for every operation. d * d uses d twice, so two edges go from d to the result, and a viewer
    draws two arrows. (A "strict" graph draws one of them only.) A graph without directions does not say what was
    computed from what.
    """
    program, labels = expression(rng)
    graph = drawn(member, expect, program, labels)
    kind = f"{'strict ' * graph.strict}{graph.kind}"
    expect.equal(kind, "digraph", say="What kind of graph the text says it is.")
    of = {name: next(label for label in labels if label in graph.label(name)) for name in graph.nodes}
    got = Counter(f"{of[tail]} -> {of[head]}" for tail, head in graph.edges)
    want = Counter()
    for label, line in zip(labels, program, strict=True):
        want.update(f"{labels[int(word[1:])]} -> {label}" for word in line[1:] if isinstance(word, str))
    expect.equal(dict(sorted(got.items())), dict(sorted(want.items())), say="How many edges, from -> to.")


@check("graph-labels", title="a label may hold any characters", needs=["graph-nodes"])
def test_graph_labels(member, expect, rng):
    """Quotes, backslashes, brackets, arrows, letters of other languages: the node shows the label as it is. In a DOT
    text a quote ends a name, unless a backslash stands before it, and so a backslash needs one too. A label that ends
    in a backslash would otherwise swallow the closing quote.
    """
    a = some(rng)
    labels = ['a\\b "c"', 'say "hi"', "C:\\new", "w[0] -> {out}; // no", "größer ≥ 0", "it ends in \\", '\\"']
    for label in labels:
        program = [["leaf", a], ["leaf", 2.0], ["*", "#0", "#1"]]
        graph = drawn(member, expect, program, [label, "two", "out"])
        texts = sorted(graph.label(name) for name in graph.nodes)
        say = f"The label {label}: what stands on the three nodes."
        expect.that(len(texts) == 3 and any(label in text for text in texts), say, got=texts)
    graph = drawn(member, expect, [["leaf", a], ["leaf", 2.0], ["*", "#0", "#1"]], ["", "", ""])
    expect.equal(len(graph.nodes), 3, say="Without any labels there are three nodes as well.")
    graph = drawn(member, expect, [["leaf", a], ["leaf", 2.0], ["*", "#0", "#1"]], ["w", "w", "w"])
    expect.equal(len(graph.nodes), 3, say="Three Values with the same label are three nodes.")
    graph = drawn(member, expect, [["leaf", a]], ["alone"])
    expect.equal(len(graph.nodes), 1, say="A Value that nothing was made of is a graph of one node.")


@check("graph-same", title="the same expression gives the same text", needs=["graph-edges"])
def test_graph_same(member, expect, rng):
    """to_dot only looks: it changes no data and no gradient. Asked twice, it says the same. And for the same
    expression, made again from new Values, it gives the same text, character for character: then two drawings can be
    compared.
    """
    program, labels = expression(rng)
    texts, numbers = member.bring(autodiff_bench).dot_texts(program, labels)
    expect.equal(numbers[1], numbers[0], say="[data, grad] of every Value, after to_dot and before.")
    same = sorted(texts[1].split()) == sorted(texts[0].split())
    expect.that(same, "Asked twice, to_dot uses other words.", got=same, mistake="graph-counts-on")
    same = sorted(texts[2].split()) == sorted(texts[0].split())
    say = "For the same expression made again, to_dot uses other words: does an id() stand in the text?"
    expect.that(same, say, got=same, mistake="graph-names-by-id")
    say = "For the same expression made again, the lines stand in another order: were they taken from a set?"
    expect.that(texts[2] == texts[0] == texts[1], say, got=False, mistake="graph-order-of-a-set")
