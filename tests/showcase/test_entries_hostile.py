"""Entries from strangers: each bad one is refused by its reason, and the two good ones beside it are always taken."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import markdown
import pytest
from entries import (
    FIGURE,
    HOSTILE,
    SAYS,
    Files,
    folder_of,
    lay,
    member,
    project,
    run,
    safetensors,
    sealed,
    tarred,
    zipped,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from safetensors import deserialize
from support import REPO, Cohort

from cohort_cli.catalog import find_project
from cohort_cli.showcase import card, contents, entry, sources
from cohort_cli.showcase.collect import PUBLISHED, REFUSED, THERE, Outcome, collect
from cohort_cli.showcase.strict import Refused
from cohort_cli.training.config import load_preset
from cohort_cli.training.presets import preset_path

CONFIG = load_preset(preset_path(find_project("project3"), "smoke"))
GOOD = (run(CONFIG), project())
NAMES = {folder_of(files) for files in GOOD}
BAD = run(CONFIG, handle="eve", name="x")


def collected(source: Path, into: Path) -> list[Outcome]:
    return list(collect(sources.candidates(source, into=into), into))


def beside_good(source: Path, into: Path, says: str) -> list[Outcome]:
    """The refusals of a source that also holds the two good entries, which must be there afterwards."""
    outcomes = collected(source, into)
    assert {found.where for found in outcomes if found.what == PUBLISHED} == NAMES
    assert {path.name for path in into.iterdir()} - {".cohort-lock"} == NAMES
    for files in GOOD:
        assert entry.load(into / folder_of(files)).files == files
    refused = [found for found in outcomes if found.what == REFUSED]
    assert len(refused) == 1
    assert says in refused[0].says
    return refused


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 110


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_entry_is_refused_and_the_others_are_taken(name: str, tmp_path: Path) -> None:
    change, says = HOSTILE[name]
    files = change(BAD)
    source = tmp_path / "source"
    for good in GOOD:
        lay(good, source)
    lay(files, source, "eve-x")
    beside_good(source, tmp_path / "into", says)


@pytest.mark.parametrize("name", list(HOSTILE)[::4])
def test_the_same_in_an_archive(name: str, tmp_path: Path) -> None:
    change, says = HOSTILE[name]
    more = {f"eve-x/{file}": data for file, data in change(BAD).items()}
    beside_good(zipped(tmp_path / "all.zip", *GOOD, more=more), tmp_path / "into", says)


def test_a_project_brings_no_weights_and_all_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    files = project()
    more = {**files, "model.safetensors": GOOD[0]["model.safetensors"]}
    with pytest.raises(Refused, match="of the kind 'project' has no such file"):
        entry.read(more)
    with pytest.raises(Refused, match=r"entry\.json is missing"):
        entry.read({})
    monkeypatch.setattr(entry, "MOST_BYTES", 100)
    with pytest.raises(Refused, match="larger than"):
        entry.read(files)


# --- folders ---------------------------------------------------------------------------------------------------


def link_to_a_file(place: Path) -> None:
    (place / "card.md").unlink()
    (place / "card.md").symlink_to("/etc/passwd")


def link_to_a_folder(place: Path) -> None:
    (place / "more").symlink_to("/etc")


def pipe(place: Path) -> None:
    (place / "card.md").unlink()
    os.mkfifo(place / "card.md")


def folder_inside(place: Path) -> None:
    (place / "deeper").mkdir()


def sparse_file(place: Path) -> None:
    os.truncate(place / "model.safetensors", 1 << 40)


@pytest.mark.skipif(os.name == "nt", reason="links and pipes are others there")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (link_to_a_file, "card.md: it is a link"),
        (link_to_a_folder, "more: it is a link"),
        (pipe, "card.md: it is no plain file"),
        (folder_inside, "deeper: an entry has no folder in it"),
        (sparse_file, "model.safetensors: it is larger than 16,384 KiB"),
        (lambda place: place.rename(place.with_name("ada-other")), "lies in a folder of another name"),
    ],
)
def test_a_folder_that_is_no_plain_one(change: object, says: str, tmp_path: Path) -> None:
    for good in GOOD:
        lay(good, tmp_path / "source")
    change(lay(BAD, tmp_path / "source"))  # type: ignore[operator]
    beside_good(tmp_path / "source", tmp_path / "into", says)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_linked_entry_is_not_followed(tmp_path: Path) -> None:
    for good in GOOD:
        lay(good, tmp_path / "source")
    (tmp_path / "source" / "eve-x").symlink_to(lay(BAD, tmp_path / "elsewhere"))
    beside_good(tmp_path / "source", tmp_path / "into", "it is a link")


# --- archives --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_good_archives_are_taken(suffix: str, tmp_path: Path) -> None:
    pack = zipped if suffix == ".zip" else tarred
    outcomes = collected(pack(tmp_path / f"all{suffix}", *GOOD), tmp_path / "into")
    assert [found.what for found in outcomes] == [PUBLISHED, PUBLISHED]


def test_what_systems_put_into_archives_is_passed_over(tmp_path: Path) -> None:
    """macOS adds files of its own, GitHub a folder around everything; other files lie beside the entries."""
    rest = {f"llm-main/showcase/{folder_of(GOOD[1])}/{name}": data for name, data in GOOD[1].items()}
    noise = {
        "ada-small/.DS_Store": b"\0",
        "__MACOSX/ada-small/._card.md": b"\0",
        "llm-main/run me.py": b"import os",
        "llm-main/notes.zip": b"PK",
    }
    outcomes = collected(zipped(tmp_path / "all.zip", GOOD[0], more={**rest, **noise}), tmp_path / "into")
    assert [(found.what, found.where) for found in outcomes] == [
        (PUBLISHED, "ada-small"),
        (PUBLISHED, "bob-project1"),
    ]
    assert entry.load(tmp_path / "into" / "ada-small").files == GOOD[0]


def test_an_archive_may_be_an_entry_without_a_folder(tmp_path: Path) -> None:
    (outcome,) = collected(zipped(tmp_path / "x.zip", more=GOOD[0]), tmp_path / "into")
    assert (outcome.what, outcome.where) == (PUBLISHED, "ada-small")


ZIPS = {
    "upwards": ({"../../evil.json": b"{}"}, "leads out"),
    "absolute": ({"/etc/cron.d/evil": b"x"}, "leads out"),
    "with a drive": ({"C:/evil.txt": b"x"}, "leads out"),
    "written for Windows": ({"..\\..\\evil.txt": b"x"}, "leads out"),
    "folder inside": (
        {f"eve-x/{name}": data for name, data in BAD.items()} | {"eve-x/sub/a.py": b""},
        "an entry has no folder",
    ),
    "bomb": ({"eve-x/entry.json": b" " * (80 * 1024 * 1024)}, "entry.json: it is larger than 64 KiB"),
    "archive inside": (
        {f"eve-x/{name}": data for name, data in BAD.items()} | {"eve-x/more.zip": b"PK\x03\x04"},
        "more.zip: an entry has no such file",
    ),
}


@pytest.mark.parametrize("name", ZIPS)
def test_a_hostile_zip(name: str, tmp_path: Path) -> None:
    more, says = ZIPS[name]
    beside_good(zipped(tmp_path / "all.zip", *GOOD, more=more), tmp_path / "into", says)
    assert not list(tmp_path.rglob("evil*"))


def test_a_link_and_a_double_name_in_a_zip(tmp_path: Path) -> None:
    path = zipped(tmp_path / "all.zip", *GOOD, more={f"eve-x/{name}": data for name, data in BAD.items()})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("lonely")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("eve-x/card.md", b"# another")
    says = sorted(found.says for found in collected(path, tmp_path / "into") if found.what == REFUSED)
    assert says == ["card.md: it is there twice", "it is a link"]


TARS = {
    "symbolic link": (member("eve-x/card.md", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "card.md: it is a link"),
    "hard link": (member("eve-x/card.md", type=tarfile.LNKTYPE, linkname="ada-small/card.md"), "card.md: it is a link"),
    "device": (member("eve-x/card.md", type=tarfile.CHRTYPE), "card.md: it is no plain file"),
    "pipe": (member("eve-x/card.md", type=tarfile.FIFOTYPE), "card.md: it is no plain file"),
    "sparse": (member("eve-x/card.md", type=tarfile.GNUTYPE_SPARSE), "card.md: it is no plain file"),
    "linked folder": (member("eve-x", type=tarfile.SYMTYPE, linkname="/tmp"), "it is a link"),
    "upwards": (member("../evil", size=1), "leads out"),
    "absolute": (member("/tmp/evil", size=1), "leads out"),
}  # fmt: skip


@pytest.mark.parametrize("name", TARS)
def test_a_hostile_tar(name: str, tmp_path: Path) -> None:
    info, says = TARS[name]
    more = [(info, b"x" * info.size)]
    if info.name == "eve-x/card.md":
        more += [
            (member(f"eve-x/{file}", size=len(data)), data) for file, data in BAD.items() if file != "card.md"
        ]
    beside_good(tarred(tmp_path / "all.tar.gz", *GOOD, more=more), tmp_path / "into", says)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "neither a folder nor an archive"),
        (b"just text", "neither a folder nor an archive"),
        (b"PK\x03\x04", "no plain end of a zip"),
        (b"PK\x05\x06" + bytes(18), "no folder in it has an entry.json"),
        (b"PK\x05\x06" + bytes(8) + b"\xff\xff\xff\xff" + bytes(6), "list of members is too long"),
        (b"\x1f\x8b\x08\x00", "cannot be read as an archive"),
        (bytes(257) + b"ustar" + bytes(400), "cannot be read as an archive"),
    ],
)
def test_what_is_no_archive_is_refused(data: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(data)
    (outcome,) = collected(tmp_path / "x.zip", tmp_path / "into")
    assert (outcome.what, says in outcome.says) == (REFUSED, True), outcome


def test_an_archive_that_grows_without_end_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MOST_ARCHIVE", 8 * 1024 * 1024)
    big = 64 * 1024 * 1024
    path = tarred(tmp_path / "bomb.tar.gz", more=[(member("x", size=big), bytes(big))])
    (outcome,) = collected(path, tmp_path / "into")
    assert "claims to hold more than 8 MiB" in outcome.says
    stream = sources.Bounded(io.BytesIO(bytes(big)))
    with pytest.raises(Refused, match="holds more than 8 MiB"):
        list(iter(lambda: stream.read(1 << 20), b""))


def test_an_archive_with_too_many_members_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_MEMBERS", 100)
    path = zipped(tmp_path / "many.zip", *GOOD, more={f"{number}/x": b"" for number in range(100)})
    (outcome,) = collected(path, tmp_path / "into")
    assert "more than 100 members" in outcome.says


# --- twice, at once, and by name -------------------------------------------------------------------------------


def test_collecting_twice_is_the_same_as_once(tmp_path: Path) -> None:
    for good in GOOD:
        lay(good, tmp_path / "source")
    collected(tmp_path / "source", tmp_path / "into")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "into").rglob("*.*") if path.is_file()}
    again = collected(tmp_path / "source", tmp_path / "into")
    assert [found.what for found in again] == [THERE, THERE]
    assert before == {path: path.stat().st_mtime_ns for path in before}


@pytest.mark.parametrize("handle", ["ada", "ADA"])
def test_another_entry_of_the_same_name_is_refused(handle: str, tmp_path: Path) -> None:
    lay(GOOD[0], tmp_path / "a")
    lay(project(handle, "small"), tmp_path / "b")
    collected(tmp_path / "a", tmp_path / "into")
    (outcome,) = collected(tmp_path / "b", tmp_path / "into")
    assert "another entry with the name ada-small is there already" in outcome.says
    assert entry.load(tmp_path / "into" / "ada-small").files == GOOD[0]


def test_two_processes_at_once_take_each_entry_once(tmp_path: Path) -> None:
    for number in range(12):
        lay(project("ada", f"n{number}"), tmp_path / "source")
    words = [sys.executable, "-m", "cohort_cli", "showcase", "collect", "source", "--into", "into"]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    both = [
        subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = "".join(process.communicate(timeout=60)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert said.count("published      ada-") == 12
    assert said.count("there already  ada-") == 12
    assert sum(path.name.startswith("ada-") for path in (tmp_path / "into").iterdir()) == 12


def test_a_refusal_cannot_steer_the_terminal(tmp_path: Path, cohort: Cohort) -> None:
    lay(
        BAD | {"card.md": b"# x \x1b[2J", "\u202egnp": b""} if os.name == "posix" else BAD,
        tmp_path / "eve\x1b[2J",
    )
    lay(GOOD[0], tmp_path / "good")
    ended = cohort("showcase", "collect", str(tmp_path), "--into", str(tmp_path / "into"))
    assert ended.code == 1
    assert "published      ada-small" in ended.out
    assert "\x1b" not in ended.out + ended.err
    assert "\u202e" not in ended.out + ended.err
    assert "refused" in ended.err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_text_is_refused(tmp_path: Path, cohort: Cohort) -> None:
    place = lay(BAD, tmp_path / "source")
    (Path(os.fsdecode(os.fsencode(place) + b"/\xff.json"))).write_bytes(b"{}")
    place.rename(os.fsdecode(os.fsencode(place) + b"\xff"))
    lay(GOOD[0], tmp_path / "source")
    ended = cohort("showcase", "collect", str(tmp_path / "source"), "--into", str(tmp_path / "into"))
    assert (ended.code, "published      ada-small" in ended.out) == (1, True)
    assert "letters beyond a to z" in ended.err


# --- bytes at random -------------------------------------------------------------------------------------------


def mutated(data: bytes, at: int, what: int, piece: bytes) -> bytes:
    at = at % (len(data) + 1)
    return (data[:at] + piece + data[at + len(piece) :], data[:at] + piece + data[at:], data[:at])[what]


@settings(max_examples=3000, deadline=2000, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(sorted(GOOD[0])),
    st.integers(0, 1 << 16),
    st.integers(0, 2),
    st.sampled_from(
        [b"\0", b"\xff", b'"', b"{", b"}", b"[", b"-1", b"1e999", b"null", b"\\u202e", b"<a>", b"](", b"!["]
    )
    | st.binary(min_size=1, max_size=4),
)
def test_a_changed_byte_is_refused_or_harmless(name: str, at: int, what: int, piece: bytes) -> None:
    """Whatever the change: it is refused in words, or what is read is an entry by all rules. Nothing else is raised."""
    files: Files = {**GOOD[0], name: mutated(GOOD[0][name], at, what, piece)}
    files = sealed_again(files) if name != "entry.json" else files
    try:
        found = entry.read(files)
    except Refused:
        pass
    else:
        assert found.files[name] == files[name]
        assert "<a>" not in found.card


def test_what_is_changed_by_nothing_is_taken() -> None:
    """Else the test above would see refusals only."""
    assert entry.read(sealed_again(GOOD[0])).figures


def sealed_again(files: Files) -> Files:
    rest = {name: data for name, data in files.items() if name != "entry.json"}
    head = {"handle": "ada", "name": "small", "kind": "run", "project": "project3"}
    return sealed(rest, **head, figures={FIGURE: SAYS})


@settings(max_examples=300, deadline=2000, suppress_health_check=list(HealthCheck))
@given(
    st.integers(0, 1 << 20),
    st.integers(0, 2),
    st.binary(min_size=1, max_size=8),
    st.sampled_from(["zip", "tar"]),
)
def test_a_changed_archive_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, at: int, what: int, piece: bytes, kind: str
) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / f"good.{kind}"
    if not path.exists():
        (zipped if kind == "zip" else tarred)(path, *GOOD)
    changed = folder / "changed"
    changed.write_bytes(mutated(path.read_bytes(), at, what, piece))
    for candidate in sources.candidates(changed):
        if not candidate.trouble:
            with contextlib.suppress(Refused):
                entry.read(candidate.files, candidate.folder)


PIECES = ["[", "](", ")", "javascript:x", "data:x", "<", ">", "!", "http://a.b", "#c", "{", "}", "`", "\\",
          ": href=javascript:x }", ": onclick=x }", "\n", "\n\n", "    ", "&lt;", "&#60;", "&#58;", "[x]: ",
          "[x]", "```", "x", " ", "|", "*", "(", "'", '"', "> ", "- ", "\t", "//a.b", "mailto:a@b.c", "b>",
          "/b>", "!--", "^"]  # fmt: skip


class Seen(HTMLParser):
    """What a page would do: tags beyond text, handlers, and where links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.active: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "img", "iframe", "style", "b", "object", "form"):
            self.active.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name in ("src", "style", "srcdoc", "action"):
                self.active.append(name)
            if name == "href" and not (value or "").startswith(("http://", "https://", "#")):
                self.active.append(f"href {value}")


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_no_reader_of_markdown_finds_anything_active_in_a_card(text: str) -> None:
    """Two independent ones, of two dialects, with HTML switched on as it is on a site."""
    try:
        card.inspect(text)
    except Refused:
        return
    pages = [
        markdown.markdown(text, extensions=["attr_list", "md_in_html", "tables", "toc", "footnotes"]),
        MarkdownIt("commonmark", {"html": True}).enable("table").render(text),
    ]
    for page in pages:
        seen = Seen()
        seen.feed(page)
        assert seen.active == [], page


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(0, 300),
    st.integers(0, 2),
    st.binary(min_size=1, max_size=3) | st.sampled_from([b"0", b"8", b"]", b"6"]),
)
def test_what_our_reader_takes_the_library_takes_too(at: int, what: int, piece: bytes) -> None:
    data = mutated(GOOD[0]["model.safetensors"], at, what, piece)
    with contextlib.suppress(Refused):
        found = contents.model(data)
        theirs = dict(deserialize(data))
        assert {name: (tensor.dtype, list(tensor.shape)) for name, tensor in found.items()} == {
            name: (facts["dtype"], facts["shape"]) for name, facts in theirs.items()
        }


def test_the_slowest_cards_and_tables_are_read_in_time() -> None:
    """Texts that make a careless reader square its time, at the largest size that is allowed."""
    most = contents.FILES["card.md"][0] - 10
    for piece in ("[", "](", "[a]:\n", "*_", "\n", "> ", "- ", "`", "|a", "{on", "# ", "&#", "a\\\n", "[x]("):
        text = (piece * most)[:most]
        began = time.process_time()
        with contextlib.suppress(Refused):
            contents.FILES["card.md"][1](text.encode())
        assert time.process_time() - began < 3, piece
    header = {f"t{number}": {"dtype": "I8", "shape": [0], "data_offsets": [0, 0]} for number in range(4000)}
    began = time.process_time()
    contents.model(safetensors(header))
    assert time.process_time() - began < 3
