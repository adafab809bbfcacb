import torch
from dice import Dice


def next_token_probs(logits, temperature=1.0):
    if not temperature:
        best = torch.max(logits, dim=-1, keepdim=True).indices
        return (torch.arange(logits.shape[-1]) == best).to(logits)
    scaled = logits / temperature
    weights = torch.exp(scaled - scaled.amax(-1, keepdim=True))
    return weights / weights.sum(-1, keepdim=True)


def accept_probability(p, q, token):
    ours, theirs = p[token].item(), q[token].item()
    return 1.0 if ours >= theirs else ours / theirs


def acceptance_rate(p, q):
    return torch.where(p < q, p, q).sum(-1)


def residual(p, q):
    surplus = torch.where(p > q, p - q, torch.zeros_like(p))
    if surplus.max() <= 0:
        return p
    return torch.nn.functional.normalize(surplus, p=1, dim=0, eps=0.0)


def verify(draft_tokens, q, p, generator=None):
    dice = Dice(generator)
    place = 0
    answer = [int(token) for token in draft_tokens]
    while place < len(answer):
        if not dice.says_yes(accept_probability(p[place], q[place], answer[place])):
            return [*answer[:place], dice.pick(residual(p[place], q[place]))]
        place += 1
    return [*answer, dice.pick(p[place])]


class Writer:
    def __init__(self, model, temperature):
        self.model, self.temperature = model, temperature

    def after(self, tokens, how_many):
        """Probabilities of what follows each of the last `how_many` tokens."""
        with torch.inference_mode():
            logits, _ = self.model(torch.tensor([tokens]))
        return next_token_probs(logits[0, -how_many:], self.temperature)


def speculative_generate(target, draft, ids, max_new_tokens, *, k=4, temperature=1.0, generator=None):
    tokens = ids.tolist()
    goal = len(tokens) + max_new_tokens
    if not tokens:
        raise ValueError("empty prompt")
    if k <= 0:
        raise ValueError("k must be positive")
    for model in (target, draft):
        if model.config.block_size < goal:
            raise ValueError("does not fit")
    dice, small, large = Dice(generator), Writer(draft, temperature), Writer(target, temperature)
    while len(tokens) < goal:
        guesses, rows = [], []
        for _ in range(k):
            if len(tokens) + len(guesses) + 1 >= goal:
                break
            rows.append(small.after(tokens + guesses, 1)[0])
            guesses.append(dice.pick(rows[-1]))
        p = large.after(tokens + guesses, len(guesses) + 1)
        tokens += verify(guesses, rows, p, generator)
    return torch.tensor(tokens, dtype=ids.dtype)


def expected_tokens(alpha, k):
    total, power = 0.0, 1.0
    for _ in range(k + 1):
        total, power = total + power, power * alpha
    return total


def expected_speedup(alpha, k, cost):
    time_of_a_round = 1.0 + cost * k
    return expected_tokens(alpha, k) * (1.0 / time_of_a_round)
