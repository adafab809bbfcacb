"""What `cohort showcase verify` says of each entry: a row of at most 80 columns, and below it what is to be known."""

from __future__ import annotations

from typing import Any

from cohort_cli.prose import clean, wrap
from cohort_cli.showcase.verify import OUTSIDE, Outcome
from cohort_cli.training.live import cut

HEAD = f"{'entry':<30} {'claimed':>8} {'measured':>8} {'95 %':>15}  state"


def lines(outcome: Outcome) -> list[str]:
    record = outcome.record
    if not record:
        return [row(outcome.entry, "-", "-", "-", outcome.state), *_note(outcome.says)]
    claim, found = record["claims"]["bits_per_byte"], record["bits_per_byte"]
    claimed = "-" if claim["claimed"] is None else f"{claim['claimed']:.4f}"
    between = f"{found['low']:.3f} to {found['high']:.3f}"
    notes = [_outside(key, one) for key, one in record["claims"].items() if one["state"] == OUTSIDE]
    shown = row(outcome.entry, claimed, f"{found['value']:.4f}", between, outcome.state)
    return [shown, *(line for note in [*notes, outcome.says] for line in _note(note))]


def row(entry: str, claimed: str, measured: str, between: str, state: str) -> str:
    return f"{cut(clean(entry), 30):<30} {claimed:>8} {measured:>8} {between:>15}  {state}"


def _outside(key: str, claim: dict[str, Any]) -> str:
    name = key.replace("_", " ")
    if key == "parameters":
        return f"{name}: claimed {claim['claimed']:,}, and the model has {claim['measured']:,}"
    return (
        f"{name}: claimed {claim['claimed']:.4f}, measured {claim['measured']:.4f} on the same text; "
        f"{claim['tolerance']:.3g} of difference is allowed"
    )


def _note(text: str) -> list[str]:
    return wrap(clean(text), "    ", "    ") if text else []
