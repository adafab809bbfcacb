"""What the organiser found out about an entry, in files beside the entries:

    showcase/measured/HANDLE-NAME.json      "cohort.measured/1": its model, measured on held-out text
    showcase/reproduced/HANDLE-NAME.json    "cohort.reproduced/1": its run, done again

A file counts for exactly the weights, the tokenizer and the configuration that it was made from. What cannot be read is
said and counts for nothing, so a slip of ours never confirms a claim.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli.showcase import contents, strict
from cohort_cli.showcase.entry import Entry
from cohort_cli.showcase.strict import Refused

MEASURED, REPRODUCED = "cohort.measured/1", "cohort.reproduced/1"
FOLDERS = {MEASURED: "measured", REPRODUCED: "reproduced"}
STATES = ("confirmed", "outside", "not comparable", "not claimed")
MOST = 64 * 1024  # bytes of such a file
_KEYS = ("schema", "entry", "model_sha256", "tokenizer_sha256", "text", "bits_per_byte", "loss", "tokens",
         "parameters", "claims", "kit", "measured_on")  # fmt: skip


class Claim(NamedTuple):
    claimed: float | None
    measured: float | None
    tolerance: float | None
    state: str  # one of STATES


class Measured(NamedTuple):
    text_name: str
    text_sha256: str
    bits_per_byte: float
    low: float  # the 95 % interval
    high: float
    loss: float  # nats per token
    tokens: int
    parameters: int
    claims: dict[str, Claim]
    day: str


class Reproduced(NamedTuple):
    got: dict[str, float]  # of validation_loss and bits_per_byte, what there is
    code: str  # whose: the organiser's (mine), or the kit's (reference)
    day: str
    steps: tuple[int, int] | None = None  # (done, of so many), where it was done shorter


class Known(NamedTuple):
    """About one entry. `stale`: there is a measurement, but of other weights."""

    measured: Measured | None = None
    stale: bool = False
    reproduced: Reproduced | None = None


def about(one: Entry, home: Path, say: Callable[[str], None]) -> Known:
    """`home`: the folder above the entries. `say` hears of files that cannot be read."""
    measured = _read(one, home, MEASURED, _measured, say)
    again = _read(one, home, REPRODUCED, _reproduced, say)
    stale = measured is not None and not measured[1]
    return Known(
        measured[0] if measured and measured[1] else None, stale, again[0] if again and again[1] else None
    )


def _read(
    one: Entry,
    home: Path,
    schema: str,
    reader: Callable[[dict[str, Any], Entry], tuple[Any, bool]],
    say: Callable[[str], None],
) -> tuple[Any, bool] | None:
    """What the file says, and whether it is about the entry as it is now."""
    path = home / FOLDERS[schema] / f"{one.folder}.json"
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > MOST:
            raise Refused("it is too large")
        table = strict.value(strict.text(path.read_bytes()))
        if not isinstance(table, dict) or table.get("schema") != schema:
            raise Refused(f"it does not say {schema}")
        if table.get("entry") != one.folder:
            raise Refused("it is about another entry")
        return reader(table, one)
    except (OSError, Refused) as why:
        reason = why.strerror if isinstance(why, OSError) else why
        say(f"passed over {FOLDERS[schema]}/{path.name}: {reason}")
        return None


def _measured(table: dict[str, Any], one: Entry) -> tuple[Measured, bool]:
    strict.table(table, _KEYS)
    for key in ("model_sha256", "tokenizer_sha256"):
        strict.words(table[key], key, contents.SHA256)
    text = strict.table(table["text"], ("name", "bytes", "sha256"))
    strict.words(text["sha256"], "sha256 of the text", contents.SHA256)
    share = strict.table(table["bits_per_byte"], ("value", "low", "high"))
    value, low, high = (strict.number(share[key], key) for key in ("value", "low", "high"))
    if not 0 <= low <= value <= high:
        raise Refused("the interval does not hold the value")
    if not isinstance(table["claims"], dict):
        raise Refused("claims is no object")
    found = Measured(
        strict.words(text["name"], "name of the text"),
        text["sha256"],
        value,
        low,
        high,
        strict.number(table["loss"], "loss"),
        strict.whole(table["tokens"], "tokens"),
        strict.whole(table["parameters"], "parameters"),
        {key: _claim(facts) for key, facts in table["claims"].items() if key in contents.CLAIMS},
        strict.words(table["measured_on"], "measured_on", r"\d{4}-\d\d-\d\d"),
    )
    return found, all(
        table[key] == one.head["files"].get(file, {}).get("sha256")
        for key, file in (("model_sha256", "model.safetensors"), ("tokenizer_sha256", "tokenizer.json"))
    )


def _claim(facts: Any) -> Claim:
    strict.table(facts, ("claimed", "measured", "tolerance", "state"))
    claimed, found, tolerance = (
        None if facts[key] is None else strict.number(facts[key], key)
        for key in ("claimed", "measured", "tolerance")
    )
    if facts["state"] not in STATES:
        raise Refused("a claim has a state that there is not")
    return Claim(claimed, found, tolerance, facts["state"])


def _reproduced(table: dict[str, Any], one: Entry) -> tuple[Reproduced, bool]:
    """Only what a page shows is looked at."""
    got = {}
    for key in ("validation_loss", "bits_per_byte"):
        facts = table.get(key)
        if isinstance(facts, dict) and facts.get("got") is not None:
            got[key] = strict.number(facts["got"], key)
    if table.get("code") not in ("mine", "reference"):
        raise Refused("code is neither mine nor reference")
    day = strict.words(table.get("reproduced_on"), "reproduced_on", r"\d{4}-\d\d-\d\d")
    same = table.get("config_sha256") == one.head["files"].get("config.json", {}).get("sha256")
    return Reproduced(got, table["code"], day, shorter(table)), same


def shorter(table: dict[str, Any]) -> tuple[int, int] | None:
    """(steps that were done, steps of its maker), if they differ: then the numbers are not of the same run."""
    steps = table.get("steps")
    if not isinstance(steps, dict) or steps.get("got") == steps.get("claimed"):
        return None
    return strict.whole(steps.get("got"), "steps"), strict.whole(steps.get("claimed"), "steps")
