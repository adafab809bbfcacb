"""The reference's LoRA against the library peft, on the same weights: at the first step, after training, and merged."""

from __future__ import annotations

import copy
import importlib.util
import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cohort_cli.catalog import Project

Load = Callable[[str], ModuleType]
TARGETS = ["query", "value", "proj_out"]


class Network(nn.Module):
    """Two linear layers behind each other, twice, and a head. (B, T, 6) -> (B, T, 4)."""

    def __init__(self) -> None:
        super().__init__()
        parts = [
            nn.ModuleDict({"query": nn.Linear(6, 9), "value": nn.Linear(9, 6, bias=False)}) for _ in range(2)
        ]
        self.h = nn.ModuleList(parts)
        self.proj_out = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.h:
            x = x + part["value"](torch.tanh(part["query"](x)))
        return self.proj_out(x)


def pair(reference: Load, r: int, alpha: float) -> tuple[nn.Module, Any]:
    """Our adapted network and peft's, in float64, with the same weights and the same A."""
    peft = pytest.importorskip("peft")
    torch.manual_seed(r)
    ours: nn.Module = Network().double()
    theirs = copy.deepcopy(ours)
    ours = reference("lora").apply_lora(ours, r=r, alpha=alpha, targets=TARGETS)
    theirs = peft.get_peft_model(
        theirs, peft.LoraConfig(r=r, lora_alpha=alpha, target_modules=TARGETS)
    ).double()
    with torch.no_grad():
        for path, module in ours.named_modules():
            if type(module).__name__ == "LoRALinear":
                module.lora_A.copy_(theirs.base_model.model.get_submodule(path).lora_A["default"].weight)
    return ours, theirs


def train(model: nn.Module, x: Tensor, y: Tensor, steps: int) -> list[float]:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(steps):
        loss = (model(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(("r", "alpha"), [(1, 4.0), (3, 2.0)])
def test_training_is_pefts_step_by_step(reference: Load, r: int, alpha: float) -> None:
    ours, theirs = pair(reference, r, alpha)
    x, y = torch.randn(5, 3, 6, dtype=torch.float64), torch.randn(5, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-14)
    count = sum(p.numel() for p in ours.parameters() if p.requires_grad)
    assert count == theirs.get_nb_trainable_parameters()[0]
    losses = train(ours, x, y, 100)
    torch.testing.assert_close(losses, train(theirs, x, y, 100), rtol=1e-10, atol=0)
    assert losses[-1] < 0.9 * losses[0]
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-9)
    merged, unloaded = reference("lora").merge_lora(ours), theirs.merge_and_unload()
    torch.testing.assert_close(dict(merged.state_dict()), dict(unloaded.state_dict()), rtol=0, atol=1e-9)


def test_the_first_a_is_drawn_as_pefts(reference: Load) -> None:
    """Uniform within the same bound, 1 / sqrt(in_features), on the same shape."""
    peft = pytest.importorskip("peft")
    torch.manual_seed(1)
    theirs = peft.get_peft_model(
        nn.Sequential(nn.Linear(70, 30)), peft.LoraConfig(r=4, lora_alpha=8, target_modules=["0"])
    )
    a = theirs.base_model.model[0].lora_A["default"].weight
    ours = reference("lora").LoRALinear(nn.Linear(70, 30), 4, 8.0).lora_A
    assert a.shape == ours.shape
    bound = 70**-0.5
    for values in (a, ours):
        assert 0.95 * bound < values.abs().max() <= bound * (1 + 1e-6)


def test_the_stored_network_is_pefts(project: Project) -> None:
    pytest.importorskip("peft")
    folder = project.acceptance / "fixtures"
    spec = importlib.util.spec_from_file_location("make_peft_network", folder / "make_peft_network.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    stored = json.loads((folder / "peft_network.json").read_text(encoding="utf-8"))
    again = maker.trained()
    sys.modules.pop("finetune_toys", None)
    assert stored["config"] == maker.CONFIG
    assert stored["ids"] == again["ids"]
    for key in ("cotangent", "before", "after"):
        torch.testing.assert_close(torch.tensor(stored[key]), torch.tensor(again[key]), rtol=1e-6, atol=1e-6)
    moved = torch.tensor(stored["after"]) - torch.tensor(stored["before"])
    assert moved.abs().max() > 0.1, "three steps must show"


def test_merged_in_float32_within_1e_5(reference: Load) -> None:
    lora = reference("lora")
    torch.manual_seed(0)
    model = lora.apply_lora(Network(), r=4, alpha=8, targets=TARGETS)
    for parameter in model.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.2)
    x = torch.randn(2, 3, 6)
    before = model(x)
    torch.testing.assert_close(lora.merge_lora(model)(x), before, rtol=1e-5, atol=1e-5)
