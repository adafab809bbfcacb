"""`cohort plan PROJECT`: what a training job will need, before anything runs."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cohort_cli.catalog import Project
    from cohort_cli.training.config import Config
    from cohort_cli.training.plan import Plan

SCHEMA = "cohort.plan/1"


def plan(
    project: Annotated[str, typer.Argument(help="For example project3.")],
    preset: Annotated[
        str | None,
        typer.Option(
            help="A preset of the project, or a TOML file of your own. Without it: a list.", metavar="NAME"
        ),
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(help="For example h100, a100, l4, rtx4090; cpu is this computer.", metavar="NAME"),
    ] = None,
    gpus: Annotated[int | None, typer.Option(help="How many of them.", min=1, metavar="N")] = None,
    utilisation: Annotated[
        float | None,
        typer.Option(
            help="Share of the peak that training reaches, from 0 to 1.", min=0.001, max=1.0, metavar="SHARE"
        ),
    ] = None,
    price: Annotated[
        float | None, typer.Option(help="Of one GPU for one hour, for the cost.", min=0.0, metavar="AMOUNT")
    ] = None,
    places: Annotated[
        bool,
        typer.Option("--places", help="Compare the kinds of GPU that hold it, and say how to send it there."),
    ] = False,
    prices: Annotated[
        str | None,
        typer.Option(help="With --places: of one GPU of a kind for one hour.", metavar="h100=2.5,l4=0.8"),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Change one number of the preset. Again for more.", metavar="SECTION.KEY=VALUE"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Say what a job needs: parameters, FLOPs, memory, hours, disk and cost. Nothing runs.

    Without --gpu: this computer's CPU, or one H100 (eight, with FSDP) for a preset that asks for CUDA.

    $ cohort plan project3 --preset gpu8-1.5b --price 2.5
    …
    memory of each GPU
    …
    next: cohort train project3 --preset gpu8-1.5b
    """  # fmt: skip
    from cohort_cli.catalog import find_project
    from cohort_cli.errors import UsageError
    from cohort_cli.training import machines
    from cohort_cli.training import plan as plans
    from cohort_cli.training.config import load_preset
    from cohort_cli.training.presets import preset_path

    found = find_project(project)
    for option, value in (("--price", price), ("--utilisation", utilisation)):
        if value is not None and not 0 <= value < math.inf:
            raise UsageError(f"{option} {value} is not a number of 0 or more.", f"For example: {option} 0.4")
    if preset is None:
        if as_json:
            raise UsageError("--json needs a preset.", f"cohort plan {found.id} --preset NAME --json")
        _list(found)
        return
    config = load_preset(preset_path(found, preset), settings or [])
    if places or prices is not None:
        _refuse_with_places({"--gpu": gpu, "--price": price})
        _places(config, found, preset, gpus, prices or "", utilisation, as_json)
        return
    made = plans.make(config, machines.machine_for(config, gpu, gpus, utilisation), price)
    if as_json:
        typer.echo(json.dumps(_as_json(made, price)))
        return
    from cohort_cli.training.plan_text import lines

    for line in lines(made, price):
        typer.echo(line)
    typer.echo(f"next: {_next(made, found, preset, settings or [])}")


def _refuse_with_places(given: dict[str, Any]) -> None:
    from cohort_cli.errors import UsageError

    for option, value in given.items():
        if value is not None:
            raise UsageError(
                f"{option} is about one kind of GPU; --places compares all.", "--prices h100=2.5,l4=0.8"
            )


def _places(
    config: Config,
    project: Project,
    preset: str,
    count: int | None,
    prices: str,
    utilisation: float | None,
    as_json: bool,
) -> None:
    from cohort_cli.launching import find_gpu

    offers, small = find_gpu.compare(config, count, find_gpu.prices_of(prices), utilisation)
    if as_json:
        typer.echo(json.dumps(find_gpu.as_json(config, offers, small)))
        return
    for line in find_gpu.lines(config, offers, small, project.id, preset):
        typer.echo(line)
    if offers:
        first = offers[0]
        more = f" --gpus {first.plan.machine.devices}" if first.plan.machine.devices > 1 else ""
        typer.echo(f"next: cohort plan {project.id} --preset {preset} --gpu {first.key}{more}")
    else:
        typer.echo(f"next: cohort plan {project.id} --preset {preset} --places --gpus {(count or 1) * 2}")


def _list(project: Project) -> None:
    from cohort_cli.errors import UsageError
    from cohort_cli.prose import clean
    from cohort_cli.training.config import load_preset
    from cohort_cli.training.presets import presets

    known = presets(project)
    if not known:
        raise UsageError(f"{project.id} has no presets.", "Project 3 has: cohort plan project3")
    configs = {name: load_preset(path) for name, path in known.items()}
    width = max(map(len, known))
    names = sorted(
        known, key=lambda name: (not name.endswith("smoke"), name)
    )  # what runs anywhere comes first
    for name in names:
        typer.echo(f"{name:<{width}}  {clean(configs[name].title)}")
    following = "smoke" if "smoke" in known else names[0]
    typer.echo(f"next: cohort plan {project.id} --preset {following}")


def _next(plan: Plan, project: Project, preset: str, settings: list[str]) -> str:
    """Train it, or plan again with what would fit."""
    own = "".join(f" --set {word}" for word in settings)
    if plan.fits:
        return f"cohort train {project.id} --preset {preset}{own}"
    if plan.advice:
        return f"cohort plan {project.id} --preset {preset}{own} {plan.advice[0].words}"
    return f"cohort plan {project.id}"


def _as_json(plan: Plan, price: float | None) -> dict[str, Any]:
    """Every key says its unit."""
    import cohort_cli

    config, machine = plan.config, plan.machine
    return {
        "schema": SCHEMA,
        "kit": cohort_cli.__version__,
        "preset": config.preset,
        "task": config.task,
        "device": machine.name,
        "devices": machine.devices,
        "parallel": machine.parallel,
        "vocab_size": plan.vocab_size,
        "parameters": plan.parameters.total,
        "trained_parameters": plan.trained,
        "steps": config.schedule.steps,
        "tokens_per_step": plan.tokens_per_step,
        "tokens": plan.tokens,
        "flops_per_token": plan.flops_per_token,
        "flops": plan.flops + plan.evaluation_flops,
        "peak_flops_per_second": machine.peak,
        "utilisation": machine.utilisation,
        "tokens_per_second": plan.tokens_per_second,
        "seconds": plan.seconds,
        "memory_bytes": {part.name: round(part.bytes) for part in plan.memory},
        "memory_bytes_total": round(plan.memory_bytes),
        "memory_bytes_there_are": round(machine.memory),
        "fits": plan.fits,
        "largest_micro_sequences": plan.largest_micro_batch,
        "advice": [advice._asdict() for advice in plan.advice],
        "checkpoint_bytes": round(plan.checkpoint_bytes),
        "checkpoints": plan.checkpoints,
        "token_bytes": round(plan.token_bytes),
        "price_per_device_hour": price,
        "cost": plan.cost,
        "notes": list(plan.notes),
    }
