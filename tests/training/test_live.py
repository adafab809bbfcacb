"""What is seen while a job runs: plain lines, the picture on a terminal, and the words at the end."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cohort_cli.training import baselines, corpus, curves_text, live
from cohort_cli.training.config import Config, Data
from cohort_cli.training.live_picture import Picture
from cohort_cli.training.runs import RunFolder

START = {
    "event": "start", "run": "nowhere", "title": "a job\x1b[2J", "parameters": 1000, "device": "cpu, 1 threads",
    "precision": "float32", "steps": 1000, "step": 0, "notes": ["resumed\x1b[31m from step 3"],
}  # fmt: skip
EVAL = {"event": "eval", "step": 5, "validation_loss": 2.5, "perplexity": 12.18, "bits_per_byte": 3.6}
SAMPLE = {"event": "sample", "step": 5, "prompt": "The ", "text": "The \x1b]0;owned\x07cat\n\u202esat " * 30}
END = {"event": "end", "state": "done", "step": 1000, "message": "", "repair": "", "exit": 0}


def step(number: int, **more: Any) -> dict[str, Any]:
    return {"event": "step", "step": number, "steps": 1000, "loss": 4.0 - number / 500, "lr": 1e-3, "grad_norm": 1.0,
            "tokens_per_second": 1234.5, "utilisation": 0.5, "seconds_left": 4000.0, **more}  # fmt: skip


@pytest.fixture(autouse=True)
def eighty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_plain_lines_are_few_short_and_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with live.View(clock) as view:
        view.show(START)
        for number in range(1, 101):
            clock.now += 1
            view.show(step(number))
        view.show(EVAL)
        view.show(SAMPLE)
        view.note("stopping")
        view.show(step(1000))
        view.show(END)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert [line.split()[0] for line in lines].count("step") == 8  # 1, 16, …, 91, and the last one at once
    assert lines[2] == "step    1 of 1000   loss 3.9980   1,234 tokens/s   50% used   1 h 07 min left"
    assert "validation  step 5: loss 2.5000, 3.6000 bits per byte, perplexity 12.18" in lines
    assert lines[-1] == "end         done at step 1,000"
    assert max(map(len, lines)) <= 80
    assert not any(c < " " and c != "\n" for c in err)
    assert "\u202e" not in err
    assert "note        stopping" in lines


def test_a_line_that_is_too_long_loses_its_end() -> None:
    seen = live.Seen(step=10**9, steps=10**9, now=step(1, tokens_per_second=1e9, seconds_left=1e6))
    line = live.joined(live.progress(seen))
    assert len(line) <= 80
    assert line.startswith("step 1000000000 of 1000000000   loss")
    assert not line.endswith("left")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("term", "drawn"), [("xterm", True), ("dumb", False)])
def test_only_a_terminal_that_can_do_it_gets_a_picture(
    monkeypatch: pytest.MonkeyPatch, term: str, drawn: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    assert live.draws(Terminal()) is drawn
    assert not live.draws(io.StringIO())


def picture(*events: dict[str, Any]) -> dict[str, str]:
    seen = live.Seen()
    for event in events:
        seen.hear(event)
    return dict(Picture(seen).lines())


def test_the_picture_says_everything_in_words_and_figures() -> None:
    lines = picture(START, *(step(n) for n in range(1, 501)), EVAL, SAMPLE)
    assert lines["step"].endswith(" 500 of 1,000")
    assert lines["loss"] == "3.0000"
    assert lines["speed"] == "1,234 tokens/s   50% used   1 h 07 min left"
    assert lines["validation"] == "2.5000   3.6000 bits per byte   perplexity 12.18   (step 5)"
    assert lines["curve"].startswith("█")
    assert lines["curve"].endswith("▁ 3.000 to 3.998")
    assert lines["note"] == "resumed\\x1b[31m from step 3"
    assert lines["training"] == "a job\\x1b[2J"
    assert lines["sample"].startswith("The > \\x1b]0;owned\\x07cat")


def test_nothing_but_the_start_is_needed() -> None:
    assert list(picture()) == ["starting"]
    assert list(picture(START)) == ["training", "step", "note"]


def test_a_console_without_block_characters_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="cp1252"))
    lines = picture(START, *(step(n) for n in range(1, 501)), EVAL, SAMPLE, END)
    assert all(line.isascii() for line in lines.values())
    assert lines["curve"].startswith("#")


@pytest.mark.parametrize("no_color", ["", "1"])
def test_the_drawing_fits_and_nothing_steers_but_rich(monkeypatch: pytest.MonkeyPatch, no_color: str) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", no_color)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with live.View() as view:
        for event in (START, step(1), step(2), EVAL, SAMPLE, END):
            view.show(event)
    shown = terminal.getvalue()
    for steering in ("\x1b[2J", "\x1b]0;", "\x07", "\u202e", "\x1b[31m"):
        assert steering not in shown
    assert "\x1b[3" not in shown, "the picture is made of words; bold is all there is"
    assert "done at step 1,000" in shown


def test_the_curve_of_a_resumed_run_begins_where_the_run_began(
    tmp_path: Path, make_run: Callable[..., RunFolder]
) -> None:
    folder = make_run("a")
    for number in (1, 2):
        folder.append_metrics({"step": number, "loss": 9.0 - number})
    folder.append_metrics({"step": 2, "loss": "no number", "validation_loss": 7.5})
    seen = live.Seen()
    seen.hear({**START, "run": str(folder.root), "step": 2})
    seen.hear(step(3))
    assert seen.losses[:2] == [8.0, 7.0]
    assert len(seen.losses) == 3
    assert seen.measured["validation_loss"] == 7.5


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3540, "59 min"), (3900, "1 h 05 min"), (3599, "1 h 00 min"),
     (200_000, "2 d 7 h")],
)  # fmt: skip
def test_durations(seconds: float, words: str) -> None:
    assert live.duration(seconds) == words


# --- curves of characters ------------------------------------------------------------------------------------


def test_sparklines_keep_the_shape() -> None:
    assert curves_text.sparkline([1, 2, 3, 4, 5, 6, 7, 8], 8) == "▁▂▃▄▅▆▇█"
    assert curves_text.sparkline([8, 8, 1, 1], 2) == "█▁"
    assert curves_text.sparkline([3, 3], 5) == "▁▁"
    assert curves_text.sparkline([], 5) == ""
    assert curves_text.sparkline([1, math.nan, 2], 5, blocks=False) == "_#"


def test_a_plot_puts_points_where_they_belong() -> None:
    lines = curves_text.plot({"a": [(0, 4.0), (10, 2.0)], "b": [(0, 2.0)]}, 40, 5, "step", "loss")
    assert lines[0] == "loss"
    assert lines[1].startswith("4 |*")
    assert lines[5].startswith("2 |o")
    assert lines[5].endswith("*")
    assert lines[-2:] == ["* a", "o b"]
    assert max(map(len, lines)) <= 40
    assert curves_text.plot({"a": []}, 40) == ["There is nothing to draw yet."]
    assert curves_text.plot({"a": [(1, 1.0)]}, 40), "a single point is no division by zero"


# --- the last words, and what a loss is compared with ----------------------------------------------------------


def test_the_summary_compares_with_bigram_counts_on_the_same_text(make_run: Callable[..., RunFolder]) -> None:
    folder = make_run("a", "run.eval_tokens=0")
    assert live.summary(folder) == []
    for number, loss in ((6, 1.9), (12, 2.0)):
        folder.append_metrics(
            {"step": number, "validation_loss": loss, "perplexity": 7.4, "bits_per_byte": 2.9}
        )
    train, held_out = corpus.split(corpus.load())
    nats = corpus.bigram_loss(train, held_out)
    lines = live.summary(folder)
    assert lines == [
        f"validation  2.0000 nats per token (bigram counts on the same text: {nats:.4f})",
        "            2.9000 bits per byte, perplexity 7.40",
        "best        1.9000 nats per token, at step 6",
    ]
    assert max(map(len, lines)) <= 80


def test_the_baseline_is_scored_on_the_very_tokens_of_the_run(
    make_run: Callable[..., RunFolder], train: Callable[..., list[dict[str, Any]]]
) -> None:
    """1,000 of the 46,513 held-out tokens, in windows of 16: 63 windows, 1,008 targets."""
    folder = make_run("a", "schedule.steps=1", "schedule.warmup_steps=1")
    train(folder)
    from cohort_cli.training.data.prepare import prepare

    tokens = prepare(folder.config().data, Path(os.environ["COHORT_DATA"]))
    seen = tokens.split("validation").read(0, 1009).tolist()
    text = tokens.tokenizer.decode(tokens.split("train").read(0, 10**9))
    expected = corpus.bigram_loss(text, tokens.tokenizer.decode(seen))
    found = {one.name: one.nats for one in baselines.baselines(folder)}
    assert found["bigram"] == pytest.approx(expected, rel=1e-12)
    assert found["uniform"] == math.log(tokens.tokenizer.vocab_size)
    assert found["trigram"] < found["bigram"]


def test_counts_of_three_are_worked_out_by_hand() -> None:
    """Train "abcabd": after "ab" came c once and d once. Four characters; alpha 0.5 for each."""
    after_ab, after_bc = (1 + 0.5) / (2 + 4 * 0.5), (1 + 0.5) / (1 + 4 * 0.5)
    after_xx = 0.5 / (4 * 0.5)  # never seen: all alike
    found = corpus.ngram_loss(3, "abcabd", "abcad", alpha=0.5)  # scored: abc, bca, cad
    assert found == pytest.approx(-(math.log(after_ab) + math.log(after_bc) + math.log(0.5 / (1 + 2))) / 3)
    assert corpus.ngram_loss(3, "abcabd", "ddd", alpha=0.5) == pytest.approx(-math.log(after_xx))


@pytest.mark.parametrize("settings", [{}, {"validation_share": 0.25}, {"max_tokens": 5000}])
def test_the_baseline_cuts_the_text_as_the_token_folder_does(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    from cohort_cli.training.data.prepare import prepare

    data = Data(**settings)
    tokens = prepare(data, tmp_path)
    train, held_out = baselines.held_out(corpus.load(), data)
    assert (len(train), len(held_out)) == (tokens.split("train").tokens, tokens.split("validation").tokens)
    assert tokens.tokenizer.encode(held_out) == tokens.split("validation").read(0, 10**9).tolist()


def test_characters_that_the_tokenizer_does_not_know_are_one(
    make_run: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "load", lambda: "ab" * 45 + "axbybaxyab")
    baselines._ngram.cache_clear()
    folder = make_run("a", "run.eval_tokens=0")
    nats = baselines.bigram(folder, folder.config())
    baselines._ngram.cache_clear()
    assert nats == corpus.bigram_loss("ab" * 45, "a?b?ba??ab")


def test_no_baseline_where_it_would_be_of_another_text(
    small: Callable[..., Config], make_run: Callable[..., RunFolder]
) -> None:
    other = make_run("a", "data.source=tinyshakespeare")
    assert baselines.bigram(other, other.config()) is None
    elsewhere = make_run("b")
    (elsewhere.root / "environment.json").write_text(json.dumps({"python": "3.9.1"}), encoding="utf-8")
    assert baselines.bigram(elsewhere, elsewhere.config()) is None
    assert [one.nats for one in baselines.baselines(make_run("c", "task=dpo"))] == [math.log(2)]
