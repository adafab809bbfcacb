"""A classifier from a language model: read one position, train little, and count what is right.    Step: classify

B batch, T time (tokens), C = d_model, K = num_classes.

Source: Raschka 2024, Build a Large Language Model (From Scratch), chapter 6,
https://github.com/rasbt/LLMs-from-scratch/tree/main/ch06/01_main-chapter-code.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


class SequenceClassifier(nn.Module):
    """A backbone that reads tokens, and a linear head that scores K classes. (B, T) -> (B, K).

    Parts: `backbone`, the module that was given; it turns ids (B, T) int64 into hidden states (B, T, C).
    `head`, an nn.Linear(d_model, num_classes) with a bias. Both can be trained at first.
    """

    def __init__(self, backbone: nn.Module, d_model: int, num_classes: int, *, pad_id: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(d_model, num_classes)
        self.pad_id = pad_id

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) int64, padded on the right with pad_id -> logits (B, K).

        The logits of a row are the head's, at the row's last token that is not pad_id: in a causal model that is
        the one position that has seen the whole text. More padding must not change them. pad_id may also stand
        inside a text (many models have no padding token of their own), so look for the last other token; do not
        count. Raises ValueError if a row holds nothing but padding.
        """
        text = ids != self.pad_id  # (B, T)
        if not bool(text.any(dim=1).all()):
            raise ValueError(f"a row holds nothing but padding ({self.pad_id}): there is no text to read")
        positions = torch.arange(ids.size(1), device=ids.device)
        last = positions.masked_fill(~text, 0).amax(dim=1)  # (B, T) -> (B,)
        hidden = self.backbone(ids)  # (B, T, C)
        rows = torch.arange(ids.size(0), device=ids.device)
        return self.head(hidden[rows, last])  # (B, C) -> (B, K)


def freeze_all_but(model: nn.Module, names: Sequence[str]) -> int:
    """Train only the named parts. Returns how many numbers can be trained.

    names: parameters or whole modules, as model.named_parameters() writes them: "head" means head.weight and
    head.bias, and "backbone.h.1" means all below it but nothing of backbone.h.10. Every parameter that is named gets
    requires_grad True, whatever it had before; every other one False. Raises ValueError if a name fits no
    parameter: a typing error would otherwise train nothing, and nobody would notice.
    """
    found = dict(model.named_parameters())
    for name in names:
        if not any(_belongs(parameter, name) for parameter in found):
            raise ValueError(f"no parameter is called {name!r} or lies below it")
    for path, parameter in found.items():
        parameter.requires_grad_(any(_belongs(path, name) for name in names))
    return sum(parameter.numel() for parameter in found.values() if parameter.requires_grad)


def _belongs(path: str, name: str) -> bool:
    return path == name or path.startswith(name + ".")


def balance(examples: Sequence[tuple[list[int], int]], seed: int) -> list[tuple[list[int], int]]:
    """As many examples of each class as the smallest class has; of the larger ones a random choice.

    examples: (ids, label), any number of classes. Nothing is taken twice. The choice depends on `seed` alone: the same
    seed gives the same list, and the random numbers of the rest of the program stay as they are. Any order.
    """
    classes: dict[int, list[tuple[list[int], int]]] = {}
    for example in examples:
        classes.setdefault(example[1], []).append(example)
    smallest = min((len(members) for members in classes.values()), default=0)
    generator = random.Random(seed)
    chosen = [example for label in sorted(classes) for example in generator.sample(classes[label], smallest)]
    generator.shuffle(chosen)
    return chosen


def pad_batch(
    examples: Sequence[tuple[list[int], int]], *, pad_id: int, max_length: int
) -> tuple[Tensor, Tensor]:
    """(ids, label) pairs -> ids (B, T) int64, padded on the right, and labels (B,) int64.

    Of each text the first max_length tokens stay. T is the length of the longest text that is left, so that a batch
    of short texts costs little. The examples stay as they are.
    """
    texts = [ids[:max_length] for ids, _ in examples]
    longest = max(len(text) for text in texts)
    rows = [text + [pad_id] * (longest - len(text)) for text in texts]
    labels = [label for _, label in examples]
    return torch.tensor(rows, dtype=torch.int64), torch.tensor(labels, dtype=torch.int64)


@torch.no_grad()
def accuracy(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """The share of examples whose highest logit is the label's: right answers / examples, over all batches.

    batches: (ids (B, T), labels (B,)), perhaps a generator that can be run once; the last one may be smaller. The model
    is in eval mode meanwhile, and afterwards in the mode in which it came. No gradients. Raises ValueError
    if there is no example at all.
    """
    training = model.training
    model.eval()
    right = total = 0
    for ids, labels in batches:
        right += int((model(ids).argmax(dim=-1) == labels).sum())
        total += labels.numel()
    model.train(training)
    if total == 0:
        raise ValueError("there are no examples to count")
    return right / total
