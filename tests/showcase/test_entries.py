"""`cohort showcase`: packed from a real run and a real workspace, checked, handed on, collected."""

from __future__ import annotations

import importlib.util
import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from crashing import VARIANTS, Dying, Killed, dying, every_point, lay_down, record, replay, state
from entries import CARD, HEADER, project, safetensors, zipped
from support import REPO, Cohort

from cohort_cli.catalog import Project, projects
from cohort_cli.showcase import card, contents, entry, from_run, pack
from cohort_cli.showcase.strict import Refused
from cohort_cli.training import disk
from cohort_cli.training.config import load_preset
from cohort_cli.training.data import tokenizer
from cohort_cli.training.presets import presets
from cohort_cli.training.runs import RunFolder
from cohort_cli.workspace import Workspace

BROWSER = from_run.BROWSER


def visible(home: Path) -> list[Path]:
    return [path for path in home.iterdir() if not path.name.startswith(".")]


@pytest.fixture(autouse=True)
def without_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a model for the page takes seconds; the tests that want one say so."""
    monkeypatch.setattr(from_run, "BROWSER", "cohort_cli.showcase.no_such_module")


# --- a round trip ----------------------------------------------------------------------------------------------


def test_a_run_is_packed_checked_answered_and_collected(runs: Path, cohort: Cohort) -> None:
    added = cohort("showcase", "add", "small", "--handle", "ada", "--title", "My first model")
    assert added.code == 0, added.err
    assert added.out.splitlines()[-1] == "next: answer the questions in showcase/ada-small/card.md"
    place = Path("showcase/ada-small")
    one = entry.load(place)
    measured = [row for row in RunFolder.open(runs / "small").read_metrics() if "validation_loss" in row]
    best = min(measured, key=lambda row: row["validation_loss"])
    assert one.head["claims"] == {
        "validation_loss": best["validation_loss"],
        "bits_per_byte": best["bits_per_byte"],
        "parameters": 8176,
        "steps": 12,
    }
    assert (one.head["title"], one.head["project"], one.head["kind"]) == ("My first model", "project3", "run")
    assert len(one.parsed["samples.jsonl"]) == 1

    unfinished = cohort("showcase", "check", str(place))
    assert (unfinished.code, unfinished.out.count("still a question")) == (1, 8)
    assert unfinished.out.splitlines()[-1] == "next: write showcase/ada-small/card.md"
    (place / "card.md").write_text(CARD, encoding="utf-8")
    complete = cohort("showcase", "check", str(place))
    assert (complete.code, complete.out.splitlines()[0]) == (0, "ada-small is complete.")

    collected = cohort("showcase", "collect", "showcase")
    assert collected.out.splitlines()[:2] == [
        "published      ada-small",
        "1 published, 0 there already, 0 refused",
    ]
    assert entry.load(Path("showcase/entries/ada-small")).card == CARD
    assert cohort("showcase", "collect", "showcase").out.splitlines()[0] == "there already  ada-small"


def test_adding_again_brings_new_data_and_keeps_the_card(runs: Path, cohort: Cohort) -> None:
    cohort("showcase", "add", "small", "--handle", "ada")
    written = Path("showcase/ada-small/card.md")
    written.write_text(CARD, encoding="utf-8")
    RunFolder.open(runs / "small").append_metrics({"step": 13, "loss": 1.0})
    again = cohort("showcase", "add", "small", "--handle", "ada")
    assert "kept        card.md, as you wrote it" in again.out
    assert written.read_text(encoding="utf-8") == CARD
    assert entry.load(written.parent).parsed["metrics.jsonl"][-1] == {"step": 13, "loss": 1.0}
    assert [path.name for path in visible(Path("showcase"))] == ["ada-small"]


def test_a_card_that_would_be_refused_is_kept_too(runs: Path, cohort: Cohort) -> None:
    cohort("showcase", "add", "small", "--handle", "ada")
    written = Path("showcase/ada-small/card.md")
    written.write_text("# <b>Mine</b>\n", encoding="utf-8")
    assert cohort("showcase", "add", "small", "--handle", "ada").code == 0
    assert written.read_text(encoding="utf-8") == "# <b>Mine</b>\n"
    checked = cohort("showcase", "check", str(written.parent))
    assert (checked.code, checked.out.splitlines()[0].startswith("card.md: line 1 has HTML")) == (1, True)


def test_nothing_of_the_machine_is_in_it(
    runs: Path, home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_SECRET", "s3cr3t-value")
    record = json.loads((runs / "small" / "config.json").read_bytes())
    record["parts"] = {"model": f"{home}/my-llm/project2_transformer_block"}
    record["code"] = {"model": "a" * 64}
    record["config"]["data"]["source"] = f"{home}/private/diary.txt"
    record["config"]["data"]["tokenizer"] = "C:\\Users\\ada\\tokenizer.json"
    record["config"]["model"]["start_from"] = f"{home}/runs/other/checkpoints/step-00000004"
    (runs / "small" / "config.json").write_text(json.dumps(record), encoding="utf-8")
    assert cohort("showcase", "add", "small", "--handle", "ada").code == 0
    one = entry.load(Path("showcase/ada-small"))
    for name, data in one.files.items():
        for word in (
            str(home),
            home.name + "/",
            "Users",
            "s3cr3t",
            "private",
            "/tmp",
            "step-0000",
            "import ",
        ):
            assert word.encode() not in data, (name, word)
    config = one.parsed["config.json"]
    assert config["config"]["data"]["source"] == "diary.txt"
    assert config["config"]["data"]["tokenizer"] == "tokenizer.json"
    assert config["config"]["model"]["start_from"] == "run:"
    assert (config["source"], config["code"]) == ("mine", {"model": "a" * 64})


def test_a_run_with_strange_texts_and_torn_rows_is_packed_clean(evil: RunFolder, cohort: Cohort) -> None:
    assert cohort("showcase", "add", "evil", "--handle", "ada").code == 0
    one = entry.load(Path("showcase/ada-evil"))
    assert "\\x1b]0;owned" in one.parsed["samples.jsonl"][0]["text"]
    assert one.head["claims"]["parameters"] is None
    assert one.head["title"].startswith("title \\x1b[2J\\u202e<b>")


def test_scores_are_taken_without_the_place_of_their_items(runs: Path, cohort: Cohort) -> None:
    folder = runs / "small" / "evaluations"
    folder.mkdir()
    share = {"value": 0.26, "error": None, "chance": 0.25, "n": 100, "verdict": "no better than chance"}
    summary = {"accuracy": share, "place": "/home/ada/hellaswag.jsonl", "count": 100, "of": 10_042}
    text = json.dumps({"schema": "cohort.evaluation/1", "run": "small", "results": {"hellaswag": summary}})
    (folder / "step-00000012-hellaswag-1f0c9a2b.json").write_text(text, encoding="utf-8")
    (folder / "step-00000012-mmlu-1f0c9a2b.json").write_text('{"results": {"mmlu"', encoding="utf-8")
    assert cohort("showcase", "add", "small", "--handle", "ada").code == 0
    numbers = {"value": 0.26, "chance": 0.25, "n": 100, "of": 10_042}
    assert entry.load(Path("showcase/ada-small")).parsed["evaluation.json"] == [
        {"step": 12, "benchmark": "hellaswag", "measure": "accuracy", **numbers}
    ]


def test_a_project_is_packed_with_its_verdicts(space: Workspace, adding: Project, cohort: Cohort) -> None:
    (space.project_folder(adding) / "plus.py").write_text(
        "SECRET_CODE = 1\ndef add(a, b):\n    return a + b\n", encoding="utf-8"
    )
    cohort("check", "project9", "plus")
    assert cohort("showcase", "add", "project9", "--handle", "bob").code == 0
    one = entry.load(Path("showcase/bob-project9"))
    facts = one.parsed["verdicts.json"]["projects"]["project9"]
    assert facts["checks"] == {"sum": "ok", "commutes": "ok", "double": "not checked"}
    assert set(facts["code"]) == {"plus", "twice"}
    assert not any(b"SECRET_CODE" in data for data in one.files.values())


# --- the model for the page ------------------------------------------------------------------------------------

FAKE = """
import json, sys
from pathlib import Path
out = Path(sys.argv[3])
out.mkdir()
print("noise")
for name, data in {files!r}.items():
    (out / name).write_bytes(data)
print(json.dumps({event!r}))
"""
GOOD_MODEL = {
    "model.safetensors": safetensors(HEADER, bytes(18)),
    "model.json": json.dumps({"schema": contents.MODEL}).encode(),
    "tokenizer.json": json.dumps(
        {"schema": contents.ALPHABET, "kind": "characters", "alphabet": "ab"}
    ).encode(),
}


@pytest.mark.parametrize(
    ("files", "event", "says"),
    [
        (GOOD_MODEL, {"live": True}, ""),
        ({}, {"live": False, "reason": "the network is a member's own"}, "the network is a member's own"),
        ({}, {"live": True}, "model.json: [Errno 2]"),
        (
            {**GOOD_MODEL, "model.safetensors": b"x"},
            {"live": True},
            "model.safetensors: its beginning is no header",
        ),
    ],
)
def test_a_model_is_taken_if_its_process_made_one(
    runs: Path, home: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch,
    files: dict[str, bytes], event: dict[str, object], says: str,
) -> None:  # fmt: skip
    (home / "fake_browser.py").write_text(FAKE.format(files=files, event=event), encoding="utf-8")
    monkeypatch.setattr(from_run, "BROWSER", "fake_browser")
    monkeypatch.syspath_prepend(str(home))
    monkeypatch.setenv("PYTHONPATH", str(home))
    ended = cohort("showcase", "add", "small", "--handle", "ada")
    assert ended.code == 0, ended.err
    one = entry.load(Path("showcase/ada-small"))
    assert ("model.safetensors" in one.files) == (not says)
    assert "tokenizer.json" in one.files
    assert says.split(":")[0] in " ".join(ended.out.split())
    assert ("no live demo" in ended.out) == bool(says)


@pytest.mark.skipif(importlib.util.find_spec(BROWSER) is None, reason="this kit has no engine for the page")
def test_the_kits_own_model_for_the_page_is_taken(
    runs: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(from_run, "BROWSER", BROWSER)
    cohort("showcase", "add", "small", "--handle", "ada")
    assert set(entry.MODEL) <= entry.load(Path("showcase/ada-small")).files.keys()


def test_every_preset_can_be_packed(tmp_path: Path) -> None:
    """Also those with data of the kit's own, whose place on the disk must not be in the entry."""
    seen = 0
    for project_of in projects():
        for name, path in presets(project_of).items():
            run = RunFolder.create(
                tmp_path / f"{project_of.id}-{name}", load_preset(path), project=project_of.id
            )
            packed = pack.add(from_run.of_run(run), "ada", tmp_path / "out")
            data = (packed.place / "config.json").read_bytes()
            assert str(REPO).encode() not in data
            seen += 1
    assert seen > 5


def test_the_kits_own_names_fit_the_format() -> None:
    for one in projects():
        names = [one.id, *(step.id for step in one.steps), *(info.id for info in one.checks)]
        assert [name for name in names if not re.fullmatch(contents.ID, name)] == []


@pytest.mark.parametrize(
    "text", [tokenizer.gpt2_as_file().to_str(), tokenizer.gpt2().to_json()], ids=["whole", "named"]
)
def test_gpt2s_tokenizer_is_taken(text: str) -> None:
    assert len(text) < contents.FILES["tokenizer.json"][0]
    contents.tokenizer(text.encode())


# --- killed ----------------------------------------------------------------------------------------------------


def put_locked(files: dict[str, bytes], place: Path) -> None:
    with entry.locked(place.parent):
        entry.put(files, place)


@pytest.mark.parametrize("before", [False, True])
def test_killed_at_every_operation_there_is_no_half_entry(before: bool, tmp_path: Path) -> None:
    """There is the old one, the new one, or none for a moment; and the next `add` finds the member's card again."""
    old, new = project(name="p"), {**project(name="p"), "card.md": CARD.replace("small", "better").encode()}
    place = tmp_path / "recorded" / "bob-p"
    if before:
        put_locked(old, place)
    with dying(Dying()) as recorder:
        put_locked(new, place)
    assert len(recorder.names) > 10
    for number, (at, half) in enumerate(every_point(recorder.names)):
        place = tmp_path / str(number) / "bob-p"
        if before:
            put_locked(old, place)
        with dying(Dying(at, half)), pytest.raises(Killed):
            put_locked(new, place)
        found = [entry.load(path).files for path in visible(place.parent)] if place.parent.exists() else []
        assert found in ([], [old], [new])
        with entry.locked(place.parent):
            found = [entry.load(path).files for path in visible(place.parent)]
            assert found in ([[old], [new]] if before else [[], [new]]), (at, half)
        put_locked(new, place)
        assert entry.load(place).files == new
        assert {path.name for path in place.parent.iterdir()} <= {"bob-p", ".cohort-lock"}


def test_a_full_disk_leaves_what_was_there(
    runs: Path, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort("showcase", "add", "small", "--handle", "ada")
    before = entry.load(Path("showcase/ada-small")).files

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "write_bytes", full)
    ended = cohort("showcase", "add", "small", "--handle", "ada")
    assert (ended.code, "the disk is full" in ended.err) == (7, True)
    assert entry.load(Path("showcase/ada-small")).files == before
    assert [path.name for path in visible(Path("showcase"))] == ["ada-small"]


def test_what_a_power_cut_leaves_is_no_half_entry(tmp_path: Path) -> None:
    """Of the bytes and names that were not yet certain, any may be lost: the visible entry is whole in each case."""
    old, new = project(name="p"), {**project(name="p"), "card.md": CARD.replace("small", "better").encode()}
    home, chance = tmp_path / "home", random.Random(1)
    home.mkdir()
    with record(home) as history:
        put_locked(old, home / "bob-p")
        first = len(history)
        put_locked(new, home / "bob-p")
    for count in range(first, len(history) + 1):
        for variant in VARIANTS[::3]:
            place = tmp_path / "after"
            lay_down(state(replay(history[:count]), variant, chance), place)
            found = [entry.load(path).files for path in visible(place)]
            assert found in ([], [old], [new]), (count, variant)
            with entry.locked(place):
                found = [entry.load(path).files for path in visible(place)]
            assert found in ([old], [new]), (count, variant)
            shutil.rmtree(place)


def test_a_file_of_the_members_own_is_never_lost(runs: Path, cohort: Cohort) -> None:
    cohort("showcase", "add", "small", "--handle", "ada")
    Path("showcase/ada-small/notes.txt").write_text("mine", encoding="utf-8")
    ended = cohort("showcase", "add", "small", "--handle", "ada")
    assert (ended.code, "notes.txt is no file of an entry, and would be lost." in ended.err) == (2, True)
    assert Path("showcase/ada-small/notes.txt").read_text(encoding="utf-8") == "mine"


# --- words on the command line ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["add", "nowhere", "--handle", "ada"], 2, "'nowhere' is neither a run nor a project."),
        (["add", "small"], 2, "--handle"),
        (["add", "small", "--handle", "a b"], 2, "'a b' is no handle."),
        (["add", "small", "--handle", "nul"], 2, "Windows keeps for a device"),
        (["add", "small", "--handle", "ada", "--title", "x\x1b[2J"], 2, "U+001B"),
        (["check", "nowhere"], 2, "There is no folder nowhere."),
        (["collect", "nowhere"], 2, "There is no nowhere."),
        (["collect", "."], 5, "There is no entry in there."),
        (["collect", "file:///no/such/thing"], 1, "git could not fetch"),
    ],
)
def test_what_cannot_be_done_is_said(
    runs: Path, cohort: Cohort, words: list[str], code: int, says: str
) -> None:
    ended = cohort("showcase", *words)
    assert ended.code == code, ended.err
    assert says in ended.err
    assert "\x1b" not in ended.err


def test_a_remote_and_an_archive_together(tmp_path: Path, home: Path, cohort: Cohort) -> None:
    remote = tmp_path / "remote"
    shutil.copytree(
        REPO / "tests" / "showcase", remote / "tests", ignore=shutil.ignore_patterns("__pycache__")
    )
    place = remote / "showcase" / "bob-one"
    place.mkdir(parents=True)
    for name, data in project(name="one").items():
        (place / name).write_bytes(data)
    git = ["git", "-C", str(remote), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (
        ["init", "-q"],
        ["config", "core.autocrlf", "false"],
        ["add", "."],
        ["commit", "-qm", "entries"],
    ):
        subprocess.run([*git, *words], check=True)
    archive = zipped(tmp_path / "two.zip", project(name="two"))
    ended = cohort("showcase", "collect", remote.as_uri(), str(archive), "file:///no/such/thing")
    assert ended.out.splitlines()[:2] == ["published      bob-one", "published      bob-two"]
    assert (ended.code, ended.err.count("refused")) == (1, 1)


# --- parts -----------------------------------------------------------------------------------------------------


def test_long_runs_are_thinned_to_known_finite_numbers() -> None:
    rows = [{"step": step, "loss": 5.0, "evil": "x", "lr": None} for step in range(1, 9000)]
    rows += [{"step": step, "validation_loss": 4.0 - (step == 4711), "x": 1} for step in range(1, 9000)]
    thin = from_run.thinned(rows)
    assert len(thin) == contents.MOST_ROWS
    assert {"step": 4711, "validation_loss": 3.0} in thin
    contents.metrics(from_run.to_lines(thin))
    assert {key for row in thin for key in row} == {"step", "loss", "validation_loss"}
    assert from_run.thinned([{"step": 1, "loss": float("nan")}, {"step": 2}]) == []


@pytest.mark.parametrize(
    "name", ["project0", "project1", "project2", "project3", "project4", "project5", "project9"]
)
def test_each_template_is_a_card_with_questions(name: str) -> None:
    text = card.template(name, "A <b>title</b> ![x](y) {{ z }} --8<-- *w*")
    assert card.inspect(text) == text
    assert len(card.unfinished(text)) >= len(card.COMMON)
    answered = "\n".join("An answer." if line.startswith(card.TODO) else line for line in text.splitlines())
    assert card.unfinished(answered) == []


def test_what_a_card_lacks_is_named() -> None:
    found = card.unfinished("# x\n\n## What it is\n\n## use of ai\n\n- TODO\n")
    assert "the section “What it is” is empty" in found
    assert "the section “Data and licence” is missing" in found
    assert "line 7 is still a question: - TODO" in found
    assert "the section “Use of AI” is missing" not in found


def test_a_plain_card_is_taken_as_it_is() -> None:
    assert card.inspect(CARD) == CARD
    with pytest.raises(Refused, match="has HTML"):
        card.inspect("a <b>")
