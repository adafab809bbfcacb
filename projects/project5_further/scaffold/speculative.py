"""Speculative decoding: a small model drafts tokens, the large one checks them all in one call.    Step: speculative

T time (tokens), V = vocabulary size, K drafted tokens of one round, n new tokens.

p are the target's probabilities, q the draft's. Both models are called as model(idx (1, T)) -> (logits (1, T, V), loss)
and have model.config.block_size; logits[:, t] score the token at t + 1. They share one vocabulary and are in eval mode.
What comes out is distributed exactly as if the target alone had written it. Arguments stay as they are.

Source: Leviathan et al. 2023, https://arxiv.org/abs/2211.17192; Chen et al. 2023, https://arxiv.org/abs/2302.01318.

You may add helper functions, files and attributes as you like.

`python speculative.py` trains a target and a draft on Python's own documentation and counts, with your functions.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def next_token_probs(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """logits (…, V) -> probabilities (…, V): softmax of logits / temperature over the last dimension.

    At temperature 0 the likeliest token has 1 and all others 0; of several that are equal, the first.
    """
    raise NotImplementedError("speculative: next_token_probs")


def accept_probability(p: Tensor, q: Tensor, token: int) -> float:
    """p (V,), q (V,) -> min(1, p[token] / q[token]): how likely a token that was drawn from q is kept.

    q[token] is above 0: the draft has drawn it.
    """
    raise NotImplementedError("speculative: accept_probability")


def acceptance_rate(p: Tensor, q: Tensor) -> Tensor:
    """p (…, V), q (…, V) -> (…): alpha, the probability that a token drawn from q is kept: the sum of min(p, q)."""
    raise NotImplementedError("speculative: acceptance_rate")


def residual(p: Tensor, q: Tensor) -> Tensor:
    """p (V,), q (V,) -> (V,): from which the token is drawn that takes the place of a rejected one.

    max(p - q, 0), divided by its sum: what the target gives and the draft has not given already. If p and q are equal
    nothing is left; then nothing is ever rejected, and the answer is p.
    """
    raise NotImplementedError("speculative: residual")


def verify(
    draft_tokens: Sequence[int] | Tensor, q: Tensor, p: Tensor, generator: torch.Generator | None = None
) -> list[int]:
    """The tokens of one round: the first drafted ones, as far as they are kept, and one more. 1 to K + 1 of them.

    draft_tokens (K,), K >= 0: token i was drawn from q[i]. q (K, V), p (K + 1, V): p[i] is what the target gives for
    the place of draft_tokens[i], and p[K] for the place after them all.
    From left to right, each is kept with accept_probability. The first that is not kept is replaced by a draw from
    residual(p[i], q[i]), and the rest of the draft is thrown away. If all are kept, one is drawn from p[K].
    """
    raise NotImplementedError("speculative: verify")


def speculative_generate(
    target: nn.Module,
    draft: nn.Module,
    ids: Tensor,
    max_new_tokens: int,
    *,
    k: int = 4,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """ids (T,) int64 -> (T + max_new_tokens,): the prompt and exactly so many new tokens.

    In rounds: the draft draws up to k tokens one after the other (k calls at most, each with all tokens so far); the
    target is called *once*, with the text and all of them; verify decides. temperature is for both models; at 0 the
    text is the target's greedy one. No model is given more than its block_size tokens.
    Raises ValueError for a prompt without tokens, for k < 1, and if prompt and new tokens together do not fit into the
    block_size of either model.
    """
    raise NotImplementedError("speculative: speculative_generate")


def expected_tokens(alpha: float, k: int) -> float:
    """Tokens of one round, on average, if each draft is kept with probability alpha, independently of the others.

    (1 - alpha^(k + 1)) / (1 - alpha); k + 1 for alpha = 1.
    """
    raise NotImplementedError("speculative: expected_tokens")


def expected_speedup(alpha: float, k: int, cost: float) -> float:
    """How many times faster than the target alone. cost: the time of one call of the draft, in calls of the target.

    A round costs k calls of the draft and one of the target, and gives expected_tokens(alpha, k).
    """
    raise NotImplementedError("speculative: expected_speedup")


# --- given: two small models, and the experiment ---------------------------------------------------------------


class TinyGPT(nn.Module):
    """A small GPT over characters: pre-norm blocks of attention and MLP, learned positions.

    calls counts how often it was called.
    """

    def __init__(self, vocab_size: int, n_layer: int, d_model: int, block_size: int = 64) -> None:
        super().__init__()
        self.config = SimpleNamespace(block_size=block_size)
        self.calls = 0
        self.words = nn.Embedding(vocab_size, d_model)
        self.places = nn.Embedding(block_size, d_model)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                d_model,
                d_model // 16,
                4 * d_model,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(n_layer)
        )
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, vocab_size, bias=False)

    def forward(self, idx: Tensor) -> tuple[Tensor, None]:
        """idx (B, T) -> (logits (B, T, V), None)."""
        self.calls += 1
        T = idx.size(1)
        x = self.words(idx) + self.places(torch.arange(T))
        future = torch.ones(T, T).triu(1).bool()
        for block in self.blocks:
            x = block(x, src_mask=future, is_causal=True)
        return self.head(self.norm(x)), None


def train_on_text(model: TinyGPT, text: Tensor, steps: int, rate: float) -> float:
    """Next characters of random windows of text (N,). The loss in nats per character, mean of the last 50 steps."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    losses: list[float] = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / 30, 1.1 - step / steps)
        starts = torch.randint(len(text) - 65, (16, 1), generator=generator)
        window = text[starts + torch.arange(65)]  # (16, 65)
        loss = F.cross_entropy(model(window[:, :-1])[0].mT, window[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval().requires_grad_(False)
    return sum(losses[-50:]) / 50


def main() -> None:
    from pydoc_data.topics import topics  # about 465,000 characters of English and Python

    torch.set_num_threads(1)
    torch.manual_seed(0)
    whole = "".join(topics.values())
    letters = sorted(set(whole))
    text = torch.tensor([letters.index(letter) for letter in whole])
    target, draft = TinyGPT(len(letters), 4, 128), TinyGPT(len(letters), 1, 32)
    for name, model, steps, rate in (("target", target, 400, 2e-3), ("draft", draft, 600, 6e-3)):
        start = time.perf_counter()
        loss = train_on_text(model, text, steps, rate)
        count = sum(parameter.numel() for parameter in model.parameters())
        print(
            f"{name}: {count:,} parameters, {loss:.2f} nats per character, {time.perf_counter() - start:.0f} s"
        )

    prompts = text[torch.arange(20)[:, None] * 20_000 + torch.arange(16)]  # (20, 16)
    seconds = {}
    for name, model in (("target", target), ("draft", draft)):
        start = time.perf_counter()
        for _ in range(200):
            model(prompts[:1].repeat(1, 3))
        seconds[name] = (time.perf_counter() - start) / 200
    cost = seconds["draft"] / seconds["target"]

    plain = torch.Generator().manual_seed(1)
    written, start = prompts, time.perf_counter()
    for _ in range(48):  # the target alone, all prompts together, for alpha
        probs = next_token_probs(target(written)[0][:, -1])
        written = torch.cat([written, torch.multinomial(probs, 1, generator=plain)], dim=1)
    p, q = (next_token_probs(model(written)[0][:, 15:-1]) for model in (target, draft))
    alpha = float(acceptance_rate(p, q).mean())
    print(
        f"alpha, the mean of sum min(p, q): {alpha:.3f}.  One call of the draft costs {cost:.2f} of the target's.\n"
    )

    print(" k   drafts kept   tokens per target call   formula   faster: formula   measured")
    start = time.perf_counter()
    for prompt in prompts:
        ids = prompt
        for _ in range(48):
            probs = next_token_probs(target(ids[None])[0][0, -1])
            ids = torch.cat([ids, torch.multinomial(probs, 1, generator=plain)])
    alone = time.perf_counter() - start
    for k in (1, 2, 4, 8):
        target.calls = draft.calls = 0
        generator, start = torch.Generator().manual_seed(k), time.perf_counter()
        for prompt in prompts:
            speculative_generate(target, draft, prompt, 48, k=k, generator=generator)
        took, tokens = time.perf_counter() - start, 48 * len(prompts)
        kept = (tokens - target.calls) / draft.calls  # each round has one token that was not drafted
        print(
            f"{k:2} {kept:13.2f} {tokens / target.calls:24.2f} {expected_tokens(alpha, k):9.2f} "
            f"{expected_speedup(alpha, k, cost):17.2f} {alone / took:10.2f}"
        )

    worst = int((acceptance_rate(p, q)[:, 0] - 0.5).abs().argmin())  # a prompt where they disagree
    p, q, count = p[worst, 0], q[worst, 0], 20_000
    generator = torch.Generator().manual_seed(2)
    drafts = torch.multinomial(q, count, replacement=True, generator=generator)
    both = torch.stack([p, p])
    ours = torch.tensor([verify([token], q[None], both, generator)[0] for token in drafts.tolist()])
    again = torch.multinomial(p, count, replacement=True, generator=generator)
    accepted = torch.rand(count, generator=generator) < (p / q)[drafts]
    cases = {
        "speculative": ours,
        "target alone": again,
        "redrawn from p, not the residual": torch.where(accepted, drafts, again),
        "draft alone": drafts,
    }
    print(
        f"\nThe first token after one prompt, {count:,} times. Distance from p: half the sum of |share - p|"
    )
    for what, tokens in cases.items():
        share = torch.bincount(tokens, minlength=len(p)) / count
        print(f"  {what:33} {float((share - p).abs().sum() / 2):.4f}")
    print(
        f"  (chance alone gives about {float((p * (1 - p)).sqrt().sum()) / math.sqrt(2 * math.pi * count):.4f})"
    )


if __name__ == "__main__":
    main()
