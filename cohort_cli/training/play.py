"""A trained model at work:  python -m cohort_cli.training.play RUN_FOLDER CHECKPOINT_FOLDER

Requests come on standard input, one JSON object per line; the process ends with the input. Answers are events, one per
line on standard output, where nothing else goes; each answer ends with "done", "result" or "error".

    {"prompt", "tokens", "temperature", "top_k", "seed", "template"}    -> "text" ..., "done"

cohort_cli/evaluating answers other requests in the same way.

B batch, T time (tokens), V = vocabulary size.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cohort_cli.errors import CohortError, DataTrouble, UsageError
from cohort_cli.training import checkpoint, device, finetune, guards, job, saving
from cohort_cli.training.adapters import adapters
from cohort_cli.training.config import AUTO, Config
from cohort_cli.training.data import tokenizer as tokenizers
from cohort_cli.training.data.tokenizer import Tokenizer
from cohort_cli.training.finetune.common import end_id
from cohort_cli.training.models.gpt import sample
from cohort_cli.training.models.linear import lay_out_for_rows
from cohort_cli.training.parts import Parts
from cohort_cli.training.runs import RunFolder
from cohort_cli.training.stop import die_with_parent

HELD_BACK = 4  # tokens: so many may be needed until the bytes of one character are together


class Played(NamedTuple):
    """A run's model with the weights of one checkpoint, ready to be asked."""

    model: nn.Module
    task: Any  # a Task, or OnlyText
    config: Config
    step: int
    device: torch.device


class OnlyText:
    """A pre-trained model is asked for text; the data that it was trained on need not be here any more."""

    def __init__(self, config: Config, parts: Parts, tokenizer: Tokenizer) -> None:
        self.config, self.parts, self.tokenizer = config, parts, tokenizer

    def adapt(self, model: nn.Module, vocab_size: int) -> nn.Module:
        return adapters(self.config, self.parts)(model)


def load(folder: RunFolder, path: Path, *, with_data: bool) -> Played:
    """The model of a run as it was at a checkpoint. `with_data`: for scoring, its held-out data as well.

    Raises DamagedCheckpoint, and what a job raises whose data or parts are missing.
    """
    config, parts = folder.config(), Parts(folder.parts())
    where = device.pick_device("cpu" if config.hardware.device == "cpu" else AUTO)
    device.set_up_torch(config.hardware)
    tokenizer = tokenizers.load(folder.tokenizer_path)
    task: Any
    if config.task != "pretrain":
        task = finetune.make_task(config, parts, tokenizer)
    elif with_data:
        one_window = config.batch._replace(micro_sequences=1)
        whole = config._replace(batch=one_window, run=config.run._replace(eval_tokens=0))
        task = job.make_task(whole, parts, lambda event: None)
        if task.tokenizer.to_json() != tokenizer.to_json():
            raise DataTrouble(
                f"{config.data.source} is no longer the text that this run was trained on.",
                "Put that text back, or train a new run.",
            )
    else:
        task = OnlyText(config, parts, tokenizer)
    vocab_size = job.padded(tokenizer.vocab_size, config)
    if not _needs_its_start(config):
        config = config._replace(model=config.model._replace(start_from=""))
    model = job.make_model(config, parts, task, vocab_size)
    loaded = checkpoint.load(path)
    saving.load_model(model, loaded.tensors["model"], str(path))
    model = model.to(where).eval()
    lay_out_for_rows(model)
    return Played(model, task, config, loaded.step, where)


def _needs_its_start(config: Config) -> bool:
    """Frozen weights are not in a checkpoint, and DPO compares with the model as it began."""
    return bool(config.lora.r or config.model.train_blocks) or config.task == "dpo"


# --- text ------------------------------------------------------------------------------------------------------


def answer(played: Played, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of one text: notes, pieces as they come, and how it ended."""
    if not math.isfinite(request["temperature"]) or request["temperature"] < 0:
        raise UsageError(f"The temperature is {request['temperature']}.", "0 takes the likeliest token.")
    prompt = request["prompt"].encode("utf-8", "replace").decode("utf-8")
    task, config = played.task, played.config
    tokenizer: Tokenizer = task.tokenizer
    if config.task == "classify":
        yield {"event": "text", "text": _label(played, prompt)}
        yield {"event": "done", "tokens": 0, "seconds": 0.0, "ended": "a label"}
        return
    if request["template"]:
        prompt = task.format_example({"instruction": prompt, "input": "", "output": ""})[0]
    ids = tokenizer.encode(prompt)
    if not ids:
        raise UsageError("The prompt is empty, so nothing predicts the first token.", "--prompt TEXT")
    if (unknown := ids.count(-1 if tokenizer.unknown is None else tokenizer.unknown)) > 0:
        yield {"event": "note", "text": f"{unknown} characters of the prompt are unknown to the model"}
    if len(ids) > config.model.context:
        text = f"the prompt has {len(ids)} tokens; the model sees the last {config.model.context}"
        yield {"event": "note", "text": text}
    end = tokenizer.end_of_text if config.task == "pretrain" else end_id(tokenizer)
    began = time.monotonic()
    new: list[int] = []
    sent, ended = 0, "length"
    for token in _tokens(played, ids, request):
        if token == end:
            ended = "end of text"
            break
        new.append(token)
        text = _decoded(tokenizer, new)
        whole = len(text.rstrip(tokenizers.UNKNOWN))
        if whole < len(text) and whole >= sent and len(text) - whole < HELD_BACK:
            continue  # perhaps the beginning of a character
        yield {"event": "text", "text": text[sent:]}
        sent = len(text)
    if rest := _decoded(tokenizer, new)[sent:]:
        yield {"event": "text", "text": rest}
    yield {"event": "done", "tokens": len(new), "seconds": time.monotonic() - began, "ended": ended}


def _decoded(tokenizer: Tokenizer, ids: list[int]) -> str:
    return tokenizer.decode(id for id in ids if id < tokenizer.vocab_size)


@torch.no_grad()
def _tokens(played: Played, ids: list[int], request: dict[str, Any]) -> Iterator[int]:
    """New tokens, one after the other. The kit's network remembers keys and values; a member's need not."""
    model, context = played.model, played.config.model.context
    generator = torch.Generator(played.device).manual_seed(request["seed"])
    given = torch.tensor([ids], device=played.device)  # (1, T)
    options = request["temperature"], request["top_k"], generator
    stream: Any = getattr(model, "stream", None)
    if stream is not None:
        for new in stream(given, request["tokens"], *options):
            yield int(new)
        return
    for _ in range(request["tokens"]):
        logits: Tensor = model(given[:, -context:])[0]  # (1, T, V)
        new = sample(logits[:, -1].float(), *options)
        given = torch.cat([given, new], dim=1)
        yield int(new)


@torch.no_grad()
def _label(played: Played, text: str) -> str:
    """Every label with its probability, the likeliest first."""
    task = played.task
    ids = task.ids(text)
    if not ids:
        raise UsageError("The text has nothing in it that the model knows.", "--prompt TEXT")
    shares = played.model(torch.tensor([ids], device=played.device))[0].softmax(-1).tolist()
    ranked = sorted(zip(shares, task.labels, strict=True), reverse=True)
    return ", ".join(f"{label} {share:.3f}" for share, label in ranked)


# --- the process -----------------------------------------------------------------------------------------------


Answer = Callable[[Played, dict[str, Any]], Iterator[dict[str, Any]]]


def serve(load: Callable[[], Played], answer: Answer, parts: dict[str, str]) -> int:
    """Answer requests until there are no more. parts: whose code, for a message about it. Returns the exit code."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asks; it closes our input
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library or a member's code prints is no event

    def tell(event: dict[str, Any]) -> None:
        print(json.dumps(event), file=events, flush=True)

    try:
        try:
            played = load()
            parameters = sum(parameter.numel() for parameter in played.model.parameters())
            facts = {"step": played.step, "parameters": parameters, "device": device.describe(played.device)}
            tell({"event": "ready", "task": played.config.task, **facts})
            for line in sys.stdin:
                try:
                    for event in answer(played, json.loads(line)):
                        tell(event)
                except CohortError as trouble:  # this request cannot be answered; the next one may
                    tell(_explained(trouble, parts))
        except BrokenPipeError:
            raise
        except Exception as error:
            tell(_explained(error, parts))
            return 1
    except BrokenPipeError:  # nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), events.fileno())
    return 0


def serve_run(words: Sequence[str], answer: Answer, *, with_data: bool = False) -> int:
    """The same for the run and the checkpoint that a command line names."""
    folder, path = RunFolder.open(Path(words[1])), Path(words[2])
    return serve(lambda: load(folder, path, with_data=with_data), answer, folder.parts())


def _explained(error: Exception, parts: dict[str, str]) -> dict[str, Any]:
    trouble = job.explain(error, parts) or guards.understand(error, 0)
    if trouble is None:
        traceback.print_exc()
        trouble = CohortError(f"{type(error).__name__}: {error}")
        trouble.exit_code = 7
    exit = trouble.exit_code
    return {"event": "error", "message": trouble.message, "repair": trouble.repair, "exit": exit}


if __name__ == "__main__":
    sys.exit(serve_run(sys.argv, answer))
