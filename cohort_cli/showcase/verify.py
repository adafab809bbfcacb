"""The organiser's own measurement of entries: a process for each, limited in time and memory, a file for each result.

No member's code runs. What is measured replaces what is claimed; a claim that is too far from it is named. The file is
`measured/HANDLE-NAME.json` beside the folder of entries, "cohort.measured/1", written whole after each entry.
"""

from __future__ import annotations

import contextlib
import json
import math
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli import __version__
from cohort_cli.bars import Progress
from cohort_cli.errors import CohortError
from cohort_cli.prose import clean
from cohort_cli.showcase import entry, places
from cohort_cli.showcase.entry import Entry
from cohort_cli.showcase.held_out import EMBEDDED, Text
from cohort_cli.showcase.strict import Refused
from cohort_cli.training import corpus, disk, launch
from cohort_cli.training.guards import disk_trouble

SCHEMA = "cohort.measured/1"
PROCESS = "cohort_cli.showcase.verifying"
SECONDS = 1800  # for one entry
MEMORY = 4 * 1024**3  # bytes for one entry
LOOK = 0.2  # seconds between two looks at its memory
TOLERANCE = 0.02  # nats per token, or bits per byte
MOST_TOLERANCE = 0.05  # where int8 itself is said to cost more
CONFIRMED, OUTSIDE, NOT_COMPARABLE, NOT_CLAIMED = "confirmed", "outside", "not comparable", "not claimed"
NO_MODEL, REFUSED = "no model", "not measured"


class Outcome(NamedTuple):
    entry: str
    state: str  # the worst of its claims' states, or one of the last two
    record: dict[str, Any]  # "cohort.measured/1"; empty where nothing was measured
    says: str = ""  # why not, or what is to be known about it
    again: bool = True  # whether it was measured now

    @property
    def is_bad(self) -> bool:
        return self.state in (OUTSIDE, REFUSED)


def verify(
    folders: list[Path], home: Path, text: Text, file: Path | None, again: bool, tell: Progress
) -> Iterator[Outcome]:
    """What became of each, in turn. `file`: where `text` is from, if it is not the embedded one."""
    for folder in folders:
        name = clean(folder.resolve().name)
        path = places.beside(home, places.MEASURED, folder.resolve().name)
        one = None
        try:
            one = entry.load(folder)
            if "model.safetensors" not in one.files:
                yield Outcome(name, NO_MODEL, {}, "claimed, not measured")
                continue
            outcome = None if again else _before(one, text, path)
            yield outcome or _now(one, folder, text, file, path, tell)
        except Refused as why:
            if one is None or not current(read(path), one):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)  # what was measured before is no longer this entry's
            yield Outcome(name, REFUSED, {}, clean(str(why)))
        except OSError as error:
            raise disk_trouble(error, str(path)) from None


def _now(one: Entry, folder: Path, text: Text, file: Path | None, path: Path, tell: Progress) -> Outcome:
    config = one.parsed["config.json"]["config"]
    words = [str(folder.resolve()), str(config["batch"]["length"] or config["model"]["context"])]
    words += [str(config["run"].get("eval_tokens", 0)), *([str(file.resolve())] if file else [])]
    event = _measured(words, one.folder, tell)
    if event["model_sha256"] != _sha256(one, "model.safetensors") or event["tokenizer_sha256"] != _sha256(
        one, "tokenizer.json"
    ):
        raise Refused("it was changed while it was measured")
    comparable, note = comparison(one, text)
    record = {
        "schema": SCHEMA,
        "entry": one.folder,
        **{key: event[key] for key in ("model_sha256", "tokenizer_sha256")},
        "text": text.facts(),
        **{key: event[key] for key in ("bits_per_byte", "loss", "tokens", "parameters")},
        "claims": judged(one, event, comparable),
        "kit": __version__,
        "measured_on": date.today().isoformat(),
    }
    disk.make_folders(path.parent)
    disk.replace_bytes(path, (json.dumps(record, indent=1, allow_nan=False) + "\n").encode("ascii"))
    return Outcome(one.folder, state_of(record), record, note)


def _before(one: Entry, text: Text, path: Path) -> Outcome | None:
    """What was measured before, if nothing that it depends on has changed."""
    record = read(path)
    if not current(record, one) or record.get("kit") != __version__ or record.get("text") != text.facts():
        return None
    claims = {key: record["claims"][key]["claimed"] for key in record["claims"]}
    if any(one.head["claims"][key] != claimed for key, claimed in claims.items()):
        return None
    return Outcome(one.folder, state_of(record), record, comparison(one, text)[1], again=False)


def read(path: Path) -> dict[str, Any]:
    """A record; empty if there is none that can be read."""
    try:
        record = json.loads(path.read_bytes())
        return record if isinstance(record, dict) and record.get("schema") == SCHEMA else {}
    except (OSError, ValueError, RecursionError):
        return {}


def current(record: dict[str, Any], one: Entry) -> bool:
    """Whether it was measured on exactly the weights and the tokenizer that are in the entry now."""
    return (
        record.get("entry") == one.folder
        and record.get("model_sha256") == _sha256(one, "model.safetensors")
        and record.get("tokenizer_sha256") == _sha256(one, "tokenizer.json")
    )


def _sha256(one: Entry, name: str) -> str:
    return str(one.head["files"].get(name, {}).get("sha256"))


# --- claims ----------------------------------------------------------------------------------------------------


def comparison(one: Entry, text: Text) -> tuple[bool, str]:
    """(whether its maker measured on the same text, what is to be known about that)."""
    table = one.parsed["config.json"]
    config, theirs = table["config"], table.get("python")
    data = config["data"]
    if text.name != EMBEDDED or text.sha256 != Text(EMBEDDED, corpus.split(corpus.load())[1]).sha256:
        return False, ""
    if config["task"] != "pretrain" or data.get("source") != EMBEDDED:
        return False, "trained on another text than it is measured on"
    if theirs not in (None, platform.python_version()):
        return (
            False,
            f"trained with Python {theirs}, whose text is another one: it may have seen parts of this one",
        )
    if data.get("validation_share") != corpus.VALIDATION_SHARE or data.get("max_tokens"):
        return False, "it kept another part of the text for validation: it may have seen parts of this one"
    step, loss = one.parsed["model.json"].get("step"), one.head["claims"]["validation_loss"]
    steps = [row["step"] for row in one.parsed["metrics.jsonl"] if row.get("validation_loss") == loss]
    if loss is not None and step is not None and step not in steps:
        return False, f"what it claims is of step {steps[-1]:,}, and its weights are of another step"
    return True, ""


def judged(one: Entry, event: dict[str, Any], comparable: bool) -> dict[str, dict[str, Any]]:
    claims, found = one.head["claims"], {}
    parity = one.parsed["model.json"].get("parity")
    parity = parity if isinstance(parity, dict) else {}
    loss, rough = parity.get("loss"), parity.get("int8_loss")
    cost = rough - loss if isinstance(loss, int | float) and isinstance(rough, int | float) else 0.0
    same = event["as_training"]
    for key, unit in (
        ("bits_per_byte", same["bits_per_byte"] / same["validation_loss"]),
        ("validation_loss", 1.0),
    ):
        tolerance = min(max(TOLERANCE, cost * unit), MOST_TOLERANCE)
        found[key] = _judged(claims[key], same[key], tolerance, comparable)
    found["parameters"] = _judged(claims["parameters"], event["parameters"], 0, True)
    return found


def _judged(claimed: float | None, measured: float, tolerance: float, comparable: bool) -> dict[str, Any]:
    if claimed is None:
        state = NOT_CLAIMED
    elif not comparable:
        state = NOT_COMPARABLE
    else:
        state = CONFIRMED if abs(measured - claimed) <= tolerance else OUTSIDE
    return {"claimed": claimed, "measured": measured, "tolerance": tolerance, "state": state}


def state_of(record: dict[str, Any]) -> str:
    """The worst of its claims' states. The number of parameters alone confirms nothing."""
    states = {key: claim["state"] for key, claim in record["claims"].items()}
    if OUTSIDE in states.values():
        return OUTSIDE
    states.pop("parameters", None)
    return next((state for state in (CONFIRMED, NOT_COMPARABLE) if state in states.values()), NOT_CLAIMED)


# --- the process -----------------------------------------------------------------------------------------------


def _measured(words: list[str], name: str, tell: Progress) -> dict[str, Any]:
    """Its last event. Raises Refused for what is the entry's fault, CohortError for what is ours."""
    process = subprocess.Popen(
        [sys.executable, "-m", PROCESS, *words], env=launch.environment(1), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    too_much: list[str] = []
    said: list[str] = []
    threads = [
        threading.Thread(target=_watch, args=(process, too_much), daemon=True),
        threading.Thread(target=lambda: said.extend(process.stderr), daemon=True),  # type: ignore[arg-type]
    ]
    last: dict[str, Any] = {}
    try:
        for thread in threads:
            thread.start()
        for line in process.stdout:
            event = _event(line)
            if event.get("event") == "progress":
                tell(name[:30], int(event["done"]), int(event["of"]))
            elif event:
                last = event
        process.wait()
    finally:
        process.kill()
        process.wait()
        for thread in threads:
            thread.join()
        process.stdout.close()
        process.stderr.close()
        tell("", 0, 0)
    if last.get("event") == "result" and _is_sound(last):
        return last
    if last.get("event") == "error":
        trouble = CohortError(str(last["message"]), str(last["repair"]))
        trouble.exit_code = int(last["exit"])
        raise trouble
    why = last.get("reason") or "".join(too_much) or f"measuring it failed: {''.join(said).strip()[-200:]}"
    raise Refused(clean(str(why)).replace("\n", " "))


def _watch(process: subprocess.Popen[str], too_much: list[str]) -> None:
    """Kill it when it takes too long, or too much memory."""
    import psutil

    end = time.monotonic() + SECONDS
    with contextlib.suppress(psutil.Error):
        seen = psutil.Process(process.pid)
        while process.poll() is None:
            if time.monotonic() > end:
                too_much.append(f"measuring it takes longer than {SECONDS // 60} minutes")
            elif seen.memory_info().rss > MEMORY:
                too_much.append(f"measuring it takes more memory than {MEMORY // 1024**2:,} MiB")
            else:
                time.sleep(LOOK)
                continue
            process.kill()
            return


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) and "event" in event else {}


def _is_sound(event: dict[str, Any]) -> bool:
    numbers = [event["loss"], *event["bits_per_byte"].values(), *event["as_training"].values()]
    return all(math.isfinite(number) and number >= 0 for number in numbers)
