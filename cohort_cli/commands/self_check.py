"""`cohort self-check`: eight questions, and something to read for each gap."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from cohort_cli.self_check import Question


def self_check() -> None:
    """Eight questions on linear algebra, calculus and Python: what to read before you begin.

    Enter alone means "I do not know". Your answers are not kept, and nobody else sees them. Exits with 1 if
    there are gaps. Without a terminal, answers are read from standard input, one per line.

    $ cohort self-check
    1 of 8, linear algebra
    What is the dot product of (1, 2, 3) and (4, 0, -1)?
    > 1
    right
    …
    7 of 8 right. One gap, one thing to read:
      calculus: Dive into Deep Learning, Calculus, section Chain Rule
        https://d2l.ai/chapter_preliminaries/calculus.html
    next: cohort start project0
    """
    from cohort_cli.prose import wrap
    from cohort_cli.self_check import read_questions

    questions = read_questions()
    gaps: list[Question] = []
    for number, question in enumerate(questions, 1):
        typer.echo(f"{number} of {len(questions)}, {question.topic}")
        for part in question.ask.strip().splitlines():
            typer.echo("\n".join(wrap(part)))
        for row in question.code.strip().splitlines():
            typer.echo(f"    {row}".rstrip())
        if question.is_right(_answer()):
            typer.echo("right\n")
            continue
        gaps.append(question)
        typer.echo("\n".join(wrap(f"{question.right[0]}. {question.because}", "it is ", "      ")) + "\n")
    _say(len(questions), gaps)
    raise typer.Exit(1 if gaps else 0)


def _answer() -> str:
    """A line. Where there is no more of them, nothing: the questions are still shown."""
    typer.echo("> ", nl=False)
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line.endswith("\n") or not sys.stdin.isatty():
        typer.echo(line.rstrip("\n"))  # what was typed at a terminal is there already
    return line


def _say(count: int, gaps: list[Question]) -> None:
    from cohort_cli.prose import wrap

    if not gaps:
        typer.echo(f"{count} of {count} right. You are ready.")
    else:
        readings = {question.learn: question for question in gaps}
        plural = "One gap" if len(gaps) == 1 else f"{len(gaps)} gaps"
        things = "one thing" if len(readings) == 1 else f"{len(readings)} things"
        typer.echo(f"{count - len(gaps)} of {count} right. {plural}, {things} to read:")
        for question in readings.values():
            typer.echo("\n".join(wrap(f"{question.topic}: {question.learn}", "  ", "    ")))
            typer.echo(f"    {question.at}")
    typer.echo("next: cohort start project0")
