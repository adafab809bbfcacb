"""What an expression and its derivatives must be: by complex numbers, without any chain rule.

For a smooth f, the imaginary part of f(x + ih), divided by h, is f'(x). h is so small that nothing else is left, and
nothing is subtracted, so the derivative is as exact as f itself.
"""

import cmath
import math

STEP = 1e-30
MOST = 5  # numbers that a message shows

FUNCTIONS = {
    "leaf": lambda x: x,
    "neg": lambda x: -x,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, n: a**n,
    "sum": lambda *terms: sum(terms),
    "exp": cmath.exp,
    "log": cmath.log,
    "tanh": cmath.tanh,
    "relu": lambda x: x if x.real > 0 else 0j,
}


def values(program, moved=-1, step=STEP):
    """What each line of a program gives, in complex numbers; line `moved` has i * step added."""
    made = []
    for line, (operation, *words) in enumerate(program):
        arguments = [made[int(word[1:])] if isinstance(word, str) else word for word in words]
        if operation != "**":
            arguments = [complex(value) for value in arguments]
        made.append(complex(FUNCTIONS[operation](*arguments)) + (1j * step if line == moved else 0))
    return made


def data(program):
    return [value.real for value in values(program)]


def grads(program, root=-1):
    """d line `root` / d line n for each n; 0 for lines that root does not depend on."""
    return [values(program, line)[root].imag / STEP for line in range(len(program))]


def slope(function, numbers):
    """d function(numbers) / d each of them; the function takes a list of complex numbers."""
    found = []
    for n in range(len(numbers)):
        moved = [complex(x, STEP if m == n else 0.0) for m, x in enumerate(numbers)]
        found.append(complex(function(moved)).imag / STEP)
    return found


def near(got, want, tolerance=1e-9):
    """Close, in relation to the larger of |want| and 1. Words and truth values are no numbers."""
    if not isinstance(got, int | float) or isinstance(got, bool) or not math.isfinite(got):
        return False
    return abs(got - want) <= tolerance * max(1.0, abs(want))


def shown(value, digits=6):
    """With so many digits that rounding does not show; not-a-number in words."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") + 0.0 if math.isfinite(value) else repr(value)
    if isinstance(value, list | tuple):
        return [shown(item, digits) for item in value]
    return value


def compare(expect, got, want, names, say, tolerance=1e-9, digits=6):
    """A claim: the numbers in `got` are those in `want`. The message shows the first that differ, by name."""
    names = list(names)
    if not isinstance(got, list) or len(got) != len(want):
        expect.that(False, f"{say} A list of {len(want)} numbers is needed.", got=shown(got))
        return
    wrong = [n for n, pair in enumerate(zip(got, want, strict=True)) if not near(*pair, tolerance)]
    seen, right = ({names[n]: shown(numbers[n], digits) for n in wrong[:MOST]} for numbers in (got, want))
    more = (
        f" {len(wrong)} of {len(names)} numbers are wrong; these are the first." if len(wrong) > MOST else ""
    )
    expect.that(not wrong, say + more, got=seen, want=right)
