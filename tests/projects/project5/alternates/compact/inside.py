import torch
import torch.nn.functional as F


def repeated_tokens(batch, period, vocab_size, generator=None):
    return torch.randint(0, vocab_size, (batch, period), generator=generator).repeat(1, 2)


def previous_token_score(attention):
    return attention[..., 1:, :-1].diagonal(dim1=-2, dim2=-1).mean(-1).mean(1)


def induction_score(attention, period):
    return attention[..., period:, 1 : period + 1].diagonal(dim1=-2, dim2=-1).mean(-1).mean(1)


def copy_losses(logits, ids):
    P = ids.size(1) // 2
    return tuple(
        F.cross_entropy(logits[:, at : at + P - 1].flatten(0, 1), ids[:, at + 1 : at + P].flatten())
        for at in (0, P)
    )


def ablate_heads(z, heads, mode="zero"):
    fill = {"zero": torch.zeros_like, "mean": lambda z: z.mean((0, 2), keepdim=True).expand_as(z)}
    if mode not in fill:
        raise ValueError(mode)
    chosen = torch.tensor([h in list(heads) for h in range(z.size(1))])[:, None, None]
    return torch.where(chosen, fill[mode](z), z)


def knock_out(model, ids, heads, mode="zero"):
    return model(ids, lambda layer, z: ablate_heads(z, [h for i, h in heads if i == layer], mode))[0]


def logit_lens(hidden, norm, head):
    return torch.stack([head(norm(x)) for x in hidden])


def rank_of_next(lens, ids):
    lens, ids = lens[:, :, :-1], ids[None, :, 1:, None]
    return lens.gt(lens.take_along_dim(ids, -1)).sum(-1)
