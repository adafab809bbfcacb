"""model.safetensors of a web page: what a network is made of, its weights as int8, and the way back into torch.

Every matrix row becomes whole numbers from -127 to 127 and one scale: weight = number * scale. Vectors (gains, biases)
stay as they are. The header's `__metadata__` names the architecture: every switch of models/gpt.py that changes a logit.
assets/weights.js reads the same, and refuses what it does not know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from cohort_cli.training.config import Model
from cohort_cli.training.models import gpt
from cohort_cli.training.play import Played

FORMAT = "cohort.browser-model/1"
SIZES = ("vocab_size", "context", "n_layers", "n_heads", "d_model", "d_ff")
SWITCHES = ("positions", "norm", "qk_norm", "activation")
SCALE = ".scale"
Flags = dict[str, str]


class NoDemo(Exception):
    """Why the model gets a page without a live demo; with what was measured, if anything was."""

    def __init__(self, reason: str, parity: Any = None) -> None:
        super().__init__(reason)
        self.reason, self.parity = reason, parity


def architecture(played: Played) -> tuple[Flags, dict[str, Tensor]]:
    """The flags and the float32 weights of a run's network. Raises NoDemo for what the engine does not know.

    A member's own network passes here if its weights have the names and shapes of the kit's. Whether it also computes
    the same is measured afterwards.
    """
    config, shape = played.config, played.config.model
    if config.task not in ("pretrain", "instruct", "dpo"):
        raise NoDemo("the model labels texts, and the page shows how one is written")
    if config.lora.r:
        raise NoDemo("the run has adapters (LoRA) beside its weights; pack the run that it started from")
    named = dict(played.model.named_parameters(remove_duplicate=False))
    if "wte.weight" not in named:
        raise NoDemo("the network has no wte.weight, so it is not built as the engine is")
    tied = named.get("lm_head.weight") is named["wte.weight"]
    tensors = {name: tensor.detach().float().cpu().contiguous() for name, tensor in named.items()}
    if tied:
        del tensors["lm_head.weight"]
    flags = flags_of(shape._replace(tied=tied), tensors["wte.weight"].size(0))
    wanted = {name: tensor.shape for name, tensor in network(flags).state_dict().items()}
    if tied:
        del wanted["lm_head.weight"]
    for name in sorted(wanted.keys() | tensors.keys()):
        if name not in wanted:
            raise NoDemo(f"the network has {name}, which the engine does not know")
        if name not in tensors or tensors[name].shape != wanted[name]:
            raise NoDemo(
                f"the network has no {name} of the shape {list(wanted[name])}, as the engine needs it"
            )
        if not bool(tensors[name].isfinite().all()):
            raise NoDemo(f"{name} has values that are no finite numbers")
    return flags, tensors


def flags_of(shape: Model, vocab_size: int) -> Flags:
    """The header's __metadata__. `shape` has all its switches set."""
    sizes = {**shape._asdict(), "vocab_size": vocab_size}
    return {
        "format": FORMAT,
        **{key: str(sizes[key]) for key in SIZES},
        **{key: str(sizes[key]) for key in SWITCHES},
        "bias": "yes" if shape.bias else "no",
        "tied": "yes" if shape.tied else "no",
    }


def shape_of(flags: Flags) -> tuple[Model, int]:
    sizes: dict[str, Any] = {key: int(flags[key]) for key in SIZES}
    switches: dict[str, Any] = {key: flags[key] for key in SWITCHES}
    vocab_size = int(sizes.pop("vocab_size"))
    bias, tied = flags["bias"] == "yes", flags["tied"] == "yes"
    return Model(**sizes, **switches, bias=bias, tied=tied, init="gpt2"), vocab_size


def network(flags: Flags, tensors: dict[str, Tensor] | None = None) -> nn.Module:
    """What the flags name, in the kit's own code: the model that the page shows. Without tensors only its shapes."""
    shape, vocab_size = shape_of(flags)
    with torch.device("meta" if tensors is None else "cpu"):
        model = gpt.build(shape, vocab_size)
    if tensors is not None:
        missing, extra = model.load_state_dict(tensors, strict=False)
        assert not extra, extra
        assert set(missing) <= {"lm_head.weight"}, missing
    return model.eval()


# --- int8 ------------------------------------------------------------------------------------------------------


def rows_of(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """(whole numbers (m, n) int8, scales (m,) float32). A row of zeros has the scale 1."""
    scale = matrix.abs().amax(1) / 127  # (m,)
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return (matrix / scale[:, None]).round().clamp(-127, 127).to(torch.int8), scale


def quantise(flags: Flags, tensors: dict[str, Tensor]) -> bytes:
    """The file's bytes."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.dim() == 2:
            found[name], found[name + SCALE] = rows_of(tensor)
        else:
            found[name] = tensor
    return save(found, flags)


def load(path: Path) -> nn.Module:
    """The network as a file holds it, computed in torch."""
    with safe_open(path, "pt") as file:
        flags = dict(file.metadata())
    tensors, found = {}, load_file(path)
    for name, tensor in found.items():
        if not name.endswith(SCALE):
            scale = found.get(name + SCALE)
            tensors[name] = tensor.float() if scale is None else tensor.float() * scale[:, None]
    return network(flags, tensors)
