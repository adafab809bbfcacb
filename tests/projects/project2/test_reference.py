"""The reference beyond its checks: what only our own answer has, and what a whole model must be able to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
import torch

Load = Callable[[str], ModuleType]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors on a busy machine: several threads only wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_gpt2_small_and_xl_have_their_number_of_parameters(reference: Load) -> None:
    model = reference("model")
    sizes = {(12, 768, 12): 124_439_808, (48, 1600, 25): 1_557_611_200}
    for (layers, width, heads), count in sizes.items():
        with torch.device("meta"):
            gpt = model.GPT(model.GPTConfig(50257, layers, width, heads, max_seq_len=1024))
        assert sum(p.numel() for p in gpt.parameters()) == count


def test_a_tiny_gpt_learns_to_count(reference: Load) -> None:
    """Each token is followed by the next number. A second shift inside the model would make this impossible."""
    torch.manual_seed(0)
    model = reference("model")
    gpt = model.GPT(model.GPTConfig(vocab_size=11, n_layers=1, d_model=16, n_heads=2, max_seq_len=8))
    optimizer = torch.optim.SGD(gpt.parameters(), lr=0.1, momentum=0.9)
    loss = torch.tensor(0.0)
    for _ in range(150):
        idx = (torch.randint(11, (16, 1)) + torch.arange(9)) % 11
        _, loss = gpt(idx[:, :-1], idx[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
    assert gpt.generate(torch.tensor([[9, 10]]), 12, top_k=1)[0].tolist() == [(9 + i) % 11 for i in range(14)]


def test_gradients_reach_the_first_of_24_blocks(reference: Load) -> None:
    torch.manual_seed(0)
    block, model = reference("block"), reference("model")
    for position in ("pre", "post"):
        config = model.GPTConfig(11, 24, 8, 2, max_seq_len=5, norm_position=position)
        gpt = model.GPT(config).double()
        idx = torch.randint(11, (2, 5))
        gpt(idx, idx)[1].backward()
        assert isinstance(gpt.h[0], block.TransformerBlock)
        assert gpt.h[0].attn.c_attn.weight.grad.abs().max() > 1e-9


# --- rotary positions, in own.py -----------------------------------------------------------------------------


@pytest.mark.parametrize("theta", [10_000.0, 500.0])
def test_rope_keeps_lengths_and_depends_only_on_distance(reference: Load, theta: float) -> None:
    own = reference("own")
    cos, sin = own.precompute_rope(6, 64, theta)
    cos, sin = cos.double(), sin.double()
    q, k = torch.randn(2, 6, dtype=torch.float64)
    at = [torch.tensor([p]) for p in range(64)]
    for p, distance in ((0, 3), (7, 0), (20, 30)):
        products = []
        for start in (p, p + 9):
            turned = (
                own.apply_rope(q[None], cos, sin, at[start + distance])
                @ own.apply_rope(k[None], cos, sin, at[start]).T
            )
            products.append(turned)
        torch.testing.assert_close(products[0], products[1], rtol=0, atol=1e-5)
    torch.testing.assert_close(own.apply_rope(q[None], cos, sin, at[40]).norm(), q.norm())


def test_rope_turns_each_pair_by_its_own_angle(reference: Load) -> None:
    own = reference("own")
    cos, sin = own.precompute_rope(4, 8, theta=100.0)
    x = torch.tensor([[1.0, 0.0, 1.0, 0.0]]).expand(8, 4)
    p = torch.arange(8.0)
    want = torch.stack([p.cos(), p.sin(), (p / 10).cos(), (p / 10).sin()], dim=1)
    torch.testing.assert_close(own.apply_rope(x, cos, sin), want)
    order = torch.tensor([5, 2, 2, 7])
    torch.testing.assert_close(own.apply_rope(x[:4], cos, sin, order), want[order])


def test_rope_needs_pairs(reference: Load) -> None:
    with pytest.raises(ValueError, match="even"):
        reference("own").precompute_rope(5, 8)


def test_grouped_queries_with_as_many_groups_as_heads_are_ordinary_attention(reference: Load) -> None:
    """Without the rotation (all angles 0), G = H and the same weights, it is CausalSelfAttention."""
    own, attention, block = reference("own"), reference("attention"), reference("block")
    torch.manual_seed(0)
    config = block.BlockConfig(d_model=12, n_heads=3, max_seq_len=8)
    grouped = own.GroupedQueryAttention(block.BlockConfig(12, 2, max_seq_len=8), 2).double()
    plain = attention.CausalSelfAttention(12, 2, 8, bias=False).double()
    plain.c_attn.weight.data = torch.cat(
        [grouped.query.weight, grouped.key.weight, grouped.value.weight]
    ).data
    plain.c_proj.weight.data = grouped.c_proj.weight.data
    grouped.cos.fill_(1.0)
    grouped.sin.fill_(0.0)
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    torch.testing.assert_close(grouped(x), plain(x))
    with pytest.raises(ValueError, match="n_kv_heads"):
        own.GroupedQueryAttention(config, 2)
