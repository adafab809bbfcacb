"""Which GPUs hold a job, for how many hours, at which cost, and the line that sends it there.

    offers, small = compare(config, gpus, prices)
    for line in lines(config, offers, small, prices, project): ...

Every number is `plan`'s: memory, speed and their sources stand in gpus.py. Prices are the member's own words, since
they change every week and differ by place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from cohort_cli.errors import UsageError
from cohort_cli.launching import hf
from cohort_cli.prose import wrap
from cohort_cli.training import gpus as kinds
from cohort_cli.training import machines, plan
from cohort_cli.training.config import Config
from cohort_cli.training.plan_text import duration, size

SCHEMA = "cohort.gpus/1"
SPARE = 1.25  # of the planned time: the utilisation is assumed
START_HOURS = 0.5  # installing, fetching the data
HOSTED = ("t4", "l4", "a100-40", "a100")  # what hosted notebooks have, when they have one
HOSTED_HOURS = 12  # that a session lasts at most: https://research.google.com/colaboratory/faq.html


class Offer(NamedTuple):
    key: str  # of gpus.GPUS, as --gpu-type takes it
    plan: plan.Plan
    price: float | None  # of one GPU for one hour

    @property
    def hours(self) -> float:
        return self.plan.seconds / 3600

    @property
    def walltime(self) -> int:
        """Whole hours to ask for."""
        return math.ceil(self.hours * SPARE + START_HOURS)


class Small(NamedTuple):
    key: str
    why: str


def prices_of(text: str) -> dict[str, float]:
    """ "h100=2.5,l4=0.8" -> {"h100": 2.5, "l4": 0.8}. Raises UsageError."""
    found = {}
    for word in filter(None, text.split(",")):
        name, _, number = word.partition("=")
        try:
            price = float(number)
        except ValueError:
            price = -1.0
        if not 0 <= price < math.inf:
            raise UsageError(f"--prices {word!r} is no price.", "For example: --prices h100=2.5,l4=0.8")
        found[_key(name)] = price
    return found


def compare(
    config: Config, count: int | None, prices: dict[str, float], utilisation: float | None = None
) -> tuple[list[Offer], list[Small]]:
    """(the kinds that hold this job, cheapest first, or else by their memory; the others, and why not)."""
    offers, small = [], []
    for key, gpu in kinds.GPUS.items():
        machine = machines.machine_for(
            config, key, count or (8 if config.hardware.parallel == "fsdp" else 1), utilisation
        )
        made = plan.make(config, machine, prices.get(key))
        if config.hardware.precision == "bfloat16" and not gpu.bf16:
            small.append(Small(key, "no bfloat16"))
        elif not made.fits:
            small.append(Small(key, f"{gpu.memory / 1e9:.0f} GB"))
        else:
            offers.append(Offer(key, made, prices.get(key)))
    return sorted(offers, key=_order), small


def _order(offer: Offer) -> tuple[float, float, float]:
    cost = offer.plan.cost
    return (math.inf if cost is None else cost, offer.plan.machine.memory, offer.hours)


def lines(
    config: Config, offers: list[Offer], small: list[Small], project: str, preset: str
) -> Iterator[str]:
    if not offers:
        yield from wrap(
            f"No kind of GPU that the kit knows holds {config.preset}: {_small(small)}.", rest="  "
        )
        return
    count = offers[0].plan.machine.devices
    yield from wrap(f"{config.preset}: {config.title}")
    yield from wrap(
        f"Kinds of GPU that hold {'it' if count == 1 else f'it with {count} of them'}; time at "
        f"{offers[0].plan.machine.utilisation:.0%} of the peak, which is assumed."
    )
    if config.hardware.device != "cuda":
        yield from wrap(
            f"It does not ask for a GPU. On this computer: cohort plan {project} --preset {preset}"
        )
    yield ""
    yield f"{'--gpu-type':<11}{'memory':>8}{'needed':>9}{'time':>11}{'GPU-hours':>11}{'price':>8}{'cost':>9}"
    for offer in offers:
        made = offer.plan
        memory, needed = f"{made.machine.memory / 1e9:.0f} GB", f"{made.memory_bytes / 1e9:.1f} GB"
        price = "-" if offer.price is None else f"{offer.price:.2f}"
        cost = "-" if made.cost is None else f"{made.cost:,.2f}"
        time = duration(made.seconds)
        yield f"{offer.key:<11}{memory:>8}{needed:>9}{time:>11}{_hours(offer.hours * count):>11}{price:>8}{cost:>9}"
    if small:
        yield from wrap(f"not: {_small(small)}", rest="     ")
    yield ""
    yield from _interruptions(config, offers[0])
    yield ""
    yield from _sending(offers, project, preset)


def _interruptions(config: Config, offer: Offer) -> Iterator[str]:
    run, made = config.run, offer.plan
    steps = made.seconds / config.schedule.steps * run.checkpoint_every / 60
    minutes = min(run.checkpoint_minutes, steps)
    lost = "less than a minute" if minutes < 1 else f"at most {minutes:.0f} min"
    yield from wrap(
        f"An interruption costs {lost} of work on {offer.key}: every {run.checkpoint_every:,} steps, or after "
        f"{run.checkpoint_minutes:.0f} min, a checkpoint of {size(made.checkpoint_bytes)} is saved."
    )


def _sending(offers: list[Offer], project: str, preset: str) -> Iterator[str]:
    """The command for each place, for the first offer; for Hugging Face and notebooks the first that they have."""
    first, count = offers[0], offers[0].plan.machine.devices
    start = f"cohort train {project} --preset {preset} --on"
    yield f"send it ({SPARE} x the hours, and half an hour to begin):"
    yield f"  {start} here" + (f" --gpus {count}" if count > 1 else "")
    yield f"  {start} slurm --gpus {count} --walltime {first.walltime}h"
    yield from _rented(f"  {start} sky", first, count)
    if there := next((offer for offer in offers if (offer.key, count) in hf.FLAVORS), None):
        yield from _rented(f"  {start} hf", there, count)
    if count == 1 and any(offer.key in HOSTED and offer.hours < HOSTED_HOURS for offer in offers):
        yield f"  {start} notebook"


def _rented(start: str, offer: Offer, count: int) -> Iterator[str]:
    """With the cost cap that follows from the plan: what an hour may cost, for so many hours."""
    yield f"{start} --gpus {count} \\"
    cap = "" if offer.price is None else f" --max-usd-per-hour {offer.price * count:.2f}"
    yield f"      --gpu-type {offer.key} --walltime {offer.walltime}h{cap}"


def as_json(config: Config, offers: list[Offer], small: list[Small]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "preset": config.preset,
        "offers": [
            {
                "gpu": offer.key,
                "name": offer.plan.machine.name,
                "devices": offer.plan.machine.devices,
                "memory_bytes_there_are": round(offer.plan.machine.memory),
                "memory_bytes_total": round(offer.plan.memory_bytes),
                "seconds": offer.plan.seconds,
                "walltime_hours": offer.walltime,
                "price_per_device_hour": offer.price,
                "cost": offer.plan.cost,
                "source": kinds.GPUS[offer.key].source,
            }
            for offer in offers
        ],
        "not": [one._asdict() for one in small],
    }


def _small(small: list[Small]) -> str:
    return ", ".join(f"{one.key} ({one.why})" for one in small)


def _hours(hours: float) -> str:
    return (
        "<0.01"
        if hours < 0.01
        else f"{hours:.2f}"
        if hours < 10
        else f"{hours:,.1f}"
        if hours < 100
        else f"{hours:,.0f}"
    )


def _key(word: str) -> str:
    gpu = kinds.find(word)
    return next(key for key, one in kinds.GPUS.items() if one == gpu)
