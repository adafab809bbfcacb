"""A helper file with the running means."""

import torch
from running import Running


class AdamW(torch.optim.Optimizer):
    def __init__(self, params, lr=0.001, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.01):
        for name, value in {"lr": lr, "eps": eps, "weight_decay": weight_decay}.items():
            if value < 0:
                raise ValueError(name)
        for b in betas:
            if not 0 <= b < 1:
                raise ValueError("betas")
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    def step(self, closure=None):
        result = None if closure is None else closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                memory = self.state[weight]
                direction = Running(memory, "speed", group["betas"][0])
                size = Running(memory, "energy", group["betas"][1])
                with torch.no_grad():
                    slope = weight.grad
                    move = direction.update(slope) / (size.update(slope * slope).sqrt() + group["eps"])
                    weight.data = weight.data - group["lr"] * (group["weight_decay"] * weight.data + move)
        return result
