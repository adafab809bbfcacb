"""Everything one number at a time, in float32 where it can be."""

import math

import torch


def next_token_probs(logits, temperature=1.0):
    if logits.dim() > 1:
        return torch.stack([next_token_probs(row, temperature) for row in logits])
    values = [float(value) for value in logits]
    if temperature == 0.0:
        best = values.index(max(values))
        return torch.tensor([1.0 if token == best else 0.0 for token in range(len(values))])
    weights = [math.exp((value - max(values)) / temperature) for value in values]
    return torch.tensor([weight / sum(weights) for weight in weights])


def accept_probability(p, q, token):
    ratio = float(p[token]) / float(q[token])
    if ratio > 1.0:
        return 1.0
    return ratio


def acceptance_rate(p, q):
    if p.dim() > 1:
        return torch.stack([acceptance_rate(a, b) for a, b in zip(p, q)])
    total = 0.0
    for a, b in zip(p.tolist(), q.tolist()):
        total += min(a, b)
    return torch.tensor(total)


def residual(p, q):
    left = [max(a - b, 0.0) for a, b in zip(p.tolist(), q.tolist())]
    if sum(left) == 0.0:
        return torch.tensor(p.tolist())
    return torch.tensor([x / sum(left) for x in left], dtype=torch.float64)


def verify(draft_tokens, q, p, generator=None):
    accepted = []
    for i in range(len(draft_tokens)):
        token = int(draft_tokens[i])
        keep = torch.bernoulli(torch.tensor(accept_probability(p[i], q[i], token)), generator=generator)
        if keep == 1:
            accepted.append(token)
        else:
            accepted.append(torch.multinomial(residual(p[i], q[i]), 1, generator=generator).item())
            break
    else:
        accepted.append(torch.multinomial(p[-1], 1, generator=generator).item())
    return accepted


def speculative_generate(target, draft, ids, max_new_tokens, *, k=4, temperature=1.0, generator=None):
    if ids.numel() == 0 or k < 1:
        raise ValueError("a prompt and k >= 1 are needed")
    if ids.numel() + max_new_tokens > min(target.config.block_size, draft.config.block_size):
        raise ValueError("too long")
    new = 0
    while new < max_new_tokens:
        how_many = k if max_new_tokens - new > k else max_new_tokens - new - 1
        text = ids.clone()
        q = torch.zeros(how_many, 0)
        for i in range(how_many):
            row = next_token_probs(draft(text.view(1, -1))[0][0][-1].detach(), temperature)
            q = row.view(1, -1) if i == 0 else torch.cat([q, row.view(1, -1)])
            text = torch.cat([text, torch.multinomial(row, 1, generator=generator)])
        logits = target(text.view(1, -1))[0][0].detach()
        p = next_token_probs(logits[len(ids) - 1 :], temperature)
        tokens = verify(text[len(ids) :].tolist(), q, p, generator)
        ids = torch.cat([ids, torch.tensor(tokens)])
        new += len(tokens)
    return ids


def expected_tokens(alpha, k):
    if alpha >= 1.0:
        return float(k + 1)
    return (1 - math.pow(alpha, k + 1)) / (1 - alpha)


def expected_speedup(alpha, k, cost):
    return expected_tokens(alpha, k) / (1.0 + k * cost)
