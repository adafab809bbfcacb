"""Step `value`: what each operation of member.engine gives. Gradients come in the next step."""

import autodiff_bench
from autodiff_oracle import compare, data

from cohort_cli.checking.authoring import check


def some(rng, low=0.5, high=2.5):
    """A number with a few decimals, so that a message stays readable."""
    return round(rng.random.uniform(low, high), 3)


def claim(member, expect, cases, leaves, say):
    """cases: the expression in words -> [operation, argument, …], where "#0", "#1" are the leaves."""
    program = [["leaf", x] for x in leaves] + list(cases.values())
    got = member.bring(autodiff_bench).attributes(program, "data")
    want = data(program)
    compare(expect, got[len(leaves) :], want[len(leaves) :], cases, say)


@check("value-holds", title="a Value holds its number, a gradient of 0 and a label")
def test_value_holds(member, expect, rng):
    """Value(3) and Value(2.5, label="w"): data is the number, grad is 0.0, label is "" or what was given. The gradient
    is 0 at first, because backward() will add to it. So it must be a number from the start, and 0.
    """
    numbers = [3, some(rng), -some(rng), 0.0, some(rng, 1e5, 1e6), some(rng) * 1e-7]
    got = member.bring(autodiff_bench).leaves(numbers)
    words = [f"Value({n})" for n in numbers] + [f"Value({n}, label=…)" for n in numbers]
    compare(expect, [row[0] for row in got], [*numbers, *numbers], words, "data.")
    compare(expect, [row[1] for row in got], [0.0] * 12, words, "grad, before any backward().")
    want = [""] * 6 + [f"v{n}" for n in numbers]
    expect.equal([row[2] for row in got], want, say="label: without one, and with label=…")


@check("value-add-mul", title="a + b and a * b are new Values", needs=["value-holds"])
def test_value_add_mul(member, expect, rng):
    """Sums and products of two Values. The result is a Value, not a number, and its gradient is 0.0 at first. A chain
    like a + b * c works only if each step gives a Value again.
    """
    leaves = [some(rng), -some(rng), some(rng, 3.0, 5.0)]
    cases = {
        "a + b": ["+", "#0", "#1"],
        "b + c": ["+", "#1", "#2"],
        "a * c": ["*", "#0", "#2"],
        "b * c": ["*", "#1", "#2"],
        "a + b * c": ["+", "#0", "#6"],
        "(a + b) * (a * c)": ["*", "#3", "#5"],
    }
    claim(member, expect, cases, leaves, f"a, b, c = {leaves}.")
    program = [["leaf", x] for x in leaves] + list(cases.values())
    got = member.bring(autodiff_bench).attributes(program, "grad")
    compare(expect, got[3:], [0.0] * 6, cases, "The grad of a result, before backward().")


@check("value-sub-div", title="-a, a - b and a / b", needs=["value-holds"])
def test_value_sub_div(member, expect, rng):
    """Two Values on both sides; the order matters. They can be built from + * and **: a - b is a + (-b), and a / b is
    a * b ** -1. Rounding in the last digit does not count.
    """
    leaves = [some(rng), -some(rng, 3.0, 5.0), some(rng, 6.0, 9.0)]
    cases = {
        "-a": ["neg", "#0"],
        "-b": ["neg", "#1"],
        "a - b": ["-", "#0", "#1"],
        "b - a": ["-", "#1", "#0"],
        "a / b": ["/", "#0", "#1"],
        "c / a": ["/", "#2", "#0"],
        "(a - b) / c": ["/", "#5", "#2"],
    }
    claim(member, expect, cases, leaves, f"a, b, c = {leaves}.")


@check("value-pow", title="a ** n for any number n", needs=["value-holds"])
def test_value_pow(member, expect, rng):
    """Whole exponents, negative ones, fractions, and 0. A negative a has whole exponents only: (-2) ** 3 is -8. Roots
    are powers too: a ** 0.5.
    """
    leaves = [some(rng, 1.2, 2.5), -some(rng, 1.2, 2.5)]
    exponents = (2, 3, 1, 0, -1, -2, 0.5, -1.5, round(some(rng), 2))
    cases = {f"a ** {n}": ["**", "#0", n] for n in exponents}
    cases |= {f"b ** {n}": ["**", "#1", n] for n in (2, 3, -1, -3)}
    claim(member, expect, cases, leaves, f"a, b = {leaves}.")


@check("value-numbers", title="plain numbers on either side", needs=["value-add-mul", "value-sub-div"])
def test_value_numbers(member, expect, rng):
    """a + 2 and 2 + a, 2 - a and a - 2, and so on, with int and float. For 2 + a Python asks the 2 first, which does
    not know Values, and then calls a.__radd__(2). sum([a, b]) begins with 0 + a, so it works as well.
    """
    a, b, x, n = some(rng), -some(rng), some(rng, 3.0, 6.0), rng.random.randint(2, 9)
    cases = {}
    for sign in "+-*/":
        for word in (x, n):
            cases[f"a {sign} {word}"] = [sign, "#0", word]
            cases[f"{word} {sign} a"] = [sign, word, "#0"]
    cases["sum([a, b, a])"] = ["sum", "#0", "#1", "#0"]
    claim(member, expect, cases, [a, b], f"a, b = {[a, b]}.")


@check("value-functions", title="exp, log, tanh and relu", needs=["value-holds"])
def test_value_functions(member, expect, rng):
    """Four functions of one Value. log is the natural logarithm; without a number above 0 it raises ValueError, as
    math.log does, for -inf or nan would spoil everything after it. tanh works for large numbers too: by a formula with
    exp, tanh(1000) asks for e to the power of 2000, which no float can hold.
    """
    leaves = [some(rng), -some(rng), some(rng, 0.001, 0.01)]
    for function in ("exp", "tanh", "relu", "log"):
        cases = {f"{function}(a)": [function, "#0"], f"{function}(c)": [function, "#2"]}
        if function != "log":
            cases[f"{function}(b)"] = [function, "#1"]
        claim(member, expect, cases, leaves, f"a, b, c = {leaves}.")
    bench = member.bring(autodiff_bench)
    got = bench.attributes([["leaf", 1000], ["leaf", -1000.0], ["tanh", "#0"], ["tanh", "#1"]], "data")
    compare(expect, got[2:], [1.0, -1.0], ["tanh(1000)", "tanh(-1000)"], "Far out, tanh is 1 or -1.")
    for number in (0.0, -1.5):
        say = f"log of {number}: there is none."
        expect.raises(bench.attributes, [["leaf", number], ["log", "#0"]], "data", say=say)


@check("value-operands", title="operands stay, results are new", needs=["value-numbers", "value-functions"])
def test_value_operands(member, expect, rng):
    """After every operation a and b are as they were, and no result is one of them. In a graph each Value has a place
    of its own: if relu gave a itself back, one grad would have to serve for two. a * a and a + a use one Value twice.
    """
    bench = member.bring(autodiff_bench)
    leaves = [some(rng), some(rng, 3.0, 5.0)]
    cases = {
        "a * a": ["*", "#0", "#0"],
        "a + a": ["+", "#0", "#0"],
        "a - b": ["-", "#0", "#1"],
        "a / b": ["/", "#0", "#1"],
        "-a": ["neg", "#0"],
        "a ** 2": ["**", "#0", 2],
        "3 + a": ["+", 3, "#0"],
        "3 * b": ["*", 3, "#1"],
        "exp(a)": ["exp", "#0"],
        "log(b)": ["log", "#1"],
        "tanh(a)": ["tanh", "#0"],
        "relu(a)": ["relu", "#0"],
        "relu(b)": ["relu", "#1"],
        "a * b": ["*", "#0", "#1"],
        "a + b": ["+", "#0", "#1"],
    }
    program = [["leaf", x] for x in leaves] + list(cases.values())
    names = ["a", "b", *cases]
    compare(expect, bench.attributes(program, "data"), data(program), names, "data, after all of these.")
    again = [names[line] for line in bench.same_objects(program)]
    expect.equal(again, [], say="Results that are no new Value, but one of those before.")
