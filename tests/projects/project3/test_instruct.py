"""The reference's instruction tuning: its loss beside transformers' own convention, and a model that learns to stop."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

Load = Callable[[str], ModuleType]


class Small(nn.Module):
    """A causal model of one recurrent layer. (B, T) -> (logits (B, T, V), None)."""

    def __init__(self, vocab_size: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab_size, width)
        self.body = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocab_size)

    def forward(self, ids: Tensor) -> tuple[Tensor, None]:
        return self.head(self.body(self.table(ids))[0]), None


def test_the_loss_is_that_of_transformers(reference: Load) -> None:
    """transformers shifts inside the model and takes labels of the same length as the inputs."""
    transformers = pytest.importorskip("transformers")
    instruct = reference("instruct")
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=13, n_positions=16, n_embd=8, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
    )
    gpt = transformers.GPT2LMHeadModel(config).double().eval()
    batch = [([3, 7, 2], [5, 9]), ([4], [1, 1, 6, 2]), ([8, 8], [10])]
    inputs, targets = instruct.sft_collate(batch, pad_id=0, end_id=0)

    class Ours(nn.Module):
        def forward(self, ids: Tensor) -> tuple[Tensor, None]:
            return gpt(input_ids=ids).logits, None

    rows, labels = [], []
    for prompt, response in batch:
        row = [*prompt, *response, 0]
        rows.append(row + [0] * (6 - len(row)))
        labels.append([-100] * len(prompt) + response + [0] + [-100] * (6 - len(row)))
    want = gpt(input_ids=torch.tensor(rows), labels=torch.tensor(labels)).loss
    got = instruct.sft_loss(Ours(), inputs, targets)
    torch.testing.assert_close(got.double(), want.double(), rtol=1e-6, atol=1e-6)


def test_a_model_learns_to_answer_and_to_stop(reference: Load) -> None:
    """The answer repeats the prompt's two tokens; padding and end are one id, and the model stops all the same."""
    instruct = reference("instruct")
    torch.manual_seed(0)
    model = Small(10, 32)
    batch = [([a, b, 9], [a, b]) for a in range(1, 9) for b in range(1, 9)]
    inputs, targets = instruct.sft_collate(batch, pad_id=0, end_id=0)
    assert int((targets != -100).sum()) == 64 * 3
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(200):
        loss = instruct.sft_loss(model, inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    answers = [instruct.generate_response(model, prompt, end_id=0, max_new_tokens=6) for prompt, _ in batch]
    assert sum(answer == response for answer, (_, response) in zip(answers, batch, strict=True)) >= 60


def test_the_prompt_of_use_is_the_prompt_of_training(reference: Load) -> None:
    format_example = reference("instruct").format_example
    for template in ("alpaca", "phi3"):
        for given in ("", "some text"):
            full = {"instruction": "Do it.", "input": given, "output": "Done."}
            bare = {key: value for key, value in full.items() if key != "output"}
            assert format_example(full, template)[0] == format_example(bare, template)[0]
