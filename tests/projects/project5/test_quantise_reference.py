"""quantise.py of the reference against torch's own quantised tensors, and what its lab rests on."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import nn

from cohort_cli.catalog import Project

Load = Callable[[str], ModuleType]


def test_weights_are_those_of_torchs_fake_quantisation(reference: Load) -> None:
    quantise, dequantise = reference("quantise").quantise, reference("quantise").dequantise
    torch.manual_seed(0)
    w = torch.randn(20, 33)
    for bits, largest in ((8, 127), (4, 7), (2, 1)):
        codes, scales = quantise(w, bits=bits)
        flat, zeros = scales.flatten(), torch.zeros(20, dtype=torch.int32)
        theirs = torch.fake_quantize_per_channel_affine(w, flat, zeros, 0, -largest, largest)
        same = (dequantise(codes, scales) - theirs).abs() < 1e-6
        assert same.float().mean() > 0.99  # a quotient in float32 may lie on the other side of a half
        codes, scales = quantise(w, bits=bits, per_row=False)
        theirs = torch.fake_quantize_per_tensor_affine(w, float(scales), 0, -largest, largest)
        assert ((dequantise(codes, scales) - theirs).abs() < 1e-6).float().mean() > 0.99


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
def test_the_error_of_rounding_is_that_of_uniform_noise(reference: Load, bits: int) -> None:
    """A step's rounding error has the variance step^2 / 12. With few bits the ends of the range matter a little."""
    torch.manual_seed(0)
    w = torch.rand(4, 20_000, dtype=torch.float64) * 2 - 1
    codes, scales = reference("quantise").quantise(w, bits=bits)
    error = (codes * scales - w) / scales
    assert float(error.abs().max()) <= 0.5 + 1e-9
    assert float(error.std()) == pytest.approx(1 / math.sqrt(12), rel=0.02)


def test_sizes_of_a_model(reference: Load) -> None:
    quantise = reference("quantise")
    model = nn.Sequential(nn.Linear(8, 3), nn.ReLU(), nn.Linear(3, 5, bias=False))
    assert quantise.size_bytes(model) == 4 * (24 + 3 + 15)
    small = quantise.quantise_model(model, inplace=False)
    assert quantise.size_bytes(small) == 24 + 15 + 4 * (3 + 3 + 5)  # codes, then scales and a bias
    assert quantise.size_bytes(small, code_bits=4) == 12 + 8 + 4 * (3 + 3 + 5)
    assert quantise.size_bytes(model) == 4 * (24 + 3 + 15)


def test_a_quantised_model_can_be_saved_and_loaded(reference: Load) -> None:
    quantise = reference("quantise")
    one, other = (
        quantise.quantise_model(nn.Sequential(nn.Linear(8, 3), nn.Tanh(), nn.Linear(3, 5))) for _ in range(2)
    )
    x = torch.randn(4, 8)
    assert not torch.equal(one(x), other(x))
    other.load_state_dict(one.state_dict())
    torch.testing.assert_close(one(x), other(x), atol=0.0, rtol=0.0)


def test_the_labs_outlier_leaves_the_function_as_it_is(reference: Load) -> None:
    quantise = reference("quantise")
    torch.manual_seed(0)
    model = quantise._Model().double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    ids = torch.randint(256, (2, 20))
    changed = quantise._with_an_outlier(model)
    torch.testing.assert_close(changed(ids), model(ids), atol=1e-9, rtol=0.0)
    before, after = (float(m.blocks[0].query.weight.detach().abs().max()) for m in (model, changed))
    assert after > 10 * before


def test_the_lab_prints_a_row_for_each_way(
    reference: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quantise = reference("quantise")
    monkeypatch.setitem(quantise.LAB, "steps", 2)
    quantise.main()
    rows = [row[34:].split() for row in capsys.readouterr().out.splitlines()[2:]]
    sizes = [int(row[0].replace(",", "")) for row in rows]
    assert len(rows) == 10
    assert sizes[2] < sizes[1] < sizes[0]
    assert sizes[5] < sizes[4] < sizes[1]
    assert sizes[7] == sizes[0]


def test_the_numbers_by_hand_in_the_guide(reference: Load, project: Project) -> None:
    guide = project.guide.read_text(encoding="utf-8").partition('<a id="quantise">')[2]
    row, largest = (0.31, -0.80, 0.05, 0.62), 127
    said = []
    for size, shown in ((0.80, True), (40.0, False)):
        step = size / largest
        said.append(f"= {step:.4f}$")
        codes = [round(w / step) for w in row]
        if shown:
            said.append("| weight / step | " + " | ".join(f"{w / step:.1f}" for w in row))
            said.append(f"half a step, {step / 2:.4f}. Now")
        said.append("| code | " + " | ".join(map(str, codes)) + " |")
        said.append("| code times step | " + " | ".join(f"{c * step:.4f}" for c in codes) + " |")
    said.append(f"= {12**-0.5:.2f}$ steps")
    said.append(f"$127/7 = {127 / 7:.0f}$")
    assert [words for words in said if words not in guide] == []
    codes, scales = reference("quantise").quantise(torch.tensor([row]))
    assert codes.tolist() == [[49, -127, 8, 98]]
    assert float(scales) == pytest.approx(0.8 / 127)
