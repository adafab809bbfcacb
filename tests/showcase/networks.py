"""Small networks for the page's engine."""

from __future__ import annotations

from itertools import product

import torch
from safetensors.torch import save
from torch import Tensor, nn

from cohort_cli.showcase.quantised import Flags, flags_of, network, quantise
from cohort_cli.training.config import Model

CHOICES = {
    "positions": ("learned", "rope"),
    "norm": ("layernorm", "rmsnorm"),
    "qk_norm": ("no", "yes"),
    "activation": ("gelu", "relu2"),
    "bias": (True, False),
    "tied": (True, False),
}
ALL = [dict(zip(CHOICES, chosen, strict=True)) for chosen in product(*CHOICES.values())]
GPT2 = {"positions": "learned", "norm": "layernorm", "qk_norm": "no", "activation": "gelu"}
V, CONTEXT = 53, 32


def random_network(
    d_model: int = 20,
    d_ff: int = 36,
    vocab_size: int = V,
    context: int = CONTEXT,
    layers: int = 3,
    **switches: object,
) -> tuple[Flags, dict[str, Tensor]]:
    """Flags and weights; gains and biases are random too. Widths that are no multiples of 8, unless they are given."""
    shape = Model(layers, d_model, 2, context, d_ff=d_ff, init="gpt2", **{**GPT2, **switches})  # type: ignore[arg-type]
    flags = flags_of(shape, vocab_size)
    draw = torch.Generator().manual_seed(5)
    tensors = {}
    for name, tensor in network(flags).state_dict().items():
        if shape.tied and name == "lm_head.weight":
            continue
        around = 1.0 if name.endswith(("ln_1.weight", "ln_2.weight", "ln_f.weight")) else 0.0
        tensors[name] = around + 0.2 * torch.randn(tensor.shape, generator=draw)
    return flags, tensors


def in_float(flags: Flags, tensors: dict[str, Tensor]) -> bytes:
    """The file with its matrices in float32."""
    return save(tensors, flags)


def in_int8(flags: Flags, tensors: dict[str, Tensor]) -> bytes:
    return quantise(flags, tensors)


@torch.no_grad()
def logits(model: nn.Module, ids: list[int]) -> Tensor:
    """(T, V)"""
    out: Tensor = model(torch.tensor([ids]))[0][0]
    return out


def reciting(ids: list[int], vocab_size: int) -> bytes:
    """A model whose likeliest next token at position t is ids[t], whatever stands before; the file in int8."""
    flags, tensors = random_network(
        d_model=len(ids), d_ff=8, vocab_size=vocab_size, context=len(ids), layers=1, tied=False
    )
    tensors = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    for name in ("h.0.ln_1.weight", "h.0.ln_2.weight", "ln_f.weight"):
        tensors[name] += 1.0
    tensors["wpe.weight"] = torch.eye(
        len(ids)
    )  # a position is one number of its own, and nothing else is added
    for at, token in enumerate(ids):
        tensors["lm_head.weight"][token, at] = 1.0
    return in_int8(flags, tensors)
