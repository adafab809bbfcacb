"""Step `backward`: member.engine's derivatives, against complex numbers, finite differences, and torch."""

import autodiff_bench
from autodiff_oracle import compare, data, grads

from cohort_cli.checking.authoring import check


def some(rng, low=0.5, high=2.5):
    """A number with a few decimals, so that a message stays readable."""
    return round(rng.random.uniform(low, high), 3)


def arguments(line):
    """The lines that a line of a program uses."""
    return [int(word[1:]) for word in line[1:] if isinstance(word, str)]


def below(program, root):
    """The lines that `root` was computed from, and root."""
    found, todo = set(), [root]
    while todo:
        line = todo.pop()
        if line not in found:
            found.add(line)
            todo += arguments(program[line])
    return found


@check("backward-order", title="each Value once, its parents before it", needs=["value-add-mul"])
def test_backward_order(member, expect, rng):
    """topological(root) is a list of everything that root was computed from. Parents stand before what was computed
    from them, and root is last. A Value that is used twice is in it once. Two Values with equal numbers are both in
    it, and what root does not depend on is not.

    The expressions have ways of different lengths from a leaf to the root. Any right order is accepted.
    """
    bench = member.bring(autodiff_bench)
    a, b = some(rng), some(rng, 3.0, 5.0)
    two_ways = [["leaf", a], ["leaf", b], ["*", "#0", "#1"], ["+", "#2", "#0"], ["*", "#3", "#2"]]
    two_ways += [["+", "#4", "#0"], ["*", "#1", "#1"]]
    twins = [["leaf", 1.0], ["leaf", 1.0], ["*", "#0", "#1"], ["+", "#2", "#0"], ["*", "#3", "#2"]]
    doubled = [["leaf", a], *(["+", f"#{n}", f"#{n}"] for n in range(9))]
    late = [["leaf", -a], ["leaf", b], ["*", "#0", "#0"], ["*", "#2", "#0"], ["*", "#3", "#1"]]
    late += [["+", "#1", "#4"], ["+", "#5", "#2"], ["+", "#2", "#6"]]
    for program, root, what in (
        (late, 7, "d = a * a; e = d * a; f = e * b; g = b + f; h = g + d; root = d + h"),
        (two_ways, 5, "c = a * b; d = c + a; e = d * c; root = e + a; and b * b, which root does not use"),
        (twins, 4, "a and b are both 1; c = a * b; d = c + a; root = d * c"),
        (doubled, 9, "root = a, doubled nine times by v = v + v"),
        ([["leaf", a]], 0, "a leaf alone"),
    ):
        got = bench.order(program, root)
        say = f"{what}. The numbers count the Values as they are made here, from 0."
        if not isinstance(got, list):
            expect.that(False, f"topological returns a list, not {got}.", got=got)
        known = [line for line in got if line >= 0]
        wanted = sorted(below(program, root))
        expect.that(sorted(known) == wanted, f"Which Values are in it. {say}", got=known, want=wanted)
        place = {line: n for n, line in enumerate(known)}
        early = [x for x in wanted if any(place[p] > place[x] for p in arguments(program[x]))]
        expect.that(not early, f"These stand before a parent: {early}. {say}", got=known)
        expect.that(got[-1] == root, f"root comes last. {say}", got=known)


ROUGH = 1e-5  # backward-random asks for nine digits


def claim(bench, expect, programs, say):
    """programs: in words -> a program. One claim: the gradients of all lines of all of them."""
    got, want, names = [], [], []
    for words, program in programs.items():
        got += bench.grads(program)
        want += grads(program)
        names += [f"{words}: {name(program, line)}" for line in range(len(program))]
    compare(expect, got, want, names, say, ROUGH)


def name(program, line):
    """a, b, c … for leaves; what else there is, by its number."""
    if line == len(program) - 1:
        return "root"
    return "abcd"[line] if program[line][0] == "leaf" else f"Value {line}"


@check(
    "backward-slopes",
    title="the derivative of each operation",
    needs=["value-operands", "value-pow"],
)
def test_backward_slopes(member, expect, rng):
    """One operation alone, then backward() from its result: what arrives at a and b. The gradient of the result
    itself is 1. Shown are the operations whose derivative is not right. Those that can be built from others come
    later.
    """
    bench = member.bring(autodiff_bench)
    a, b = some(rng), -some(rng, 3.0, 5.0)
    cases = {
        "a + b": ["+", "#0", "#1"],
        "a * b": ["*", "#0", "#1"],
        "a ** 3": ["**", "#0", 3],
        "b ** -2": ["**", "#1", -2],
        "a ** 0.5": ["**", "#0", 0.5],
        "a ** 0": ["**", "#0", 0],
        "exp(a)": ["exp", "#0"],
        "exp(b)": ["exp", "#1"],
        "log(a)": ["log", "#0"],
        "tanh(a)": ["tanh", "#0"],
        "tanh(b)": ["tanh", "#1"],
        "relu(a)": ["relu", "#0"],
        "relu(b)": ["relu", "#1"],
    }
    programs = {words: [["leaf", a], ["leaf", b], line] for words, line in cases.items()}
    claim(bench, expect, programs, f"The gradients of one operation each, for a = {a} and b = {b}.")


@check("backward-chain", title="derivatives along a chain are multiplied", needs=["backward-slopes"])
def test_backward_chain(member, expect, rng):
    """One operation after another: the gradient of each Value is its own derivative times the gradient of what was
    computed from it. Every Value of the chain is compared, not only the first. No Value is used twice here.
    """
    bench = member.bring(autodiff_bench)
    a, b = some(rng, 0.3, 0.9), some(rng, 1.2, 1.9)
    chain = [["leaf", a], ["exp", "#0"], ["log", "#1"], ["tanh", "#2"], ["*", "#3", 3], ["**", "#4", 2]]
    chain += [["exp", "#5"]]
    tree = [["leaf", a], ["leaf", b], ["leaf", -0.8], ["leaf", 0.5]]
    tree += [["*", "#0", "#1"], ["*", "#2", "#3"], ["+", "#4", "#5"], ["tanh", "#6"]]
    words = "exp((3 * tanh(log(exp(a))))**2)"
    say = f"a, b, c, d = {a}, {b}, -0.8, 0.5. Value 0 is made first, and the root last."
    claim(bench, expect, {words: chain, "tanh(a * b + c * d)": tree}, say)


@check("backward-derived", title="-a, a - b, a / b, and plain numbers", needs=["backward-chain"])
def test_backward_derived(member, expect, rng):
    """The operations that can be built from + * and **, and all that have a plain number on one side. If you have
    built them so, their derivatives come by themselves. A plain number has no gradient, but the Value beside it has.
    """
    bench = member.bring(autodiff_bench)
    a, b, n = some(rng), -some(rng, 3.0, 5.0), rng.random.randint(2, 9)
    cases = {
        "-a": ["neg", "#0"],
        "a - b": ["-", "#0", "#1"],
        "a / b": ["/", "#0", "#1"],
        f"{n} + a": ["+", n, "#0"],
        f"a + {n}": ["+", "#0", n],
        f"{n} * b": ["*", n, "#1"],
        f"b * {n}": ["*", "#1", n],
        f"{n} - a": ["-", n, "#0"],
        f"a - {n}": ["-", "#0", n],
        f"{n} / a": ["/", n, "#0"],
        f"a / {n}": ["/", "#0", n],
    }
    programs = {words: [["leaf", a], ["leaf", b], line] for words, line in cases.items()}
    claim(bench, expect, programs, f"The gradients of one operation each, for a = {a} and b = {b}.")


@check(
    "backward-twice-used",
    title="a Value that is used twice adds up its gradients",
    needs=["backward-derived"],
)
def test_backward_twice_used(member, expect, rng):
    """a + a has the gradient 2, a * a has 2a. If a Value goes into several operations, each sends it a share, and the
    shares are added. And it passes its gradient on only when all of them have come: the order decides.

    The last expressions have a short and a long way from the same Value to the root.
    """
    bench = member.bring(autodiff_bench)
    a, b = some(rng), some(rng, 3.0, 5.0)
    two_ways = [["leaf", a], ["leaf", b], ["*", "#0", "#1"], ["tanh", "#0"], ["+", "#2", "#3"]]
    two_ways += [["*", "#4", "#4"], ["+", "#5", "#2"]]
    twins = [["leaf", 2.0], ["leaf", 2.0], ["*", "#0", "#1"], ["+", "#2", "#0"], ["*", "#3", "#2"]]
    late = [["leaf", a], ["*", "#0", "#0"], ["*", "#1", "#0"], ["*", "#2", "#1"], ["+", "#1", "#3"]]
    late += [["*", "#1", "#4"]]
    programs = {
        "a + a": [["leaf", a], ["+", "#0", "#0"]],
        "a * a": [["leaf", a], ["*", "#0", "#0"]],
        "a * 3 + a": [["leaf", a], ["*", "#0", 3], ["+", "#1", "#0"]],
        "a / 2 + a": [["leaf", a], ["*", "#0", 0.5], ["+", "#1", "#0"]],
        "P": two_ways,
        "Q": twins,
        "R": late,
    }
    say = (
        f"a = {a}, b = {b}. P: c = a * b; d = tanh(a); e = c + d; f = e * e; root = f + c. Q: a and b are 2; "
    )
    say += "c = a * b; d = c + a; root = d * c. R: b = a * a; c = b * a; d = c * b; e = b + d; root = b * e. "
    claim(bench, expect, programs, f"{say}Values are counted as they are made, from 0.")


@check("backward-graphs", title="gradients of several graphs add up", needs=["backward-twice-used"])
def test_backward_graphs(member, expect, rng):
    """Two expressions made from the same leaves, backward() from one, then from the other: the leaves hold the sum.
    That is how a batch can be done in parts. If the caller sets grad to 0.0 (or to another number) in between, it
    counts from there.

    A leaf alone has the gradient 1, and Values that backward() does not reach keep what they had.
    """
    bench = member.bring(autodiff_bench)
    leaves = [some(rng), some(rng, 3.0, 5.0), -some(rng)]
    first = [["*", "#0", "#1"], ["+", "#3", "#0"]]
    second = [["*", "#0", "#2"], ["*", "#3", "#3"]]
    both = [grads([["leaf", x] for x in leaves] + program)[:3] for program in (first, second)]
    for between in (None, 0.0, 0.75):
        got = bench.two_graphs(first, second, leaves, between)
        start = both[0] if between is None else [between] * 3
        say = f"root = a * b + a; a, b, c = {leaves}."
        compare(expect, got[0], both[0], "abc", say, ROUGH)
        after = {None: "the gradients are left there", 0.0: "they are set to 0"}.get(
            between, "they are set to 0.75"
        )
        say = f"First that, then {after}, then root = (a * c)**2, made of the same leaves."
        total = [s + g for s, g in zip(start, both[1], strict=True)]
        compare(expect, got[1], total, "abc", say, ROUGH)
    compare(expect, bench.grads([["leaf", 2.5]]), [1.0], ["a"], "backward() of a leaf.")
    program = [["leaf", leaves[0]], ["*", "#0", "#0"], ["exp", "#1"], ["tanh", "#1"]]
    want = [*grads(program[:2]), 0.0, 0.0]
    names = ["a", "b = a * a", "exp(b)", "tanh(b)"]
    say = "backward() from b, in the middle of a graph."
    compare(expect, bench.grads(program, 1), want, names, say, ROUGH)


def random_program(random, leaves=4, length=14):
    """Random operations on what is there already. Numbers stay between about 0.1 and 20, away from every edge."""
    program = [["leaf", round(random.uniform(0.4, 1.6) * random.choice((-1, 1)), 3)] for _ in range(leaves)]
    while len(program) < leaves + length:
        operation = random.choice(["+", "*", "-", "/", "**", "exp", "log", "tanh", "relu", "number"])
        one, two = (f"#{random.randrange(max(0, len(program) - 6), len(program))}" for _ in range(2))
        line = [operation, one, two] if operation in "+*-/" else [operation, one]
        if operation == "**":
            line = ["**", one, random.choice([2, 3, -1, 0.5])]
        elif operation == "number":
            line = [random.choice("+-*"), *random.sample([one, random.choice([2, 0.5, 3])], 2)]
        inputs = [data(program)[n] for n in arguments(line)]
        if (line[0] == "log" or line[-1] == 0.5) and inputs[0] < 0.3:
            continue
        if (line[0] in ("/", "relu") or line[-1] == -1) and abs(inputs[-1]) < 0.3:
            continue
        if line[0] == "exp" and inputs[0] > 2.5:
            continue
        if 0.05 < abs(data([*program, line])[-1]) < 8:
            program.append(line)
    for n in range(leaves, leaves + length - 1, 3):  # the root depends on much of it
        program.append(["+", f"#{len(program) - 1}", f"#{n}"])
    return program


@check(
    "backward-random",
    title="random expressions agree with torch and with differences",
    needs=["backward-twice-used"],
)
def test_backward_random(member, expect, rng):
    """Five random expressions of about twenty operations. The gradients of the leaves are compared with torch's, in
    float64, to nine digits. And with what your own forward pass says: move a leaf by a millionth up and down, and
    divide the difference of the results by the difference of the leaves. That can be right to about 1e-5 only.
    """
    import torch

    bench = member.bring(autodiff_bench)
    for _ in range(5):
        program = random_program(rng.random)
        leaves = [torch.tensor(line[1], dtype=torch.float64, requires_grad=True) for line in program[:4]]
        made = list(leaves)
        for operation, *words in program[4:]:
            parts = [made[int(word[1:])] if isinstance(word, str) else word for word in words]
            if operation in autodiff_bench.INFIX:
                made.append(autodiff_bench.INFIX[operation](*parts))
            else:
                made.append(getattr(torch, operation)(parts[0]))
        found = torch.autograd.grad(made[-1], leaves, allow_unused=True)
        want = [0.0 if g is None else g.item() for g in found]
        got = bench.grads(program)[:4]
        compare(expect, got, want, "abcd", "The leaves of a random expression, against torch.", digits=11)
        step = 1e-6
        differences = []
        for n in range(4):
            ends = [
                bench.attributes(
                    [["leaf", line[1] + sign * step] if m == n else line for m, line in enumerate(program)],
                    "data",
                )[-1]
                for sign in (1, -1)
            ]
            differences.append((ends[0] - ends[1]) / (2 * step))
        compare(expect, got, differences, "abcd", "Against differences of your own forward pass.", 1e-5)


@check("backward-deep", title="a chain of 5,000 operations works", needs=["backward-graphs"])
def test_backward_deep(member, expect, rng):
    """1 + 1 + … + 1, added up one after the other, as a loop over a data set does it: a graph that is 5,000
    operations deep. Python stops a function that calls itself more than about 1,000 times. A loop with a list of what
    is still to do has no such limit.
    """
    length = 5000 + rng.random.randrange(100)
    got = member.bring(autodiff_bench).deep(length)
    expect.equal(
        got[0], 2, say=f"topological, {length} operations deep: how often the first and the last are in it."
    )
    expect.equal(
        got[1], float(length + 1), say=f"The gradient of a, when a is added to itself {length} times."
    )
