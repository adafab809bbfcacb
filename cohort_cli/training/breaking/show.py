"""A run of the game as text for a terminal and as a picture. Names stand in `reveal` alone. No torch here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from cohort_cli.prose import clean, width
from cohort_cli.training import curves_text, svg
from cohort_cli.training.breaking import game
from cohort_cli.training.breaking.faults import Fault
from cohort_cli.training.breaking.game import Seen
from cohort_cli.training.live import row

Points = list[tuple[float, float]]
MOST = 60  # points of the training loss on a terminal
HOW = """\
Somebody chooses a number. The kit trains a small GPT that has one fault, or none, and shows what you would see of such a
run: its losses, and what it writes. Say what is wrong with it, and what you would test to be sure.

    cohort break NUMBER             trains it, and shows the curve
    cohort break NUMBER --honest    a hint: the loss of a model that sees
                                    only the beginning of a text
    cohort break NUMBER --reveal    names the fault, and the check that finds it

Say first which loss you expect from a run that is right, and write your guess down before the hint."""


def curve(seen: Seen, right: Seen | None = None) -> list[str]:
    """The losses over the steps, beside what takes no training. `right`: the run without a fault, to compare with."""
    limits = game.baselines()
    steps = seen.reported[-1][0]
    columns = [steps * n / MOST for n in range(MOST + 1)]
    curves: dict[str, Points] = {
        f"uniform, each character alike: {limits.uniform:.3f}": [(x, limits.uniform) for x in columns[::2]],
        f"bigram, counts of pairs: {limits.bigram:.3f}": [(x, limits.bigram) for x in columns[::2]],
        "training loss": _thinned(_training(seen)),
    }
    curves["reported validation loss"] = _reported(seen)
    if right is not None:
        curves["reported, the right run"] = _reported(right)
    return curves_text.plot(curves, min(width(), 80), 16, "step", "nats per character")


def values(seen: Seen) -> Iterator[str]:
    yield from row("training", f"{number(seen.last_training)}, the mean of the last {game.LAST} steps")
    yield from row("reported", f"{number(seen.last_reported)}, the validation loss at the end")


def sample(seen: Seen) -> list[str]:
    """The text as it is, its line ends too."""
    lines = ["sample"]
    for line in clean(seen.sample).split("\n"):
        wide = width() - 4
        lines += [f"  | {line[start : start + wide]}".rstrip() for start in range(0, max(len(line), 1), wide)]
    return lines


def honest(seen: Seen) -> list[str]:
    return row(
        "honest",
        f"{number(seen.honest)}: the model saw only the beginning, and named the character behind it",
    )


def reveal(fault: Fault, seen: Seen, right: Seen, measured: bool) -> Iterator[str]:
    """What it was. `measured`: this run has the length that the stated intervals were measured with."""
    yield from row("it was", fault.name + (f", in {fault.where}" if fault.where else ""))
    yield from row("what it does", fault.does)
    yield from row("the curve", fault.curve)
    yield from row("the sample", fault.sample)
    yield from row("found by", fault.found_by)
    if fault.check:
        yield from row("the check", f"cohort explain {fault.check}")
    yield from row("to learn", fault.learn)
    yield ""
    yield f"{'':<16} {'training':>9} {'reported':>9} {'honest':>9}"
    for name, one in (("this run", seen), ("the right run", right)):
        losses = (one.last_training, one.last_reported, one.honest)
        yield f"{name:<16} " + " ".join(f"{number(loss):>9}" for loss in losses)
    if not measured:
        yield from row("note", f"All this is said of {game.STEPS} steps. Other runs may show less, or more.")
    else:
        spans = [f"{low:.2f} to {high:.2f}" for low, high in (fault.reported, fault.honest)]
        yield from row("expected", f"reported {spans[0]}, honest {spans[1]}, from three seeds and a margin")


def picture(title: str, seen: Seen, right: Seen | None = None) -> str:
    """The curve as an SVG file."""
    limits = game.baselines()
    series = [
        svg.Series("training loss", _training(seen), thin=True),
        svg.Series("reported validation loss", _reported(seen)),
    ]
    if right is not None:
        series.append(svg.Series("reported, the right run", _reported(right)))
    lines = [("uniform", limits.uniform), ("bigram counts", limits.bigram)]
    says = f"Reported validation loss at the end: {number(seen.last_reported)} nats per character."
    return svg.alone(svg.chart(title, series, "step", "nats per character", lines, says))


def number(loss: float | None) -> str:
    if loss is None:
        return "not finite"
    return f"{loss:.3f}" if loss < 1000 else f"{loss:,.0f}"


def _training(seen: Seen) -> Points:
    return [(step, loss) for step, loss in enumerate(seen.training, 1) if loss is not None]


def _reported(seen: Seen) -> Points:
    return [(step, loss) for step, loss in seen.reported if loss is not None]


def _thinned(points: Sequence[tuple[float, float]]) -> Points:
    size = math.ceil(len(points) / MOST) or 1
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [tuple(math.fsum(part) / len(group) for part in zip(*group, strict=True)) for group in groups]  # type: ignore[misc]
