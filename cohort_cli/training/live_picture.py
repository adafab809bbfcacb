"""The picture of a job that moves, drawn with rich. Imported only where there is a terminal for it."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING

from cohort_cli.prose import width
from cohort_cli.training import live
from cohort_cli.training.curves_text import can_draw, sparkline

if TYPE_CHECKING:
    from rich.text import Text

PER_SECOND = 4
LABEL = 12  # columns
SAMPLE_LINES = 3


class Picture:
    """Draws what was seen, a few times per second. NO_COLOR is rich's to honour."""

    def __init__(self, seen: live.Seen) -> None:
        from rich.console import Console
        from rich.live import Live

        self.seen = seen
        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self.blocks = can_draw(getattr(sys.stderr, "encoding", None))
        self._live = Live(
            console=console,
            get_renderable=self.draw,
            refresh_per_second=PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def start(self) -> None:
        self._live.start()

    def stop(self) -> None:
        """The last picture stays."""
        self._live.stop()

    def draw(self) -> Text:
        from rich.text import Text

        picture = Text(no_wrap=True, overflow="crop")
        for name, text in self.lines():
            picture.append(f"{name:<{LABEL}}", style="bold").append(text + "\n")
        picture.right_crop(1)
        return picture

    def lines(self) -> list[tuple[str, str]]:
        """(label, text) of each line; words and figures only, so that colour is never needed."""
        seen, room = self.seen, width() - LABEL - 1
        if not seen.steps:
            return [("starting", "loading torch, the data and the model")]
        lines = [("training", live.cut(seen.title, room)), ("step", self._bar(room))]
        if seen.now:
            _, loss, *speed = live.progress(seen)
            lines.append(("loss", loss.removeprefix("loss ")))
            lines.append(("speed", live.cut("   ".join(speed), room)))
        if seen.measured:
            measured = f"{'   '.join(live.measures(seen.measured))}   (step {seen.measured['step']:,})"
            lines.append(("validation", live.cut(measured.removeprefix("loss "), room)))
        if len(seen.losses) > 1:
            low, high = min(seen.losses), max(seen.losses)
            curve = sparkline(seen.losses, room - 22, blocks=self.blocks)
            lines.append(("curve", f"{curve} {low:.3f} to {high:.3f}"))
        if seen.sample:
            text = live.one_line(" > ".join(live.said(seen.sample)))
            shown = textwrap.wrap(text, room)[:SAMPLE_LINES]
            lines += [("" if place else "sample", line) for place, line in enumerate(shown)]
        lines += [("note", live.cut(note, room)) for note in seen.notes[-live.NOTES :]]
        return lines + ([("end", seen.ended)] if seen.ended else [])

    def _bar(self, room: int) -> str:
        seen = self.seen
        full, empty = ("█", "░") if self.blocks else ("#", ".")
        words = f" {seen.step:,} of {seen.steps:,}"
        columns = max(10, min(40, room - len(words)))
        done = min(columns, columns * seen.step // seen.steps)
        return full * done + empty * (columns - done) + words
