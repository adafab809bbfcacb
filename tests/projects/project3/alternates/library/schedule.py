"""torch's AdamW and torch's own schedulers."""

import torch
from torch.optim.lr_scheduler import LambdaLR  # noqa: F401  (what the loop may use)


def configure_optimizers(model, *, lr, weight_decay=0.1, betas=(0.9, 0.95), fused=None):
    param_dict = {name: p for name, p in model.named_parameters() if p.requires_grad}
    decay_params = [p for p in param_dict.values() if p.dim() >= 2]
    nodecay_params = [p for p in param_dict.values() if p.dim() < 2]
    optim_groups = [
        {"params": decay_params, "weight_decay": weight_decay},
        {"params": nodecay_params, "weight_decay": 0.0},
    ]
    extra = {"foreach": False} if fused is None else {"fused": fused}
    return torch.optim.AdamW(optim_groups, lr=lr, betas=betas, **extra)


def lr_at(step, *, max_lr, min_lr, warmup_steps, max_steps):
    if min(step, warmup_steps, max_steps) < 0 or warmup_steps > max_steps or min_lr > max_lr:
        raise ValueError("no such schedule")
    if step < warmup_steps:
        return float(torch.linspace(max_lr / warmup_steps, max_lr, warmup_steps, dtype=torch.float64)[step])
    if step >= max_steps:
        return float(min_lr)
    wave = torch.cos(torch.linspace(0, torch.pi, max_steps - warmup_steps + 1, dtype=torch.float64))
    return min_lr + (max_lr - min_lr) * float(wave[step - warmup_steps] + 1) / 2
