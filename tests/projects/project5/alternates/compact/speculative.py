import torch


def next_token_probs(logits, temperature=1.0):
    if temperature == 0:
        return torch.zeros_like(logits).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)
    return torch.softmax(logits / temperature, -1)


def accept_probability(p, q, token):
    return (p[token] / q[token]).clamp(max=1).item()


def acceptance_rate(p, q):
    return 1 - (p - q).abs().sum(-1) / 2


def residual(p, q):
    left = (p - q).relu()
    return left / left.sum() if left.any() else p


def verify(draft_tokens, q, p, generator=None):
    draft_tokens = torch.as_tensor(draft_tokens).long()
    K = len(draft_tokens)
    odds = [accept_probability(p[i], q[i], t) for i, t in enumerate(draft_tokens)]
    no = torch.rand(K, generator=generator).double() >= torch.tensor(odds).double()
    n = int(no.nonzero()[0]) if no.any() else K
    last = residual(p[n], q[n]) if n < K else p[K]
    return draft_tokens[:n].tolist() + torch.multinomial(last, 1, generator=generator).tolist()


@torch.no_grad()
def speculative_generate(target, draft, ids, max_new_tokens, *, k=4, temperature=1.0, generator=None):
    T, room = len(ids), min(m.config.block_size for m in (target, draft))
    if not 1 <= T <= room - max_new_tokens or k < 1:
        raise ValueError("no prompt, no room, or no draft")
    end = T + max_new_tokens
    while len(ids) < end:
        text, q = ids, []
        while len(q) < min(k, room - len(ids)):  # more than is needed; cut at the end
            q += [next_token_probs(draft(text[None])[0][0, -1:], temperature)]
            text = torch.cat([text, torch.multinomial(q[-1], 1, generator=generator)[0]])
        p = next_token_probs(target(text[None])[0][0, len(ids) - 1 :], temperature)
        new = verify(text[len(ids) :], torch.cat(q), p, generator)
        ids = torch.cat([ids, torch.tensor(new)])
    return ids[:end]


def expected_tokens(alpha, k):
    return sum(alpha**i for i in range(k + 1))


def expected_speedup(alpha, k, cost):
    return expected_tokens(alpha, k) / (1 + k * cost)
