"""`cohort showcase collect`: replacing, large models, and remotes that hold more than they should."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from crashing import Dying, Killed, dying, every_point
from entries import CARD, Files, lay, project, safetensors, with_file, zipped
from support import Cohort

from cohort_cli import remotes
from cohort_cli.showcase import collect, entry, sources

INTO = Path("showcase/entries")
CHANGED = CARD.replace("small", "better").encode()


def collected(cohort: Cohort, *words: str) -> tuple[int, list[str]]:
    ended = cohort("showcase", "collect", *words)
    return ended.code, [line for line in (ended.err + ended.out).splitlines() if not line.startswith("next")]


# --- replacing -------------------------------------------------------------------------------------------------


def test_an_entry_is_replaced_only_when_asked(home: Path, cohort: Cohort) -> None:
    lay(project(), home / "first")
    lay(with_file("card.md", CHANGED)(project()), home / "second")
    assert collected(cohort, "first")[0] == 0
    code, lines = collected(cohort, "second")
    assert (code, "--replace puts this one in its place" in lines[0]) == (1, True)
    assert entry.load(INTO / "bob-project1").card == CARD
    code, lines = collected(cohort, "second", "--replace")
    assert (code, lines) == (
        0,
        ["replaced       bob-project1", "0 published, 1 replaced, 0 there already, 0 refused"],
    )
    assert entry.load(INTO / "bob-project1").card.encode() == CHANGED
    assert collected(cohort, "second", "--replace")[1][0] == "there already  bob-project1"


def test_what_is_no_entry_is_not_thrown_away(home: Path, cohort: Cohort) -> None:
    lay(project(), home / "first")
    (INTO / "bob-project1").mkdir(parents=True)
    (INTO / "bob-project1" / "thesis.tex").write_text("mine")
    code, lines = collected(cohort, "first", "--replace")
    assert (code, "remove that folder" in lines[0]) == (1, True)
    assert (INTO / "bob-project1" / "thesis.tex").read_text() == "mine"


def test_a_name_in_other_letters_does_not_replace(home: Path, cohort: Cohort) -> None:
    lay(project(), home / "first")
    lay(project(handle="BOB"), home / "second")
    collected(cohort, "first")
    code, _ = collected(cohort, "second", "--replace")
    assert code == 1
    assert [path.name for path in INTO.iterdir() if not path.name.startswith(".")] == ["bob-project1"]


def test_a_kill_while_replacing_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    new = with_file("card.md", CHANGED)(project())

    def into(place: Path, files: Files) -> list[collect.Outcome]:
        found = sources.Candidate("x", "bob-project1", files)
        return list(collect.collect([found], place, replace=True))

    into(tmp_path / "recorded", project())
    with dying(Dying()) as recorder:
        into(tmp_path / "recorded", new)
    for number, (at, half) in enumerate(every_point(recorder.names)):
        place = tmp_path / str(number)
        into(place, project())
        with dying(Dying(at, half)), pytest.raises(Killed):
            into(place, new)
        with entry.locked(place):
            assert entry.load(place / "bob-project1").files in (project(), new), (at, half)


# --- large models ----------------------------------------------------------------------------------------------


def large(run_files: Files, size: int) -> Files:
    header = {
        "__metadata__": {"format": "cohort.browser-model/1"},
        "a": {"dtype": "I8", "shape": [size], "data_offsets": [0, size]},
    }
    return with_file("model.safetensors", safetensors(header, bytes(size)))(run_files)


@pytest.fixture(scope="module")
def run_files() -> Files:
    from entries import run
    from support import REPO

    from cohort_cli.training.config import load_preset

    preset = next(REPO.glob("projects/project3*/jobs/smoke.toml"))
    return run(load_preset(preset))


@pytest.mark.parametrize("packed", [False, True])
def test_a_large_model_is_taken_when_asked(
    run_files: Files, home: Path, cohort: Cohort, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = large(run_files, 17 * 1024**2)
    source = zipped(home / "source.zip", files).name if packed else lay(files, home / "source").parent.name
    code, lines = collected(cohort, source)
    assert (code, "larger than 16,384 KiB; --large takes more" in lines[0]) == (1, True)
    code, lines = collected(cohort, source, "--large")
    assert (code, lines[0].split()) == (
        0,
        ["published", "ada-small:"] if ":" in lines[0] else ["published", "ada-small"],
    )
    assert entry.load(INTO / "ada-small").files == files
    assert collected(cohort, source, "--large")[1][0].startswith("there already  ada-small")


def test_large_has_a_limit_too(run_files: Files, home: Path, cohort: Cohort) -> None:
    place = lay(run_files, home / "source")
    os.truncate(place / "model.safetensors", entry.LARGE + 1)
    code, lines = collected(cohort, "source", "--large")
    assert (code, "model.safetensors: it is larger than 65,536 KiB" in lines[0]) == (1, True)
    os.truncate(place / "tokenizer.json", 5 * 1024**2)  # only the model may be larger
    os.truncate(place / "model.safetensors", 10)
    assert "tokenizer.json: it is larger than 4,096 KiB" in collected(cohort, "source", "--large")[1][0]


# --- remotes ---------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path, home: Path) -> Path:
    place = tmp_path / "theirs"
    lay(project(), place)
    (place / "zeros").write_bytes(
        bytes(3 * 1024**2)
    )  # a few bytes in the pack, and 3 MiB when they are written
    git = ["git", "-C", str(place), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    return place


def test_a_remote_has_limits(repository: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    address = repository.as_uri()
    with monkeypatch.context() as patch:
        patch.setattr(remotes, "MOST_BYTES", 2 * 1024**2)
        code, lines = collected(cohort, address)
        assert (code, "it has more than 2 MiB or 50,000 files" in lines[0]) == (1, True)
    with monkeypatch.context() as patch:
        patch.setattr(remotes, "MOST_FILES", 3)
        assert "MiB or 3 files" in collected(cohort, address)[1][0]
    with monkeypatch.context() as patch:
        patch.setattr(remotes, "SECONDS", -1)
        assert "it takes longer than -1 seconds" in collected(cohort, address)[1][0]
    assert not INTO.exists() or not [path for path in INTO.iterdir() if not path.name.startswith(".")]
    assert collected(cohort, address)[1][0] == "published      bob-project1"


@pytest.mark.skipif(os.name == "nt", reason="a shell script stands for git")
def test_git_and_what_it_started_are_ended(
    tmp_path: Path, home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    fake = tmp_path / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\nsleep 600 &\necho $! > "$FAKE_GIT_CHILD"\nfor last; do true; done\n'
                    'mkdir "$last"\nhead -c 3000000 /dev/zero > "$last/bomb"\nwait\n')  # fmt: skip
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_GIT_CHILD", str(tmp_path / "child"))
    monkeypatch.setattr(remotes, "MOST_BYTES", 1024**2)
    assert "more than 1 MiB" in collected(cohort, "https://example.org/x.git")[1][0]
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 20  # a killed process may be seen for a moment
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
