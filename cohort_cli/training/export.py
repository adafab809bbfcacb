"""A trained GPT-2 as a folder that other people's tools open:  python -m cohort_cli.training.export RUN CHECKPOINT

transformers itself writes it, so that what it writes it can read: config.json, model.safetensors, the tokenizer's files.
Requests and events as in play.py:

    {"out": FOLDER}    -> "result"
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cohort_cli.errors import DataTrouble, EnvironmentTrouble, UsageError
from cohort_cli.training import play, saving
from cohort_cli.training.data.tokenizer import (
    END_OF_TEXT,
    UNKNOWN,
    Characters,
    HuggingFace,
    Tokenizer,
    gpt2_as_file,
)
from cohort_cli.training.models.attention import EPS
from cohort_cli.training.models.public import TANH_GELU, TRANSPOSED
from cohort_cli.training.play import Played

PREFIX = "transformer."
PLAIN = {"positions": "learned", "norm": "layernorm", "qk_norm": "no", "activation": "gelu"}  # what GPT-2 has
TOLERANCE = 1e-3  # between our logits and theirs, in the largest difference


def answer(played: Played, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    out = Path(request["out"])
    theirs = to_transformers(played)
    off = compare(played, theirs)
    theirs.save_pretrained(out)
    to_fast(played.task.tokenizer, played.config.model.context).save_pretrained(out)
    yield {"event": "result", "off": off, "files": sorted(path.name for path in out.iterdir())}


def to_transformers(played: Played) -> Any:
    """The model as GPT2LMHeadModel, with the same weights. Raises UsageError for what GPT-2 is not."""
    try:
        from transformers import GPT2Config, GPT2LMHeadModel
    except ImportError:
        raise EnvironmentTrouble(
            "The folder is written with transformers, which is not installed.",
            'pip install "cohort-kit[train]"',
        ) from None
    config, shape = played.config, played.config.model
    if config.task not in ("pretrain", "instruct", "dpo"):
        raise UsageError("A model that labels texts is no GPT2LMHeadModel.", "Take a run that predicts text.")
    if config.lora.r:
        raise UsageError(
            "This run has adapters (LoRA) beside its weights.", "Export the run that it started from."
        )
    for switch, value in PLAIN.items():
        if (mine := getattr(shape, switch)) != value:
            raise UsageError(
                f"This run has model.{switch} = {mine!r}; GPT-2 has {value!r}.",
                "Train with --set model.recipe=gpt2",
            )
    tensors = {name: tensor.detach().cpu() for name, tensor in saving.model_tensors(played.model).items()}
    tokenizer: Tokenizer = played.task.tokenizer
    with torch.device("meta"):  # shapes only: the weights come from the run
        theirs = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=tensors["wte.weight"].size(0) if "wte.weight" in tensors else 1,
                n_layer=shape.n_layers,
                n_embd=shape.d_model,
                n_head=shape.n_heads,
                n_positions=shape.context,
                n_inner=shape.d_ff or None,
                layer_norm_epsilon=EPS,
                activation_function=TANH_GELU[0],
                tie_word_embeddings=shape.tied,
                bos_token_id=tokenizer.end_of_text,
                eos_token_id=tokenizer.end_of_text,
            )
        )
    theirs.load_state_dict(renamed(tensors, theirs.state_dict()), assign=True)
    theirs.tie_weights()
    return theirs.eval()


def renamed(mine: dict[str, Tensor], theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors under their names, turned where "Conv1D" keeps them the other way round. A bias that we do not have is
    zero. Raises UsageError if a name or a shape fits nothing: then a member's network is built in another way."""
    found: dict[str, Tensor] = {}
    used = set()
    for name, like in theirs.items():
        ours = name.removeprefix(PREFIX)
        if ours not in mine and ours == "lm_head.weight":
            ours = "wte.weight"
        tensor = mine.get(ours)
        if tensor is None and name.endswith(".bias"):
            tensor = torch.zeros(like.shape)
        elif tensor is not None and ours.endswith(TRANSPOSED):
            tensor = tensor.T
        used.add(ours)
        if tensor is None or tensor.shape != like.shape:
            raise UsageError(
                f"The run's network has no {ours} of the shape that GPT-2 has.",
                "Project 4's step export writes a folder from your own network: to_hf in weights.py",
            )
        found[name] = tensor.contiguous().clone()
    if left := sorted(mine.keys() - used):
        raise UsageError(
            f"The run's network has {left[0]}, which GPT-2 has not.", "See Project 4's step export."
        )
    return found


@torch.no_grad()
def compare(played: Played, theirs: Any) -> float:
    """The largest difference between our logits and theirs. Raises DataTrouble if they are not the same model."""
    ids = (
        torch.arange(min(64, played.config.model.context))[None] % played.task.tokenizer.vocab_size
    )  # (1, T)
    ours = played.model(ids.to(played.device))[0].float().cpu()  # (1, T, V)
    off = float((ours - theirs(ids).logits).abs().max())
    if not off <= TOLERANCE * max(1.0, float(ours.abs().max())):
        raise DataTrouble(
            f"transformers computes other logits than this network, by up to {off:.3g}.",
            "cohort check project4 load export",
        )
    return off


def to_fast(tokenizer: Tokenizer, context: int) -> Any:
    """The tokenizer as transformers reads it."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    if isinstance(tokenizer, HuggingFace):
        made = Tokenizer.from_str(tokenizer.to_json())
    elif isinstance(tokenizer, Characters):
        letters = {letter: id for id, letter in enumerate(tokenizer.alphabet)}
        made = Tokenizer(models.WordLevel({**letters, UNKNOWN: tokenizer.unknown}, UNKNOWN))
        made.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        made.decoder = decoders.Fuse()
    else:
        made = gpt2_as_file()
    named = {"eos_token": END_OF_TEXT, "bos_token": END_OF_TEXT} if tokenizer.end_of_text is not None else {}
    if isinstance(tokenizer, Characters):
        named = {"unk_token": UNKNOWN}
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=context, **named)


if __name__ == "__main__":
    sys.exit(play.serve_run(sys.argv, answer))
