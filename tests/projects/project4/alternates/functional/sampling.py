"""Functions and plain tuples: a state goes in, the next state comes out."""

import functools
import itertools

import torch
import torch.nn.functional as F
from cache import KVCache


def next_token_probs(logits, *, temperature=1.0, top_k=None, top_p=None):
    settings_are_right(temperature, top_k, top_p)
    if temperature == 0.0:
        first = (logits == logits.max(dim=-1, keepdim=True).values).to(torch.int8).argmax(dim=-1)
        return F.one_hot(first, logits.shape[-1]).type(logits.dtype)
    steps = (
        lambda z: F.log_softmax(z / temperature, dim=-1),
        (lambda z: z) if top_k is None else functools.partial(keep_k, k=top_k),
        (lambda z: z) if top_p is None else functools.partial(keep_p, p=top_p),
    )
    return F.softmax(functools.reduce(lambda z, step: step(z), steps, logits), dim=-1)


def settings_are_right(temperature, top_k, top_p):
    wrong = (
        not (temperature >= 0.0 and temperature != float("inf")),
        top_k is not None and top_k < 1,
        top_p is not None and not (top_p > 0.0 and top_p <= 1.0),
    )
    if any(wrong):
        raise ValueError(f"temperature {temperature}, top_k {top_k}, top_p {top_p}")


def keep_k(z, k):
    limit = torch.kthvalue(z, max(1, z.shape[-1] - k + 1), dim=-1, keepdim=True).values
    return torch.where(z < limit, -torch.inf, z)


def keep_p(z, p):
    """From the unlikeliest upwards: a token may go if what goes, it included, stays at 1 - p or less."""
    ordered, places = F.softmax(z, dim=-1).sort(dim=-1)
    goes = ordered.cumsum(dim=-1) <= 1.0 - p
    goes[..., -1] = False
    return z.masked_fill(goes.gather(-1, places.argsort(dim=-1)), -torch.inf)


def in_eval(make):
    """Whatever happens: the mode before is the mode after."""

    @functools.wraps(make)
    def wrapped(model, *args, **kwargs):
        before = model.training
        try:
            return torch.no_grad()(make)(model.eval(), *args, **kwargs)
        finally:
            model.train(before)

    return wrapped


def drawn(logits, how, generator):
    """The inverse of the distribution function: how many tokens lie below a random height. (B, V) -> (B,)"""
    heights = next_token_probs(logits, **how).cumsum(dim=-1)
    chance = torch.rand(len(heights), 1, generator=generator, dtype=heights.dtype) * heights[:, -1:]
    return (heights <= chance).sum(dim=-1)


@in_eval
def generate(
    model, idx, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None, use_cache=False
):
    how = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    room = model.config.block_size

    def look(text, cache):
        if cache is None:
            return model(text[:, -room:])[0][:, -1], None
        if text.shape[1] > room:
            return model(text[:, -room:])[0][:, -1], None
        return model(text[:, cache.length :], kv_cache=cache)[0][:, -1], cache

    def step(state):
        text, ended, cache = state
        logits, cache = look(text, cache)
        new = drawn(logits, how, generator)
        if eos_id is not None:
            new = torch.where(ended, eos_id, new)
            ended = ended | (new == eos_id)
        return torch.cat((text, new[:, None]), dim=1), ended, cache

    make = functools.partial(KVCache, model.config, len(idx))
    cache = make(dtype=next(iter(model.state_dict().values())).dtype) if use_cache else None
    state = (idx, torch.zeros(len(idx), dtype=torch.bool), cache)
    states = itertools.accumulate(range(max_new_tokens), lambda s, _: step(s), initial=state)
    return next((s for s in states if bool(s[1].all()) or s[0].shape[1] == idx.shape[1] + max_new_tokens))[0]


@in_eval
def generate_batch(
    model, prompts, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    sizes = tuple(map(len, prompts))
    if 0 in sizes or any(size + max_new_tokens > model.config.block_size for size in sizes):
        raise ValueError(f"prompts of {sizes} tokens, and {max_new_tokens} new ones")
    how = {"temperature": temperature, "top_k": top_k, "top_p": top_p}

    def step(rows):
        going = [not ended for _, ended in rows]
        if not any(going):
            return rows
        width = max(len(text) for text, _ in rows)
        logits = model(torch.stack([F.pad(text, (0, width - len(text)), value=4) for text, _ in rows]))[0]
        last = torch.stack([logits[i, len(text) - 1] for i, (text, _) in enumerate(rows)])
        new = drawn(last, how, generator)[:, None]
        return tuple(
            (torch.cat((text, token)), eos_id is not None and int(token) == eos_id) if on else (text, True)
            for (text, _), token, on in zip(rows, new, going, strict=True)
        )

    rows = functools.reduce(lambda rows, _: step(rows), range(max_new_tokens), tuple((p, False) for p in prompts))
    return [text for text, _ in rows]


@in_eval
def beam_search(model, idx, *, beam_width, max_new_tokens, length_penalty=0.0, eos_id=None):
    if beam_width < 1 or idx.shape[0] != 1:
        raise ValueError("beam_width >= 1, and one row")
    start = idx.shape[1]

    def score(text, logprobs):
        return sum(logprobs) / max(1, len(logprobs)) ** length_penalty

    def ended(text):
        return len(text) > start and text[-1] == eos_id

    def longer(text, logprobs):
        if ended(text):
            return [(text, logprobs)]
        z = model(torch.tensor([text[-model.config.block_size :]]))[0][0, -1]
        return [((*text, i), (*logprobs, p)) for i, p in enumerate(F.log_softmax(z, -1).tolist())]

    def step(beams, _):
        found = [new for beam in beams for new in longer(*beam)]
        return sorted(found, key=lambda beam: -score(*beam))[:beam_width]

    beams = functools.reduce(step, range(max_new_tokens), [(tuple(idx[0].tolist()), ())])
    return [(torch.tensor(text), score(text, logprobs)) for text, logprobs in beams]
