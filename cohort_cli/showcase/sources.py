"""Finds what may be entries in folders and archives, and reads them into memory. Nothing is ever unpacked to the disk.

An entry is a folder that has an entry.json. What an archive claims to hold is counted before anything of it is read, and
what it really holds is counted again.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from cohort_cli.showcase import entry
from cohort_cli.showcase.entry import HEAD, IGNORED, shown
from cohort_cli.showcase.strict import Refused

DEEPEST = 5  # folders above an entry
MOST_FOLDERS = 10_000
MOST_NAMED = 20  # members of an archive that are refused by name
MOST_MEMBERS = 5_000  # files and folders of an archive
MOST_ARCHIVE = 256 * 1024 * 1024  # bytes: of the archive's file, and of all that it holds
MOST_LIST = 1024 * 1024  # bytes of a zip's list of members
# What the libraries raise for archives that somebody broke on purpose. (RecursionError is a RuntimeError.)
BROKEN = (OSError, EOFError, ValueError, LookupError, RuntimeError, ArithmeticError, AssertionError, struct.error,
          tarfile.TarError, zipfile.BadZipFile, zlib.error)  # fmt: skip
SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")


class Candidate(NamedTuple):
    """Perhaps an entry. `trouble`: it is refused for this already, and nothing of it was kept."""

    where: str
    folder: str  # the name of the folder that it lies in; "" if it has none
    files: dict[str, bytes]
    trouble: str = ""


def candidates(
    source: Path, name: str = "", into: Path | None = None, *, large: bool = False
) -> Iterator[Candidate]:
    """All of a folder or an archive. `name`: what to call it. `into`: where they go, and are not looked for."""
    name = name or source.name
    if source.is_dir():
        yield from _of_folder(source, name, into, large)
        return
    try:
        yield from _of_archive(source, name, large)
    except Refused as why:
        yield Candidate(name, "", {}, str(why))
    except BROKEN as trouble:
        yield Candidate(name, "", {}, f"it cannot be read as an archive ({type(trouble).__name__})")


# --- folders ---------------------------------------------------------------------------------------------------


def _of_folder(root: Path, name: str, into: Path | None, large: bool) -> Iterator[Candidate]:
    seen = 0
    closed: list[OSError] = []
    for place, folders, files in os.walk(root, onerror=closed.append):
        here = Path(place)
        inside = here.relative_to(root)
        where = (PurePosixPath(name) / inside.as_posix()).as_posix()
        seen += 1
        if seen > MOST_FOLDERS:
            yield Candidate(
                name, "", {}, f"it has more than {MOST_FOLDERS:,} folders; the rest was not looked at"
            )
            return
        if HEAD in files or HEAD in folders:
            folders.clear()
            yield _read(here, where, "" if here == root else here.name, large)
            continue
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        if into is not None and into.name in folders and (here / into.name).resolve() == into.resolve():
            folders.remove(into.name)
        for folder in list(folders):
            if entry.is_link(os.lstat(here / folder)):
                folders.remove(folder)
                yield Candidate(f"{where}/{folder}", "", {}, "it is a link")
        if len(inside.parts) >= DEEPEST:
            folders.clear()
    for error in closed:
        yield Candidate(str(error.filename), "", {}, f"it cannot be read ({error.strerror})")


def _read(folder: Path, where: str, name: str, large: bool) -> Candidate:
    try:
        return Candidate(where, name, entry.read_files(folder, large=large))
    except Refused as why:
        return Candidate(where, name, {}, str(why))


# --- archives --------------------------------------------------------------------------------------------------


class Group:
    """The members of an archive that lie in one folder of it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.troubles: list[
            tuple[str, str, bool]
        ] = []  # (member, why it is refused, whether nothing harmless has it)


class Archive:
    """What was found in an archive, by folder. Every member must be announced with `take` before it is read."""

    def __init__(self, large: bool = False) -> None:
        self.large = large
        self.groups: dict[str, Group] = {}
        self.members, self.bytes = 0, 0

    def take(self, name: str, size: int, trouble: str, is_folder: bool) -> str:
        """The name of a file that is to be read now, or "" if this member is not."""
        self.members += 1
        self.bytes += max(0, size)
        if self.members > MOST_MEMBERS:
            raise Refused(f"it has more than {MOST_MEMBERS:,} members")
        if self.bytes > MOST_ARCHIVE or size < 0:
            raise Refused(f"it claims to hold more than {MOST_ARCHIVE // 1024**2} MiB")
        last = _parts(name)[-1] if _parts(name) else ""
        if trouble := trouble or _leads_out(name):
            self.refuse(name, f"{shown(last)}: {trouble}", grave=True)
            return ""
        if is_folder:
            self.groups.setdefault("/".join(_parts(name)), Group())
            return ""
        group = self._group(name)
        if last in IGNORED:
            return ""
        try:
            if last in group.files:
                raise Refused(f"{last}: it is there twice")
            entry.require_known(last)
            entry.require_size(last, size, self.large)
        except Refused as why:
            self.refuse(name, str(why))
            return ""
        return last

    def keep(self, name: str, last: str, data: bytes) -> None:
        self._group(name).files[last] = data

    def refuse(self, name: str, why: str, *, grave: bool = False) -> None:
        self._group(name).troubles.append((name, why, grave))

    def _group(self, name: str) -> Group:
        return self.groups.setdefault("/".join(_parts(name)[:-1]), Group())

    def found(self, archive: str) -> Iterator[Candidate]:
        """Each folder with an entry.json, and elsewhere each member that no harmless archive has."""
        entries = [place for place, group in self.groups.items() if _has_head(group)]
        entries = [place for place in entries if not any(_beneath(place, other) for other in entries)]
        lone = []
        for place, group in self.groups.items():
            if place in entries:
                inner = [other for other in self.groups if _beneath(other, place)]
                why = group.troubles[0][1] if group.troubles else ""
                why = why or (f"{shown(inner[0])}: an entry has no folder in it" if inner else "")
                where = f"{archive}/{place[:100]}" if place else archive
                yield Candidate(where, place.rpartition("/")[2], {} if why else group.files, why)
            elif not any(_beneath(place, other) for other in entries):
                lone += [(name, why) for name, why, grave in group.troubles if grave]
        for name, why in lone[:MOST_NAMED]:
            yield Candidate(f"{archive}: {shown(name)}", "", {}, why.partition(": ")[2])


def _has_head(group: Group) -> bool:
    return HEAD in group.files or any(_parts(name)[-1:] == [HEAD] for name, _, _ in group.troubles)


def _beneath(inner: str, outer: str) -> bool:
    return inner != outer and (not outer or inner.startswith(f"{outer}/"))


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def _leads_out(name: str) -> str:
    """Absolute, upwards, or written for another system: no such name is followed."""
    if name.startswith("/") or ".." in name.split("/") or "\\" in name or "\0" in name or name[1:2] == ":":
        return "its path leads out of the archive"
    return ""


def _of_archive(source: Path, name: str, large: bool) -> Iterator[Candidate]:
    size = source.stat().st_size
    if size > MOST_ARCHIVE:
        raise Refused(f"it is larger than {MOST_ARCHIVE // 1024**2} MiB")
    found = Archive(large)
    with source.open("rb") as file:
        begin = file.read(512)
        file.seek(0)
        if begin.startswith(b"PK"):
            _read_zip(file, size, found)
        elif begin.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=file) as unpacked:
                _read_tar(Bounded(unpacked), found)
        elif begin[257:262] == b"ustar":
            _read_tar(Bounded(file), found)
        else:
            raise Refused(f"it is neither a folder nor an archive ({', '.join(SUFFIXES)})")
    whole = list(found.found(name))
    if not whole:
        raise Refused(f"no folder in it has an {HEAD}")
    yield from whole


def _read_zip(file: IO[bytes], size: int, found: Archive) -> None:
    _require_short_list(file, size)
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            trouble = ""
            if mode & 0o170000 not in (0, 0o100000, 0o040000):
                trouble = "it is a link" if mode & 0o170000 == 0o120000 else "it is no plain file"
            elif info.flag_bits & 1:
                trouble = "it is encrypted"
            elif info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                trouble = "it is packed in an unusual way"
            name = info.orig_filename  # `filename` is the library's own idea of it
            if last := found.take(name, info.file_size, trouble, name.endswith("/")):
                try:
                    with archive.open(info) as member:
                        found.keep(name, last, member.read(entry.most_of(last, found.large) + 1))
                except BROKEN as error:
                    found.refuse(name, f"{last}: it cannot be unpacked ({type(error).__name__})")


def _require_short_list(file: IO[bytes], size: int) -> None:
    """The list of a zip's members is read whole by the library, so its size is looked at first."""
    file.seek(max(0, size - 65_557))  # the end record, and the longest comment behind it
    end = file.read()
    file.seek(0)
    at = end.rfind(b"PK\x05\x06")
    if at < 0 or len(end) - at < 22 or end.count(b"PK\x05\x06") > 1 or b"PK\x06\x07" in end:
        raise Refused("it has no plain end of a zip")
    if int.from_bytes(end[at + 12 : at + 16], "little") > MOST_LIST:
        raise Refused("its list of members is too long")


class Bounded(io.RawIOBase):
    """A stream that refuses to give more than an archive may hold, whatever it was packed to."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        self.stream, self.left = stream, MOST_ARCHIVE

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(min(size, 1 << 20) if size >= 0 else 1 << 20)
        self.left -= len(data)
        if self.left < 0:
            raise Refused(f"it holds more than {MOST_ARCHIVE // 1024**2} MiB")
        return data


def _read_tar(stream: Bounded, found: Archive) -> None:
    with tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as archive:
        for member in archive:
            trouble = ""
            if member.islnk() or member.issym():
                trouble = "it is a link"
            elif not member.isdir() and (
                member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse
            ):
                trouble = "it is no plain file"
            if last := found.take(member.name, member.size, trouble, member.isdir()):
                data = archive.extractfile(member)
                assert data is not None
                found.keep(member.name, last, data.read(entry.most_of(last, found.large) + 1))
