"""Reads a project's checks as they are written in acceptance/test_<step>.py, without running anything.

They are parsed with `ast`: functions with @check(...). `cohort explain` and `cohort status` therefore need
neither torch nor pytest.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli.errors import BrokenManifest
from cohort_cli.manifest import did_you_mean, read_text
from cohort_cli.memo import Memo

_MEMBER = re.compile(r"\bmember\.(\w+)\b(?!\()")  # a module; what is called at once, as member.vjp(, is none


class CheckInfo(NamedTuple):
    """One acceptance test, as written in its source."""

    id: str
    step: str
    title: str
    needs: tuple[str, ...]
    doc: str
    file: Path
    line: int
    source: str
    modules: tuple[str, ...] = ()  # the member's modules that its file names: `member.block` gives "block"

    @property
    def first_module(self) -> str:
        """The member's module that it reaches for first; "" if it names none itself."""
        found = _MEMBER.search(self.source)
        return found[1] if found is not None and found[1] in self.modules else ""

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def read_checks(path: Path, step: str, memo: Memo) -> list[CheckInfo]:
    """The checks in one acceptance file, in the order of the file. A step without such a file has none."""
    if not path.exists():
        return []
    text = read_text(path)
    rows = memo.get("checks", text.encode(), lambda: [_as_row(check) for check in _parse(path, step, text)])
    return [
        CheckInfo(
            **{
                **row,
                "needs": tuple(row["needs"]),
                "modules": tuple(row["modules"]),
                "step": step,
                "file": path,
            }
        )
        for row in rows
    ]


def _as_row(check: CheckInfo) -> dict[str, Any]:
    """All that is in the text; the step and the place of the file are not."""
    return {name: value for name, value in check._asdict().items() if name not in ("step", "file")}


def _parse(path: Path, step: str, text: str) -> list[CheckInfo]:
    try:
        tree = ast.parse(text, filename=str(path))
    except (SyntaxError, ValueError) as trouble:
        line = f":{trouble.lineno}" if isinstance(trouble, SyntaxError) else ""
        raise BrokenManifest(f"{path}{line} is not valid Python: {trouble.args[0]}.") from None
    lines = text.splitlines(keepends=True)
    modules = tuple(sorted(set(_MEMBER.findall(text))))
    checks = []
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        id, title, needs = _words(node, path)
        first = min(decorator.lineno for decorator in node.decorator_list)
        checks.append(
            CheckInfo(
                id=id,
                step=step,
                title=title,
                needs=needs,
                doc=ast.get_docstring(node) or "",
                file=path,
                line=node.lineno,
                source="".join(lines[first - 1 : node.end_lineno]),
                modules=modules,
            )
        )
    return checks


def _words(node: ast.FunctionDef, path: Path) -> tuple[str, str, tuple[str, ...]]:
    """(id, title, needs) of a test's @check decorator, which must be plain literals."""
    place = f"{path}:{node.lineno}: {node.name}"
    for decorator in node.decorator_list:
        if not isinstance(decorator, ast.Call):
            continue
        if ast.unparse(decorator.func).rpartition(".")[2] != "check":
            continue
        try:
            words = {key.arg: ast.literal_eval(key.value) for key in decorator.keywords}
            if decorator.args:
                words["id"] = ast.literal_eval(decorator.args[0])
        except ValueError:
            raise BrokenManifest(f"{place}: the words of @check must be plain literals.") from None
        needs = tuple(words.pop("needs", ()))
        texts = (*words.values(), *needs)
        if set(words) != {"id", "title"} or not all(isinstance(text, str) for text in texts):
            raise BrokenManifest(f"{place}: write @check('id', title='…', needs=['…']).")
        return words["id"], words["title"], needs
    raise BrokenManifest(f"{place} has no @check(...), so nobody could select it.", "Add the decorator.")


def verify_checks(checks: Iterable[CheckInfo], steps: Iterable[str]) -> None:
    """Every name is used once, every need exists, and no check needs itself in a roundabout way."""
    by_id: dict[str, CheckInfo] = {}
    for check in checks:
        if check.id in by_id:
            other = by_id[check.id]
            also = f"{other.file.name}:{other.line}"
            raise BrokenManifest(f"{check.place}: the name {check.id!r} is also used at {also}.")
        by_id[check.id] = check
    for step in steps:
        if step in by_id:
            raise BrokenManifest(f"{by_id[step].place}: {step!r} is a step's name; give the check another.")
    for check in by_id.values():
        for need in check.needs:
            if need not in by_id:
                message = f"{check.place}: {check.id} needs {need!r}, which does not exist."
                raise BrokenManifest(message, did_you_mean(need, list(by_id)))
    finished: set[str] = set()
    for id in by_id:
        _refuse_cycle(id, by_id, [], finished)


def _refuse_cycle(id: str, by_id: dict[str, CheckInfo], path: list[str], finished: set[str]) -> None:
    if id in finished:
        return
    if id in path:
        circle = " -> ".join([*path[path.index(id) :], id])
        raise BrokenManifest(f"{by_id[id].place}: the needs form a circle: {circle}.")
    for need in by_id[id].needs:
        _refuse_cycle(need, by_id, [*path, id], finished)
    finished.add(id)
