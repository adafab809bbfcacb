"""Step pretrain with torch's data loaders, samplers and schedulers."""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch.optim.lr_scheduler import LambdaLR, LinearLR, SequentialLR
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, TensorDataset


def accumulation_steps(batch_tokens, sequences, context, processes=1):
    count = Fraction(batch_tokens, sequences * context * processes)
    if count.denominator != 1 or count < 1:
        raise ValueError(f"{batch_tokens} is {count} micro-batches")
    return count.numerator


def bits_per_byte(loss, tokens, n_bytes):
    return tokens / n_bytes * loss * math.log2(math.e)


def bigram_loss(train, held_out, vocab_size, *, alpha=0.1):
    pairs = torch.stack([train[:-1], train[1:]])
    table = torch.sparse_coo_tensor(pairs, torch.ones(pairs.size(1), dtype=torch.float64), (vocab_size, vocab_size))
    table = table.coalesce()
    lookup = dict(zip(map(tuple, table.indices().T.tolist()), table.values().tolist()))
    rows = torch.sparse.sum(table, 1).to_dense()
    seen = torch.tensor([lookup.get(pair, 0.0) for pair in zip(held_out[:-1].tolist(), held_out[1:].tolist())])
    return ((rows[held_out[:-1]] + alpha * vocab_size).log() - (seen.double() + alpha).log()).mean().item()


def validation_loss(model, ids, *, context=None, batch_size=8):
    context = context or model.config.block_size
    pad = -(len(ids) - 1) % context
    x = torch.nn.functional.pad(ids[:-1], (0, pad), value=0).view(-1, context)
    y = torch.nn.functional.pad(ids[1:], (0, pad), value=-100).view(-1, context)
    was = model.training
    try:
        model.eval()
        with torch.inference_mode():
            parts = [(model(a, b)[1], (b != -100).sum()) for a, b in DataLoader(TensorDataset(x, y), batch_size)]
    finally:
        model.train(was)
    losses, weights = (torch.stack(part).double() for part in zip(*parts))
    return torch.dot(losses, weights).item() / (len(ids) - 1)


class Windows(Dataset):
    def __init__(self, ids, T):
        self.ids, self.T = ids, T

    def __len__(self):
        return len(self.ids) - self.T

    def __getitem__(self, start):
        piece = self.ids[start : start + self.T + 1]
        return piece[:-1], piece[1:]


def groups(model, weight_decay):
    seen, decays, stays = set(), [], []
    for module in model.modules():
        for p in module.parameters(recurse=False):
            if p not in seen:
                seen.add(p)
                table = isinstance(module, torch.nn.Linear | torch.nn.Embedding) or p.dim() > 1
                (decays if table and p.dim() > 1 else stays).append(p)
    return [{"params": decays, "weight_decay": weight_decay}, {"params": stays, "weight_decay": 0.0}]


def pretrain(
    model,
    ids,
    *,
    steps,
    batch_tokens,
    micro_sequences,
    learning_rate,
    warmup_steps,
    weight_decay=0.1,
    clip_norm=1.0,
    generator=None,
):
    data = Windows(ids, model.config.block_size)
    count = accumulation_steps(batch_tokens, micro_sequences, data.T)
    sampler = RandomSampler(data, True, steps * count * micro_sequences, generator)
    loader = iter(DataLoader(data, batch_sampler=BatchSampler(sampler, micro_sequences, False), generator=generator))
    optimizer = torch.optim.AdamW(groups(model, weight_decay), lr=learning_rate, betas=(0.9, 0.95), foreach=True)
    parts = []
    if warmup_steps > 1:
        parts.append(LinearLR(optimizer, 1 / warmup_steps, 1.0, warmup_steps - 1))
    cosine = LambdaLR(
        optimizer,
        lambda n: half_cosine(n, max(1, steps - 1 - warmup_steps)),
    )
    schedule = SequentialLR(optimizer, [*parts, cosine], [warmup_steps] if parts else [])
    losses = []
    model.train(True)
    for _ in range(steps):
        batch = [next(loader) for _ in range(count)]
        part_losses = [model(x, targets=y)[1] for x, y in batch]
        loss = torch.stack(part_losses).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), clip_norm, error_if_nonfinite=True)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def half_cosine(n, whole):
    return 0.1 + 0.9 * (1 + math.cos(math.pi * min(n, whole) / whole)) / 2
