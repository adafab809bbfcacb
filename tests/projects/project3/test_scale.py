"""scale.py of the reference against Project 2's models and Hugging Face's, and against what torch really keeps."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
from small_gpts import project2_model
from torch import Tensor, nn

Load = Callable[[str], ModuleType]


class Block(nn.Module):
    """A GPT-2 block with fused attention, as it is trained in practice; or with plain products and no mask."""

    def __init__(self, width: int, heads: int, hidden: int, fused: bool = True) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.c_attn(self.ln_1(x)).chunk(3, -1)
        )
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            y = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        x = x + self.c_proj(y.transpose(1, 2).flatten(2))
        hidden: Tensor = self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))
        return x + hidden


def saved_bytes(block: nn.Module, x: Tensor, dtype: str) -> int:
    """Bytes of all tensors that backward will need, each piece of memory once, without the weights and their copies."""
    owned = {p.untyped_storage().data_ptr() for p in block.parameters()}
    shapes = {tuple(p.shape) for p in block.parameters() if p.dim() == 2}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in owned and tuple(tensor.shape) not in shapes | {s[::-1] for s in shapes}:
            kept[place] = tensor
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"),
    ):
        y = block(x)
    assert y.shape == x.shape
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("hidden", [None, 160])
def test_a_layer_keeps_what_the_formula_says(reference: Load, dtype: str, hidden: int | None) -> None:
    """Measured with hooks on what autograd saves. Statistics of norms and attention are left out by the formula."""
    width, heads, length, rows = 96, 4, 50, 3
    scale = reference("scale")
    shape = scale.GPTShape(11, 1, width, heads, length, d_ff=hidden)
    want = scale.training_memory(shape, batch_size=rows, dtype=dtype)["activations"]
    x = torch.randn(rows, length, width, requires_grad=True)
    assert saved_bytes(Block(width, heads, hidden or 4 * width), x, dtype) == pytest.approx(want, rel=0.03)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("d_ff", [None, 50])
def test_parameters_are_those_of_project_2(reference: Load, bias: bool, d_ff: int | None) -> None:
    model, scale = project2_model(), reference("scale")
    with torch.device("meta"):
        gpt = model.GPT(model.GPTConfig(101, 3, 24, 4, max_seq_len=17, bias=bias, d_ff=d_ff))
    shape = scale.GPTShape(101, 3, 24, 4, 17, d_ff=d_ff, bias=bias)
    assert scale.count_parameters(shape) == sum(p.numel() for p in gpt.parameters())


@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_those_of_hugging_face(reference: Load, tied: bool) -> None:
    transformers = pytest.importorskip("transformers")
    scale = reference("scale")
    config = transformers.GPT2Config(
        vocab_size=101, n_layer=3, n_embd=24, n_head=4, n_positions=17, tie_word_embeddings=tied
    )
    with torch.device("meta"):
        gpt = transformers.GPT2LMHeadModel(config)
        if tied:
            gpt.tie_weights()
    shape = scale.GPTShape(101, 3, 24, 4, 17, tied=tied)
    assert scale.count_parameters(shape) == sum(p.numel() for p in gpt.parameters())


def test_flops_are_those_that_torch_counts(reference: Load) -> None:
    """Four blocks alone, forward and backward. The formula counts biases, norms and positions too."""
    from torch.utils.flop_counter import FlopCounterMode

    width, heads, length = 96, 4, 64
    scale = reference("scale")
    blocks = nn.Sequential(*(Block(width, heads, 4 * width, fused=False) for _ in range(4)))
    with FlopCounterMode(display=False) as counter:
        blocks(torch.randn(1, length, width, requires_grad=True)).sum().backward()
    want = scale.flops_per_token(scale.GPTShape(1, 4, width, heads, length)) * length
    assert 0.97 * want < counter.get_total_flops() < want
