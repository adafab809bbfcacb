"""Everything one number at a time."""

import torch


def repeated_tokens(batch, period, vocab_size, generator=None):
    rows = []
    for _ in range(batch):
        row = [int(torch.randint(vocab_size, (1,), generator=generator)) for _ in range(period)]
        rows.append(row + row)
    return torch.tensor(rows)


def mean_back(attention, queries, back):
    layers, batch, heads = attention.shape[:3]
    scores = torch.zeros(layers, heads, dtype=attention.dtype)
    for layer in range(layers):
        for head in range(heads):
            for row in range(batch):
                for query in queries:
                    scores[layer, head] += attention[layer, row, head, query, query - back]
    return scores / (batch * len(queries))


def previous_token_score(attention):
    return mean_back(attention, range(1, attention.size(-1)), 1)


def induction_score(attention, period):
    return mean_back(attention, range(period, 2 * period), period - 1)


def copy_losses(logits, ids):
    batch, length = ids.shape
    period = length // 2
    totals = [0.0, 0.0]
    for copy in (0, 1):
        for row in range(batch):
            for t in range(copy * period + 1, (copy + 1) * period):
                scores = logits[row, t - 1]
                totals[copy] = totals[copy] + torch.logsumexp(scores, 0) - scores[ids[row, t]]
    count = batch * (period - 1)
    return totals[0] / count, totals[1] / count


def ablate_heads(z, heads, mode="zero"):
    if mode != "zero" and mode != "mean":
        raise ValueError(f"no such mode: {mode}")
    z = z.detach().clone()
    for head in heads:
        if mode == "zero":
            z[:, head, :, :] = torch.zeros(z.size(0), z.size(2), z.size(3))
        else:
            for d in range(z.size(3)):
                z[:, head, :, d] = z[:, head, :, d].mean()
    return z


def knock_out(model, ids, heads, mode="zero"):
    def edit(layer, z):
        for its_layer, head in heads:
            if its_layer == layer:
                z = ablate_heads(z, [head], mode)
        return z

    result = model(ids, edit)
    return result[0].detach()


def logit_lens(hidden, norm, head):
    layers = []
    for states in hidden:
        layers.append(torch.stack([head(norm(row)) for row in states]))
    return torch.stack(layers)


def rank_of_next(lens, ids):
    layers, batch, length, _ = lens.shape
    ranks = torch.zeros(layers, batch, length - 1, dtype=torch.int64)
    for layer in range(layers):
        for row in range(batch):
            for t in range(length - 1):
                right = lens[layer, row, t, ids[row, t + 1]]
                ranks[layer, row, t] = int((lens[layer, row, t] > right).sum())
    return ranks
