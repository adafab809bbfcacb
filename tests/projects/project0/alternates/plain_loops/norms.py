import torch
from torch import nn


class BatchNorm1d(nn.Module):
    def __init__(self, d, eps=1e-5, momentum=0.1):
        super().__init__()
        self.d = d
        self.eps = eps
        self.momentum = momentum
        self.beta = nn.Parameter(torch.zeros(d))
        self.gamma = nn.Parameter(torch.ones(d))
        self.register_buffer("running_mean", torch.zeros(d))
        self.register_buffer("running_var", torch.ones(d))

    def forward(self, x):
        channels = []
        for c in range(self.d):
            numbers = x[..., c]
            if self.training:
                n = numbers.numel()
                if n < 2:
                    raise ValueError("a single number has no variance")
                mean = numbers.sum() / n
                squares = ((numbers - mean) ** 2).sum()
                variance = squares / n
                with torch.no_grad():
                    m = self.momentum
                    self.running_mean[c] = (1 - m) * self.running_mean[c] + m * mean
                    self.running_var[c] = (1 - m) * self.running_var[c] + m * squares / (n - 1)
            else:
                mean = self.running_mean[c]
                variance = self.running_var[c]
            y = (numbers - mean) / (variance + self.eps) ** 0.5
            channels.append(self.gamma[c] * y + self.beta[c])
        return torch.stack(channels, dim=-1)


class LayerNorm(nn.Module):
    def __init__(self, d, eps=1e-5):
        super().__init__()
        self.d = d
        self.eps = eps
        self.gamma = nn.Parameter(torch.ones(d))
        self.beta = nn.Parameter(torch.zeros(d))

    def forward(self, x):
        mean = 0.0
        for c in range(self.d):
            mean = mean + x[..., c] / self.d
        variance = 0.0
        for c in range(self.d):
            variance = variance + (x[..., c] - mean) ** 2 / self.d
        channels = []
        for c in range(self.d):
            channels.append((x[..., c] - mean) / (variance + self.eps) ** 0.5 * self.gamma[c] + self.beta[c])
        return torch.stack(channels, dim=-1)


def influence(f, x, b, t, other):
    changed = x.detach().clone()
    for c in range(x.shape[2]):
        changed[b, t, c] = other[c]
    before, after = f(x), f(changed)
    found = torch.zeros(x.shape[0], x.shape[1], dtype=x.dtype)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            for c in range(before.shape[2]):
                moved = abs(float(after[i, j, c] - before[i, j, c]))
                if moved > found[i, j]:
                    found[i, j] = moved
    return found
