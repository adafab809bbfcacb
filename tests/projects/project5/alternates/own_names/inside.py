import torch
from looking import average, entries


def repeated_tokens(batch, period, vocab_size, generator=None):
    first = torch.empty(batch, period, dtype=torch.int64).random_(0, vocab_size, generator=generator)
    return torch.hstack((first, first))


def previous_token_score(attention):
    length = attention.shape[-1]
    return average(entries(attention, range(1, length), 1))


def induction_score(attention, period):
    return average(entries(attention, range(period, 2 * period), period - 1))


def copy_losses(logits, ids):
    half = ids.shape[1] // 2
    logprobs = torch.log_softmax(logits, -1)
    surprise = -logprobs[:, :-1].gather(2, ids[:, 1:, None])[..., 0]
    return surprise[:, range(half - 1)].mean(), surprise[:, range(half, 2 * half - 1)].mean()


def ablate_heads(z, heads, mode="zero"):
    if mode == "zero":
        instead = z * 0
    elif mode == "mean":
        instead = torch.ones_like(z) * z.transpose(1, 2).flatten(0, 1).mean(0)[:, None]
    else:
        raise ValueError("zero or mean")
    parts = list(z.unbind(1))
    for which in heads:
        parts[which] = instead[:, which]
    return torch.stack(parts, dim=1)


class Surgeon:
    def __init__(self, heads, mode):
        self.heads, self.mode = heads, mode

    def __call__(self, layer, z):
        mine = {head for at, head in self.heads if at == layer}
        return ablate_heads(z, mine, self.mode) if mine else z


def knock_out(model, ids, heads, mode="zero"):
    with torch.no_grad():
        logits, *_ = model(ids, edit=Surgeon(heads, mode))
    return logits


def logit_lens(hidden, norm, head):
    flat = hidden.reshape(-1, hidden.shape[-1])
    return head(norm(flat)).reshape(*hidden.shape[:-1], -1)


def rank_of_next(lens, ids):
    truth = torch.nn.functional.one_hot(ids[:, 1:], lens.shape[-1]).bool()
    right = lens[:, :, :-1].masked_fill(~truth, float("-inf")).amax(-1, keepdim=True)
    return (lens[:, :, :-1] > right).long().sum(-1)
