"""Measures an entry's model on a text:  python -m cohort_cli.showcase.verifying ENTRY WINDOW FIRST [TEXT_FILE]

WINDOW: tokens in a row, as in the run's own evaluation. FIRST: so many tokens its evaluation scored; 0 for all.
Events on standard output, one per line: {"event": "progress", "done", "of"} now and then, then one of
{"event": "result", …}, {"event": "refused", "reason"} (the entry's fault) and {"event": "error", …} (ours).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cohort_cli.errors import CohortError
from cohort_cli.showcase import entry, scoring, untrusted
from cohort_cli.showcase.held_out import Text, held_out
from cohort_cli.showcase.strict import Refused
from cohort_cli.training.stop import die_with_parent

LEAST = 1000  # scored tokens; fewer say nothing
EVERY = 2.0  # seconds between two events of progress


def measure(
    files: dict[str, bytes], text: Text, window: int, first: int, tell: Callable[[int, int], None]
) -> dict[str, Any]:
    """All that is measured. Raises Refused with what is wrong with the entry."""
    model, parameters, length = untrusted.model_of(files["model.safetensors"], window)
    ids, sizes = untrusted.encode(files["tokenizer.json"], text.text)
    known: Any = model
    if max(ids) >= known.wte.weight.size(0):
        raise Refused("tokenizer.json: it has tokens that the network does not know")
    if len(ids) - 1 < LEAST:
        raise Refused(f"the text is only {len(ids):,} of its tokens; {LEAST:,} are needed")
    nats = scoring.score(model, ids, length, lambda done: tell(done, len(ids) - 1))
    counted = np.array(sizes[1:])  # the first token is never predicted, so its bytes do not count
    low, high = scoring.interval(nats, counted)
    same = nats[: math.ceil(first / length) * length] if first else nats
    return {
        "model_sha256": hashlib.sha256(files["model.safetensors"]).hexdigest(),
        "tokenizer_sha256": hashlib.sha256(files["tokenizer.json"]).hexdigest(),
        "bits_per_byte": {"value": scoring.bits_per_byte(nats, counted), "low": low, "high": high},
        "loss": float(nats.mean()),
        "tokens": len(nats),
        "parameters": parameters,
        # by the very rule of a run's own evaluation: its windows, and bytes per token of the whole text
        "as_training": {
            "validation_loss": float(same.mean()),
            "bits_per_byte": float(same.mean()) / math.log(2) * len(ids) / text.bytes,
        },
    }


def main(words: list[str]) -> int:
    die_with_parent()
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no event
    last = time.monotonic()

    def say(**event: Any) -> None:
        print(json.dumps(event, allow_nan=False), file=events, flush=True)

    def tell(done: int, of: int) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            say(event="progress", done=done, of=of)

    try:
        text = held_out(Path(words[3]) if len(words) > 3 else None)
        one = entry.load(Path(words[0]))
        say(event="result", **measure(one.files, text, int(words[1]), int(words[2]), tell))
    except Refused as why:
        say(event="refused", reason=str(why))
    except CohortError as trouble:
        say(event="error", message=trouble.message, repair=trouble.repair, exit=trouble.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
