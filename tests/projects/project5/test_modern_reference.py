"""modern.py of the reference against transformers' GPT-2 and Llama, and against torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GPT2Config, GPT2Model, LlamaConfig, LlamaModel
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

from cohort_cli.catalog import Project

Load = Callable[[str], ModuleType]


def randomise(model: nn.Module) -> None:
    torch.manual_seed(5)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)


def test_all_five_are_a_block_of_llama(reference: Load) -> None:
    modern = reference("modern")
    config = LlamaConfig(
        vocab_size=3,
        hidden_size=24,
        num_attention_heads=6,
        num_key_value_heads=2,
        intermediate_size=modern.gated_width(24),
        num_hidden_layers=1,
        rms_norm_eps=modern.EPS,
        rope_theta=10_000.0,
        attn_implementation="eager",
    )
    theirs: Any = LlamaModel(config).double().eval()
    theirs.norm = nn.Identity()
    randomise(theirs)
    switches = modern.Switches(rms_norm=True, rotary=True, swiglu=True, n_kv_heads=2, bias=False)
    ours = modern.Block(24, 6, switches).double()
    layer = theirs.layers[0]
    names = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "proj": "o_proj"}
    state = {f"attn.{a}.weight": getattr(layer.self_attn, b).weight for a, b in names.items()}
    state |= {f"mlp.{a}.weight": getattr(layer.mlp, f"{a}_proj").weight for a in ("gate", "up", "down")}
    state |= {
        "norm_1.weight": layer.input_layernorm.weight,
        "norm_2.weight": layer.post_attention_layernorm.weight,
    }
    ours.load_state_dict(state)
    x = torch.randn(2, 9, 24, dtype=torch.float64)
    want = theirs(inputs_embeds=x).last_hidden_state
    torch.testing.assert_close(ours(x), want, atol=1e-5, rtol=0.0)  # their angles are float32


def test_nothing_switched_is_a_block_of_gpt2(reference: Load) -> None:
    modern = reference("modern")
    config = GPT2Config(
        vocab_size=3, n_positions=16, n_embd=24, n_head=6, n_layer=1, attn_implementation="eager"
    )
    theirs: Any = GPT2Model(config).double().eval()
    theirs.ln_f = nn.Identity()
    randomise(theirs)
    theirs.wpe.weight.data.zero_()
    ours = modern.Block(24, 6, modern.Switches()).double()
    layer, state = theirs.h[0], {}
    for kind in ("weight", "bias"):
        for name, part in zip(
            ("query", "key", "value"), getattr(layer.attn.c_attn, kind).chunk(3, -1), strict=True
        ):
            state[f"attn.{name}.{kind}"] = part.mT if part.dim() == 2 else part
        for ours_, part in (
            ("attn.proj", layer.attn.c_proj),
            ("mlp.up", layer.mlp.c_fc),
            ("mlp.down", layer.mlp.c_proj),
        ):
            value = getattr(part, kind)
            state[f"{ours_}.{kind}"] = value.mT if value.dim() == 2 else value
        state |= {f"norm_{i}.{kind}": getattr(norm, kind) for i, norm in ((1, layer.ln_1), (2, layer.ln_2))}
    ours.load_state_dict(state)
    x = torch.randn(2, 9, 24, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(inputs_embeds=x).last_hidden_state, atol=1e-10, rtol=0.0)


@pytest.mark.parametrize("head_dim", [2, 8, 64])
def test_rotations_are_those_of_llama(reference: Load, head_dim: int) -> None:
    config = LlamaConfig(hidden_size=2 * head_dim, num_attention_heads=2, rope_theta=10_000.0)
    positions = torch.randperm(50)[:7]
    x = torch.randn(2, 2, 7, head_dim)
    cos, sin = LlamaRotaryEmbedding(config)(x, positions[None])
    want, _ = apply_rotary_pos_emb(x, x, cos, sin)
    found = reference("modern").rotate(x, positions)
    torch.testing.assert_close(found, want, atol=1e-5, rtol=0.0)


def test_a_late_position_in_bfloat16_keeps_its_angle(reference: Load) -> None:
    """Angles are computed in float32 at least: 4,001 and 4,000 are one number in bfloat16."""
    rotate = reference("modern").rotate
    x = torch.ones(1, 1, 2, 4, dtype=torch.bfloat16)
    near, far = rotate(x, torch.tensor([4000, 4001]))[0, 0]
    want = rotate(x.double(), torch.tensor([4000, 4001]))[0, 0]
    torch.testing.assert_close(torch.stack([near, far]).double(), want, atol=0.02, rtol=0.0)


def test_norm_and_gate_are_torchs(reference: Load) -> None:
    modern = reference("modern")
    x, gain = torch.randn(4, 5, 12, dtype=torch.float64), torch.randn(12, dtype=torch.float64)
    torch.testing.assert_close(modern.rms_norm(x, gain, 1e-3), F.rms_norm(x, (12,), gain, 1e-3))
    gate, up, down = (torch.randn(shape, dtype=torch.float64) for shape in ((7, 12), (7, 12), (12, 7)))
    torch.testing.assert_close(modern.swiglu(x, gate, up, down), (F.silu(x @ gate.T) * (x @ up.T)) @ down.T)


def test_shared_keys_are_those_of_torchs_own_grouped_attention(reference: Load) -> None:
    q: Tensor = torch.randn(2, 6, 5, 4, dtype=torch.float64)
    k, v = torch.randn(2, 2, 2, 5, 4, dtype=torch.float64)
    repeat = reference("modern").repeat_kv
    ours = F.scaled_dot_product_attention(q, repeat(k, 6), repeat(v, 6), is_causal=True)
    theirs = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("width", [64, 96, 768, 1000, 4096])
def test_the_gated_mlp_has_about_as_many_parameters(reference: Load, width: int) -> None:
    """The width is off by 4 at most, so the parameters are off by 12 C of 8 C^2."""
    inner = reference("modern").gated_width(width)
    assert inner % 8 == 0
    assert abs(3 * width * inner - 8 * width**2) <= 12 * width


def test_the_lab_prints_a_row_for_each_block(
    reference: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    modern = reference("modern")
    monkeypatch.setitem(modern.LAB, "steps", 2)
    modern.main(seeds=2)
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row[:16].strip() for row in rows] == list(modern.ROWS)
    whole, halved = rows[0][16:].split(), rows[-1][16:].split()
    assert int(whole[1].replace(",", "")) == 2 * int(halved[1].replace(",", ""))
    assert whole[4:] == ["+0.000", "+0.000,", "+0.000"]


def test_the_numbers_by_hand_in_the_guide(reference: Load, project: Project) -> None:
    guide = project.guide.read_text(encoding="utf-8").partition('<a id="quantise">')[0]
    modern, gain = reference("modern"), torch.ones(2)
    a, b = modern.rms_norm(torch.tensor([3.0, 4.0]), gain, 0.0).tolist()
    said = [f"its root ${12.5**0.5:.3f}$", f"$({a:.3f}, {b:.3f})$"]
    x = torch.tensor([1.0, 0.0, 0.0, 2.0], dtype=torch.float64)
    turned = modern.rotate(x.view(1, 1, 1, 4), torch.tensor([3])).flatten().tolist()
    said.append("$(" + ", ".join(f"{value:.3f}" for value in turned) + ")$")
    said.append(f"| 0 and 2 | $(1, 0)$ | 3 | $({math.cos(3):.3f}, {math.sin(3):.3f})$ |")
    said.append(f"| 1 and 3 | $(0, 2)$ | 0.03 | $({-2 * math.sin(0.03):.3f}, {2 * math.cos(0.03):.3f})$ |")
    inner = modern.gated_width(768)
    said.append(f"| SwiGLU, $F = {inner}$ | $3 \\cdot 768 \\cdot {inner}$ | {3 * 768 * inner:,} |")
    said.append(f"| GELU | $2 \\cdot 768 \\cdot 3072$ | {2 * 768 * 3072:,} |")
    for heads, size in ((64, 10.0), (8, 1.25)):
        kept = modern.cache_bytes(80, heads, 128, 4096)
        assert kept == size * 2**30
        said.append(f"| {kept:,} | {size:g} GiB |")
    assert [words for words in said if words not in guide] == []
