"""LoRA: a small trained update beside a frozen matrix.    Step: lora

I = in_features, O = out_features, r the rank.

Source: Hu et al. 2021, section 4, https://arxiv.org/abs/2106.09685. The first numbers are those of the library peft.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LoRALinear(nn.Module):
    """A frozen nn.Linear and an update of rank r beside it. (..., I) -> (..., O).

        y = base(x) + (alpha / r) * dropout(x) A^T B^T        A (r, I), B (O, r)

    A starts uniform between -1/sqrt(I) and 1/sqrt(I), B with zeros, so that at first the layer is its base. Only A
    and B can be trained: base's parameters get requires_grad False. Dropout acts on the x that goes to A, in training
    only. The base stays a part of the layer. A and B have the data type and the device of its weight.
    Raises ValueError if r < 1.
    """

    def __init__(self, base: nn.Linear, r: int, alpha: float, dropout: float = 0.0) -> None:
        super().__init__()
        if r < 1:
            raise ValueError(f"the rank r must be 1 or more, not {r}")
        self.base = base.requires_grad_(False)
        self.scale = alpha / r
        self.dropout = nn.Dropout(dropout)
        self.lora_A = nn.Parameter(base.weight.new_empty(r, base.in_features))
        self.lora_B = nn.Parameter(base.weight.new_zeros(base.out_features, r))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))  # the bound is then 1 / sqrt(in_features)

    def forward(self, x: Tensor) -> Tensor:
        update = F.linear(F.linear(self.dropout(x), self.lora_A), self.lora_B)  # (..., I) -> (..., O)
        return self.base(x) + self.scale * update

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """The base layer with a new weight: the old one and the update. The old tensor may be tied elsewhere."""
        update = self.scale * (self.lora_B @ self.lora_A)  # (O, r) x (r, I) -> (O, I)
        self.base.weight = nn.Parameter(self.base.weight + update, requires_grad=False)
        return self.base


def apply_lora(
    model: nn.Module, *, r: int, alpha: float, targets: Sequence[str], dropout: float = 0.0
) -> nn.Module:
    """Put a LoRALinear in the place of each target, freeze all that is not an adapter, and return the same model.

    A target is an nn.Linear, at any depth, whose name's last part is one of `targets`: "query" means h.0.attn.query
    and h.1.attn.query, but not h.0.attn.query_norm, and no module of another kind. Its place keeps its name.
    Build the optimizer afterwards: one that was made before does not know the adapters.
    Raises ValueError if there is no such nn.Linear, and then leaves the model as it was.
    """
    found = [
        path
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear) and path.rpartition(".")[2] in targets
    ]
    if not found:
        raise ValueError(f"no nn.Linear of this model is called {' or '.join(targets)}")
    model.requires_grad_(False)
    for path in found:
        _replace(model, path, LoRALinear(model.get_submodule(path), r, alpha, dropout))
    return model


def _replace(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def merge_lora(model: nn.Module) -> nn.Module:
    """Add every update to its base's weight and put the plain nn.Linear back. Returns the same model.

        weight + (alpha / r) * B A

    Afterwards the model has the modules and the parameter names that it had before apply_lora, needs no time for
    adapters, and in eval mode gives the outputs that it gave with them (up to rounding). The sums are new parameters: a
    weight that was tied to another module's, as a head to an embedding, must not change there.
    """
    for path, module in list(model.named_modules()):
        if isinstance(module, LoRALinear):
            _replace(model, path, module.merged())
    return model


def lora_state(model: nn.Module) -> dict[str, Tensor]:
    """The adapters alone, all A and B, under the names that they have in model.state_dict().

    A model with the same base and the same adapters loads them with load_state_dict(..., strict=False). A few
    megabytes instead of gigabytes. Detached: no gradients hang on them.
    """
    state = model.state_dict()
    return {name: value for name, value in state.items() if name.rpartition(".")[2] in ("lora_A", "lora_B")}
