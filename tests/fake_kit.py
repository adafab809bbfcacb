"""A tiny kit for tests: one project with two steps, three checks, a mistake and hints. No torch needed."""

from __future__ import annotations

from pathlib import Path

PROJECT = """\
schema = "cohort.project/1"
id = "project9"
title = "Adding"
budget_seconds = 5
blocked_imports = ["numpy.linalg"]

[limits]
cpu_seconds = 2

[[step]]
id = "plus"
title = "Adding two numbers"
file = "plus.py"
minutes = 10
reading = "Peano 1889, https://example.org/peano"

[[step]]
id = "twice"
title = "Adding a number to itself"
file = "twice.py"
minutes = 5
reading = "Peano 1889, section 2, https://example.org/peano"

[[rule]]
target = "plus.add"
ops = ["aten::add"]
names = ["add"]
says = "This step asks you to add by yourself."
"""

TEST_PLUS = '''\
from cohort_cli.checking.authoring import check


@check("sum", title="a and b are added")
def test_sum(member, expect, rng):
    """Adding is where everything begins.

    Reading: Peano 1889, page 1.
    """
    expect.equal(member.plus.add(2, 3), 5)


@check("commutes", title="the order does not matter", needs=["sum"])
def test_commutes(member, expect, rng):
    """Both orders give the same."""
    expect.equal(member.plus.add(2, 3), member.plus.add(3, 2))
'''

TEST_TWICE = '''\
from cohort_cli.checking.authoring import check


@check("double", title="twice is x + x", needs=["sum"])
def test_double(member, expect, rng):
    """Doubling uses your addition."""
    expect.equal(member.twice.twice(member.plus.add(1, 1)), 4)
'''

MISTAKES = """\
[[mistake]]
name = "subtracts"
file = "plus.py"
check = "sum"
why = "This is exactly the result of subtracting b instead of adding it."
find = "a + b"
replace = "a - b"
"""

HINTS = """\
# Hints

## Rung 1

What is `add(2, 3)`?

## Rung 2

Python has an operator for it:

- it takes two numbers,
- it gives one.

## Rung 3

    return a ... b
"""

SCAFFOLD = '''\
"""Adding."""


def add(a, b):
    """a + b."""
    raise NotImplementedError
'''

SCAFFOLD_TWICE = """\
from plus import add


def twice(x):
    raise NotImplementedError
"""


def make_kit(root: Path) -> Path:
    """Write the kit below `root` and return its folder, which COHORT_KIT can name."""
    folder = root / "projects" / "project9_adding"
    files = {
        "project.toml": PROJECT,
        "guide.md": "# Adding\n",
        "acceptance/test_plus.py": TEST_PLUS,
        "acceptance/test_twice.py": TEST_TWICE,
        "mistakes/plus.toml": MISTAKES,
        "hints/plus.md": HINTS,
        "hints/twice.md": HINTS.replace("add(2, 3)", "twice(2)"),
        "scaffold/plus.py": SCAFFOLD,
        "scaffold/twice.py": SCAFFOLD_TWICE,
        "reference/plus.py": "def add(a, b):\n    return a + b\n",
        "reference/twice.py": "from plus import add\n\n\ndef twice(x):\n    return add(x, x)\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (root / "meetings").mkdir(exist_ok=True)
    return root
