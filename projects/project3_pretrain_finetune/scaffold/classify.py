"""A classifier from a language model: read one position, train little, and count what is right.    Step: classify

B batch, T time (tokens), C = d_model, K = num_classes.

Source: Raschka 2024, Build a Large Language Model (From Scratch), chapter 6,
https://github.com/rasbt/LLMs-from-scratch/tree/main/ch06/01_main-chapter-code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn


class SequenceClassifier(nn.Module):
    """A backbone that reads tokens, and a linear head that scores K classes. (B, T) -> (B, K).

    Parts: `backbone`, the module that was given; it turns ids (B, T) int64 into hidden states (B, T, C).
    `head`, an nn.Linear(d_model, num_classes) with a bias. Both can be trained at first.
    """

    def __init__(self, backbone: nn.Module, d_model: int, num_classes: int, *, pad_id: int) -> None:
        raise NotImplementedError("classify: SequenceClassifier.__init__")

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) int64, padded on the right with pad_id -> logits (B, K).

        The logits of a row are the head's, at the row's last token that is not pad_id: in a causal model that is
        the one position that has seen the whole text. More padding must not change them. pad_id may also stand
        inside a text (many models have no padding token of their own), so look for the last other token; do not
        count. Raises ValueError if a row holds nothing but padding.
        """
        raise NotImplementedError("classify: SequenceClassifier.forward")


def freeze_all_but(model: nn.Module, names: Sequence[str]) -> int:
    """Train only the named parts. Returns how many numbers can be trained.

    names: parameters or whole modules, as model.named_parameters() writes them: "head" means head.weight and
    head.bias, and "backbone.h.1" means all below it but nothing of backbone.h.10. Every parameter that is named gets
    requires_grad True, whatever it had before; every other one False. Raises ValueError if a name fits no
    parameter: a typing error would otherwise train nothing, and nobody would notice.
    """
    raise NotImplementedError("classify: freeze_all_but")


def balance(examples: Sequence[tuple[list[int], int]], seed: int) -> list[tuple[list[int], int]]:
    """As many examples of each class as the smallest class has; of the larger ones a random choice.

    examples: (ids, label), any number of classes. Nothing is taken twice. The choice depends on `seed` alone: the same
    seed gives the same list, and the random numbers of the rest of the program stay as they are. Any order.
    """
    raise NotImplementedError("classify: balance")


def pad_batch(
    examples: Sequence[tuple[list[int], int]], *, pad_id: int, max_length: int
) -> tuple[Tensor, Tensor]:
    """(ids, label) pairs -> ids (B, T) int64, padded on the right, and labels (B,) int64.

    Of each text the first max_length tokens stay. T is the length of the longest text that is left, so that a batch
    of short texts costs little. The examples stay as they are.
    """
    raise NotImplementedError("classify: pad_batch")


def accuracy(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """The share of examples whose highest logit is the label's: right answers / examples, over all batches.

    batches: (ids (B, T), labels (B,)), perhaps a generator that can be run once; the last one may be smaller. The model
    is in eval mode meanwhile, and afterwards in the mode in which it came. No gradients. Raises ValueError
    if there is no example at all.
    """
    raise NotImplementedError("classify: accuracy")
