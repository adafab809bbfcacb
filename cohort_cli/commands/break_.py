"""`cohort break`: a run with a secret fault. What is wrong with it?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cohort_cli.training.breaking.game import Seen


def break_(
    experiment: Annotated[
        str, typer.Argument(metavar="[NUMBER|NAME]", help="Which one; without: how to play.")
    ] = "",
    honest: Annotated[bool, typer.Option("--honest", help="Add the honest loss: a hint.")] = False,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Name the fault, explain it, and compare with the right run.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Chance: the first weights and the batches.", min=0)] = 1,
    steps: Annotated[int, typer.Option(help="Steps of training; fewer show less.", min=1, max=100_000)] = 500,
    again: Annotated[bool, typer.Option("--again", help="Train anew, even if it was kept.")] = False,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the curve as a picture.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """A game: train a small GPT that has a secret fault, and find it from its curve.

    A number stands for a fault, or for none. It trains once; later looks, --honest and --reveal read
    what was kept. --reveal also trains the right run, once. NAME is for who prepares a meeting.

    $ cohort break 1
    experiment  1, seed 1, 500 steps
    nats per character
    …
    training    …, the mean of the last 20 steps
    reported    …, the validation loss at the end
    sample
      | The …
    next: cohort break 1 --honest      (a hint; --reveal names it)
    """
    from cohort_cli.bars import bar
    from cohort_cli.training.breaking import game

    if not experiment:
        _rules(as_json)
        return
    number = game.number_of(experiment)
    with bar() as tell:
        seen = game.play(number, seed, steps, tell, again=again)
        right = game.play(game.RIGHT, seed, steps, tell, again=again) if reveal else None
        tell("", 0, 0)
    if svg is not None:
        _draw(svg, f"Experiment {number}, seed {seed}", seen, right)
    if as_json:
        table = {"schema": game.SCHEMA, "number": number, "seed": seed, "steps": steps}
        typer.echo(json.dumps({**table, **_table(seen, number, honest, right)}))
        return
    for line in _lines(seen, number, seed, steps, honest, right):
        typer.echo(line)
    if svg is not None:
        typer.echo(f"picture     {svg}")
    options = "".join(
        [f" --seed {seed}" if seed != 1 else "", f" --steps {steps}" if steps != game.STEPS else ""]
    )
    if right is not None:
        typer.echo(f"next: cohort break {number % len(game.order()) + 1}")
    elif honest:
        typer.echo(f"next: cohort break {number}{options} --reveal")
    else:
        typer.echo(f"next: cohort break {number}{options} --honest      (a hint; --reveal names it)")


def _rules(as_json: bool) -> None:
    from cohort_cli.prose import wrap_markdown
    from cohort_cli.training.breaking import game, show

    count = len(game.order())
    if as_json:
        typer.echo(json.dumps({"schema": game.SCHEMA, "numbers": count}))
        return
    typer.echo(wrap_markdown(show.HOW))
    typer.echo(f"\nThe numbers go from 1 to {count}. next: cohort break 1")


def _lines(seen: Seen, number: int, seed: int, steps: int, honest: bool, right: Seen | None) -> list[str]:
    from cohort_cli.training.breaking import game, show
    from cohort_cli.training.live import row

    lines = row("experiment", f"{number}, seed {seed}, {steps:,} steps")
    lines += [*show.curve(seen, right), *show.values(seen)]
    if honest or right is not None:
        lines += show.honest(seen)
    lines += show.sample(seen)
    if right is not None:
        lines += ["", *show.reveal(game.fault_of(number), seen, right, steps == game.STEPS)]
    return lines


def _table(seen: Seen, number: int, honest: bool, right: Seen | None) -> dict[str, Any]:
    """The name and the right run only if it was revealed, the honest loss only if it was asked for."""
    from cohort_cli.training.breaking import game

    found = {**seen._asdict(), **game.baselines()._asdict()}
    if not honest and right is None:
        del found["honest"]
    if right is not None:
        found["fault"] = game.fault_of(number)._asdict()
        found["right"] = right._asdict()
    return found


def _draw(path: Path, title: str, seen: Seen, right: Seen | None) -> None:
    from cohort_cli.training import disk, guards
    from cohort_cli.training.breaking import show

    try:
        disk.replace_bytes(path.absolute(), show.picture(title, seen, right).encode())
    except OSError as error:
        raise guards.disk_trouble(error, str(path)) from None
