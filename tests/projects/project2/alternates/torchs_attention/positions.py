"""Complex numbers: a rotation by the angle has cosine and sine in its two parts."""

import torch
from helpers import check_length
from torch import nn


def sinusoidal_positions(max_len, d_model):
    speed = 10000 ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    turns = torch.polar(torch.ones(max_len, d_model // 2, dtype=torch.float64), torch.arange(max_len).outer(speed))
    return torch.view_as_real(turns).flip(-1).reshape(max_len, d_model).to(torch.get_default_dtype())


class LearnedPositions(nn.Module):
    def __init__(self, max_len, d_model):
        super().__init__()
        self.wpe = nn.Embedding(max_len, d_model)
        self.max_len = max_len

    def forward(self, x):
        check_length(x, self.max_len)
        return self.wpe(torch.arange(x.shape[1], device=x.device)).add(x)
