"""A linear layer as GPT-2 stores it: weight (in, out), used as x @ weight + bias."""

import torch
from torch import nn


class Conv1D(nn.Module):
    def __init__(self, n_in, n_out, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out).normal_(std=0.02))
        self.bias = nn.Parameter(torch.zeros(n_out)) if bias else None

    def forward(self, x):
        size = x.size()[:-1] + (self.weight.size(1),)
        x = x.reshape(-1, x.size(-1))
        x = x @ self.weight if self.bias is None else torch.addmm(self.bias, x, self.weight)
        return x.view(size)
