"""What a member tells the group, and what the group's files say together.

A share is one small JSON file: which checks stand where, on this day, for one person who is a random number unless they
want to be named. No code, no paths, no messages, no times of day. `cohort board` reads such files from strangers' hands:
it takes nothing that it does not know, and one bad file never stops the others.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import cohort_cli
from cohort_cli import catalog, progress, remotes
from cohort_cli.checking.states import State
from cohort_cli.errors import NothingRan, UsageError
from cohort_cli.prose import clean
from cohort_cli.workspace import Workspace

SCHEMA = "cohort.share/1"
FILE = "cohort-share.json"
MOST_BYTES = 64 * 1024
BLOCKED = (State.FAIL, State.ERROR, State.TIME, State.MEM, State.CRASH)  # it ran, and is not right
_HANDLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_ID = re.compile(r"[0-9a-f]{16}")
_STATES = {state.value for state in State} | {progress.NEVER}


class Share(NamedTuple):
    """One person's. `handle` is "" for those who do not want to be named."""

    id: str
    day: date
    handle: str
    kit: str
    checks: dict[str, dict[str, str]]  # project -> check -> state

    @property
    def name(self) -> str:
        return self.handle or f"member {self.id[:4]}"


def collect(space: Workspace, handle: str = "", today: date | None = None) -> Share:
    """What stands in a workspace today. Raises UsageError for a handle that is more than a name."""
    if handle and not _HANDLE.fullmatch(handle):
        raise UsageError(f"{handle!r} is no handle.", "Letters, digits, - and _, at most 32: --named ada")
    checks = {}
    for project in catalog.projects():
        if space.has(project):
            steps = progress.of_project(space, project)
            checks[project.id] = {id: state for step in steps for id, state in step.states.items()}
    return Share(_id_of(space), today or date.today(), handle, cohort_cli.__version__, checks)


def _id_of(space: Workspace) -> str:
    """A random number that stays the same, so that a newer file replaces the older one."""
    path = space.state_folder / "share-id"
    if path.is_file() and _ID.fullmatch(found := path.read_text(encoding="ascii", errors="replace").strip()):
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    made = secrets.token_hex(8)
    path.write_text(made + "\n", encoding="ascii")
    return made


def to_text(share: Share) -> str:
    """The file, byte for byte."""
    table = {"schema": SCHEMA, **share._asdict(), "day": share.day.isoformat()}
    return json.dumps(table, indent=1, ensure_ascii=True) + "\n"


def from_text(text: str) -> Share:
    """A share out of somebody's file. Raises ValueError that says what is wrong with it."""
    try:
        table = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(table, dict) or table.pop("schema", None) != SCHEMA:
        raise ValueError(f"it does not say {SCHEMA}")
    if set(table) != set(Share._fields):
        raise ValueError(f"it has the keys {', '.join(sorted(map(str, table)))[:100]}")
    id, handle, kit = (_text(table[key], key) for key in ("id", "handle", "kit"))
    if not _ID.fullmatch(id):
        raise ValueError("its id is none")
    if handle and not _HANDLE.fullmatch(handle):
        raise ValueError("its handle is none")
    if not re.fullmatch(r"\d+(\.\w+){1,4}", kit):
        raise ValueError("its kit is no version")
    return Share(id, date.fromisoformat(_text(table["day"], "day")), handle, kit, _checks(table["checks"]))


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or len(value) > 100:
        raise ValueError(f"its {key} is no short text")
    return value


def _checks(table: Any) -> dict[str, dict[str, str]]:
    """Only projects, checks and states that this kit knows; others are of another version, and are left out."""
    if not isinstance(table, dict) or not all(isinstance(checks, dict) for checks in table.values()):
        raise ValueError("its checks are no table")
    found = {}
    for project in catalog.projects():
        given = table.get(project.id, {})
        known = {info.id: given[info.id] for info in project.checks if info.id in given}
        if not all(isinstance(state, str) and state in _STATES for state in known.values()):
            raise ValueError(f"its {project.id} has a state that there is not")
        if known:
            found[project.id] = known
    return found


# --- the group -------------------------------------------------------------------------------------------------


class Board(NamedTuple):
    shares: list[Share]  # the newest of each person
    refused: list[str]  # which file, and why


def gather(files: Iterable[tuple[str, Path]]) -> Board:
    """Read files, each with the name under which it is spoken of."""
    newest: dict[str, Share] = {}
    refused = []
    for name, path in files:
        try:
            if path.is_symlink() or not path.is_file():
                raise ValueError("it is no plain file")
            if path.stat().st_size > MOST_BYTES:
                raise ValueError(f"it is larger than {MOST_BYTES // 1024} KiB")
            share = from_text(path.read_text(encoding="utf-8"))
        except (ValueError, OSError) as trouble:
            refused.append(f"{name}: {trouble}")
            continue
        if share.id not in newest or newest[share.id].day <= share.day:
            newest[share.id] = share
    return Board(sorted(newest.values(), key=lambda share: share.name.casefold()), refused)


def read(sources: Sequence[str], tell: Callable[[str], None]) -> Board:
    """The shares of folders and git remotes. `tell` hears of each file that cannot be used; NothingRan if none can."""
    with contextlib.ExitStack() as stack:
        found = gather(file for source in sources for file in shares_in(remotes.fetch(source, stack)))
    for line in found.refused:
        tell(f"refused {clean(line)}")
    if not found.shares:
        raise NothingRan("There is no file of a member's in there.", "Members write one with: cohort share")
    return found


def shares_in(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every JSON file of a folder and of those in it: what is no share is named when it is read."""
    for path in sorted(folder.rglob("*.json")):
        if ".git" not in path.relative_to(folder).parts:
            yield path.relative_to(folder).as_posix(), path


class Row(NamedTuple):
    """How many people a check has in which state."""

    project: str
    step: str
    check: str
    ok: int
    blocked: list[Share]
    open: int  # todo, wait, stale or never checked
    started: int


def rows(board: Board) -> list[Row]:
    """One for each check of each project that somebody has started, in the order of the kit."""
    found = []
    for project in catalog.projects():
        having = [share for share in board.shares if project.id in share.checks]
        for info in project.checks if having else ():
            states = [(share, share.checks[project.id].get(info.id, progress.NEVER)) for share in having]
            counts = Counter(state for _, state in states)
            blocked = [share for share, state in states if state in BLOCKED]
            ok = counts[State.OK.value] + counts[State.SKIP.value]
            open = len(having) - ok - len(blocked)
            found.append(Row(project.id, info.step, info.id, ok, blocked, open, len(having)))
    return found


def stuck(board: Board) -> list[Row]:
    """The checks that somebody is blocked at, those with most people first: tonight's topics."""
    return sorted((row for row in rows(board) if row.blocked), key=lambda row: -len(row.blocked))
