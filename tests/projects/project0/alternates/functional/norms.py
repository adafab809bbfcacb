import torch
from torch import nn


def moments(x, dims):
    """First moment and central second one, from sums."""
    n = 1
    for dim in dims:
        n *= x.shape[dim]
    mean = x.sum(dims, keepdim=True) / n
    return mean, ((x - mean) * (x - mean)).sum(dims, keepdim=True) / n, n


def affine(x, mean, variance, eps, gamma, beta):
    factor = gamma * torch.pow(variance + eps, -0.5)
    return x * factor + (beta - mean * factor)


def batch_step(x, mean, variance, momentum):
    """(normalising mean, normalising variance, new running mean, new running variance)"""
    m, v, n = moments(x, tuple(range(x.dim() - 1)))
    if n < 2:
        raise ValueError("no variance from one number")
    m, v = m.flatten(), v.flatten()
    move = lambda old, new: torch.lerp(old, new.detach(), momentum)
    return m, v, move(mean, m), move(variance, v * (n / (n - 1)))


class BatchNorm1d(nn.Module):
    def __init__(self, d, eps=1e-5, momentum=0.1):
        super().__init__()
        self.config = {"eps": eps}
        self.momentum = momentum
        self.register_parameter("gamma", nn.Parameter(torch.ones((d,))))
        self.register_parameter("beta", nn.Parameter(torch.zeros((d,))))
        self.register_buffer("running_mean", torch.zeros((d,)))
        self.register_buffer("running_var", torch.ones((d,)))

    def forward(self, x):
        mean, variance = self.running_mean, self.running_var
        if self.training:
            mean, variance, self.running_mean, self.running_var = batch_step(x, mean, variance, self.momentum)
        return affine(x, mean, variance, gamma=self.gamma, beta=self.beta, **self.config)


class LayerNorm(nn.Module):
    def __init__(self, d, eps=1e-5):
        super().__init__()
        self.config = {"eps": eps}
        self.register_parameter("gamma", nn.Parameter(torch.ones((d,))))
        self.register_parameter("beta", nn.Parameter(torch.zeros((d,))))

    def forward(self, x):
        mean, variance, _ = moments(x, (x.dim() - 1,))
        return affine(x, mean, variance, gamma=self.gamma, beta=self.beta, **self.config)


def influence(f, x, b, t, other):
    replaced = x.index_put((torch.tensor(b), torch.tensor(t)), other)
    with torch.no_grad():
        difference = torch.sub(f(replaced), f(x))
    low, high = torch.aminmax(difference, dim=-1)
    return torch.maximum(high, -low)
