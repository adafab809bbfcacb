"""What a member sees while a job runs, on standard error: a small picture that moves, or plain lines.

On a terminal, live_picture.py draws. Without one, with TERM=dumb and in logs there is one line at the start, then one at
most every PLAIN_SECONDS, each evaluation, each note, and the end. Texts of the run are untrusted: they are cleaned.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from cohort_cli.errors import CohortError
from cohort_cli.prose import clean, width, wrap
from cohort_cli.training.runs import RunFolder

if TYPE_CHECKING:
    from cohort_cli.training.live_picture import Picture

PLAIN_SECONDS = 15.0
NOTES = 3  # the newest that the picture shows


@dataclass
class Seen:
    """What the events said so far."""

    title: str = ""
    step: int = 0
    steps: int = 0
    now: dict[str, Any] = field(default_factory=dict)  # the newest step
    measured: dict[str, Any] = field(default_factory=dict)  # the newest evaluation
    sample: dict[str, Any] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ended: str = ""

    def hear(self, event: dict[str, Any]) -> None:
        kind = event["event"]
        if kind == "start":
            self.title, self.step, self.steps = one_line(event["title"]), event["step"], event["steps"]
            self.notes += [one_line(note) for note in event["notes"]]
            if self.step:
                self._remember(Path(event["run"]))
        elif kind == "step":
            self.step, self.now = event["step"], event
            self.losses.append(event["loss"])
        elif kind == "eval":
            self.measured = event
        elif kind == "sample":
            self.sample = event
        elif kind == "note":
            self.notes.append(one_line(event["text"]))
        elif kind == "end":
            self.ended = f"{event['state']} at step {event['step']:,}"

    def _remember(self, root: Path) -> None:
        """The curve of a run that goes on begins where the run began."""
        with contextlib.suppress(CohortError):
            for row in RunFolder(root).read_metrics():
                if (loss := number(row, "loss")) is not None:
                    self.losses.append(loss)
                elif number(row, "validation_loss") is not None:
                    self.measured = row


class View:
    """with View() as view: view.show(event); view.note(text)"""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.seen = Seen()
        self._clock, self._last = clock, -math.inf
        self._picture: Picture | None = None

    def __enter__(self) -> View:
        if draws(sys.stderr):
            from cohort_cli.training.live_picture import Picture

            self._picture = Picture(self.seen)
            self._picture.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._picture is not None:
            self._picture.stop()

    def show(self, event: dict[str, Any]) -> None:
        """An event of the training process; see __main__.py."""
        self.seen.hear(event)
        if self._picture is None:
            self._say(event)

    def note(self, text: str) -> None:
        self.show({"event": "note", "text": text})

    def _say(self, event: dict[str, Any]) -> None:
        for line in self._lines(event):
            print(line, file=sys.stderr, flush=True)

    def _lines(self, event: dict[str, Any]) -> list[str]:
        kind = event["event"]
        if kind == "start":
            facts = f"{event['parameters']:,} parameters, {event['steps']:,} steps, {event['device']}"
            lines = row("training", f"{facts}, {event['precision']}")
            return lines + [line for note in event["notes"] for line in row("note", note)]
        if kind == "step":
            if self._clock() - self._last < PLAIN_SECONDS and event["step"] < event["steps"]:
                return []
            self._last = self._clock()
            return [joined(progress(self.seen))]
        if kind == "eval":
            return row("validation", f"step {event['step']:,}: {', '.join(measures(event))}")
        if kind == "sample":
            return [cut(f"sample      {one_line(' > '.join(said(event)))}", width())]
        if kind == "note":
            return row("note", event["text"])
        return row("end", self.seen.ended) if kind == "end" else []


def draws(stream: Any) -> bool:
    """Whether a picture that moves can be drawn there."""
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


def summary(folder: RunFolder) -> list[str]:
    """What a run has reached, for the last lines of a command: each at most 80 columns."""
    from cohort_cli.training.baselines import baselines

    measured = [row for row in folder.read_metrics() if number(row, "validation_loss") is not None]
    if not measured:
        return []
    last, best = measured[-1], min(measured, key=lambda row: row["validation_loss"])
    unit = UNITS[folder.config().task]
    compared = next((found for found in baselines(folder) if found.name == "bigram"), None)
    beside = f" (bigram counts on the same text: {compared.nats:.4f})" if compared else ""
    lines = row("validation", f"{last['validation_loss']:.4f} {unit}{beside}")
    if others := measures(last)[1:]:
        lines += row("", ", ".join(others))
    if best["step"] != last["step"]:
        lines += row("best", f"{best['validation_loss']:.4f} {unit}, at step {best['step']:,}")
    return lines


# --- the words -------------------------------------------------------------------------------------------------

UNITS = {"pretrain": "nats per token", "instruct": "nats per token", "classify": "nats per text",
         "dpo": "nats per pair"}  # fmt: skip
MEASURES = {
    "bits_per_byte": "{:.4f} bits per byte",
    "perplexity": "perplexity {:.2f}",
    "accuracy": "accuracy {:.3f}",
    "chance": "commonest label {:.3f}",
    "reward_margin": "reward margin {:.3f}",
}


def number(table: dict[str, Any], key: str) -> float | None:
    """A finite number under this key, or None: a damaged file may hold anything."""
    value = table.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def measures(evaluation: dict[str, Any]) -> list[str]:
    """What an evaluation measured, in words; the loss first."""
    loss = number(evaluation, "validation_loss")
    found = [] if loss is None else [f"loss {loss:.4f}"]
    for key, words in MEASURES.items():
        if (value := number(evaluation, key)) is not None:
            found.append(words.format(value))
    return found


def progress(seen: Seen) -> list[str]:
    """Step, loss, speed, use of the machine, and time left."""
    now = seen.now
    parts = [f"step {seen.step:>{len(str(seen.steps))}} of {seen.steps}", f"loss {now['loss']:.4f}"]
    parts.append(f"{now['tokens_per_second']:,.0f} tokens/s")
    if (used := number(now, "utilisation")) is not None:
        parts.append(f"{used:.0%} used")
    if (left := number(now, "seconds_left")) is not None:
        parts.append(f"{duration(left)} left")
    return parts


def joined(parts: list[str]) -> str:
    """In one line, without those at the end that no longer fit."""
    while len(line := "   ".join(parts)) > width() and len(parts) > 1:
        parts = parts[:-1]
    return line


def duration(seconds: float) -> str:
    """ "45 s", "12 min", "3 h 05 min", "2 d 4 h"."""
    minutes, hours = round(seconds / 60), int(seconds // 3600)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def row(name: str, text: str) -> list[str]:
    return wrap(clean(text), f"{name:<11} ", " " * 12)


def said(sample: dict[str, Any]) -> tuple[str, str]:
    """(prompt, what the model wrote after it): some tasks write the prompt into the text as well."""
    prompt, text = str(sample.get("prompt", "")), str(sample.get("text", ""))
    return prompt, text.removeprefix(prompt)


def one_line(text: Any) -> str:
    """Untrusted text in one line, with nothing in it that steers a terminal."""
    return clean(" ".join(str(text).split()))


def cut(text: str, columns: int) -> str:
    return text if len(text) <= columns else text[: columns - 3] + "..."
