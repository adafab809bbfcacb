"""torch.distributions, torch.topk, pad_sequence and friends do the work."""

from contextlib import ExitStack

import torch
from cache import KVCache
from torch.distributions import Categorical
from torch.nn.utils.rnn import pad_sequence


def next_token_probs(logits, *, temperature=1.0, top_k=None, top_p=None):
    if temperature < 0 or temperature == torch.inf:
        raise ValueError("temperature")
    if top_k is not None and top_k < 1:
        raise ValueError("top_k")
    if top_p is not None and (top_p <= 0 or top_p > 1):
        raise ValueError("top_p")
    if temperature == 0:
        return torch.nn.functional.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits)
    scores = logits.div(temperature)
    if top_k is not None:
        values, places = torch.topk(scores, min(top_k, scores.shape[-1]), dim=-1)
        scores = torch.full_like(scores, -torch.inf).scatter_(-1, places, values)
    probs = Categorical(logits=scores).probs
    if top_p is None or top_p == 1:
        return probs
    ordered, places = torch.sort(probs, dim=-1, descending=True)
    sums = torch.cumsum(ordered, dim=-1)
    needed = torch.searchsorted(sums, torch.full_like(sums[:, :1], top_p)).clamp(max=sums.shape[-1] - 1)  # the last one kept
    dropped = torch.arange(sums.shape[-1]) > needed
    dropped = torch.zeros_like(dropped).scatter_(-1, places, dropped)
    return torch.nn.functional.normalize(probs.masked_fill(dropped, 0), p=1, dim=-1)


def quietly(model, stack):
    """Eval mode and inference mode until the stack is closed."""
    stack.callback(model.train, model.training)
    model.eval()
    stack.enter_context(torch.inference_mode())


def generate(
    model, idx, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None, use_cache=False
):
    with ExitStack() as stack:
        quietly(model, stack)
        block_size = model.config.block_size
        text = torch.empty(idx.shape[0], idx.shape[1] + max_new_tokens, dtype=idx.dtype)
        text[:, : idx.shape[1]].copy_(idx)
        weight = next(model.parameters())
        cache = KVCache(model.config, idx.shape[0], dtype=weight.dtype) if use_cache else None
        alive = torch.ones(idx.shape[0], dtype=torch.bool)
        end = idx.shape[1]
        while end < text.shape[1]:
            if cache is not None and end <= block_size:
                logits, _ = model(text[:, cache.length : end], kv_cache=cache)
            else:
                logits, _ = model(text[:, max(0, end - block_size) : end])
            probs = next_token_probs(logits[:, -1], temperature=temperature, top_k=top_k, top_p=top_p)
            drawn = torch.multinomial(probs, 1, generator=generator).squeeze(-1)
            text[:, end] = drawn if eos_id is None else torch.where(alive, drawn, eos_id)
            end += 1
            if eos_id is not None:
                alive.logical_and_(drawn.ne(eos_id))
                if not alive.any():
                    break
        return text[:, :end].clone()


def generate_batch(
    model, prompts, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None
):
    if len(prompts) == 0:
        return []
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    if lengths.min() == 0 or lengths.max() + max_new_tokens > model.config.block_size:
        raise ValueError(f"lengths {lengths.tolist()} and {max_new_tokens} new ones")
    text = torch.nn.functional.pad(pad_sequence(list(prompts), batch_first=True, padding_value=2), (0, max_new_tokens))
    alive = torch.ones(len(prompts), dtype=torch.bool)
    with ExitStack() as stack:
        quietly(model, stack)
        for _ in range(max_new_tokens):
            logits, _ = model(text[:, : lengths.max()])
            own = torch.take_along_dim(logits, (lengths - 1)[:, None, None], dim=1).squeeze(1)
            probs = next_token_probs(own, temperature=temperature, top_k=top_k, top_p=top_p)
            drawn = torch.multinomial(probs, 1, generator=generator)
            text = torch.where(alive[:, None], text.scatter(1, lengths[:, None].clamp(max=text.shape[1] - 1), drawn), text)
            lengths = lengths + alive
            if eos_id is not None:
                alive = alive & (drawn[:, 0] != eos_id)
                if not torch.any(alive):
                    break
        return [row[:length].clone() for row, length in zip(text, lengths.tolist(), strict=True)]


def beam_search(model, idx, *, beam_width, max_new_tokens, length_penalty=0.0, eos_id=None):
    if beam_width < 1 or idx.shape[0] != 1:
        raise ValueError("beam_width, or more than one row")
    start, text = idx.shape[1], idx
    sums, counts = torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    ended = torch.zeros(1, dtype=torch.bool)
    with ExitStack() as stack:
        quietly(model, stack)
        for _ in range(max_new_tokens):
            if ended.all():
                break
            logits = model(text[:, -model.config.block_size :])[0]
            logprobs = torch.log_softmax(logits[:, -1].double(), -1)  # (W, V); those of ended texts are not used
            V = logprobs.shape[-1]
            never = torch.full((len(text), V), -torch.inf, dtype=torch.float64)
            stay = never.clone()
            stay[:, 0] = sums  # an ended text stands in one place of its row
            totals = torch.where(ended[:, None], stay, sums[:, None] + logprobs)
            new_counts = torch.where(ended, counts, counts + 1)
            scores = totals / new_counts[:, None] ** length_penalty
            order = torch.sort(scores.flatten(), descending=True, stable=True).indices
            order = order[scores.flatten()[order] > -torch.inf][:beam_width]
            rows, tokens = order // V, order % V
            text = torch.cat([text[rows], torch.where(ended[rows], eos_id or 0, tokens)[:, None]], dim=1)
            sums, counts = totals.flatten()[order], new_counts[rows]
            ended = ended[rows] | (tokens == eos_id if eos_id is not None else torch.zeros_like(ended[rows]))
        finals = sums / counts.clamp(min=1) ** length_penalty
        return [
            (row[: start + int(n)].clone(), float(score)) for row, n, score in zip(text, counts, finals, strict=True)
        ]
