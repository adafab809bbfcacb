"""Reads DOT text, the language of Graphviz: nodes with their attributes, edges, and what kind of graph it is.

It knows quoted, plain and HTML-like names, comments, attribute lists, chains of edges, groups in braces, and ports.
"""

import html
import re
from dataclasses import dataclass, field

TOKEN = re.compile(
    r"""\s+ | //[^\n]* | /\*.*?\*/ | ^\#[^\n]*
    | (?P<quoted>"(?:\\.|[^"\\])*") | (?P<arrow>->|--) | (?P<mark>[{}\[\];,=:+])
    | (?P<word>-?(?:\.\d+|\d+(?:\.\d*)?)|[^\W\d]\w*) | (?P<html><)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


class NotDot(Exception):
    """The text is no DOT text."""


@dataclass
class Graph:
    kind: str = ""  # "digraph" or "graph"
    strict: bool = False
    nodes: dict[str, dict[str, str]] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)

    def label(self, name: str) -> str:
        """What a viewer writes on the node: the label with its escapes undone; without one, the node's name."""
        text = self.nodes[name].get("label", name)
        if text == "\\N":
            text = name
        return re.sub(r"\\(.)", lambda found: {"n": "\n", "l": "\n", "r": "\n"}.get(found[1], found[1]), text)


def tokens(text):
    """(kind, text) of each; a quoted one without its quotes."""
    place = 0
    while place < len(text):
        found = TOKEN.match(text, place)
        if found is None:
            raise NotDot(f"cannot be read from here: {text[place : place + 40]!r}")
        place = found.end()
        kind = found.lastgroup
        if kind == "html":
            depth, start = 1, place
            while depth and place < len(text):
                depth += {"<": 1, ">": -1}.get(text[place], 0)
                place += 1
            inner = re.sub(r"<[^>]*>", "\n", text[start : place - 1])
            yield "name", html.unescape(inner).replace("\\", "\\\\")
        elif kind == "quoted":
            yield "name", re.sub(r'\\([\\"\n])', _unquoted, found[0][1:-1])
        elif kind:
            yield ("name" if kind == "word" else "mark"), found[0]


def _unquoted(found):
    """A backslash before a quote or at the end of a line is not part of the text; two of them stay for the label."""
    return {'"': '"', "\n": ""}.get(found[1], found[0])


class Reader:
    def __init__(self, text):
        self.tokens = [*tokens(text), ("end", "")]
        self.place = 0
        self.graph = Graph()

    def peek(self):
        return self.tokens[self.place]

    def take(self, *wanted):
        """The next token, which must be one of `wanted`; without wanted, a name."""
        kind, text = self.peek()
        if (wanted and (kind == "name" or text not in wanted)) or (not wanted and kind != "name"):
            before = " ".join(word for _, word in self.tokens[max(0, self.place - 4) : self.place])
            raise NotDot(f"after {before!r} there is {text!r}")
        self.place += 1
        return text

    def takes(self, mark):
        """Whether the next token is this mark; then it is taken."""
        if self.peek() == ("mark", mark):
            self.place += 1
            return True
        return False

    def read(self):
        word = self.take().lower()
        if word == "strict":
            self.graph.strict, word = True, self.take().lower()
        if word not in ("digraph", "graph"):
            raise NotDot(f"it begins with {word!r}; digraph is needed")
        self.graph.kind = word
        if self.peek()[0] == "name":
            self.take()
        self.block({})
        if self.peek()[0] != "end":
            raise NotDot(f"after the last brace there is {self.peek()[1]!r}")
        return self.graph

    def block(self, defaults):
        """{ statements }: the names of the nodes in it. defaults: attributes of nodes from here on."""
        names, defaults = [], dict(defaults)
        self.take("{")
        while not self.takes("}"):
            names += self.statement(defaults)
            while self.takes(";") or self.takes(","):
                pass
        return names

    def statement(self, defaults):
        kind, word = self.peek()
        if kind == "name" and word.lower() in ("node", "edge", "graph"):
            after = self.tokens[self.place + 1]
            if after == ("mark", "["):
                self.take()
                found = self.attributes()
                if word.lower() == "node":
                    defaults.update(found)
                return []
        if kind == "name" and self.tokens[self.place + 1] == ("mark", "="):
            self.take()
            self.take("=")
            self.take()
            return []
        ends = [self.end(defaults)]
        while self.peek() in (("mark", "->"), ("mark", "--")):
            self.take("->", "--")
            ends.append(self.end(defaults))
        found = self.attributes()
        if len(ends) == 1:
            for name in ends[0]:
                self.graph.nodes[name].update(found)
        for tails, heads in zip(ends, ends[1:]):  # noqa: B905, RUF007
            self.graph.edges += [(tail, head) for tail in tails for head in heads]
        return [name for end in ends for name in end]

    def end(self, defaults):
        """One end of an edge, or a node alone: a name, or a group."""
        kind, word = self.peek()
        if kind == "name" and word.lower() == "subgraph":
            self.take()
            if self.peek()[0] == "name":
                self.take()
            return self.block(defaults)
        if (kind, word) == ("mark", "{"):
            return self.block(defaults)
        name = self.take()
        while self.takes(":"):  # a port
            self.take()
        self.graph.nodes.setdefault(name, dict(defaults))
        return [name]

    def attributes(self):
        found = {}
        while self.takes("["):
            while not self.takes("]"):
                key = self.take()
                value = "true"
                if self.takes("="):
                    value = self.take()
                    while self.takes("+"):
                        value += self.take()
                found[key] = value
                while self.takes(";") or self.takes(","):
                    pass
        return found


def read(text):
    """The Graph of a DOT text. Raises NotDot."""
    return Reader(text).read()
