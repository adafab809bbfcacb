"""The reference's classifier learns what it can see, and its helpers agree with independent counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import nn

Load = Callable[[str], ModuleType]


def test_a_classifier_learns_the_last_token(reference: Load) -> None:
    """The class is the parity of the last token: only who reads that position can know it."""
    classify = reference("classify")
    torch.manual_seed(0)
    model = classify.SequenceClassifier(nn.Embedding(12, 8), 8, 2, pad_id=11)
    examples = []
    for _ in range(200):
        ids = torch.randint(11, (int(torch.randint(1, 9, ())),)).tolist()
        examples.append((ids, ids[-1] % 2))
    ids, labels = classify.pad_batch(examples, pad_id=11, max_length=8)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    assert classify.accuracy(model, [(ids, labels)]) < 0.8
    for _ in range(100):
        loss = F.cross_entropy(model(ids), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert classify.accuracy(model, [(ids[:150], labels[:150]), (ids[150:], labels[150:])]) == 1.0


def test_freezing_counts_what_an_optimizer_would_get(reference: Load) -> None:
    classify = reference("classify")
    backbone = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 4), nn.LayerNorm(4))
    model = classify.SequenceClassifier(backbone, 4, 2, pad_id=0)
    assert classify.freeze_all_but(model, ["head", "backbone.2"]) == 2 * 4 + 2 + 4 + 4
    assert classify.freeze_all_but(model, ["backbone"]) == 5 * 3 + 3 * 4 + 4 + 8
    assert not model.head.weight.requires_grad


def test_balance_of_many_classes(reference: Load) -> None:
    balance = reference("classify").balance
    examples = [([number], number % 7 if number < 70 else 0) for number in range(100)]
    chosen = balance(examples, 1)
    assert Counter(label for _, label in chosen) == dict.fromkeys(range(7), 10)
    assert len({ids[0] for ids, _ in chosen}) == 70
    assert balance(examples, 1) == chosen != balance(examples, 2)
    assert balance([], 1) == []
