"""Takes entries from strangers' hands into one folder, each whole or not at all. One bad entry never stops the others.

The folder's lock is held meanwhile, so two processes that collect do not meet. What is there already stays: the same
entry again changes nothing, and another one of its name is refused, unless it was asked to take its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from cohort_cli.showcase import card, entry, figures
from cohort_cli.showcase.entry import Entry
from cohort_cli.showcase.sources import Candidate
from cohort_cli.showcase.strict import Refused
from cohort_cli.training.guards import disk_trouble

PUBLISHED, REPLACED, THERE, REFUSED = "published", "replaced", "there already", "refused"


class Outcome(NamedTuple):
    what: str  # one of the four
    where: str  # a candidate's, or the name of the entry
    says: str  # why it is refused, or what is unfinished about it


def collect(
    found: Iterable[Candidate], into: Path, *, replace: bool = False, large: bool = False
) -> Iterator[Outcome]:
    """What became of each of them, in turn."""
    with entry.locked(into):
        names = {path.name.casefold(): path for path in into.iterdir() if not path.name.startswith(".")}
        for candidate in found:
            try:
                if candidate.trouble:
                    raise Refused(candidate.trouble)
                one = entry.read(candidate.files, candidate.folder, large=large)
                yield _place(one, into, names, replace)
            except Refused as why:
                yield Outcome(REFUSED, candidate.where, str(why))
            except OSError as error:
                raise disk_trouble(error, str(into)) from None


def _place(one: Entry, into: Path, names: dict[str, Path], replace: bool) -> Outcome:
    place = into / one.folder
    there = names.get(one.folder.casefold())
    questions = card.unfinished(one.card)
    note = f"its card is unfinished in {len(questions)} places" if questions else ""
    files = figures.plain(one.files)  # nothing but pixels reaches a page
    if there is None:
        entry.put(files, place)
        names[one.folder.casefold()] = place
        return Outcome(PUBLISHED, one.folder, note)
    before = _files_of(there)
    if there.name == one.folder and before == files:
        return Outcome(THERE, one.folder, note)
    if replace and there.name == one.folder and before:
        entry.put(files, place)
        return Outcome(REPLACED, one.folder, note)
    how = "remove that folder" if replace else "--replace puts this one in its place"
    raise Refused(f"another entry with the name {there.name} is there already; {how}")


def _files_of(folder: Path) -> dict[str, bytes]:
    """Nothing, if somebody put something else there: that is never thrown away."""
    try:
        return figures.plain(entry.read_files(folder, large=True))  # as this kit's library draws them
    except (Refused, ValueError, LookupError, TypeError):  # no entry at all
        return {}
