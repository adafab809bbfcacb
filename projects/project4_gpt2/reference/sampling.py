"""From scores to text: greedy, temperature, top-k, top-p, with and without a cache, and beams.

Steps: sampling, batch, cache, beam.    B batch, T time (tokens), V = vocab_size.

The model is anything with `model.config.block_size` and `model(idx, kv_cache=cache) -> (logits (B, T, V), loss)`.
It is given at most the last block_size tokens. While text is made it is in eval mode and nothing is recorded for
gradients; afterwards, also after an exception, it is in the mode it was in. Logits and prompts stay as they are.

Source: Holtzman et al. 2020 (top-p), https://arxiv.org/abs/1904.09751; Wu et al. 2016, section 7 (beams and their
length penalty; ours is the plain power), https://arxiv.org/abs/1609.08144.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from cache import KVCache
from torch import Tensor, nn


def next_token_probs(
    logits: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None
) -> Tensor:
    """logits (B, V) -> probabilities (B, V), by which the next token is drawn.

    temperature divides the logits; 0 means: the likeliest token has all (the first of several that are equal).
    Then top_k keeps the k likeliest tokens, then top_p, of what is left and adds up to 1, the smallest set of likeliest
    tokens whose probabilities add up to at least p. All others get exactly 0, and what is kept adds up to 1.
    Raises ValueError for a negative or infinite temperature, top_k < 1, and top_p that is not above 0 and at most 1.
    """
    if not 0.0 <= temperature < float("inf"):
        raise ValueError(f"temperature is {temperature}; it must be 0 or more")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k is {top_k}; it must be at least 1")
    if top_p is not None and not 0.0 < top_p <= 1.0:
        raise ValueError(f"top_p is {top_p}; it must be above 0 and at most 1")
    if temperature == 0.0:
        return F.one_hot(logits.argmax(dim=-1), logits.size(-1)).to(logits.dtype)
    logits = logits - logits.amax(dim=-1, keepdim=True)  # a small temperature must not make infinities
    ranked, order = (logits / temperature).sort(dim=-1, descending=True, stable=True)
    if top_k is not None:
        ranked[:, top_k:] = float("-inf")
    probs = ranked.softmax(dim=-1)
    if top_p is not None and top_p < 1.0:
        before = probs.cumsum(dim=-1) - probs  # what the likelier tokens have together
        ranked[before >= top_p] = float("-inf")
        probs = ranked.softmax(dim=-1)
    return torch.zeros_like(probs).scatter(-1, order, probs)


@contextmanager
def _in_eval_mode(model: nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def generate(
    model: nn.Module,
    idx: Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos_id: int | None = None,
    generator: torch.Generator | None = None,
    use_cache: bool = False,
) -> Tensor:
    """idx (B, T) int64 -> (B, T + n), n <= max_new_tokens: each row with what was drawn after it, row by row.

    A row that has drawn eos_id goes on with eos_id; when all rows have, it ends. use_cache gives the same tokens for
    less work.
    """
    with _in_eval_mode(model):
        room = model.config.block_size
        cache = _cache_for(model, idx) if use_cache else None
        ended = torch.zeros(idx.size(0), dtype=torch.bool, device=idx.device)
        for _ in range(max_new_tokens):
            logits = _last_logits(model, idx, room, cache)  # (B, V)
            probs = next_token_probs(logits, temperature=temperature, top_k=top_k, top_p=top_p)
            new = torch.multinomial(probs, 1, generator=generator)  # (B, 1)
            if eos_id is not None:
                new[ended] = eos_id
                ended |= new[:, 0] == eos_id
            idx = torch.cat([idx, new], dim=1)
            if eos_id is not None and bool(ended.all()):
                break
    return idx


def _cache_for(model: nn.Module, idx: Tensor) -> KVCache:
    weight = next(model.parameters())
    return KVCache(model.config, idx.size(0), device=weight.device, dtype=weight.dtype)


def _last_logits(model: nn.Module, idx: Tensor, room: int, cache: KVCache | None) -> Tensor:
    """The scores (B, V) of what follows idx. The cache has seen all of idx but its newest tokens, or nothing."""
    T = idx.size(1)
    if (
        cache is None or room < T
    ):  # in a window that moves every token has another position: nothing can be kept
        logits: Tensor = model(idx[:, -room:])[0]
    else:
        logits = model(idx[:, cache.length :], kv_cache=cache)[0]
    return logits[:, -1]


def generate_batch(
    model: nn.Module,
    prompts: Sequence[Tensor],
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    eos_id: int | None = None,
    generator: torch.Generator | None = None,
) -> list[Tensor]:
    """Prompts of different lengths, each (T_i,) int64, continued together: for each the prompt and its new tokens.

    Each call of the model is for all rows that go on, so there are at most max_new_tokens of them. Nobody sees the
    padding: a row's text, if it is not drawn by chance, is the one that its prompt would get alone. A row ends with its
    own eos_id; when all have, the model is not called again.
    Raises ValueError for a prompt without tokens, and if a text would not fit into block_size.
    """
    lengths = torch.tensor([prompt.size(0) for prompt in prompts])
    if not len(prompts):
        return []
    room = model.config.block_size
    if int(lengths.min()) < 1:
        raise ValueError("a prompt has no tokens, so nothing predicts the first one")
    if int(lengths.max()) + max_new_tokens > room:
        raise ValueError(
            f"{int(lengths.max())} + {max_new_tokens} tokens do not fit into block_size = {room}"
        )
    device = prompts[0].device
    width = int(lengths.max()) + max_new_tokens
    idx = torch.zeros(len(prompts), width, dtype=torch.int64, device=device)
    for row, prompt in enumerate(prompts):
        idx[row, : prompt.size(0)] = prompt
    rows, lengths = torch.arange(len(prompts), device=device), lengths.to(device)
    ended = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    with _in_eval_mode(model):
        for _ in range(max_new_tokens):
            # Padding stands at the right, where no earlier token looks.
            logits = model(idx[:, : int(lengths.max())])[0][rows, lengths - 1]  # (B, V)
            probs = next_token_probs(logits, temperature=temperature, top_k=top_k, top_p=top_p)
            new = torch.multinomial(probs, 1, generator=generator)[:, 0]  # (B,)
            going = rows[~ended]
            idx[going, lengths[going]] = new[going]
            lengths[going] += 1
            if eos_id is not None:
                ended |= new == eos_id
                if bool(ended.all()):
                    break
    return [idx[row, : int(lengths[row])] for row in range(len(prompts))]


def beam_search(
    model: nn.Module,
    idx: Tensor,
    *,
    beam_width: int,
    max_new_tokens: int,
    length_penalty: float = 0.0,
    eos_id: int | None = None,
) -> list[tuple[Tensor, float]]:
    """The likeliest continuations of idx (1, T) that a search of this width finds, best first: (tokens (T + n,), score).

    score: the log-probabilities of the n new tokens, added up, divided by n ** length_penalty. At each step the
    beam_width best are kept, by score, among all one-token continuations of the texts kept before; a text that ended
    with eos_id is kept as it is and competes with them. Of equal scores the one of the better text, then of the lower
    token id, comes first. It ends when all have ended, or after max_new_tokens.
    Raises ValueError for beam_width < 1 and for more than one row.
    """
    if beam_width < 1:
        raise ValueError(f"beam_width is {beam_width}; it must be at least 1")
    if idx.dim() != 2 or idx.size(0) != 1:
        raise ValueError(f"idx has the shape {tuple(idx.shape)}; beam search takes one row, (1, T)")
    start, room = idx.size(1), model.config.block_size
    beams: list[tuple[Tensor, float]] = [(idx[0], 0.0)]  # tokens, sum of log-probabilities

    def ended(tokens: Tensor) -> bool:
        return eos_id is not None and tokens.size(0) > start and int(tokens[-1]) == eos_id

    def score(beam: tuple[Tensor, float]) -> float:
        return beam[1] / max(1, beam[0].size(0) - start) ** length_penalty

    with _in_eval_mode(model):
        for _ in range(max_new_tokens):
            going = [tokens for tokens, _ in beams if not ended(tokens)]
            if not going:
                break
            logits = model(torch.stack([tokens[-room:] for tokens in going]))[0][:, -1]
            logprobs = iter(logits.log_softmax(dim=-1))
            candidates: list[tuple[Tensor, float]] = []
            for tokens, total in beams:
                if ended(tokens):
                    candidates.append((tokens, total))
                    continue
                best = next(logprobs).sort(descending=True, stable=True)
                for value, id in zip(best.values[:beam_width], best.indices[:beam_width], strict=True):
                    candidates.append((torch.cat([tokens, id[None]]), total + float(value)))
            beams = sorted(candidates, key=score, reverse=True)[:beam_width]
    return [(tokens, score((tokens, total))) for tokens, total in beams]
