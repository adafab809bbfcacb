"""`cohort doctor`: is this machine ready, and if not, which line repairs it?"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cohort_cli.probes import Probe


def doctor(
    hello: Annotated[
        bool, typer.Option("--hello", help="Train a model of two parameters; print a line for the chat.")
    ] = False,
    on: Annotated[
        str | None, typer.Option(help="Probe a place to train on: here, slurm, sky, hf.", metavar="PLACE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Probe what the kit needs. Each trouble comes with the line that repairs it.

    `warn` works, with a limit. `fail` does not work, and ends with exit code 4.
    --hello shows that this machine can learn something: paste its line into the group's chat.

    $ cohort doctor
    ok    python     3.11.7 in /home/you/kit/.venv
    ok    torch      2.13.0, imported in 1.4 s, a 512 x 512 product in 3 ms
    warn  git        it does not know your name, so nothing can be committed
                     repair: git config --global user.name "Your Name"
    ...
    next: cohort
    """
    from cohort_cli import probes
    from cohort_cli.prose import wrap

    if hello:
        _hello(as_json)
        return
    found = []
    for probe in probes.ALL if on is None else (functools.partial(_place, on),):
        for result in probe():
            found.append(result)
            if as_json:
                continue
            lines = wrap(result.text, f"{result.state:<5} {result.name:<10} ", " " * 17)
            if result.repair:
                lines += wrap(f"repair: {result.repair}", " " * 17, " " * 17)
            typer.echo("\n".join(lines))
    failed = any(result.state == "fail" for result in found)
    if as_json:
        probes_json = [asdict(result) for result in found]
        typer.echo(
            json.dumps({"schema": "cohort.doctor/1", "ok": not failed, "probes": probes_json}, indent=1)
        )
    else:
        again = "cohort doctor" if on is None else f"cohort doctor --on {on}"
        ready = "cohort" if on is None else f"cohort train project3 --on {on} --dry-run"
        typer.echo(f"next: repair what failed, then: {again}" if failed else f"next: {ready}")
    raise typer.Exit(4 if failed else 0)


def _place(name: str) -> Iterator[Probe]:
    """What is missing at a place, or that nothing is."""
    from cohort_cli.launching import places
    from cohort_cli.probes import Probe

    place = places.find(name)
    problems = place.check(None)
    for problem in problems:
        yield Probe(name, "fail", problem.what, problem.repair)
    if not problems:
        yield Probe(name, "ok", place.says)


def _hello(as_json: bool) -> None:
    from cohort_cli.hello import hello, line

    found = hello()
    if as_json:
        typer.echo(json.dumps({"schema": "cohort.hello/1", **found}, indent=1))
        return
    typer.echo(line(found))
    typer.echo("next: paste that line into the group's chat, then: cohort self-check")
