"""An entry of the showcase, format "cohort.entry/1": a folder HANDLE-NAME of files that contents.py knows.

    entry.json          who, what, when; size and SHA-256 of each other file but the card; what is claimed
    card.md             what only its maker can say
    verdicts.json       check -> state, and the hash of the code that was checked
    config.json  metrics.jsonl  samples.jsonl  evaluation.json         of a run
    tokenizer.json  model.json  model.safetensors                      of a run, where a page can show it
    figure-NAME.png     a picture; entry.json says in words what is to be seen

read(files, folder)    the entry in these bytes. Raises Refused: whoever made them may be anybody
load(folder)           the same, from a folder; nothing but plain files of known names is opened
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli.showcase import figures
from cohort_cli.showcase.contents import RESERVED, Rule, rule
from cohort_cli.showcase.strict import Refused
from cohort_cli.training import disk

WEIGHTS = "model.safetensors"
HEAD, CARD, MODEL = "entry.json", "card.md", ("model.json", WEIGHTS)
NEEDED = {
    "run": {HEAD, CARD, "verdicts.json", "config.json", "metrics.jsonl", "samples.jsonl", "evaluation.json"},
    "project": {HEAD, CARD, "verdicts.json"},
}
OPTIONAL = {"run": {"tokenizer.json", *MODEL}, "project": set[str]()}
IGNORED = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what systems leave in folders; never read, never copied
NEW, OLD = ".cohort-new", ".cohort-old"  # how the folders of `put` end, for a moment
MOST_BYTES = 24 * 1024 * 1024
LARGE = 64 * 1024 * 1024  # of model.safetensors, where somebody has asked for it
_ACROSS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class Figure(NamedTuple):
    name: str  # of its file
    says: str  # what is to be seen in it
    width: int
    height: int


class Entry(NamedTuple):
    head: dict[str, Any]  # entry.json
    parsed: dict[str, Any]  # file -> what its reader gave
    files: dict[str, bytes]

    @property
    def folder(self) -> str:
        return f"{self.head['handle']}-{self.head['name']}"

    @property
    def card(self) -> str:
        return str(self.parsed[CARD])

    @property
    def figures(self) -> list[Figure]:
        """In the order of entry.json."""
        return [Figure(name, says, *self.parsed[name]) for name, says in self.head.get("figures", {}).items()]


def read(files: Mapping[str, bytes], folder: str = "", *, large: bool = False) -> Entry:
    """`folder`: the name that the entry must have, if it lies in a folder of its own. `large`: up to LARGE."""
    if HEAD not in files:
        raise Refused(f"{HEAD} is missing")
    for name, data in files.items():
        require_known(name)
        require_size(name, len(data), large)
    most = MOST_BYTES + (LARGE - most_of(WEIGHTS) if large else 0)
    if sum(map(len, files.values())) > most:
        raise Refused(f"its files are larger than {most // 1024**2} MiB together")
    parsed = {HEAD: _part(HEAD, files[HEAD])}  # first: the others are only worth reading if it is right
    head = parsed[HEAD]
    found = Entry(head, parsed, dict(files))
    if folder and folder != found.folder:
        raise Refused(f"{HEAD}: it is {found.folder}, but lies in a folder of another name")
    _require_files(head, files)
    parsed |= {name: _part(name, data) for name, data in files.items() if name != HEAD}
    _require_claims(head["claims"], parsed.get("metrics.jsonl"))
    _require_model(parsed.get(MODEL[0], {}), files)
    return found


def require_known(name: str) -> None:
    """Whether a file of an entry may have this name. The reason says what kind of name it is."""
    if rule(name) is not None:
        return
    seen = shown(name)
    if not name.isascii():
        raise Refused(f"{seen}: the name has letters beyond a to z")
    if RESERVED.fullmatch(name):
        raise Refused(f"{seen}: Windows keeps this name for a device")
    if rule(name.casefold()) is not None:
        raise Refused(f"{seen}: the name differs from {name.casefold()} only in capital letters")
    raise Refused(f"{seen}: an entry has no such file")


def require_size(name: str, size: int, large: bool = False) -> None:
    if size > (most := most_of(name, large)):
        more = "; --large takes more" if name == WEIGHTS and not large and size <= LARGE else ""
        raise Refused(f"{name}: it is larger than {most // 1024:,} KiB{more}")


def most_of(name: str, large: bool = False) -> int:
    """How many bytes a file of this name may have, which is one of an entry."""
    return LARGE if large and name == WEIGHTS else _rule(name)[0]


def _rule(name: str) -> Rule:
    found = rule(name)
    assert found is not None, name
    return found


def _part(name: str, data: bytes) -> Any:
    try:
        return _rule(name)[1](data)
    except Refused as why:
        raise Refused(f"{name}: {why}") from None


def _require_files(head: dict[str, Any], files: Mapping[str, bytes]) -> None:
    kind = head["kind"]
    for name in sorted(NEEDED[kind]):
        if name not in files:
            raise Refused(f"{name} is missing")
    for name in sorted(files):
        if name not in NEEDED[kind] | OPTIONAL[kind] and not figures.NAME.fullmatch(name):
            raise Refused(f"{name}: an entry of the kind {kind!r} has no such file")
    if files.keys() & set(MODEL) and not {*MODEL, "tokenizer.json"} <= files.keys():
        raise Refused("model.safetensors, model.json and tokenizer.json go together")
    if head.get("figures", {}).keys() != {name for name in files if figures.NAME.fullmatch(name)}:
        raise Refused(f"{HEAD}: figures does not name exactly the figures that are there")
    if head["files"].keys() != files.keys() - {HEAD, CARD}:
        raise Refused(f"{HEAD}: files does not name exactly the files that are there")
    for name, facts in head["files"].items():
        if facts != _facts(files[name]):
            raise Refused(f"{name}: it is not as {HEAD} says; its size or its sha256 is another one")


def _require_claims(claims: dict[str, Any], rows: list[dict[str, Any]] | None) -> None:
    """A claimed loss was measured, as far as the entry itself can show."""
    for key in ("validation_loss", "bits_per_byte"):
        if claims[key] is not None and not any(row.get(key) == claims[key] for row in rows or ()):
            raise Refused(f"{HEAD}: the claimed {key} stands in no row of metrics.jsonl")


def _require_model(table: dict[str, Any], files: Mapping[str, bytes]) -> None:
    """A page asks its visitor before it loads a large model, and takes the size from model.json."""
    named = table.get("files", {})
    if not isinstance(named, dict):
        raise Refused("model.json: files is no object")
    for name, facts in named.items():
        if name not in (WEIGHTS, "tokenizer.json") or facts != _facts(files[name]):
            raise Refused(f"model.json: what it says of {name[:40]} is not so")


def _facts(data: bytes) -> dict[str, Any]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def sealed(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The "files" of entry.json. The card is not among them: people go on writing it."""
    return {name: _facts(data) for name, data in sorted(files.items()) if name not in (HEAD, CARD)}


# --- folders ---------------------------------------------------------------------------------------------------


def load(folder: Path) -> Entry:
    """One that lies in a folder of ours: whether a large model is wanted was decided when it came here."""
    return read(read_files(folder, large=True), folder.resolve().name, large=True)


def read_files(folder: Path, *, large: bool = False) -> dict[str, bytes]:
    """The bytes of each file of a folder. Links, devices, folders and unknown names are refused, unopened."""
    files: dict[str, bytes] = {}
    try:
        with os.scandir(folder) as found:
            for item in found:
                if item.name not in IGNORED:
                    files[item.name] = _read(item, large)
    except OSError as trouble:
        raise Refused(f"it cannot be read ({trouble.strerror or trouble})") from None
    return files


def _read(item: os.DirEntry[str], large: bool) -> bytes:
    info = item.stat(follow_symlinks=False)
    if is_link(info):
        raise Refused(f"{shown(item.name)}: it is a link")
    if stat.S_ISDIR(info.st_mode):
        raise Refused(f"{shown(item.name)}: an entry has no folder in it")
    if not stat.S_ISREG(info.st_mode):
        raise Refused(f"{shown(item.name)}: it is no plain file")
    require_known(item.name)
    require_size(item.name, info.st_size, large)
    number = os.open(item.path, os.O_RDONLY | _ACROSS)  # a link that took its place meanwhile is not followed
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise Refused(f"{item.name}: it is no plain file")
        return file.read(most_of(item.name, large) + 1)


def is_link(info: os.stat_result) -> bool:
    """A link, or what Windows has in its place (0x400: a reparse point)."""
    return stat.S_ISLNK(info.st_mode) or bool(getattr(info, "st_file_attributes", 0) & 0x400)


def shown(name: str) -> str:
    """A stranger's name for a file, in letters that do nothing."""
    return name[:60].encode("unicode_escape").decode()


def tidy(home: Path) -> None:
    """Under the lock of `home`: undo or finish what a killed process left behind. See `put`."""
    for path in home.glob(f".*{NEW}"):
        disk.remove_all(path)
    for path in home.glob(f".*{OLD}"):
        place = path.with_name(path.name[1 : -len(OLD)])
        if place.exists():
            disk.rename(path, path.with_suffix(NEW))
            disk.remove_all(path.with_suffix(NEW))
        else:
            disk.rename(path, place)


def put(files: Mapping[str, bytes], place: Path) -> None:
    """Make `place` a folder of these files: whole, or what it was. The caller has the lock of the folder above.

    Where there is one already, it steps aside for the moment between two renames. Who is killed in that moment leaves no
    half entry, but none; the next `tidy` puts the old one back.
    """
    home, aside, old = (
        place.parent,
        place.with_name(f".{place.name}{NEW}"),
        place.with_name(f".{place.name}{OLD}"),
    )
    try:
        disk.make_folder(aside)
        for name, data in files.items():
            disk.write_bytes(aside / name, data)
            disk.sync(aside / name)
        disk.sync_folder(aside)
        if place.exists():
            disk.rename(place, old)
        disk.rename(aside, place)
        disk.sync_folder(home)
    except OSError:
        with contextlib.suppress(OSError):
            tidy(home)
        raise
    tidy(home)


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """One process at a time writes entries into `home`, which is made if it is not there."""
    from filelock import FileLock, Timeout

    from cohort_cli.errors import UsageError

    disk.make_folders(home)
    lock = FileLock(home / ".cohort-lock", timeout=60)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(f"Another process writes into {home}.", "Wait for it.") from None
    try:
        tidy(home)
        yield
    finally:
        lock.release()
