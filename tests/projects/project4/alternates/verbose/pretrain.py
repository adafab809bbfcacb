"""Step pretrain, one small thing after the other. AdamW is written out."""

from __future__ import annotations

import math

import torch


def accumulation_steps(batch_tokens, sequences, context, processes=1):
    tokens_at_once = sequences * context * processes
    count = 0
    seen = 0
    while seen < batch_tokens:
        seen += tokens_at_once
        count += 1
    if seen != batch_tokens or count == 0:
        raise ValueError("batch_tokens does not come out even")
    return count


def bits_per_byte(loss, tokens, n_bytes):
    nats = loss * tokens
    bits = nats / math.log(2)
    return bits / n_bytes


def bigram_loss(train, held_out, vocab_size, *, alpha=0.1):
    followers = {}
    for i in range(len(train) - 1):
        a, b = int(train[i]), int(train[i + 1])
        if a not in followers:
            followers[a] = {}
        if b not in followers[a]:
            followers[a][b] = 0
        followers[a][b] += 1
    total = 0.0
    for i in range(len(held_out) - 1):
        a, b = int(held_out[i]), int(held_out[i + 1])
        row = followers.get(a, {})
        above = row.get(b, 0) + alpha
        below = sum(row.values()) + alpha * vocab_size
        total += math.log(below) - math.log(above)
    return total / (len(held_out) - 1)


def cut_into_windows(ids, context):
    windows = []
    start = 0
    while start < len(ids) - 1:
        end = min(start + context, len(ids) - 1)
        windows.append((ids[start:end], ids[start + 1 : end + 1]))
        start = end
    return windows


def pad(rows, length, value):
    padded = torch.full((len(rows), length), value, dtype=torch.int64)
    for i in range(len(rows)):
        for j in range(len(rows[i])):
            padded[i, j] = rows[i][j]
    return padded


def validation_loss(model, ids, *, context=None, batch_size=8):
    if context is None:
        context = model.config.block_size
    before = model.training
    model.eval()
    windows = cut_into_windows(ids, context)
    total = 0.0
    count = 0
    for first in range(0, len(windows), batch_size):
        some = windows[first : first + batch_size]
        x = pad([window[0] for window in some], context, 0)
        y = pad([window[1] for window in some], context, -100)
        with torch.no_grad():
            logits, _ = model(x)
        logits = logits.double()
        for row in range(len(some)):
            for place in range(context):
                target = int(y[row, place])
                if target != -100:
                    scores = logits[row, place]
                    total += float(torch.logsumexp(scores, 0) - scores[target])
                    count += 1
    if before:
        model.train()
    return total / count


def rate_at(step, highest, warmup_steps, steps):
    if step < warmup_steps:
        return highest * (step + 1) / warmup_steps
    lowest = 0.1 * highest
    if steps - 1 == warmup_steps:
        return highest
    way = (step - warmup_steps) / (steps - 1 - warmup_steps)
    return lowest + (highest - lowest) * (math.cos(way * math.pi) + 1) / 2


def draw_windows(ids, block_size, how_many, generator):
    inputs = []
    targets = []
    for _ in range(how_many):
        start = int(torch.randint(0, len(ids) - block_size, (1,), generator=generator))
        inputs.append(ids[start : start + block_size])
        targets.append(ids[start + 1 : start + block_size + 1])
    return torch.stack(inputs), torch.stack(targets)


def norm_of(gradients):
    total = 0.0
    for gradient in gradients:
        total += float((gradient**2).sum())
    return math.sqrt(total)


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
    block_size = model.config.block_size
    count = accumulation_steps(batch_tokens, micro_sequences, block_size)
    parameters = [p for p in model.parameters()]
    first_moments = [torch.zeros_like(p) for p in parameters]
    second_moments = [torch.zeros_like(p) for p in parameters]
    losses = []
    model.train()
    for step in range(steps):
        rate = rate_at(step, learning_rate, warmup_steps, steps)
        gradients = [torch.zeros_like(p) for p in parameters]
        loss_sum = 0.0
        for _ in range(count):
            x, y = draw_windows(ids, block_size, micro_sequences, generator)
            for p in parameters:
                p.grad = None
            loss = model(x, y)[1]
            loss.backward()
            loss_sum += loss.item()
            for i in range(len(parameters)):
                if parameters[i].grad is not None:
                    gradients[i] += parameters[i].grad
        for gradient in gradients:
            gradient /= count
        norm = norm_of(gradients)
        if norm > clip_norm:
            for gradient in gradients:
                gradient *= clip_norm / norm
        with torch.no_grad():
            for i in range(len(parameters)):
                p, g = parameters[i], gradients[i]
                first_moments[i] = 0.9 * first_moments[i] + 0.1 * g
                second_moments[i] = 0.95 * second_moments[i] + 0.05 * g * g
                m = first_moments[i] / (1 - 0.9 ** (step + 1))
                v = second_moments[i] / (1 - 0.95 ** (step + 1))
                if len(p.shape) > 1:
                    p -= rate * weight_decay * p
                p -= rate * m / (torch.sqrt(v) + 1e-8)
        losses.append(loss_sum / count)
    return losses
