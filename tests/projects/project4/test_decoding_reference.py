"""sampling.py of the reference against transformers, and the arithmetic that its checks rest on."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from cohort_cli.catalog import Project

Load = Callable[[str], ModuleType]


class Theirs(nn.Module):
    """transformers' GPT-2 under the interface that sampling.py asks for."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        config = GPT2Config(
            vocab_size=19,
            n_positions=24,
            n_embd=12,
            n_layer=2,
            n_head=3,
            initializer_range=0.7,
            bos_token_id=None,
            eos_token_id=None,
        )
        self.gpt2 = GPT2LMHeadModel(config).double()
        self.config = SimpleNamespace(block_size=24)

    def forward(self, idx: Tensor, targets: None = None, *, kv_cache: None = None) -> tuple[Tensor, None]:
        return self.gpt2(idx).logits, None

    def written(self, idx: Tensor, new: int, **settings: Any) -> Any:
        whole = {"attention_mask": torch.ones_like(idx), "pad_token_id": 0, "eos_token_id": None}
        return self.gpt2.generate(idx, max_new_tokens=new, **(whole | settings))


@pytest.fixture(scope="module")
def theirs() -> Theirs:
    return Theirs().eval()


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(1.0, None, None), (0.3, None, None), (2.5, 4, None), (1.0, None, 0.7), (0.8, 9, 0.6), (3.0, 5, 0.9)],
)
def test_probabilities_are_those_of_transformers(
    reference: Load, temperature: float, top_k: int | None, top_p: float | None
) -> None:
    torch.manual_seed(0)
    logits = torch.randn(50, 19, dtype=torch.float64) * 2
    scores = TemperatureLogitsWarper(temperature)(None, logits)
    if top_k is not None:
        scores = TopKLogitsWarper(top_k)(None, scores)
    if top_p is not None:
        scores = TopPLogitsWarper(top_p)(None, scores)
    settings = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    found = reference("sampling").next_token_probs(logits, **settings)
    torch.testing.assert_close(found, scores.softmax(-1), atol=1e-12, rtol=0.0)


def test_a_tiny_temperature_is_the_greedy_choice(reference: Load) -> None:
    """Divided by so little, logits alone would be infinite, and their difference not a number.

    What is smaller still is no normal float32, and some libraries make the processor take it for 0.
    """
    probs = reference("sampling").next_token_probs(torch.tensor([[-3.0, 5.0, 4.0]]), temperature=1.2e-38)
    assert probs.tolist() == [[0.0, 1.0, 0.0]]


def test_greedy_text_is_that_of_transformers(reference: Load, theirs: Theirs) -> None:
    idx = torch.randint(0, 19, (5, 4), generator=torch.Generator().manual_seed(1))
    want = theirs.written(idx, 12, do_sample=False)
    assert len({tuple(row) for row in want[:, 4:].tolist()}) > 1
    assert torch.equal(reference("sampling").generate(theirs, idx, 12, temperature=0.0), want)


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_beams_are_those_of_transformers(reference: Load, theirs: Theirs, width: int, penalty: float) -> None:
    """Without an eos_id all texts are equally long, and the two rules agree. (With one they do not: transformers sets
    ended texts aside, ours keep their place in the beam.)"""
    for row in torch.randint(0, 19, (4, 1, 3), generator=torch.Generator().manual_seed(2)):
        more = {"num_beams": width, "num_return_sequences": width, "length_penalty": penalty}
        out = theirs.written(
            row, 6, do_sample=False, return_dict_in_generate=True, output_scores=True, **more
        )
        found = reference("sampling").beam_search(
            theirs, row, beam_width=width, max_new_tokens=6, length_penalty=penalty
        )
        assert [text.tolist() for text, _ in found] == out.sequences.tolist()
        if width > 1:
            scores = torch.tensor([score for _, score in found], dtype=torch.float64)
            torch.testing.assert_close(scores, out.sequences_scores.double(), atol=1e-5, rtol=0.0)


def test_a_text_with_a_cache_is_the_same_with_dropout_and_in_float32(reference: Load) -> None:
    gpt = reference("gpt")
    torch.manual_seed(5)
    config = gpt.GPTConfig(block_size=16, vocab_size=19, n_layer=2, n_head=3, n_embd=12, dropout=0.5)
    model = gpt.GPT(config).train()
    idx = torch.randint(0, 19, (3, 4))
    texts = [
        reference("sampling").generate(
            model, idx, 20, generator=torch.Generator().manual_seed(7), use_cache=use_cache
        )
        for use_cache in (False, True)
    ]
    assert torch.equal(*texts)
    assert model.training


# --- what the checks rest on ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bench(project: Project) -> Iterator[ModuleType]:
    folder = str(project.reference.parent / "acceptance")
    sys.path.insert(0, folder)
    import text_bench

    yield text_bench
    sys.path.remove(folder)
    for name in ("text_bench", "text_toys"):
        sys.modules.pop(name, None)


def test_surprise_is_a_probability(bench: ModuleType) -> None:
    """Fair draws: about one in ten is below 0.1. If the degrees of freedom or the pooled cells were wrong, many more or
    fewer would be, and honest answers would fail."""
    made = torch.Generator().manual_seed(1)
    share = torch.tensor([0.4, 0.3, 0.2, 0.06, 0.03, 0.008, 0.002], dtype=torch.float64)
    found = []
    for _ in range(1000):
        drawn = torch.multinomial(share, 2000, replacement=True, generator=made)
        found.append(bench.surprise(bench.table(drawn, V=7), share * 2000))
    assert 0.07 < sum(p < 0.1 for p in found) / 1000 < 0.13
    assert 0.44 < sum(p < 0.5 for p in found) / 1000 < 0.56


def test_surprise_sees_what_is_wrong(bench: ModuleType) -> None:
    share = torch.tensor([0.5, 0.3, 0.2, 0.0], dtype=torch.float64)
    assert bench.surprise(torch.tensor([500.0, 300.0, 200.0, 0.0]), share * 1000) == pytest.approx(1.0)
    assert bench.surprise(torch.tensor([500.0, 299.0, 200.0, 1.0]), share * 1000) == 0.0
    # Three cells: two degrees of freedom, for which the probability is exp(-distance / 2).
    distance = 60**2 / 500 + 40**2 / 300 + 20**2 / 200
    found = bench.surprise(torch.tensor([560.0, 260.0, 180.0, 0.0]), share * 1000)
    assert found == pytest.approx(math.exp(-distance / 2))
