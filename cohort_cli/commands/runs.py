"""`cohort runs`: what was trained, how it went, how two runs compare, and what can go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cohort_cli.training.runs import RunFolder

HELP = """The runs that `cohort train` leaves behind.

$ cohort runs list
NAME                              STATE         STEP   BEST
project3-smoke-20261126-190500    done       300/300   1.4885
next: cohort runs show project3-smoke-20261126-190500
"""
NAME_COLUMNS = 34
Name = Annotated[str, typer.Argument(metavar="NAME", help="A run's name or folder; see: cohort runs list")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value and nothing else.")]

app = typer.Typer(help=HELP, no_args_is_help=True)


@app.command(name="list")
def list_all(as_json: Json = False) -> None:
    """List the runs, newest first, with their lowest validation loss, and where they were sent.

    $ cohort runs list
    NAME                              STATE         STEP   BEST
    project3-smoke-20261126-190500    done       300/300   1.4885
    next: cohort runs show project3-smoke-20261126-190500
    """
    from cohort_cli.prose import clean
    from cohort_cli.training.places import runs_home
    from cohort_cli.training.runs import all_runs

    home = runs_home()
    rows = [_facts(run) for run in all_runs(home)]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    if not rows:
        typer.echo(f"There is no run in {clean(str(home))} yet.\nnext: cohort train project3 --smoke")
        return
    sent = any(row["place"] for row in rows)
    typer.echo(f"{'NAME':<{NAME_COLUMNS}}{'STATE':<8} {'STEP':>15}   BEST" + "     PLACE" * sent)
    for row in rows:
        name = clean(row["name"])
        if len(name) >= NAME_COLUMNS:  # a name is typed again, so it is never cut
            typer.echo(name)
            name = ""
        best = "-" if row["best"] is None else f"{row['best']:.4f}"
        step = f"{row['step']}/{row['steps']}"
        line = f"{name:<{NAME_COLUMNS}}{clean(row['state']):<8} {step:>15}   {best:<9}{clean(row['place'])}"
        typer.echo(line.rstrip())
    typer.echo(f"next: cohort runs show {clean(rows[0]['name'])}")


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show one run: its state, curve, checkpoints, and the newest sample.

    $ cohort runs show project3-smoke-20261126-190500
    run         runs/project3-smoke-20261126-190500
    title       Characters of Python's documentation, in under a minute
    state       done, step 300 of 300
    validation  1.4885 nats per token (bigram counts on the same text: 2.3160)
    …
    next: cohort generate project3-smoke-20261126-190500
    """
    from cohort_cli.prose import clean
    from cohort_cli.training import kept, live

    run = _find(name)
    facts, config = _facts(run), run.config()
    there = kept.checkpoints(run)
    if as_json:
        checkpoints = [{**one._asdict(), "path": str(one.path)} for one in there]
        typer.echo(json.dumps({**facts, "checkpoints": checkpoints, "environment": run.read_environment()}))
        return
    state = f"{facts['state']}, step {facts['step']:,} of {facts['steps']:,}"
    lines = live.row("run", str(run.root)) + live.row("title", config.title) + live.row("state", state)
    if facts["place"]:
        lines += live.row("place", ": ".join(filter(None, (facts["place"], facts["place_says"]))))
    if facts["message"]:
        lines += live.row("message", facts["message"])
    lines += live.row("parts", ", ".join(run.parts()) + " yours" if run.parts() else "the kit's own")
    lines += live.summary(run) + _curve(run)
    for one in there:
        words = one.problem or ("best" if one == kept.best(there) else "")
        lines += live.row("checkpoint", f"step {one.step:,}, {one.bytes / 1e6:,.1f} MB {words}")
    if samples := run.read_samples():
        lines += live.row("sample", live.cut(live.one_line(" > ".join(live.said(samples[-1]))), 300))
    if run.report_path.is_file():
        lines += live.row("report", str(run.report_path))
    for line in lines:
        typer.echo(clean(line))
    typer.echo(_next(run, facts))


@app.command()
def compare(
    names: Annotated[list[str], typer.Argument(metavar="A B...", help="Two runs or more.")],
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw the curves into this file as well.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare runs: curves in the terminal, what each reached, and in what they differ.

    Runs with different tokenizers are compared by bits per byte.

    $ cohort runs compare gpt2 modern
    validation_loss (nats per token)
    4.3 |*
    …
    model.recipe: gpt2 | modern
    next: cohort runs compare gpt2 modern --figure compare.svg
    """
    from cohort_cli.errors import UsageError
    from cohort_cli.prose import clean
    from cohort_cli.training import comparing, disk

    runs = [_find(name) for name in names]
    if len({run.root for run in runs}) < max(2, len(runs)):
        raise UsageError("compare needs two different runs or more.", "cohort runs list")
    found = comparing.compare(runs)
    if as_json:
        table = {"key": found.key, "unit": found.unit, "runs": comparing.results(found)}
        typer.echo(json.dumps({**table, "differences": comparing.differences(found)}))
    else:
        for line in comparing.text(found):
            typer.echo(line)
    if figure is not None:
        try:
            disk.replace_bytes(figure.absolute(), comparing.figure(found).encode())
        except OSError as error:
            raise UsageError(f"{figure} cannot be written: {error.strerror}.", "Name another file.") from None
    if as_json:
        return
    words = " ".join(clean(name) for name in names)
    drawn = f"next: open {figure}" if figure else f"next: cohort runs compare {words} --figure compare.svg"
    typer.echo(clean(drawn))


@app.command()
def stop(
    name: Name,
    wait: Annotated[float, typer.Option(help="Seconds to wait until it has ended.", min=0)] = 120.0,
) -> None:
    """Ask a run to save and stop, from any terminal, and wait until it has.

    $ cohort runs stop project3-laptop-20261126-190500
    stopped     at step 1,240
    next: cohort train project3 --resume --name project3-laptop-20261126-190500
    """
    import time

    from cohort_cli.errors import CohortError
    from cohort_cli.launching import jobs
    from cohort_cli.training import live

    run = _find(name)
    if jobs.is_active(run):
        jobs.cancel(run)
        end = time.monotonic() + wait
        while jobs.is_active(run):
            if time.monotonic() > end:
                trouble = CohortError(
                    f"{run.root.name} was asked to stop, and has not ended after {wait:.0f} seconds.",
                    "It finishes its micro-batch and saves first. Look again: cohort runs list",
                )
                trouble.exit_code = 7
                raise trouble
            time.sleep(0.2)
    facts = _facts(run)
    for line in live.row(facts["state"], f"at step {facts['step']:,}"):
        typer.echo(line)
    typer.echo(_next(run, facts))


@app.command()
def logs(
    name: Name,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
) -> None:
    """Print what a job said, wherever it runs.

    $ cohort runs logs project3-laptop-20261126-190500 --follow
    training    835,584 parameters, 2,000 steps, cpu, float32
    validation  step 0: loss 4.6151, 6.6582 bits per byte, perplexity 101.00
    …
    next: cohort runs show project3-laptop-20261126-190500
    """
    from cohort_cli.launching import jobs
    from cohort_cli.prose import clean

    run = _find(name)
    for line in jobs.logs(run, follow):
        typer.echo(clean(line))
    typer.echo(_next(run, _facts(run)))


@app.command()
def fetch(name: Name) -> None:
    """Bring the files of a run here from the place that it was sent to.

    $ cohort runs fetch project3-gpu1-20261126-190500
    fetched     12 files from slurm
    next: cohort runs show project3-gpu1-20261126-190500
    """
    from cohort_cli.launching import jobs
    from cohort_cli.prose import clean
    from cohort_cli.training import live

    run = _find(name)
    place, files = jobs.fetch(run)
    said = (
        f"{len(files)} file{'' if len(files) == 1 else 's'} from {place}" if files else "everything is here"
    )
    for line in live.row("fetched", said):
        typer.echo(line)
    typer.echo(clean(f"next: cohort runs show {run.root.name}"))


@app.command()
def prune(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="These runs; all of them by default.")
    ] = None,
    days: Annotated[
        float, typer.Option(help="A whole run goes only if nothing was written for so long.", min=0)
    ] = 1.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without this, the plan is shown.")] = False,
) -> None:
    """Make room: remove old checkpoints, and runs that failed before they saved anything.

    A run keeps its newest whole checkpoint, its best one, and those that another run starts from. Every
    byte is read first, so that only whole checkpoints count.

    $ cohort runs prune
    would go    6.5 MB  spam/checkpoints/step-00000100
                neither the newest nor the best
    1 thing, 6.5 MB
    next: cohort runs prune --yes
    """
    from cohort_cli.prose import clean
    from cohort_cli.training import live, pruning
    from cohort_cli.training.places import runs_home
    from cohort_cli.training.runs import all_runs

    everybody = all_runs(runs_home())
    runs = [_find(name) for name in names] if names else everybody
    removals = pruning.plan(runs, everybody, days)
    if not removals:
        typer.echo("There is nothing to remove.\nnext: cohort runs list")
        return
    for one in removals:
        place = one.path.relative_to(one.run.root.parent).as_posix()
        size = f"{one.bytes / 1e6:,.1f} MB"
        for line in [*live.row("goes" if yes else "would go", f"{size}  {place}"), *live.row("", one.why)]:
            typer.echo(line)
    total = f"{sum(one.bytes for one in removals) / 1e6:,.1f} MB"
    things = f"{len(removals)} thing{'' if len(removals) == 1 else 's'}"
    if not yes:
        typer.echo(f"{things}, {total}")
        typer.echo(clean(" ".join(["next: cohort runs prune", *(names or []), "--yes"])))
        return
    done = pruning.carry_out(removals)
    typer.echo(f"{done} of {things} removed, {total}")
    typer.echo("next: cohort runs list")


# --- inside ----------------------------------------------------------------------------------------------------


def _find(name: str) -> RunFolder:
    from cohort_cli.training.places import runs_home
    from cohort_cli.training.runs import RunFolder, find_run

    if Path(name).is_dir() and not (runs_home() / name).is_dir():
        return RunFolder.open(Path(name))
    return find_run(runs_home(), name)


def _facts(run: RunFolder) -> dict[str, Any]:
    """What a list shows; a run whose status is damaged is still listed."""
    from cohort_cli.errors import CohortError
    from cohort_cli.launching import jobs
    from cohort_cli.training.live import number

    try:
        status = run.read_status()._asdict()
        config = run.config()
    except CohortError as trouble:
        return {"name": run.root.name, "state": "damaged", "step": 0, "steps": 0, "message": trouble.message,
                "best": None, "created": run.created(), "place": "", "place_says": ""}  # fmt: skip
    losses = [loss for row in run.read_metrics() if (loss := number(row, "validation_loss")) is not None]
    facts: dict[str, Any] = {"name": run.root.name, "path": str(run.root)}
    facts |= {"project": run.project(), "preset": config.preset}
    facts |= {"task": config.task, "created": run.created(), "best": min(losses, default=None)}
    seen = jobs.look(run, status["state"])
    return facts | status | {"state": seen.state, "place": seen.place, "place_says": seen.says}


def _curve(run: RunFolder) -> list[str]:
    """The losses as a small drawing."""
    from cohort_cli.prose import width
    from cohort_cli.training import curves_text
    from cohort_cli.training.report import points

    rows = run.read_metrics()
    curves = {"training": points(rows, "loss"), "validation": points(rows, "validation_loss")}
    if sum(map(len, curves.values())) < 2:
        return []
    return ["", *curves_text.plot(curves, width(), 10, "step", "loss"), ""]


def _next(run: RunFolder, facts: dict[str, Any]) -> str:
    from cohort_cli.prose import clean

    name, state = run.root.name, facts["state"]
    if state in ("running", "waiting"):
        return clean(f"next: cohort runs stop {name}")
    if state == "gone":
        return clean(f"next: cohort runs fetch {name}")
    if state in ("stopped", "killed", "new", "failed"):
        return clean(f"next: cohort train {run.project()} --resume --name {name}")
    return clean(f"next: cohort generate {name}")
