"""A helper file: where windows begin, and what a batch costs."""

import torch


def beginnings(how_many_ids: int, width: int) -> torch.Tensor:
    return torch.arange(how_many_ids - width)


def cut(text: torch.Tensor, where: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    places = where.unsqueeze(1) + torch.arange(width)
    return text[places], text[where + width]


def surprise(scores: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """-ln p of each row."""
    log_p = torch.log_softmax(scores, dim=1)
    return -log_p[torch.arange(truth.numel()), truth]
