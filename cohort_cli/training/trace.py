"""Every stage from a text to the next token, with its shape:  python -m cohort_cli.training.trace RUN CHECKPOINT

or, for a GPT-2 of 124M parameters with random weights:            python -m cohort_cli.training.trace CODE_FOLDER

Works with any network made of modules, so with a member's as well: each module that is called tells what went in and
what came out. Requests and events as in play.py:

    {"text", "top"}    -> "result": {"text", "bytes", "tokens", "stages", "next"}

B batch, T time (tokens), V = vocabulary size.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cohort_cli.catalog import find_project
from cohort_cli.errors import UsageError
from cohort_cli.training import play
from cohort_cli.training.config import Model, load_preset
from cohort_cli.training.data import tokenizer as tokenizers
from cohort_cli.training.data.tokenizer import Tokenizer
from cohort_cli.training.parts import Parts, model_of, network, wrong
from cohort_cli.training.play import OnlyText, Played
from cohort_cli.training.presets import preset_path

GPT2 = Model(12, 768, 12, 1024, recipe="gpt2", d_ff=3072, bias=True, tied=True, positions="learned", norm="layernorm",
             qk_norm="no", activation="gelu", init="gpt2")  # fmt: skip
SEED = 1  # of the random weights


class Stage:
    """One module at work. `depth`: how many modules it lies in."""

    def __init__(self, name: str, module: nn.Module, depth: int, given: list[str], shared: bool) -> None:
        self.name, self.kind, self.depth, self.given = name, type(module).__name__, depth, given
        self.parameters = sum(p.numel() for p in module.parameters())
        self.shared = shared  # all of them belong to an earlier stage as well, as those of a tied head
        self.made: list[str] = []

    def to_json(self) -> dict[str, Any]:
        return vars(self)


def shapes(value: Any) -> list[str]:
    """The shapes of the tensors in a value, those in tuples as well; numbers of another kind than float32 are named."""
    if isinstance(value, Tensor):
        kind = "" if value.dtype == torch.float32 else f" {str(value.dtype).removeprefix('torch.')}"
        return [f"({', '.join(map(str, value.shape))}){kind}"]
    if isinstance(value, tuple | list):
        return [shape for part in value for shape in shapes(part)]
    return []


@contextmanager
def watched(model: nn.Module) -> Iterator[list[Stage]]:
    """The stages of whatever the model does inside the block, in the order in which they begin."""
    stages: list[Stage] = []
    open_stages: list[Stage] = []
    seen: set[nn.Parameter] = set()
    names = {module: name for name, module in model.named_modules()}

    def enter(module: nn.Module, args: Any, kwargs: Any) -> None:
        own = set(module.parameters(recurse=False))
        shared = bool(own) and own <= seen
        seen.update(own)
        stage = Stage(names[module], module, len(open_stages), shapes([*args, *kwargs.values()]), shared)
        stages.append(stage)
        open_stages.append(stage)

    def leave(module: nn.Module, args: Any, kwargs: Any, made: Any) -> None:
        open_stages.pop().made = shapes(made)

    hooks = []
    for module in names:
        if module is not model:
            hooks.append(module.register_forward_pre_hook(enter, with_kwargs=True))
            hooks.append(module.register_forward_hook(leave, with_kwargs=True))
    try:
        yield stages
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def answer(played: Played, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    tokenizer = played.task.tokenizer
    text = request["text"].encode("utf-8", "replace").decode("utf-8")
    ids = tokenizer.encode(text)
    context = played.config.model.context
    if not ids:
        raise UsageError("The text is empty, so there is nothing to follow.", 'cohort trace "The cat"')
    if len(ids) > context:
        raise UsageError(
            f"The text has {len(ids):,} tokens; the model sees {context:,}.", "Take a shorter one."
        )
    if played.config.task == "classify":
        raise UsageError(
            "This model labels texts; it has no next token.", "Take a run of the tasks pretrain or instruct."
        )
    given = torch.tensor([ids], device=played.device)  # (B, T) with B = 1
    with watched(played.model) as stages:
        out = played.model(given)
    logits = out[0] if isinstance(out, tuple) else out
    if not isinstance(logits, Tensor) or logits.shape[:2] != given.shape:
        raise wrong(network(played.task.parts), logits, "logits (B, T, V)")
    shares = logits[0, -1].float().softmax(-1)  # (V,)
    best = shares.topk(min(request["top"], len(shares)))
    yield {
        "event": "result",
        "text": text,
        "bytes": len(text.encode("utf-8")),
        "tokens": [{"id": id, "text": tokenizer.decode([id])} for id in ids],
        "stages": [stage.to_json() for stage in stages],
        "logits": shapes(logits)[0],
        "last": shapes(shares)[0],
        "next": [_token(tokenizer, *pair) for pair in zip(best.indices.tolist(), best.values.tolist(), strict=True)],
    }  # fmt: skip


def _token(tokenizer: Tokenizer, id: int, share: float) -> dict[str, Any]:
    known = id < tokenizer.vocab_size  # a padded vocabulary has ids that mean nothing
    return {"id": id, "text": tokenizer.decode([id]) if known else "", "share": share}


def untrained(folder: str) -> Played:
    """The GPT of this folder (the reference's or the member's Project 4), as large as GPT-2, with random weights."""
    parts = Parts({"gpt2": folder})
    torch.manual_seed(SEED)
    tokenizer = tokenizers.gpt2()
    model = model_of(parts, GPT2, tokenizer.vocab_size)
    assert model is not None
    config = load_preset(preset_path(find_project("project4"), "smoke"), [])._replace(model=GPT2)
    task = OnlyText(config, parts, tokenizer)
    return Played(model.eval(), task, config, 0, torch.device("cpu"))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sys.exit(play.serve(lambda: untrained(sys.argv[1]), answer, {"gpt2": sys.argv[1]}))
    sys.exit(play.serve_run(sys.argv, answer))
