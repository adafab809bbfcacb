"""`cohort showcase verify`: what an entry claims is measured by us, on our text, with none of its code."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from entries import Files, lay, project, with_claim, with_file, with_head
from networks import CONTEXT, in_int8, random_network
from safetensors.torch import load, save
from support import Cohort

from cohort_cli.showcase import entry, from_run, quantised, scoring, untrusted, verify
from cohort_cli.showcase.held_out import Text, held_out
from cohort_cli.showcase.strict import Refused
from cohort_cli.showcase.verify import CONFIRMED, NOT_COMPARABLE, OUTSIDE, REFUSED, Outcome
from cohort_cli.showcase.verifying import measure
from cohort_cli.training.data.tokenizer import Characters, gpt2_as_file
from cohort_cli.training.runs import RunFolder

ENTRIES = Path("showcase/entries")


def silent(what: str, done: int, of: int) -> None:
    pass


@pytest.fixture(scope="module")
def honest(trained_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The files of an entry made of the trained run, with its model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COHORT_DATA", str(trained_once / "data"))
        patch.setenv("COHORT_RUNS", str(trained_once / "runs"))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        from cohort_cli.showcase import pack

        packed = pack.add(
            from_run.of_run(RunFolder.open(trained_once / "runs" / "small")), "ada", Path("out")
        )
        assert packed.notes == []
        return entry.read_files(packed.place)


@pytest.fixture
def home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    ENTRIES.mkdir(parents=True)
    return home


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured here: a process of its own spends seconds on importing torch."""

    def measured(words: list[str], name: str, tell: Any) -> dict[str, Any]:
        text = held_out(Path(words[3]) if len(words) > 3 else None)
        return measure(entry.load(Path(words[0])).files, text, int(words[1]), int(words[2]), lambda *_: None)

    monkeypatch.setattr(verify, "_measured", measured)


def verified(
    *entries: Files, text: Text | None = None, file: Path | None = None, again: bool = False
) -> list[Outcome]:
    folders = [
        lay(files, ENTRIES) if not (ENTRIES / name_of(files)).exists() else ENTRIES / name_of(files)
        for files in entries
    ]
    return list(verify.verify(folders, ENTRIES, text or held_out(), file, again, silent))


def name_of(files: Files) -> str:
    head = json.loads(files["entry.json"])
    return f"{head['handle']}-{head['name']}"


def called(files: Files, handle: str) -> Files:
    return with_head(handle=handle)(files)


def record_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ENTRIES.parent / "measured" / f"{name}.json").read_bytes())
    return found


# --- an honest one, and one that lies --------------------------------------------------------------------------


def test_honest_entries_are_confirmed_and_lies_are_named(honest: Files, home: Path, cohort: Cohort) -> None:
    rows = [json.loads(line) for line in honest["metrics.jsonl"].splitlines()]
    best = min((row for row in rows if "validation_loss" in row), key=lambda row: row["validation_loss"])
    lie = {**best, "validation_loss": best["validation_loss"] / 2, "bits_per_byte": best["bits_per_byte"] / 2}
    forged = with_file("metrics.jsonl", honest["metrics.jsonl"] + json.dumps(lie).encode() + b"\n")(
        called(honest, "eve")
    )
    forged = with_claim(validation_loss=lie["validation_loss"], bits_per_byte=lie["bits_per_byte"])(forged)
    forged = with_claim(parameters=1_000_000)(forged)
    for files in (honest, forged):
        lay(files, ENTRIES)
    ended = cohort("showcase", "verify")
    assert ended.code == 1, ended.err
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [(line.split()[0], line.split()[-1]) for line in lines if "-small" in line] == [
        ("ada-small", "confirmed"),
        ("eve-small", "outside"),
    ]
    assert "claimed 1,000,000, and the model has 8,176" in " ".join(ended.out.split())
    record = record_of("ada-small")
    claim = record["claims"]["bits_per_byte"]
    assert claim["claimed"] == best["bits_per_byte"]
    assert claim["measured"] == pytest.approx(best["bits_per_byte"], abs=2e-3)  # the same windows, in int8
    assert record["bits_per_byte"]["low"] < record["bits_per_byte"]["value"] < record["bits_per_byte"]["high"]
    assert record["tokens"] >= 20_000
    assert record["text"] == held_out().facts()
    head = entry.load(ENTRIES / "ada-small").head
    assert record["model_sha256"] == head["files"]["model.safetensors"]["sha256"]
    assert {key: claim["state"] for key, claim in record["claims"].items()} == dict.fromkeys(
        head["claims"].keys() - {"steps"}, CONFIRMED
    )
    assert record_of("eve-small")["bits_per_byte"] == record["bits_per_byte"]  # measured, whatever it claims

    before = (ENTRIES.parent / "measured" / "ada-small.json").stat().st_mtime_ns
    again = cohort("showcase", "verify", "ada-small")
    assert (again.code, again.out.splitlines()[-1]) == (0, "next: cohort site build")
    assert (ENTRIES.parent / "measured" / "ada-small.json").stat().st_mtime_ns == before


def test_a_float64_oracle_of_a_few_lines_agrees(honest: Files, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(honest["model.safetensors"])
    network, text, length = quantised.load(path).double(), held_out().text[:4001], 16
    ids = Characters(json.loads(honest["tokenizer.json"])["alphabet"]).encode(text)
    windows = torch.tensor(ids).unfold(0, length + 1, length)  # 4,000 targets: the last window is whole, too
    with torch.no_grad():
        logits: Any = network(windows[:, :-1])[0].numpy()
    top = logits.max(-1, keepdims=True)
    logs = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
    nats = -np.take_along_axis(logs, windows[:, 1:, None].numpy(), -1).sum()
    model, parameters, window = untrusted.model_of(honest["model.safetensors"], length)
    found = untrusted.encode(honest["tokenizer.json"], text)
    assert (found.ids, parameters, window) == (ids, 8176, length)
    scored = scoring.score(model, found.ids, length)
    assert scored.sum() / 4000 == pytest.approx(nats / 4000, abs=1e-6)
    expected = nats / math.log(2) / len(text[1:].encode())
    assert scoring.bits_per_byte(scored, np.array(found.sizes[1:])) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("cost", "tolerance"), [(-0.1, 0.02), (0.03, 0.03), (1000.0, 0.05), (None, 0.02)])
def test_a_member_cannot_buy_tolerance(honest: Files, cost: float | None, tolerance: float) -> None:
    """What int8 is said to have cost stands in a file of the entry: it counts, up to a limit."""
    parity = {} if cost is None else {"loss": 1.0, "int8_loss": 1.0 + cost}
    one = entry.read(
        with_file("model.json", json.dumps({"schema": quantised.FORMAT, "parity": parity}).encode())(honest)
    )
    loss = one.head["claims"]["validation_loss"] + tolerance * 0.99
    event = {"parameters": 8176, "as_training": {"validation_loss": loss, "bits_per_byte": loss}}
    claim = verify.judged(one, event, True)["validation_loss"]
    assert (claim["tolerance"], claim["state"]) == (pytest.approx(tolerance), CONFIRMED)
    event["as_training"] = {"validation_loss": loss + tolerance / 50, "bits_per_byte": loss}
    assert verify.judged(one, event, True)["validation_loss"]["state"] == OUTSIDE


def test_another_text_is_measured_and_compared_with_nothing(
    honest: Files, home: Path, in_process: None
) -> None:
    file = home / "new text.txt"
    file.write_text("The evaluation is of another text. " * 200, encoding="utf-8")
    [outcome] = verified(honest, text=held_out(file), file=file)
    assert (outcome.state, outcome.record["text"]["name"]) == (NOT_COMPARABLE, "new_text.txt")
    [back] = verified(honest)
    assert (back.state, back.again) == (CONFIRMED, True)
    [unchanged] = verified(honest)
    assert (unchanged.state, unchanged.again) == (CONFIRMED, False)


def test_whose_text_was_another_one_is_not_confirmed(honest: Files, home: Path, in_process: None) -> None:
    table = json.loads(honest["config.json"])
    assert table["python"]
    other = with_file("config.json", json.dumps({**table, "python": "3.99.0"}).encode())(honest)
    [outcome] = verified(other)
    assert outcome.state == NOT_COMPARABLE
    assert "it may have seen parts of this one" in outcome.says


def test_a_claim_of_another_step_is_not_the_weights_claim(honest: Files, home: Path) -> None:
    """A run that was stopped between an evaluation and a checkpoint is honest, too."""
    card = {**json.loads(honest["model.json"]), "step": 7}
    other = entry.read(with_file("model.json", json.dumps(card).encode())(honest))
    assert verify.comparison(entry.read(honest), held_out()) == (True, "")
    assert verify.comparison(other, held_out())[0] is False


# --- what cannot be measured -----------------------------------------------------------------------------------


def tensors_changed(files: Files, change: Any) -> Files:
    data = files["model.safetensors"]
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    tensors, notes = load(data), dict(header["__metadata__"])
    change(tensors, notes)
    return with_file("model.safetensors", save(tensors, notes))(files)


def no_number(tensors: dict[str, Any], notes: dict[str, str]) -> None:
    tensors["ln_f.weight"][0] = math.nan


def overflows(tensors: dict[str, Any], notes: dict[str, str]) -> None:
    tensors["wte.weight.scale"][:] = 3e38


def flag(key: str, value: str) -> Any:
    return lambda tensors, notes: notes.update({key: value})


def drop(key: str) -> Any:
    return lambda tensors, notes: tensors.pop(key)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (flag("d_model", "65536"), "it has no "),
        (flag("n_layers", "999"), "999 layers"),
        (flag("vocab_size", "9999999"), "too large"),
        (flag("context", "-5"), "context is '-5'"),
        (flag("context", "1000000"), None),  # rotary positions: no more memory, and no other number
        (flag("positions", "secret"), "positions = 'secret'"),
        (flag("n_heads", "3"), "n_heads does not divide d_model"),
        (drop("ln_f.weight"), "it has no ln_f.weight"),
        (drop("wte.weight.scale"), "it has no wte.weight.scale"),
        (lambda tensors, notes: tensors.update(more=torch.zeros(3)), "it has more"),
        (lambda tensors, notes: notes.clear(), "the key 'format' is missing"),
        (overflows, "no finite number"),
    ],
)
def test_forged_weights_are_refused_with_the_reason(honest: Files, change: Any, says: str | None) -> None:
    data = tensors_changed(honest, change)["model.safetensors"]
    entry.read({**tensors_changed(honest, change)})  # the format alone does not see it
    if says is None:
        plain = scoring.score(untrusted.model_of(honest["model.safetensors"], 16)[0], list(range(40)), 16)
        assert np.array_equal(plain, scoring.score(untrusted.model_of(data, 16)[0], list(range(40)), 16))
        return
    with pytest.raises(Refused, match=says):
        scoring.score(untrusted.model_of(data, 16)[0], list(range(40)), 16)


@pytest.mark.parametrize("dtype", [torch.float16, torch.int32, torch.float64])
def test_numbers_of_another_type_are_refused(honest: Files, dtype: torch.dtype) -> None:
    def change(tensors: dict[str, Any], notes: dict[str, str]) -> None:
        tensors["wte.weight"] = tensors["wte.weight"].to(dtype)

    with pytest.raises(Refused, match=r"wte\.weight(\.scale)?"):
        untrusted.model_of(tensors_changed(honest, change)["model.safetensors"], 16)


def test_a_bad_one_is_named_and_the_others_are_measured(
    honest: Files, home: Path, cohort: Cohort, in_process: None
) -> None:
    nan = tensors_changed(called(honest, "bad"), no_number)
    lay(nan, ENTRIES)
    lay(honest, ENTRIES)
    wild = lay(tensors_changed(called(honest, "wild"), overflows), ENTRIES)
    stale = ENTRIES.parent / "measured" / f"{wild.name}.json"
    stale.parent.mkdir()
    stale.write_text("{}")
    ended = cohort("showcase", "verify")
    assert ended.code == 1
    states = [line[56:].split("  ")[-1] for line in ended.out.splitlines() if "-small" in line]
    assert states == [CONFIRMED, REFUSED, REFUSED]
    assert "model.safetensors: ln_f.weight has a value that is no number" in " ".join(ended.out.split())
    assert "what it computes is no finite number" in " ".join(ended.out.split())
    assert [path.name for path in stale.parent.iterdir()] == ["ada-small.json"]  # no old number stands for it


def test_a_text_that_cannot_be_measured_takes_no_measurement_away(
    honest: Files, home: Path, cohort: Cohort, in_process: None
) -> None:
    lay(honest, ENTRIES)
    assert cohort("showcase", "verify").code == 0
    before = (ENTRIES.parent / "measured" / "ada-small.json").read_bytes()
    (home / "x.txt").write_text("☃ and a text of some length. " * 200, encoding="utf-8")
    ended = cohort("showcase", "verify", "--text", "x.txt")
    assert (ended.code, "it cannot write '☃'" in ended.out) == (1, True)
    assert (ENTRIES.parent / "measured" / "ada-small.json").read_bytes() == before


# --- tokenizers ------------------------------------------------------------------------------------------------


def alphabet(letters: str) -> bytes:
    return json.dumps(
        {"schema": "cohort.alphabet/1", "kind": "characters", "alphabet": "".join(sorted(set(letters)))}
    ).encode()


def bpe(*merges: str) -> bytes:
    """A tokenizer.json of the bytes and these merges, without a pattern; "a b" makes one token of two."""
    from cohort_cli.tokens.formats import Parts, to_huggingface

    pairs = [tuple(half.encode() for half in merge.split("|")) for merge in merges]
    vocab = {byte: bytes([byte]) for byte in range(256)} | {256 + n: a + b for n, (a, b) in enumerate(pairs)}
    return to_huggingface(Parts(vocab, pairs, [], None)).encode()  # type: ignore[arg-type]


def test_a_character_that_cannot_be_written_is_named() -> None:
    with pytest.raises(Refused, match=r"cannot write 'é' \(U\+00E9\)"):
        untrusted.encode(alphabet("cafe"), "café")


def test_bytes_are_those_of_the_text() -> None:
    text = "café ☃, the the"
    for data in (
        bpe("t|h", "th|e", "a|f"),
        gpt2_as_file().to_str().encode(),
        b'{"schema": "cohort.alphabet/1", "kind": "gpt2"}',
    ):
        found = untrusted.encode(data, text)
        assert sum(found.sizes) == len(text.encode())
    assert untrusted.encode(bpe("t|h", "th|e"), "the the").sizes == [3, 1, 3]
    assert untrusted.encode(alphabet(text), text).sizes == [len(letter.encode()) for letter in text]


def test_a_tokenizer_that_loses_something_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a one does not pass the format; should one ever, the text is compared byte by byte."""
    from cohort_cli.training.data.tokenizer import HuggingFace

    real = HuggingFace.encode
    monkeypatch.setattr(HuggingFace, "encode", lambda self, text: real(self, text.lower()))
    with pytest.raises(Refused, match="spell another text from byte 4 on"):
        untrusted.encode(bpe("t|h"), "the The the")


def test_special_tokens_in_the_text_are_text() -> None:
    data = gpt2_as_file().to_str().encode()
    assert len(untrusted.encode(data, "<|endoftext|>").ids) > 1


def test_a_tokenizer_that_knows_the_text_by_heart_is_refused() -> None:
    text = "abcdefghijklmnopqrstuvwxyzABCDEF" * 8
    merges, piece = [], text[0]
    for letter in text[1:]:
        merges.append(f"{piece}|{letter}")
        piece += letter
    with pytest.raises(Refused, match="knows the text by heart"):
        untrusted.encode(bpe(*merges), text)


# --- scoring ---------------------------------------------------------------------------------------------------


def test_each_token_is_scored_once_from_what_stands_before_it() -> None:
    """Other tokens behind a position change nothing about it: there is no way to look ahead."""
    flags, tensors = random_network()
    model, _, length = untrusted.model_of(in_int8(flags, tensors), 1000)
    assert length == CONTEXT
    draw = np.random.default_rng(3)
    ids = draw.integers(53, size=10 * CONTEXT + 7).tolist()
    nats = scoring.score(model, ids, length)
    assert nats.dtype == np.float64
    assert len(nats) == len(ids) - 1
    for place in (5, CONTEXT, 4 * CONTEXT + 9):
        other = [*ids[: place + 1], *draw.integers(53, size=len(ids) - place - 1).tolist()]
        assert np.allclose(scoring.score(model, other, length)[:place], nats[:place], atol=1e-5)
    assert np.exp(-nats).max() < 1


def test_passes_and_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _, length = untrusted.model_of(in_int8(*random_network()), 1000)
    ids = np.random.default_rng(3).integers(53, size=300).tolist()
    whole = scoring.score(model, ids, length)
    monkeypatch.setattr(scoring, "PASS", 1)
    monkeypatch.setattr(scoring, "LOGITS", 200)
    assert np.allclose(scoring.score(model, ids, length), whole, atol=1e-5)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    sizes, hits = np.ones(6400), 0
    for _ in range(60):
        nats = draw.exponential(1.0, size=100).repeat(64) + draw.normal(
            0, 0.01, 6400
        )  # whole blocks go together
        low, high = scoring.interval(nats, sizes)
        hits += low <= 1 / math.log(2) <= high
    assert 50 <= hits <= 60
    assert scoring.interval(nats, sizes) == (low, high)  # seeded


# --- limits, and a kill ----------------------------------------------------------------------------------------


def test_time_and_memory_have_limits(honest: Files, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "SECONDS", 0)
    [outcome] = verified(honest)
    assert (outcome.state, outcome.says) == (REFUSED, "measuring it takes longer than 0 minutes")
    monkeypatch.undo()
    monkeypatch.chdir(home)
    monkeypatch.setattr(verify, "MEMORY", 1)
    [outcome] = verified(honest)
    assert (outcome.state, "more memory than" in outcome.says) == (REFUSED, True)


def test_a_process_that_breaks_is_told_as_it_is(
    honest: Files, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "PROCESS", "cohort_cli.no_such_module")
    [outcome] = verified(honest)
    assert (outcome.state, "No module named" in outcome.says) == (REFUSED, True)


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process there")
def test_interrupted_it_keeps_what_was_measured(honest: Files, home: Path) -> None:
    for handle in ("ada", "bob", "cyd", "dan"):
        lay(called(honest, handle), ENTRIES)
    process = subprocess.Popen(
        [sys.executable, "-m", "cohort_cli", "showcase", "verify"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    measured = ENTRIES.parent / "measured"
    with contextlib.suppress(FileNotFoundError):
        while process.poll() is None and not (measured / "ada-small.json").is_file():
            time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    names = sorted(path.name for path in measured.iterdir())
    assert names[0] == "ada-small.json"
    assert len(names) < 4
    assert all(verify.read(measured / name)["claims"] for name in names)


def test_no_entry_no_text_no_folder(home: Path, cohort: Cohort) -> None:
    assert cohort("showcase", "verify").code == 2
    assert cohort("showcase", "verify", "--entries", "nowhere").code == 2
    lay(project(), ENTRIES)
    ended = cohort("showcase", "verify")
    assert (ended.code, ended.out.splitlines()[1].split("  ")[-1]) == (0, "no model")
    for content, says in (
        (b"\xff" * 5000, "is not UTF-8"),
        (b"short", "has 5 bytes"),
        (b"x" * 2_000_000, "2,000,000"),
    ):
        (home / "x.txt").write_bytes(content)
        ended = cohort("showcase", "verify", "--text", "x.txt")
        assert (ended.code, says in ended.err, ended.out) == (2, True, "")
