"""Draws results for people, at the width of the terminal.

    FAIL scale                         attention.py:38 CausalSelfAttention.forward
      expected  [[1.0000, 0.0000], [0.3775, 0.6225]]
      got       [[1.0000, 0.0000], [0.4378, 0.5622]]
      differs first at [batch 0, head 0, query 1, key 0]: 0.0603 (allowed 1e-05)
      Known mistake: this is exactly the result of dividing by sqrt(d_model)
      instead of sqrt(d_model // n_heads).

Words carry the meaning and colour repeats it: blue for ok, vermillion for what is not, never green against
red. rich is imported only when colour is really drawn.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from cohort_cli.checking.results import CheckResult, RunReport
from cohort_cli.checking.states import State
from cohort_cli.prose import clean, wrap

BLUE, VERMILLION, GREY = "#0072B2", "#D55E00", "bright_black"
STYLES = {State.OK: BLUE, State.TODO: "", State.WAIT: GREY, State.SKIP: GREY}
QUIET = tuple(STYLES)  # states of one line, in small letters
OUTPUT_LINES = 10  # of what the member's code printed
HEAD = 35  # columns for state and id; the place or the title follows
KNOWN = "Known mistake: "
ADVICE = {
    State.TIME: "A limit stopped it. Is there a loop that does not end?",
    State.MEM: "A limit stopped it. Is a tensor larger than the step needs?",
    State.KIT: "This is a fault of the kit, not of your code. Please report it, with the seed below.",
}

Line = tuple[str, str]  # style, text


def check_lines(check: CheckResult) -> list[Line]:
    """Everything about one check: a line if there is nothing to repair, else a block."""
    place = f"{check.where.file}:{check.where.line} {check.where.name}".rstrip() if check.where else ""
    if check.state is State.OK:
        lines = _head("ok", check.id, check.title, BLUE)
        if check.rule is not None:
            lines += _head("rule", check.id, "The values are right, but a rule is broken.", VERMILLION)
            lines += _body(check.rule)
        return lines
    if check.state in QUIET:
        right = place if check.state is State.TODO else check.message
        return _head(check.state.value, check.id, right or check.title, STYLES[check.state])
    head = _head(check.state.value.upper(), check.id, place or check.title, VERMILLION)
    return [*head, *_details(check)]


def _head(word: str, id: str, right: str, style: str) -> list[Line]:
    left = f"{word:<4} {id} "
    return [(style, line) for line in wrap(clean(right), left.ljust(HEAD), " " * HEAD)]


def _body(text: str, style: str = "") -> list[Line]:
    return [(style, line) for line in wrap(clean(text), "  ", "  ")]


def _details(check: CheckResult) -> Iterator[Line]:
    message, found, why = check.message.partition(KNOWN)
    if message.strip():
        yield from _body(message.strip())
    if check.state in ADVICE:
        yield from _body(ADVICE[check.state])
    for label, text in (("expected", check.expected), ("got", check.got)):
        if text is not None:
            yield from (("", line) for line in wrap(clean(text), f"  {label:<10}", " " * 12))
    if check.first_diff is not None:
        yield from _body(_difference(check))
    if found:
        yield from _body(KNOWN + why[:1].lower() + why[1:], VERMILLION)
    yield from _printed(check.output)


def _difference(check: CheckResult) -> str:
    """differs first at [batch 0, head 0, query 1, key 0]: 0.0603 (allowed 1e-05)"""
    index = check.first_diff or []
    names = [f"{name} " for name in check.axes or []]
    if len(names) != len(index):
        names = [""] * len(index)
    place = ", ".join(f"{name}{number}" for name, number in zip(names, index, strict=True))
    text = f"differs first at [{place}]" if index else "differs"
    if check.max_abs_err is not None:
        text += f": {check.max_abs_err:.3g}"
    return text + (f" (allowed {check.atol:g})" if check.atol is not None else "")


def _printed(output: str) -> Iterator[Line]:
    """The last lines that the member's code printed."""
    if not output.strip():
        return
    lines = clean(output).rstrip("\n").split("\n")
    hidden = len(lines) - OUTPUT_LINES
    yield ("", f"  it printed{f' ({hidden} earlier lines are left out)' if hidden > 0 else ''}:")
    for line in lines[-OUTPUT_LINES:]:
        yield from (("", part) for part in wrap(line, "  | ", "  | "))


def summary_lines(report: RunReport) -> list[Line]:
    """The counts, and what it takes to repeat the run."""
    counts = ", ".join(f"{count} {state}" for state, count in report.summary.items()) or "nothing ran"
    broken = sum(check.rule is not None for check in report.checks)
    counts += f", {broken} broken rule{'s' * (broken != 1)}" if broken else ""
    style = BLUE if report.exit == 0 else ""
    lines: list[Line] = [("", "")]
    lines += [(style, line) for line in wrap(f"{report.project}: {counts}  ({report.seconds:.1f} s)")]
    return lines + [(GREY, line) for line in wrap(f"seed {report.seed}, isolation {clean(report.isolation)}")]


def report_lines(report: RunReport) -> list[Line]:
    return [line for check in report.checks for line in check_lines(check)] + summary_lines(report)


def next_line(report: RunReport) -> str:
    """The one thing to do after a run: the first check that is not ok."""
    for check in report.checks:
        if check.state is State.TODO:
            return f"next: cohort hint {report.project} {check.step}"
        if check.state is State.KIT:
            return "next: cohort doctor"
        if check.state not in (State.OK, State.WAIT, State.SKIP):
            return f"next: cohort hint {report.project} {check.id}"
        if check.rule:
            return f"next: write it yourself, then cohort check {report.project} {check.step}"
    waiting = next((check for check in report.checks if check.state is State.WAIT), None)
    if waiting is not None:
        return f"next: cohort check {report.project} {waiting.blocked_by}"
    return "next: cohort status"


def show(lines: list[Line]) -> None:
    """Print on standard output: in colour on a terminal, else plain."""
    if not colourful():
        sys.stdout.write("".join(f"{text}\n" for _, text in lines))
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for style, text in lines:
        console.print(Text(text, style=style))


def colourful() -> bool:
    """Whether standard output is a terminal that shows colours, and the user has not asked for none."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
