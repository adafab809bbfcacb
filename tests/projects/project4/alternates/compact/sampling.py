"""As short as it gets and still reads."""

import torch
from cache import KVCache


def next_token_probs(logits, *, temperature=1.0, top_k=None, top_p=None):
    if not 0 <= temperature < float("inf") or (top_k or 1) < 1 or top_k == 0 or top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"{temperature=} {top_k=} {top_p=}")
    if temperature == 0:
        return torch.zeros_like(logits).scatter(1, logits.argmax(1, True), 1)
    p, order = torch.softmax(logits / temperature, -1).sort(-1, descending=True)
    p[:, top_k or p.size(1) :] = 0
    p = p / p.sum(-1, True)
    p = p * (p.cumsum(-1) - p < (2 if top_p in (None, 1) else top_p))
    return torch.zeros_like(p).scatter(1, order, p / p.sum(-1, True))


class still:
    def __init__(self, model):
        self.model, self.no_grad = model, torch.no_grad()

    def __enter__(self):
        self.was = self.model.training
        self.model.eval(), self.no_grad.__enter__()

    def __exit__(self, *error):
        self.no_grad.__exit__(*error), self.model.train(self.was)


def generate(
    model, idx, max_new_tokens, *, temperature=1.0, top_k=None, top_p=None, eos_id=None, generator=None, use_cache=False
):
    size, done = model.config.block_size, torch.zeros(len(idx), 1, dtype=torch.bool)
    kv = KVCache(model.config, len(idx), dtype=next(model.parameters()).dtype) if use_cache else None
    with still(model):
        while max_new_tokens and not done.all():
            max_new_tokens -= 1
            if kv and idx.size(1) <= size:
                z = model(idx[:, kv.length :], kv_cache=kv)[0]
            else:
                z = model(idx[:, -size:])[0]
            p = next_token_probs(z[:, -1], temperature=temperature, top_k=top_k, top_p=top_p)
            new = p.multinomial(1, generator=generator)
            if eos_id is not None:
                new = new.where(~done, eos_id)
                done = done | (new == eos_id)
            idx = torch.cat([idx, new], 1)
    return idx


def generate_batch(model, prompts, max_new_tokens, *, eos_id=None, generator=None, **how):
    rows, going = [list(p.tolist()) for p in prompts], set(range(len(prompts)))
    if any(not row or len(row) + max_new_tokens > model.config.block_size for row in rows):
        raise ValueError("a prompt is empty or too long")
    with still(model):
        for _ in range(max_new_tokens):
            if not going:
                break
            which = sorted(going)
            padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(rows[i]) for i in which], batch_first=True)
            z = model(padded)[0]
            z = torch.stack([z[n, len(rows[i]) - 1] for n, i in enumerate(which)])
            for i, new in zip(which, next_token_probs(z, **how).multinomial(1, generator=generator)[:, 0].tolist()):
                rows[i].append(new)
                if new == eos_id:
                    going.discard(i)
    return [torch.tensor(row) for row in rows]


def beam_search(model, idx, *, beam_width, max_new_tokens, length_penalty=0.0, eos_id=None):
    if beam_width < 1 or len(idx) != 1:
        raise ValueError(f"{beam_width=}, {len(idx)} rows")
    beams = [(0.0, 0.0, idx[0].tolist(), False)]  # minus the score, sum, text, ended
    with still(model):
        for n in range(1, max_new_tokens + 1):
            if all(beam[3] for beam in beams):
                break
            found = []
            for beam in beams:
                if beam[3]:
                    found.append(beam)
                    continue
                z = model(torch.tensor([beam[2][-model.config.block_size :]]))[0][0, -1]
                for token, p in enumerate(z.log_softmax(-1).tolist()):
                    total = beam[1] + p
                    found.append((-total / n**length_penalty, total, [*beam[2], token], token == eos_id))
            beams = sorted(found, key=lambda beam: beam[0])[:beam_width]
    return [(torch.tensor(text), -minus) for minus, _, text, _ in beams]
