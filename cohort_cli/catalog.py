"""What the kit contains: projects, their steps, their checks and their known mistakes.

Reads `project.toml`; `acceptance.py` and `mistakes.py` read the rest. Nothing is read before it is asked for, so a hint
costs one small TOML file.

    Project ── steps ── checks (parsed when first asked for)
            ── rules, limits
            ── mistakes()
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from cohort_cli.errors import BrokenManifest, UsageError
from cohort_cli.manifest import build, did_you_mean, line_of, load_toml, require_schema
from cohort_cli.memo import Memo

if TYPE_CHECKING:
    from cohort_cli.acceptance import CheckInfo
    from cohort_cli.mistakes import Mistake

SCHEMA = "cohort.project/1"

Record = TypeVar("Record", bound=NamedTuple)


class Step(NamedTuple):
    """One sitting's work: one file of the member's, one file of checks."""

    id: str
    title: str
    file: str  # relative to the project's folder
    minutes: int
    reading: str
    blocked_imports: tuple[str, ...] = ()  # beside the project's


class Rule(NamedTuple):
    """Something that a step asks the member to write, so torch's own version must not be used there."""

    target: str  # module.function or module.Class
    says: str
    ops: tuple[str, ...] = ()  # torch operators that must not run while the target runs
    names: tuple[str, ...] = ()  # torch attribute names that must not be called in its source


class Limits(NamedTuple):
    """What one check may use."""

    cpu_seconds: float = 10.0
    memory_mib: int = 1024  # resident
    scratch_mib: int = 64  # what it may write


@dataclass(frozen=True)
class Project:
    """One project of the kit. The paths exist only if the project has such a part."""

    id: str
    title: str
    folder: Path
    steps: tuple[Step, ...]
    rules: tuple[Rule, ...] = ()
    limits: Limits = field(default_factory=Limits)
    blocked_imports: tuple[str, ...] = ()
    budget_seconds: float = 60.0
    preload: tuple[str, ...] = (
        "torch",
    )  # large libraries that the code may use, imported once for all checks

    @property
    def scaffold(self) -> Path:
        return self.folder / "scaffold"

    @property
    def reference(self) -> Path:
        return self.folder / "reference"

    @property
    def acceptance(self) -> Path:
        return self.folder / "acceptance"

    @property
    def mistakes_dir(self) -> Path:
        return self.folder / "mistakes"

    @property
    def hints_dir(self) -> Path:
        return self.folder / "hints"

    @property
    def guide(self) -> Path:
        return self.folder / "guide.md"

    @property
    def pages(self) -> list[Path]:
        """The guide, and after it the pages of a project that is told in units."""
        return [self.guide, *sorted((self.folder / "units").glob("*.md"))]

    @cached_property
    def checks(self) -> tuple[CheckInfo, ...]:
        """Every check: steps in the order of project.toml, then in the order of the file."""
        return self.read_checks(Memo())

    def read_checks(self, memo: Memo) -> tuple[CheckInfo, ...]:
        """The same, and faster when the memo has seen these files. `checks` is then known too."""
        from cohort_cli.acceptance import read_checks, verify_checks

        self._refuse_stray_tests()
        checks: list[CheckInfo] = []
        for step in self.steps:
            checks += read_checks(self.acceptance / f"test_{step.id}.py", step.id, memo)
        verify_checks(checks, [step.id for step in self.steps])
        self.__dict__["checks"] = tuple(checks)
        return tuple(checks)

    def step(self, id: str) -> Step:
        for step in self.steps:
            if step.id == id:
                return step
        raise UsageError(f"{self.id} has no step {id!r}.", did_you_mean(id, [step.id for step in self.steps]))

    def check(self, id: str) -> CheckInfo:
        for check in self.checks:
            if check.id == id:
                return check
        ids = [check.id for check in self.checks]
        raise UsageError(f"{self.id} has no check {id!r}.", did_you_mean(id, ids))

    def blocked_in(self, step: str) -> tuple[str, ...]:
        """The libraries that a member's code may not import in this step."""
        return (*self.blocked_imports, *self.step(step).blocked_imports)

    def goes_bare(self, step: str) -> bool:
        """Whether this step forbids a library that is otherwise preloaded: its code then meets none at all."""
        return not set(self.preload).isdisjoint(self.blocked_in(step))

    def find(self, word: str) -> list[CheckInfo]:
        """The checks of a step, or the one check of that name."""
        if any(step.id == word for step in self.steps):
            return [check for check in self.checks if check.step == word]
        found = [check for check in self.checks if check.id == word]
        if not found:
            words = [step.id for step in self.steps]
            close = did_you_mean(word, words + [check.id for check in self.checks])
            if close.startswith("Known here"):
                close = f"Its steps: {', '.join(words)}. Its checks: cohort explain {self.id} {words[0]}"
            raise UsageError(f"{self.id} has no step and no check {word!r}.", close)
        return found

    def files_of(self, step: str) -> list[str]:
        """The member's files that a step's checks touch: its own, and each whose module the tests name."""
        modules = {module for check in self.find(step) for module in check.modules}
        own = self.step(step).file
        others = dict.fromkeys(step.file for step in self.steps)
        return [own, *(file for file in others if file != own and file.removesuffix(".py") in modules)]

    def with_needs(self, ids: Iterable[str]) -> list[str]:
        """These checks and everything they need, each after what it needs."""
        by_id = {check.id: check for check in self.checks}
        wanted = {self.check(id).id for id in ids}
        order: list[str] = []

        def visit(id: str) -> None:
            if id in order:
                return
            for need in by_id[id].needs:
                visit(need)
            order.append(id)

        for check in self.checks:
            if check.id in wanted:
                visit(check.id)
        return order

    def mistakes(self) -> list[Mistake]:
        """Every known mistake, steps in order. BrokenManifest when one is badly written."""
        from cohort_cli.mistakes import read_mistakes

        mistakes: list[Mistake] = []
        for step in self.steps:
            mistakes += read_mistakes(self.mistakes_dir / f"{step.id}.toml", step.id)
        for mistake in mistakes:
            path = self.mistakes_dir / f"{mistake.step}.toml"
            if [other.name for other in mistakes].count(mistake.name) > 1:
                raise BrokenManifest(f"{path}: two mistakes are called {mistake.name!r}.")
            ids = [check.id for check in self.checks]
            if mistake.check not in ids:
                raise BrokenManifest(
                    f"{path}: mistake {mistake.name!r} names a check that does not exist: {mistake.check!r}.",
                    did_you_mean(mistake.check, ids),
                )
        return mistakes

    def _refuse_stray_tests(self) -> None:
        known = {f"test_{step.id}.py" for step in self.steps}
        for path in sorted(self.acceptance.glob("test_*.py")):
            if path.name not in known:
                step = path.stem.removeprefix("test_")
                raise BrokenManifest(
                    f"{path}: {self.id} has no step {step!r}, so these checks would never run.",
                    did_you_mean(step, [step.id for step in self.steps]),
                )


# --- finding projects -----------------------------------------------------------------------------


def kit_root() -> Path:
    """The folder with `projects/` and `meetings/`: the checkout, or what the wheel carries.

    COHORT_KIT names another one, for people who write projects of their own.
    """
    if override := os.environ.get("COHORT_KIT"):
        return Path(override).absolute()
    package = Path(__file__).resolve().parent
    return package / "_kit" if (package / "_kit" / "projects").is_dir() else package.parent


def project_folders() -> list[Path]:
    return sorted(path.parent for path in (kit_root() / "projects").glob("*/project.toml"))


def projects() -> list[Project]:
    """Every project. Raises BrokenManifest when there is none: then the kit is not whole."""
    found = [read_project(folder) for folder in project_folders()]
    if not found:
        raise BrokenManifest(f"There are no projects in {kit_root() / 'projects'}.", "Install the kit again.")
    return found


def find_project(word: str) -> Project:
    """The project called "project2", "p2", "2" or by its folder's name."""
    folders = project_folders()
    for folder in folders:
        id = _id_of(folder)
        if word in {id, folder.name, id.replace("project", "p", 1), id.removeprefix("project")}:
            return read_project(folder)
    ids = [_id_of(folder) for folder in folders]
    projects()  # says so if there are none at all
    raise UsageError(f"There is no project {word!r}.", did_you_mean(word, ids))


def _id_of(folder: Path) -> str:
    """`project2_transformer_block` holds `project2`."""
    return folder.name.partition("_")[0]


def read_project(folder: Path) -> Project:
    """Read one project.toml. Raises BrokenManifest that names file, line and key."""
    path = folder / "project.toml"
    table = load_toml(path)
    require_schema(table, SCHEMA, path)
    del table["schema"]
    head = {key: value for key, value in table.items() if key not in ("step", "rule", "limits")}
    flat = build(_Head, head, path)
    steps = _tables(Step, table.get("step", []), path, "[[step]]")
    rules = _tables(Rule, table.get("rule", []), path, "[[rule]]")
    limits = build(Limits, table.get("limits", {}), path, "[limits]")
    if flat.id != _id_of(folder):
        line = line_of(path, "id")
        raise BrokenManifest(f"{path}{line}: id is {flat.id!r}, but the folder is called {folder.name}.")
    if not steps:
        raise BrokenManifest(f"{path}: there is no [[step]].")
    for step in steps:
        if [other.id for other in steps].count(step.id) > 1:
            raise BrokenManifest(f"{path}: two steps are called {step.id!r}.")
    return Project(
        id=flat.id,
        title=flat.title,
        folder=folder,
        steps=steps,
        rules=rules,
        limits=limits,
        blocked_imports=flat.blocked_imports,
        budget_seconds=flat.budget_seconds,
        preload=flat.preload,
    )


class _Head(NamedTuple):
    """The keys of project.toml that stand outside every table."""

    id: str
    title: str
    budget_seconds: float = 60.0
    blocked_imports: tuple[str, ...] = ()
    preload: tuple[str, ...] = ("torch",)


def _tables(cls: type[Record], tables: object, path: Path, section: str) -> tuple[Record, ...]:
    if not isinstance(tables, list):
        raise BrokenManifest(f"{path}: write {section}, with two brackets.")
    return tuple(build(cls, table, path, section) for table in tables)
