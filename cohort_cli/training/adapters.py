"""LoRA: small trainable updates beside frozen weights.

Source: Hu et al. 2021, https://arxiv.org/abs/2106.09685
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from cohort_cli.errors import EnvironmentTrouble, UsageError
from cohort_cli.training.config import Config
from cohort_cli.training.parts import Parts


def adapters(config: Config, parts: Parts) -> Callable[[nn.Module], nn.Module]:
    """What puts LoRA into a model: the member's apply_lora, or else `peft`; nothing at all for a rank of 0."""
    lora = config.lora
    if not lora.r:
        return lambda model: model
    own = parts.take("lora", "apply_lora")
    if own is not None:
        return lambda model: own(
            model, r=lora.r, alpha=lora.alpha, dropout=lora.dropout, targets=list(lora.targets)
        )
    return lambda model: _with_peft(model, config)


def _with_peft(model: nn.Module, config: Config) -> nn.Module:
    """Hu et al. 2021, https://arxiv.org/abs/2106.09685, by Hugging Face's `peft`."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise EnvironmentTrouble(
            "[lora] needs the library `peft`, which is not installed.", 'pip install "cohort-kit[train]"'
        ) from None
    lora = config.lora
    names = {
        name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear)
    }
    if not names & set(lora.targets):
        raise UsageError(
            f"lora.targets is {list(lora.targets)}; the model has no such linear layer.",
            f"It has: {', '.join(sorted(names))}.",
        )
    settings: dict[str, Any] = {"lora_alpha": lora.alpha, "lora_dropout": lora.dropout}
    wanted = LoraConfig(r=lora.r, target_modules=list(lora.targets), **settings)
    with_adapters: nn.Module = inject_adapter_in_model(wanted, model)
    return with_adapters
