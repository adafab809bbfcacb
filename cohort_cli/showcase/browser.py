"""A run's model for a web page:  python -m cohort_cli.showcase.browser RUN_FOLDER CHECKPOINT_FOLDER OUT_FOLDER

    OUT/model.safetensors   int8 matrices with a float32 scale for each row, vectors in float32; its header says
                            what the network is made of
    OUT/tokenizer.json      what turns text into ids; with the whole vocabulary
    OUT/model.json          "cohort.browser-model/1": sizes, checksums, and what was measured; written last

One event on standard output, as in training/play.py: {"event": "result", "live": true, "parity": {...}}, or with "live":
false and "reason" where there is no live demo. Then OUT has none of the three files. An "error" is something else: a
damaged checkpoint, or data that are not here.

A page must never show another model than the member's. So a model is only packed if assets/engine.js knows all that it
is made of, and if two numbers hold on held-out text: the architecture that the header names, computed in float32 from
the run's weights, gives the run's logits; and what is read back from the int8 file names the same next token.

B batch, T time (tokens), V = vocabulary size.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from cohort_cli.errors import CohortError
from cohort_cli.showcase.quantised import FORMAT, NoDemo, architecture, load, network, quantise
from cohort_cli.tokens import formats
from cohort_cli.training import disk, guards, job, play, seal
from cohort_cli.training.data import tokenizer as tokenizers
from cohort_cli.training.play import Played
from cohort_cli.training.runs import RunFolder

MODEL, TOKENIZER, CARD = "model.safetensors", "tokenizer.json", "model.json"
POSITIONS = 200  # of held-out text, or a few more: whole windows are compared
FLOAT_TOLERANCE = 1e-3  # between two ways to compute the same logits in float32
LEAST_AGREEMENT = 0.95  # share of positions where int8 and the run's weights name the same next token
LARGEST = 64 * 1024 * 1024  # bytes of model.safetensors


class Parity(NamedTuple):
    """What was measured, over `positions` of held-out text."""

    positions: int
    float_difference: (
        float  # the largest between two logits: the run's network, and the one that the header names
    )
    int8_difference: float  # the same for what the file holds
    int8_agreement: float  # share of positions with the same likeliest token
    loss: float  # nats per token, of the run's network
    int8_loss: float


def pack(played: Played, out: Path) -> Parity:
    """Write the three files, all or none. Raises NoDemo with the reason; then the folder has none of them, old ones
    neither."""
    disk.make_folders(out)
    _remove(out)  # the card goes first: what it described is about to be replaced
    try:
        text = tokenizer_text(played.task.tokenizer)
        flags, tensors = architecture(played)
        path = out / MODEL
        aside = out / f".{MODEL}.{os.getpid()}.tmp"
        try:
            disk.write_bytes(aside, quantise(flags, tensors))
            if (size := aside.stat().st_size) > LARGEST:
                raise NoDemo(f"the model has {size:,} bytes; a page holds up to {LARGEST:,}")
            parity = measure(played, network(flags, tensors), load(aside))
            disk.sync(aside)
            disk.rename(aside, path)
        finally:
            aside.unlink(missing_ok=True)
        disk.replace_bytes(out / TOKENIZER, text.encode("utf-8"))
        card = {
            "schema": FORMAT,
            "architecture": flags,
            "parameters": sum(tensor.numel() for tensor in tensors.values()),
            "step": played.step,
            "files": {
                name: {"bytes": (out / name).stat().st_size, "sha256": seal.sha256(out / name)}
                for name in (MODEL, TOKENIZER)
            },
            "parity": parity._asdict(),
            "allowed": {"float_difference": FLOAT_TOLERANCE, "int8_agreement": LEAST_AGREEMENT},
        }
        disk.replace_bytes(out / CARD, (json.dumps(card, indent=1, allow_nan=False) + "\n").encode())
    except BaseException as error:
        with contextlib.suppress(OSError):
            _remove(out)
        if isinstance(error, OSError):
            raise guards.disk_trouble(error, str(out)) from None
        raise
    return parity


def _remove(out: Path) -> None:
    for name in (CARD, MODEL, TOKENIZER):
        (out / name).unlink(missing_ok=True)


def tokenizer_text(tokenizer: Any) -> str:
    """The tokenizer.json of the page. Raises NoDemo for one that assets/tokenizer.js would not follow exactly."""
    if isinstance(tokenizer, tokenizers.Characters):
        return tokenizer.to_json()
    if tokenizer.name == "gpt2":
        return str(tokenizers.gpt2_as_file().to_str())
    try:
        parts = formats.from_huggingface(tokenizer.to_json())
    except ValueError as error:
        raise NoDemo(f"the page cannot follow this tokenizer: {error}") from None
    if parts.pattern not in (None, formats.GPT2_SPLIT_PATTERN):
        raise NoDemo("the tokenizer cuts words by a pattern that the page does not know")
    return formats.to_huggingface(parts)


# --- the gate --------------------------------------------------------------------------------------------------


@torch.no_grad()
def measure(played: Played, in_float: nn.Module, in_int8: nn.Module) -> Parity:
    """Compare both with the run's own network. Raises NoDemo where they are not close enough."""
    count, counted, same = 0, 0, 0
    off = int8_off = loss = int8_loss = 0.0
    for ids, targets in held_out(played):
        expected = logits_of(played.model, ids.to(played.device)).cpu()  # (T, V)
        rough = logits_of(in_int8, ids)
        off = max(off, _difference(logits_of(in_float, ids), expected))
        int8_off = max(int8_off, _difference(rough, expected))
        count += len(expected)
        counted += int((targets >= 0).sum())
        same += int((rough.argmax(-1) == expected.argmax(-1)).sum())
        loss += float(functional.cross_entropy(expected, targets, ignore_index=-1, reduction="sum"))
        int8_loss += float(functional.cross_entropy(rough, targets, ignore_index=-1, reduction="sum"))
    if not counted:
        raise NoDemo("there is no held-out text to compare on")
    # held-out windows may be shorter than the context, and a network may differ only far behind
    whole = torch.arange(played.config.model.context)[None] % played.task.tokenizer.vocab_size
    expected = logits_of(played.model, whole.to(played.device)).cpu()
    off = max(off, _difference(logits_of(in_float, whole), expected))
    found = Parity(count, off, int8_off, same / count, loss / counted, int8_loss / counted)
    if off > FLOAT_TOLERANCE:
        raise NoDemo(
            f"the engine's network computes other logits than the run's, by up to {off:.3g} "
            f"({FLOAT_TOLERANCE:g} are allowed)",
            found,
        )
    if found.int8_agreement < LEAST_AGREEMENT:
        raise NoDemo(
            f"with int8 weights the likeliest token is the same at {found.int8_agreement:.1%} of {count} positions "
            f"({LEAST_AGREEMENT:.0%} are needed)",
            found,
        )
    return found


def _difference(a: Tensor, b: Tensor) -> float:
    """The largest; infinity, where a logit is no number or the shapes differ."""
    if a.shape != b.shape:
        return math.inf
    off = float((a - b).abs().max())
    return math.inf if math.isnan(off) else off


def logits_of(model: nn.Module, ids: Tensor) -> Tensor:
    """ids (1, T) -> logits (T, V) in float32. The network may be a member's."""
    out: Any = model(ids)
    logits = out[0] if isinstance(out, tuple) else out
    if not isinstance(logits, Tensor) or logits.ndim != 3:
        raise NoDemo("the run's network does not give logits (B, T, V)")
    return logits[0].float()


def held_out(played: Played) -> Iterator[tuple[Tensor, Tensor]]:
    """(ids (1, T), what follows each (T,), -1 where that does not count): whole windows, POSITIONS or more together."""
    left = POSITIONS
    for batch in played.task.validation():
        for ids, targets in zip(*batch.tensors[:2], strict=True):
            if left > 0:
                left -= len(ids)
                yield ids[None].clamp(min=0), targets.clamp(min=-1)


# --- the process -----------------------------------------------------------------------------------------------


def main(words: list[str]) -> int:
    run, path, out = RunFolder.open(Path(words[0])), Path(words[1]), Path(words[2])
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library or a member's code prints is no event
    try:
        answer = answer_of(run, path, out)
    except CohortError as error:
        answer = _error(error)
    except Exception as error:
        known = job.explain(error, run.parts()) or guards.understand(error, 0)
        if known is None:
            raise
        answer = _error(known)
    print(json.dumps(answer), file=events, flush=True)
    return int(answer.get("exit", 0))


def answer_of(run: RunFolder, path: Path, out: Path) -> dict[str, Any]:
    try:
        played = play.load(run, path, with_data=True)
        cpu = torch.device("cpu")  # other devices round in other ways
        parity = pack(played._replace(model=played.model.to(cpu), device=cpu), out)
    except NoDemo as no:
        numbers = no.parity._asdict() if no.parity is not None else {}
        finite = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        return {"event": "result", "live": False, "reason": no.reason, "parity": finite}
    return {"event": "result", "live": True, "reason": "", "parity": parity._asdict()}


def _error(error: CohortError) -> dict[str, Any]:
    return {"event": "error", "message": error.message, "repair": error.repair, "exit": error.exit_code}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
