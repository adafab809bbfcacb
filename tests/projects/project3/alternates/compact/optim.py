"""Short: lerp, one loop."""

import torch


class AdamW(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        if min(lr, eps, weight_decay, *betas) < 0 or max(betas) >= 1:
            raise ValueError("an option makes no sense")
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        loss = closure and torch.enable_grad()(closure)()
        for group in self.param_groups:
            lr, (b1, b2), eps, decay = (group[k] for k in ("lr", "betas", "eps", "weight_decay"))
            for p in (p for p in group["params"] if p.grad is not None):
                s = self.state[p] or self.state[p]
                t = s["t"] = s.get("t", 0) + 1
                m = s["m"] = torch.lerp(s["m"] if t > 1 else torch.zeros_like(p), p.grad, 1 - b1)
                v = s["v"] = torch.lerp(s["v"] if t > 1 else torch.zeros_like(p), p.grad**2, 1 - b2)
                p -= lr * (decay * p + m / (1 - b1**t) / ((v / (1 - b2**t)).sqrt() + eps))
        return loss
