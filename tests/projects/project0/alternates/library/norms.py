import torch
from torch import nn


class BatchNorm1d(nn.Module):
    def __init__(self, d, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.weight = nn.Parameter(torch.empty(d))
        self.bias = nn.Parameter(torch.empty(d))
        self.running_mean = nn.Buffer(torch.empty(d))
        self.running_var = nn.Buffer(torch.empty(d))
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)
        self.running_mean.zero_()
        self.running_var.fill_(1)

    def forward(self, x):
        if self.training:
            rows = x.view(-1, x.size(-1))
            if rows.size(0) <= 1:
                raise ValueError(f"Expected more than 1 value per channel when training, got input size {tuple(x.shape)}")
            # cov divides by N - 1
            deviation, mean = torch.std_mean(rows, dim=0, correction=0)
            variance = deviation.square()
            self.running_mean.mul_(1 - self.momentum).add_(mean.detach(), alpha=self.momentum)
            self.running_var.mul_(1 - self.momentum).add_(torch.var(rows.detach(), 0, unbiased=True), alpha=self.momentum)
        else:
            mean, variance = self.running_mean, self.running_var
        return torch.addcdiv(self.bias, (x - mean) * self.weight, torch.sqrt(variance + self.eps))


class LayerNorm(nn.Module):
    def __init__(self, d, eps=1e-5):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d))
        self.bias = nn.Parameter(torch.zeros(d))

    def forward(self, x):
        variance, mean = torch.var_mean(x, dim=-1, keepdim=True, unbiased=False)
        return (x - mean).mul(torch.rsqrt(variance.add(self.eps))).mul(self.weight).add(self.bias)


def influence(f, x, b, t, other):
    both = [x, torch.clone(x)]
    both[1][b][t].copy_(other)
    before, after = map(f, both)
    return torch.nn.functional.l1_loss(after, before, reduction="none").max(dim=-1)[0]
