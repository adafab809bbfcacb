import torch
from torch import nn


class ScaleAndShift(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels))
        self.scale = nn.Parameter(torch.ones(channels))

    def forward(self, z):
        return self.scale * z + self.shift


def standardise(x, centre, spread, small):
    return (x - centre).div((spread + small).sqrt())


class BatchNorm1d(nn.Module):
    def __init__(self, d, eps=1e-5, momentum=0.1):
        super().__init__()
        self.d = d
        self.small = eps
        self.share_of_new = momentum
        self.affine = ScaleAndShift(d)
        for name, start in (("running_mean", 0.0), ("running_var", 1.0), ("batches", 0.0)):
            self.register_buffer(name, torch.full((d,) if name != "batches" else (), start))

    def forward(self, x):
        if self.training:
            flat = x.flatten(0, -2) if x.dim() > 1 else x[None]
            count = flat.size(0)
            if count == 1:
                raise ValueError("BatchNorm1d needs more than one row to train on")
            centre = flat.mean(0)
            spread = ((flat - centre) ** 2).mean(0)
            old, new = 1 - self.share_of_new, self.share_of_new
            with torch.no_grad():
                self.running_mean = old * self.running_mean + new * centre
                self.running_var = old * self.running_var + new * spread * (count / (count - 1))
                self.batches += 1
        else:
            centre, spread = self.running_mean, self.running_var
        return self.affine(standardise(x, centre, spread, self.small))


class LayerNorm(nn.Module):
    def __init__(self, d, eps=1e-5):
        super().__init__()
        self.small = eps
        self.affine = ScaleAndShift(d)

    def forward(self, x):
        centre = x.mean(-1, True)
        return self.affine(standardise(x, centre, (x - centre).square().mean(-1, True), self.small))


def influence(f, x, b, t, other):
    before = f(x)
    tokens = [list(sequence) for sequence in x]
    tokens[b][t] = other
    after = f(torch.stack([torch.stack(sequence) for sequence in tokens]))
    return torch.max(torch.abs(after - before), dim=2).values
