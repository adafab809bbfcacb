import math
from collections import Counter
from itertools import pairwise

import torch


def accumulation_steps(batch_tokens, sequences, context, processes=1):
    steps, rest = divmod(batch_tokens, sequences * context * processes)
    if rest or not steps:
        raise ValueError(batch_tokens)
    return steps


bits_per_byte = lambda loss, tokens, n_bytes: loss / math.log(2) * tokens / n_bytes


def bigram_loss(train, held_out, vocab_size, *, alpha=0.1):
    t, h = train.tolist(), held_out.tolist()
    two, one = Counter(pairwise(t)), Counter(t[:-1])
    return -sum(math.log((two[p] + alpha) / (one[p[0]] + alpha * vocab_size)) for p in pairwise(h)) / (len(h) - 1)


@torch.no_grad()
def validation_loss(model, ids, *, context=None, batch_size=8):
    mode, c = model.training, context or model.config.block_size
    model.eval()
    sums = [model(x[None], y[None])[1].item() * len(x) for x, y in zip(ids[:-1].split(c), ids[1:].split(c))]
    model.train(mode)
    return sum(sums) / (len(ids) - 1)


def pretrain(model, ids, *, steps, batch_tokens, micro_sequences, learning_rate, warmup_steps, weight_decay=0.1, clip_norm=1.0, generator=None):
    T, P = model.config.block_size, list(model.parameters())
    k, losses, W = accumulation_steps(batch_tokens, micro_sequences, T), [], warmup_steps
    opt = torch.optim.AdamW([dict(params=[p for p in P if (p.ndim > 1) == d], weight_decay=d * weight_decay) for d in (True, False)], learning_rate, (0.9, 0.95))
    rate = lambda n: (n + 1) / W if n < W else 0.55 + 0.45 * math.cos(math.pi * (n - W) / (steps - 1 - W or 1))
    lr = torch.optim.lr_scheduler.LambdaLR(opt, rate)
    windows = ids.unfold(0, T + 1, 1)
    model.train()
    for _ in range(steps):
        opt.zero_grad()
        losses.append(0.0)
        for _ in range(k):
            w = windows[torch.randint(len(windows), (micro_sequences,), generator=generator)]
            loss = model(w[:, :-1], w[:, 1:])[1] / k
            loss.backward()
            losses[-1] += loss.item()
        torch.nn.utils.clip_grad_norm_(P, clip_norm)
        opt.step()
        lr.step()
    return losses
