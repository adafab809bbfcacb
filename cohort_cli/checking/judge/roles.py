"""Which parameter is which, when its name is none that we know: a guess that is the same for every layer.

A role is a name without its layer numbers, with a shape: "h.#.ln_1.weight" (6,). Roles of the same shape and number are
matched by likeness: words in the name, and the values that a parameter starts with. Ways that are equally likely are
all returned.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

# Something in a part of the name -> what it reminds of.
REMINDS = {
    "query": ("quer",),
    "key": ("key",),
    "value": ("val",),
    "attn": ("att",),
    "mlp": ("mlp", "ff", "feed"),
    "wte": ("tok",),
    "wpe": ("pos",),
    "h": ("block", "layer"),
    "c_fc": ("up", "expand", "hidden"),
    "c_proj": ("down", "proj", "out"),
    "weight": ("weight", "gain", "scale", "gamma"),
    "bias": ("bias", "shift", "offset", "beta"),
}
# Of one family, a parameter is one thing only: a name that says "key" is no query.
FAMILIES = (
    {"query", "key", "value"},
    {"ln_1", "ln_2", "ln_f"},
    {"weight", "bias"},
    {"wte", "wpe"},
    {"attn", "mlp"},
)
MOST_AT_ONCE = 6  # 720 ways to match

Role = tuple[str, tuple[int, ...]]


def assignments(
    ours: dict[str, list[int]],
    theirs: dict[str, tuple[str, dict[str, Any]]],
    fits: Callable[[str, str], bool],
) -> list[dict[str, str]]:
    """Every likeliest way to match: member's name -> our name. Empty if there is no way.

    ours: our canonical name -> shape. theirs: member's name -> its canonical name and what is known of it (shape,
    "ones", "zeros"). Both in the order in which they were written down.
    """
    if len(ours) != len(theirs):
        return []
    wanted = _by_role({name: (name, shape) for name, shape in ours.items()})
    there = _by_role({name: (canonical, entry["shape"]) for name, (canonical, entry) in theirs.items()})
    ways: list[dict[str, str]] = [{}]
    for size in dict.fromkeys(_size(role, names) for role, names in wanted.items()):
        some = [names for role, names in wanted.items() if _size(role, names) == size]
        others = [names for role, names in there.items() if _size(role, names) == size]
        if len(some) != len(others) or len(some) > MOST_AT_ONCE:
            return _in_order(ours, theirs, fits)
        found = _matched(some, others, theirs, fits)
        ways = [way | more for way in ways for more in found]
    return ways


def _matched(
    wanted: list[list[str]],
    there: list[list[str]],
    theirs: dict[str, tuple[str, dict[str, Any]]],
    fits: Callable[[str, str], bool],
) -> list[dict[str, str]]:
    """The likeliest ways to match roles of one size, in the order of registration where they are equally likely."""
    best: int | None = None
    found: list[dict[str, str]] = []
    for order in itertools.permutations(there):
        pairs = [
            pair for some, own in zip(wanted, order, strict=True) for pair in zip(some, own, strict=True)
        ]
        if not all(fits(name, own) for name, own in pairs):
            continue
        score = sum(likeness(name, *theirs[own]) for name, own in pairs)
        if best is None or score > best:
            best, found = score, []
        if score == best:
            found.append({own: name for name, own in pairs})
    return found


def likeness(name: str, canonical: str, entry: dict[str, Any]) -> int:
    """How much a member's parameter looks like ours."""
    reminds = set().union(*(_reminds(part) for part in canonical.split(".")))
    score = 0
    for part in set(name.split(".")):
        score += part in reminds
        family = next((family for family in FAMILIES if part in family), set())
        score -= 2 * (part not in reminds and bool(family & reminds))
    if len(entry["shape"]) == 1:
        kind = name.rpartition(".")[2]
        score += 3 * (
            (kind == "weight" and entry.get("ones", False)) or (kind == "bias" and entry.get("zeros", False))
        )
    return score


def _reminds(part: str) -> set[str]:
    found = {meant for meant, words in REMINDS.items() if any(word in part for word in words)} | {part}
    if "norm" in part or part.startswith("ln"):
        found -= {"attn", "mlp", "c_proj"}
        if any(word in part for word in ("post", "after")):
            return found  # behind attention, or between attention and the MLP? The name does not say
        before_attention = any(word in part for word in ("att", "1", "first"))
        before_mlp = any(word in part for word in ("mlp", "ff", "feed", "2", "second"))
        found |= {"ln_1"} if before_attention else {"ln_2"} if before_mlp else set()
    return found


def _by_role(names: dict[str, tuple[str, list[int]]]) -> dict[Role, list[str]]:
    roles: dict[Role, list[str]] = {}
    for name, (canonical, shape) in names.items():
        pattern = ".".join("#" if part.isdigit() else part for part in canonical.split("."))
        roles.setdefault((pattern, tuple(shape)), []).append(name)
    return roles


def _size(role: Role, names: list[str]) -> tuple[tuple[int, ...], int]:
    """Roles may match if they have as many members, of the same shape or turned."""
    shape = role[1]
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    return tuple(sorted(shape)), len(names)


def _in_order(
    ours: dict[str, list[int]],
    theirs: dict[str, tuple[str, dict[str, Any]]],
    fits: Callable[[str, str], bool],
) -> list[dict[str, str]]:
    """Each of ours to the first of theirs that it fits."""
    way: dict[str, str] = {}
    for name in ours:
        found = next((own for own in theirs if own not in way and fits(name, own)), None)
        if found is None:
            return []
        way[found] = name
    return [way]
