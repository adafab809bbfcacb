"""Rules of a step: "write this yourself".

Two witnesses. The player records which torch operators ran; the judge reads the source. A value may be right although
a rule is broken, so a broken rule is said beside the verdict and is not a failed check.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from cohort_cli.catalog import Rule
from cohort_cli.checking.judge.member import Line

TORCH = ("torch",)


class Sources:
    """What the rules find in the member's files, each read once for a run."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.found: dict[Rule, tuple[str, str] | None] = {}

    def name_for(self, rule: Rule) -> tuple[str, str] | None:
        if rule not in self.found:
            self.found[rule] = name_in_source(rule, self.work)
        return self.found[rule]


def broken(rules: tuple[Rule, ...], sources: Sources, line: Line) -> str | None:
    """One sentence about the first rule that the code called over `line` breaks, or None."""
    for rule in rules:
        if rule.target not in line.called:
            continue
        found = sources.name_for(rule)
        if found is not None:
            place, name = found
            return f"{place} uses torch's own {name}. {rule.says}"
        ran = [
            op
            for op in [*line.broke.get(rule.target, []), *line.broke.get("its result", [])]
            if op in rule.ops
        ]
        if ran:
            return f"{rule.target} ran torch's own {ran[0]}. {rule.says}"
    return None


def name_in_source(rule: Rule, work: Path) -> tuple[str, str] | None:
    """("attention.py:12", "F.softmax") where the target's own source calls or inherits a forbidden name of torch's."""
    module, _, target = rule.target.partition(".")
    file = work / f"{module}.py"
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    aliases = dict(_torch_names(tree))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    # The last definition of a name is the one that counts.
    node = next(
        (node for node in reversed(tree.body) if isinstance(node, kinds) and node.name == target), None
    )
    if node is None and aliases.get(target, "").rpartition(".")[2] in rule.names:
        return file.name, aliases[target]  # from torch.optim import AdamW
    if node is None:
        return None
    used = [part.func for part in ast.walk(node) if isinstance(part, ast.Call)]
    used += node.bases if isinstance(node, ast.ClassDef) else []  # class AdamW(torch.optim.AdamW)
    for word in used:
        if isinstance(word, ast.Name) and aliases.get(word.id, "").rpartition(".")[2] in rule.names:
            return f"{file.name}:{word.lineno}", word.id
        if isinstance(word, ast.Attribute) and word.attr in rule.names and _root(word) in aliases:
            return f"{file.name}:{word.lineno}", ast.unparse(word)
    return None


def _torch_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each name that an import binds to something of torch's, with what it means."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in TORCH:
                    yield alias.asname or alias.name.partition(".")[0], alias.name
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in TORCH:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
