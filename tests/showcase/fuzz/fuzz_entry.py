"""A fuzzer that follows the coverage of cohort_cli.showcase: whatever the bytes, an entry is read or Refused.

    python tests/showcase/fuzz/fuzz_entry.py SECONDS [libFuzzer's options]

The first byte of an input says what the rest is: an archive, one file of a good entry with its checksum made right, or a
picture that is to become a figure. The corpus begins with the two good entries in all these forms. Needs atheris (extra
`fuzz`). What breaks the loader is left in build/fuzz/, as a file to run again: … fuzz_entry.py 0 build/fuzz/crash-….
"""

from __future__ import annotations

import os
import sys
import tempfile
import zlib
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent.parent
sys.path[:0] = [str(REPO), str(HERE.parent)]

with atheris.instrument_imports(include=["cohort_cli.showcase"]):
    from cohort_cli.showcase import card, collect, contents, entry, figures, sources, strict  # noqa: F401

from entries import project, run, sealed, tarred, zipped

from cohort_cli.catalog import find_project
from cohort_cli.showcase.strict import Refused
from cohort_cli.training.config import load_preset
from cohort_cli.training.presets import preset_path

GOOD = (run(load_preset(preset_path(find_project("project3"), "smoke"))), project())
FILES = sorted(GOOD[0])
HEAD = {"handle": "ada", "name": "small", "kind": "run", "project": "project3"}
ARCHIVE, PICTURE = len(FILES), len(FILES) + 1  # what the first byte says, beside the number of a file
LONGEST = 20_000  # bytes of an input
MEMORY = 2048  # MiB; an input that makes the loader take more is a finding
SLOWEST = 20  # seconds; so is one that takes longer


def with_right_sums(data: bytes) -> bytes:
    """A PNG whose parts have the checksums that they must have: without, every change would end there."""
    found, at = data[:8], 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            break
        found += data[at:end] + zlib.crc32(data[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return found + data[at:]


def files_with(name: str, data: bytes) -> dict[str, bytes]:
    """The good entry with another file in place of one; the head fits."""
    if name == "entry.json":
        return {**GOOD[0], name: data}
    files = {key: value for key, value in GOOD[0].items() if key != "entry.json"} | {name: data}
    named = {key: says for key, says in {"figure-loss.png": "A curve."}.items() if key in files}
    return sealed(files, claims={"validation_loss": 4.5}, figures=named, **HEAD)


def try_one(data: bytes, place: Path) -> None:
    """Raises only what must never be raised."""
    if not data:
        return
    kind, rest = data[0] % (PICTURE + 1), data[1:]
    try:
        if kind == ARCHIVE:
            place.write_bytes(rest)
            for candidate in sources.candidates(place):
                if not candidate.trouble:
                    figures.plain(entry.read(candidate.files, candidate.folder).files)
        elif kind == PICTURE:
            assert figures.inspect(figures.drawn_again(with_right_sums(rest)))
        else:
            name = FILES[kind]
            rest = with_right_sums(rest) if name.endswith(".png") else rest
            contents.rule(name)[1](rest)  # type: ignore[index]  # most end here, before the other files are read
            one = entry.read(files_with(name, rest))
            assert one.files[name] == rest
            assert entry.read(figures.plain(one.files)).head["claims"] == one.head["claims"]
    except Refused:
        pass


def seeds(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        for number, files in enumerate(GOOD):
            for suffix, pack in ((".zip", zipped), (".tar", tarred), (".tar.gz", tarred)):
                data = pack(Path(place) / f"good{suffix}", files).read_bytes()
                (folder / f"{number}{suffix}").write_bytes(bytes([ARCHIVE]) + data)
    for number, name in enumerate(FILES):
        (folder / name).write_bytes(bytes([number]) + GOOD[0][name])
    (folder / "picture").write_bytes(bytes([PICTURE]) + GOOD[0]["figure-loss.png"])


def main() -> None:
    seconds, options = sys.argv[1], sys.argv[2:]
    found = REPO / "build" / "fuzz"
    found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        place, corpus = Path(folder) / "archive", Path(folder) / "corpus"
        corpus.mkdir()
        seeds(corpus)
        words = [sys.argv[0], f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-timeout={SLOWEST}",
                 f"-rss_limit_mb={MEMORY}", f"-artifact_prefix={found}{os.sep}", "-print_final_stats=1",
                 *options]  # fmt: skip
        if not any(Path(option).is_file() for option in options):  # files to run again, and no others
            words.append(str(corpus))
        atheris.Setup(words, lambda data: try_one(data, place))
        atheris.Fuzz()  # ends the process


if __name__ == "__main__":
    main()
