"""Names the mistake behind a wrong answer.

When a claim fails, the same test runs again, with the same seed, on each known mistake in place of the member's code.
The mistake whose test fails at the same claim with the same value is the member's, exactly.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from cohort_cli.catalog import Project
from cohort_cli.checking import tensors
from cohort_cli.checking.judge.expect import CheckFailed, Expect
from cohort_cli.checking.judge.inputs import Rng
from cohort_cli.checking.judge.member import Line, Member
from cohort_cli.checking.judge.stopped import MemberRaised
from cohort_cli.checking.player.stage import Stage
from cohort_cli.errors import BrokenManifest
from cohort_cli.mistakes import Mistake

Test = Callable[[Member, Expect, Rng], Any]


@dataclass(frozen=True)
class Diagnosis:
    name: str
    why: str


@dataclass(frozen=True)
class Rerun:
    """What it takes to run a test again exactly: the test, torch's seed where the code runs, the seed of `rng`."""

    test: Test
    player_seed: int
    input_seed: int


def diagnose(
    project: Project, check_id: str, file: str, again: Rerun, failure: CheckFailed | MemberRaised
) -> Diagnosis | None:
    """The known mistake that fails this test in the same way, if there is one.

    Mistakes meant for this check come first, then the others in the same file. A value that says little (a number
    of parameters, True), and a mistake meant for another check, count only if no other mistake gives the same.
    """
    mistakes = project.mistakes()
    meant = [mistake for mistake in mistakes if mistake.check == check_id]
    others = [mistake for mistake in mistakes if mistake.check != check_id and mistake.file == file]
    if isinstance(failure, CheckFailed) and failure.claim < 0:
        others = []  # its parameters have no place; the checks that are meant for such a mistake name it
    telling = _is_telling(failure)
    for group, first_counts in ((meant, telling), (others, False)):
        matches = []
        for mistake in group:
            if _same(failure, replay(project, mistake, again)):
                matches.append(mistake)
                if first_counts:
                    break
        if len(matches) == 1:
            return Diagnosis(matches[0].name, matches[0].why)
        if matches:
            break
    fallback = getattr(failure, "mistake", None)
    named = next((mistake for mistake in mistakes if mistake.name == fallback), None)
    return Diagnosis(named.name, named.why) if named is not None else None


def replay(project: Project, mistake: Mistake, again: Rerun) -> CheckFailed | MemberRaised | None:
    """How the test fails on the reference with this mistake in it; None if it passes."""
    sources = _reference(project)
    module = mistake.file.removesuffix(".py")
    try:
        sources[module] = mistake.apply(sources[module])
    except BrokenManifest:  # an author's slip, which `cohort kit verify` reports; a member's verdict stands
        return None
    try:
        _rerun(project, sources, again)
    except (CheckFailed, MemberRaised) as failure:
        return failure
    except Exception:  # a test that stumbles over this mistake says nothing about the member's
        return None
    return None


def passes_on_reference(project: Project, again: Rerun) -> bool:
    """Whether the test is sound: then what it stumbled over is the member's answer."""
    try:
        _rerun(project, _reference(project), again)
    except Exception:
        return False
    return True


def _reference(project: Project) -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in project.reference.glob("*.py")}


def _rerun(project: Project, sources: dict[str, str], again: Rerun) -> None:
    tensors.seed(again.player_seed)
    with modules_from(sources) as load, tempfile.TemporaryDirectory(prefix="cohort-") as scratch:
        stage = Stage(str(project.reference), {}, load, scratch)
        again.test(Member(Line(stage.handle)), Expect(), Rng(again.input_seed))


@contextmanager
def modules_from(sources: dict[str, str]) -> Iterator[Callable[[str], ModuleType]]:
    """Import modules from source texts, for as long as the context lasts. They see one another, and nobody else does."""
    finder = _Texts(sources)
    before = {name: sys.modules.pop(name) for name in sources if name in sys.modules}
    sys.meta_path.insert(0, finder)
    try:
        yield importlib.import_module
    finally:
        sys.meta_path.remove(finder)
        for name in sources:
            sys.modules.pop(name, None)
        sys.modules.update(before)


class _Texts(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def __init__(self, sources: dict[str, str]) -> None:
        self.sources = sources

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        return importlib.util.spec_from_loader(fullname, self) if fullname in self.sources else None

    def get_source(self, fullname: str) -> str:
        return self.sources[fullname]


def _is_telling(failure: CheckFailed | MemberRaised) -> bool:
    """Floating-point values of some length do not agree by chance."""
    if isinstance(failure, MemberRaised):
        return False
    value = failure.value
    return tensors.is_tensor(value) and value.is_floating_point() and value.numel() > 1


def _same(failure: CheckFailed | MemberRaised, other: CheckFailed | MemberRaised | None) -> bool:
    if isinstance(failure, MemberRaised) or isinstance(other, MemberRaised):
        both = isinstance(failure, MemberRaised) and isinstance(other, MemberRaised)
        return both and (failure.type, failure.message) == (other.type, other.message)  # type: ignore[union-attr]
    if other is None or failure.claim != other.claim:
        return False
    a, b = failure.value, other.value
    if tensors.is_tensor(a) and tensors.is_tensor(b):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        if not a.is_floating_point():
            return bool((a == b).all())
        loose = 1e-9 if a.element_size() == 8 else 1e-4
        return bool(a.isclose(b, rtol=loose, atol=loose, equal_nan=True).all())
    if isinstance(a, float) and isinstance(b, float):
        return a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b))
    return type(a) is type(b) and a == b
