"""A pure function of one parameter; the class only carries its values in and out."""

import math

import torch


def rule(lr, betas, eps, weight_decay):
    """(w, g, (t, m, v)) -> (w, (t, m, v))"""
    b1, b2 = betas

    def update(w, g, memory):
        t, m, v = memory[0] + 1, b1 * memory[1] + (1 - b1) * g, b2 * memory[2] + (1 - b2) * g.square()
        size = lr * math.sqrt(1 - b2**t) / (1 - b1**t)
        move = m / (v.sqrt() + eps * math.sqrt(1 - b2**t))
        return w * (1 - lr * weight_decay) - size * move, (t, m, v)

    return update


class AdamW(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        if any(option < 0 for option in (lr, eps, weight_decay)) or not all(0 <= b < 1 for b in betas):
            raise ValueError("options")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def step(self, closure=None):
        with torch.enable_grad():
            loss = closure() if closure else None
        with torch.no_grad():
            for group in self.param_groups:
                update = rule(*(group[name] for name in ("lr", "betas", "eps", "weight_decay")))
                for p in filter(lambda p: p.grad is not None, group["params"]):
                    zero = torch.zeros_like(p)
                    w, memory = update(p, p.grad, self.state[p].get("memory", (0, zero, zero)))
                    self.state[p]["memory"] = memory
                    p.copy_(w)
        return loss
