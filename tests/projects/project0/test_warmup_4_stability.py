"""Unit 4 of the warm-up: the reference against torch's own layers, known numbers of deep towers, and its page."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cohort_cli.catalog import Project, find_project
from cohort_cli.checking.client import Judge

Load = Callable[[str], ModuleType]

FOLDER = find_project("project0").folder
PAGE = (FOLDER / "units/4_stability.md").read_text(encoding="utf-8")
FLAT = " ".join(PAGE.split())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- variance ------------------------------------------------------------------------------------------------


def test_gains_are_torchs(reference: Load) -> None:
    gain = reference("variance").gain
    for word in ("linear", "tanh", "relu"):
        assert gain(word) == pytest.approx(nn.init.calculate_gain(word))


@pytest.mark.parametrize("fan_in", [1, 64, 700])
def test_weights_spread_like_torchs_kaiming(reference: Load, fan_in: int) -> None:
    variance = reference("variance")
    ours = variance.init_weight(fan_in, 3000, variance.gain("relu"), seeded())
    theirs = nn.init.kaiming_normal_(torch.empty(3000, fan_in), nonlinearity="relu", generator=seeded(1))
    assert ours.shape == (fan_in, 3000)
    assert float(ours.std()) == pytest.approx(float(theirs.std()), rel=0.06)


def test_a_stack_is_torchs_sequential(reference: Load) -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 5, dtype=torch.float64)
    layers = [nn.Linear(a, b, bias=False).double() for a, b in ((5, 7), (7, 4), (4, 9))]
    for word, bend in (("tanh", nn.Tanh()), ("relu", nn.ReLU()), ("linear", nn.Identity())):
        found = reference("variance").activations(x, [layer.weight.T for layer in layers], word)
        for depth in range(1, 4):
            stack = nn.Sequential(*[part for layer in layers[:depth] for part in (layer, bend)])
            torch.testing.assert_close(found[depth - 1], stack(x), rtol=1e-12, atol=1e-12)


def test_saturated_of_a_normal_number_is_what_the_normal_distribution_says(reference: Load) -> None:
    a = torch.tanh(2 * torch.randn(400_000, generator=seeded()))
    beyond = math.erfc(math.atanh(0.97) / 2 / math.sqrt(2))
    assert reference("variance").saturated(a) == pytest.approx(beyond, rel=0.02)


# --- depth ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["linear", "tanh", "relu"])
def test_gradients_are_those_of_finite_differences(reference: Load, word: str) -> None:
    """Nudge each output of the first layer: by how much does sum(last * upstream) move?"""
    activations, gradients = reference("variance").activations, reference("depth").gradients
    torch.manual_seed(0)
    x, upstream = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    weights = [torch.randn(a, b, dtype=torch.float64) for a, b in ((3, 4), (4, 6), (6, 5))]
    found = gradients(x, weights, word, upstream)
    assert torch.equal(found[-1], upstream)
    first = activations(x, weights[:1], word)[0]
    for row in range(2):
        for unit in range(4):
            nudge = torch.zeros_like(first)
            nudge[row, unit] = 1e-6
            up, down = (activations(first + step, weights[1:], word)[-1] for step in (nudge, -nudge))
            slope = float(((up - down) * upstream).sum()) / 2e-6
            assert float(found[0][row, unit]) == pytest.approx(slope, abs=1e-6)


def test_the_deviation_of_tiny_and_huge_numbers(reference: Load) -> None:
    drawn = torch.randn(1000, generator=seeded())
    for size in (1e-30, 1.0, 1e30):
        (found,) = reference("depth").stds([drawn * size])
        assert found / size == pytest.approx(float(drawn.double().std()), rel=1e-2)


@pytest.mark.parametrize("word", ["linear", "tanh", "relu"])
def test_own_weights_last_for_fifty_layers(reference: Load, word: str) -> None:
    depth = reference("depth")
    found = depth.report(50, 512, depth.own_std(512, word), word, seeded(), 64)
    assert min(found) > 0.3
    assert max(found) < 3


# --- the norms -----------------------------------------------------------------------------------------------


def twins(
    reference: Load, ours: str, d: int, dtype: torch.dtype, **kwargs: Any
) -> tuple[nn.Module, nn.Module]:
    """One norm of the reference's and torch's own, with the same random gains."""
    mine = getattr(reference("norms"), ours)(d, **kwargs).to(dtype)
    theirs = getattr(nn, ours)(d, **kwargs).to(dtype)
    with torch.no_grad():
        theirs.weight.copy_(torch.randn(d))
        theirs.bias.copy_(torch.randn(d))
        mine.gamma.copy_(theirs.weight)
        mine.beta.copy_(theirs.bias)
    return mine, theirs


def like_torch(norm: nn.Module, x: Tensor) -> Tensor:
    """torch's BatchNorm1d wants (B, d, T)."""
    return norm(x.transpose(1, 2)).transpose(1, 2) if x.dim() == 3 else norm(x)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
@pytest.mark.parametrize("shape", [(8, 5), (3, 4, 5)])
def test_batchnorm_is_torchs_in_both_modes(
    reference: Load, dtype: torch.dtype, tolerance: float, shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    mine, theirs = twins(reference, "BatchNorm1d", 5, dtype, eps=1e-3, momentum=0.2)
    close: Any = {"rtol": tolerance, "atol": tolerance}
    for _ in range(5):
        x = (torch.randn(shape) * 3 + 1).to(dtype)
        torch.testing.assert_close(mine(x), like_torch(theirs, x), **close)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(mine, name), getattr(theirs, name), **close)
    mine.eval()
    theirs.eval()
    torch.testing.assert_close(mine(x), like_torch(theirs, x), **close)
    torch.testing.assert_close(mine(x[:1]), like_torch(theirs, x[:1]), **close)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 9), st.integers(1, 6), st.integers(0, 2**20), st.sampled_from([1e-5, 0.1]))
def test_batchnorm_is_torchs_for_any_shape(reference: Load, B: int, d: int, seed: int, eps: float) -> None:
    torch.manual_seed(seed)
    mine, theirs = twins(reference, "BatchNorm1d", d, torch.float64, eps=eps)
    x = torch.randn(B, d, dtype=torch.float64)
    torch.testing.assert_close(mine(x), theirs(x), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(mine.running_var, theirs.running_var, rtol=1e-12, atol=1e-12)


def test_batchnorm_refuses_what_torch_refuses(reference: Load) -> None:
    mine, theirs = twins(reference, "BatchNorm1d", 5, torch.float32)
    for norm in (mine, theirs):
        with pytest.raises(ValueError, match=r"[Tt]wo numbers|more than 1 value"):
            norm(torch.randn(1, 5))


def test_batchnorm_goes_through_a_state_dict(reference: Load) -> None:
    torch.manual_seed(0)
    one, other = (twins(reference, "BatchNorm1d", 5, torch.float64)[0] for _ in range(2))
    one(torch.randn(9, 5, dtype=torch.float64))
    other.load_state_dict(one.state_dict())
    x = torch.randn(4, 5, dtype=torch.float64)
    assert torch.equal(one.eval()(x), other.eval()(x))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 4), max_size=3),
    st.integers(2, 9),
    st.integers(0, 2**20),
    st.sampled_from([1e-5, 0.1]),
)
def test_layernorm_is_torchs(reference: Load, shape: list[int], d: int, seed: int, eps: float) -> None:
    torch.manual_seed(seed)
    x = torch.randn(*shape, d, dtype=torch.float64) * 3 + 1
    mine, theirs = twins(reference, "LayerNorm", d, torch.float64, eps=eps)
    torch.testing.assert_close(mine(x), theirs(x), rtol=1e-9, atol=1e-9)
    mine, theirs = twins(reference, "LayerNorm", d, torch.float32, eps=0.1)
    torch.testing.assert_close(mine(x.float()), theirs(x.float()), rtol=1e-5, atol=1e-6)


def test_gradients_of_the_norms_are_those_of_finite_differences(reference: Load) -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    for name in ("BatchNorm1d", "LayerNorm"):
        mine, _ = twins(reference, name, 5, torch.float64, eps=0.1)
        assert torch.autograd.gradcheck(mine, (x,))


def test_influence_is_where_the_jacobian_is_not_zero(reference: Load) -> None:
    norms = reference("norms")
    torch.manual_seed(0)
    x, other = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    for norm in (norms.BatchNorm1d(4).double(), norms.LayerNorm(4).double()):
        jacobian = torch.autograd.functional.jacobian(norm, x)[
            ..., 1, 2, :
        ]  # with respect to token 2 of sequence 1
        feels = jacobian.abs().amax((-1, -2)) > 1e-12
        assert torch.equal(norms.influence(norm, x, 1, 2, other) > 1e-12, feels)


TORCHS_OWN = {
    "batchnorm": (
        "(x - mean) / torch.sqrt(variance + self.eps) * self.gamma + self.beta",
        "helper(x, self.running_mean.clone(), self.running_var.clone(), self.gamma, self.beta, self.training, self.eps)",
        "def helper(x, m, v, g, b, training, eps):\n"
        "    y = nn.functional.batch_norm(x.reshape(-1, x.shape[-1]), m, v, g, b, training, 0.1, eps)\n"
        "    return y.reshape(x.shape)\n",
    ),
    "layernorm": (
        "centred / torch.sqrt(variance + self.eps) * self.gamma + self.beta",
        "helper(x, self.gamma, self.beta, self.eps)",
        "def helper(x, g, b, eps):\n    return nn.functional.layer_norm(x, g.shape, g, b, eps)\n",
    ),
}


@pytest.mark.parametrize("step", TORCHS_OWN)
def test_torchs_own_norms_break_the_rule_even_in_a_helper(
    judge: Judge, project: Project, tmp_path: Path, step: str
) -> None:
    ours, theirs, helper = TORCHS_OWN[step]
    for file in project.reference.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        (tmp_path / file.name).write_text(text, encoding="utf-8")
        if file.name == "norms.py":
            assert text.count(ours) == 1
            (tmp_path / file.name).write_text(text.replace(ours, theirs) + "\n\n" + helper, encoding="utf-8")
    report = judge.check(project, tmp_path, select=[step])
    mine = [check for check in report.checks if check.step == step and check.rule]
    assert mine
    assert all("asks you to write" in (check.rule or "") for check in mine)


# --- the trap ------------------------------------------------------------------------------------------------


def test_predict_is_evaluation_mode_for_torchs_own_modules(reference: Load) -> None:
    torch.manual_seed(0)
    parts = [
        nn.Linear(4, 6),
        nn.BatchNorm1d(6),
        nn.Dropout(0.5),
        nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 2)),
    ]
    model, x = nn.Sequential(*parts), torch.randn(7, 4)
    model(x)
    trap = reference("trap")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = trap.predict(model, x)
    assert all(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(RuntimeError, match=r"3\.0"):
        trap.require_eval(model)
    assert trap.gap(model, x) > 0.01
    model.eval()
    trap.require_eval(model)
    assert torch.equal(found, model(x))
    assert trap.gap(model, x) < 1e-6


# --- the page and its figures --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_4", FOLDER / "figures/make_4.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def numbers(figures: ModuleType) -> dict[str, Any]:
    found: dict[str, Any] = figures.numbers()
    return found


def test_the_known_numbers_of_fifty_layers(numbers: dict[str, Any]) -> None:
    last = {name: one[-1] for name, one in numbers["forward"].items()}
    assert last["tanh 0.02"] == pytest.approx(1.7e-25, rel=0.3)
    assert numbers["saturated"]["tanh 1"] == pytest.approx(0.89, abs=0.01)
    assert last["tanh 5/3"] == pytest.approx(0.65, abs=0.01)
    assert 5e-9 < last["ReLU 1"] < 1e-7
    assert 0.2 < last["ReLU √2"] < 1.5


def test_the_page_says_what_the_towers_gave(numbers: dict[str, Any], reference: Load) -> None:
    back = numbers["backward"]
    low, high = (numbers["spread"]["ReLU √2"][place] for place in (0, -1))
    small = numbers["spread"]["ReLU 1"]
    said = [
        f"a deviation of {numbers['forward']['tanh 1'][-1]:.2f}. It is not. {numbers['saturated']['tanh 1']:.0%}",
        f"by a factor of {back['tanh 1'][0] ** (1 / 49):.1f} at each layer",
        f"at {numbers['forward']['tanh 5/3'][-1]:.2f} with {numbers['saturated']['tanh 5/3']:.0%} saturated",
        f"by {back['tanh 5/3'][0] ** (1 / 49) - 1:.0%} at each layer, which makes {back['tanh 5/3'][0]:.0f} after fifty",
        f"between {low:.2f} and {high:.2f}, half of them below {numbers['spread']['ReLU √2'][10]:.2f}",
        f"it lay between {small[0]:.1e} and {small[-1]:.1e}",
    ]
    depth = reference("depth")
    fades = depth.gradient_report(50, 256, 1 / 16, "tanh", seeded())[0]
    said.append(f"nearer to 1 ({fades:.2f} at layer 1)")
    assert depth.report(50, 256, 1 / 16, "tanh", seeded())[-1] == pytest.approx(0.1, abs=0.02)
    assert [words for words in said if words.replace("%", " %") not in FLAT] == []


def test_gradients_through_batchnorm_grow_as_the_page_says(reference: Load) -> None:
    found = []
    for seed in range(5):
        generator = seeded(seed)
        x, outputs = torch.randn(256, 256, generator=generator, requires_grad=True), []
        for _ in range(50):
            before = (outputs[-1] if outputs else x) @ (0.02 * torch.randn(256, 256, generator=generator))
            outputs.append(torch.tanh(reference("norms").BatchNorm1d(256)(before)))
        pull = torch.randn(256, 256, generator=generator)
        found.append(float(torch.autograd.grad(outputs[-1], outputs[0], pull)[0].std()))
    times = int(re.findall(r"arrives at layer 1 as (\d+) times", FLAT)[0])
    assert min(found) < times < max(found) * 1.1
    assert f"grows by {times ** (1 / 49) - 1:.0%} at each layer on its way back".replace("%", " %") in FLAT


def test_the_numbers_by_hand_are_right() -> None:
    first = math.tanh(0.5)
    second = math.tanh(2 * first)
    variance = 0.9 + 0.1 * 8 / 3
    said = [
        f"\\tanh(0.1) = {math.tanh(0.1):.4f}",
        f"\\tanh(1) = {math.tanh(1):.3f}",
        f"$1 - {0.97**2:.3f} = {1 - 0.97**2:.3f}$",
        f"/ 2 = {math.sqrt(2) / 2:.3f}$",
        f"/ 10 = {5 / 3 / 10:.3f}$",
        f"0.32^{{50}} = {0.32**50 * 1e25:.1f} \\cdot 10^{{-25}}",
        f"\\tanh(0.5) = {first:.3f}$",
        f"= {second:.3f}$",
        f"(1 - 0.728^2) \\cdot 2 = {(1 - second**2) * 2:.3f}$",
        f"$-{2 / math.sqrt(2):.3f}, 0, 0, {2 / math.sqrt(2):.3f}$",
        f"$8/3 = {8 / 3:.3f}$",
        f"\\cdot 2.667 = {variance:.3f}$",
        f"= {1.6 / math.sqrt(variance):.3f}$",
        f"$-2/{math.sqrt(8 / 3):.3f} = {-2 / math.sqrt(8 / 3):.3f}$",
        f"\\sqrt{{2.5}} = {-2 / math.sqrt(2.5):.3f}$",
        f"$3/{math.sqrt(6):.3f} = {3 / math.sqrt(6):.3f}$",
    ]
    assert [words for words in said if words not in FLAT] == []
    assert f"{2**-25:.0e}" == "3e-08"


def test_the_grid_of_the_page(numbers: dict[str, Any]) -> None:
    both = [[value for row in rows for value in row] for rows in numbers["leak"].values()]
    batch, layer = both
    assert f"by {min(batch):.2f} to {max(batch):.2f}. With LayerNorm" in PAGE
    assert f"has moved, by {max(layer):.2f}](" in PAGE
    assert sum(value > 0 for value in batch) == 18
    assert sum(value > 0 for value in layer) == 1


def test_the_figures_are_those_that_the_program_draws(
    figures: ModuleType, numbers: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same text, and the same coordinates up to what another machine's rounding does."""
    monkeypatch.setattr(figures, "HERE", tmp_path)
    monkeypatch.setattr(figures, "numbers", lambda: numbers)
    figures.main()
    for name in ("towers.svg", "towers_back.svg", "leak.svg"):
        drawn, kept = (
            (folder / name).read_text(encoding="utf-8") for folder in (tmp_path, FOLDER / "figures")
        )
        number = r"-?\d+(?:\.\d+)?"
        assert re.sub(number, "#", drawn) == re.sub(number, "#", kept)
        coordinates = [[float(one) for one in re.findall(number, text)] for text in (drawn, kept)]
        assert coordinates[0] == pytest.approx(coordinates[1], abs=1.0)
