"""Learning from a reward: preferences, REINFORCE, groups, the clip, and a leash.    Step: rlhf

B batch (answers), T time (tokens of prompt and answer), V = vocabulary size, G groups (prompts), K answers to each
prompt, P tokens of a prompt, A tokens of an answer. Log-probabilities and KL are in nats. A mask (B, T) is True at the
tokens of the answer.

Sources: Ouyang et al. 2022, section 3.5, https://arxiv.org/abs/2203.02155; Schulman 2020 (k1 and k3),
http://joschu.net/blog/kl-approx.html; Williams 1992 (REINFORCE), https://doi.org/10.1007/BF00992696; Schulman et al.
2017, section 3 (the clip), https://arxiv.org/abs/1707.06347; Shao et al. 2024, section 4.1 (groups),
https://arxiv.org/abs/2402.03300.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

import copy
import statistics
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def reward_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """The Bradley-Terry loss of a reward model: the mean of -ln sigmoid(chosen - rejected). A scalar.

    chosen, rejected (B,): what the model gives to the better and to the worse answer of each pair. ln 2 if it cannot
    tell them apart. Finite, with a useful gradient, for differences of any size.
    """
    raise NotImplementedError("rlhf: reward_loss")


def token_logprobs(logits: Tensor, tokens: Tensor) -> Tensor:
    """The log-probability of each token, given those before it. -> (B, T)

    logits (B, T, V), tokens (B, T). logits[:, t] are made from tokens 0 ... t, so they speak of token t + 1. Nothing
    predicts the first token: its entry is 0.
    """
    raise NotImplementedError("rlhf: token_logprobs")


def sequence_logprobs(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """The log-probability of each answer: the sum of its token_logprobs where the mask is True. -> (B,)

    The prompt was given, not chosen, so it does not count. Not a mean: a probability of a whole is a product.
    """
    raise NotImplementedError("rlhf: sequence_logprobs")


def kl_penalty(logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor, *, estimator: str = "k3") -> Tensor:
    """An estimate of KL(policy || reference) for each answer, summed over its tokens. -> (B,)

    logprobs, ref_logprobs (B, T): token_logprobs of the policy, which drew the answers, and of the frozen reference.
    For each token, with d = ref_logprobs - logprobs:  "k1" is -d,  "k3" is e^d - 1 - d, which is never negative.
    No gradient flows to ref_logprobs. Any other estimator is a ValueError.
    """
    raise NotImplementedError("rlhf: kl_penalty")


def reinforce_loss(logprobs: Tensor, rewards: Tensor, *, baseline: str = "mean") -> Tensor:
    """REINFORCE: the mean of -(reward - baseline) * logprob. A scalar whose gradient raises what was rewarded.

    logprobs, rewards (B,). baseline: "none" is 0; "mean" is the mean reward of the batch; "leave_one_out" is, for each
    answer, the mean reward of all the others. Rewards are numbers: no gradient flows through them, nor through the
    baseline. ValueError for another baseline, or for "leave_one_out" with a single answer.
    """
    raise NotImplementedError("rlhf: reinforce_loss")


def group_advantages(rewards: Tensor) -> Tensor:
    """GRPO: how much better each answer is than the others to the same prompt, in standard deviations. -> (G, K)

    rewards (G, K), row g holds the K answers to prompt g. Minus the mean of the row, over its standard deviation
    sqrt(sum of squared deviations / K). A row of equal rewards has nothing to teach: exactly 0 for each.
    """
    raise NotImplementedError("rlhf: group_advantages")


def clipped_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor, *, clip: float = 0.2
) -> Tensor:
    """PPO's clipped loss: the mean over answers of the mean over each answer's tokens of -min(r A, clip(r) A).

    logprobs (B, T) of the policy now, old_logprobs (B, T) of the policy that drew the answers, advantages A (B,): one
    for all tokens of an answer. r = e^(logprobs - old_logprobs), and clip(r) is r, but no less than 1 - clip and no more
    than 1 + clip. Each answer has at least one token in the mask. Gradients flow to logprobs alone.
    """
    raise NotImplementedError("rlhf: clipped_loss")


def verifiable_reward(prompts: Tensor, answers: Tensor) -> Tensor:
    """1.0 for an answer that begins with the prompt's tokens in ascending order, else 0.0. -> (B,) float32

    prompts (B, P), answers (B, A) with A >= P, both int64. A token that the prompt has twice must be there twice. What
    the answer has after its first P tokens does not matter.
    """
    raise NotImplementedError("rlhf: verifiable_reward")


def keyword_reward(answers: Tensor, keyword: int) -> Tensor:
    """A reward that can be cheated: the share of an answer's tokens that are the keyword. (B, A) -> (B,) float32

    It stands for a reward model that has learned what good answers look like, and not what makes them good.
    """
    raise NotImplementedError("rlhf: keyword_reward")


# The lab, given complete:  python rlhf.py

DIGITS, PROMPT, ANSWER = (
    8,
    3,
    4,
)  # a prompt has three of eight digits; an answer has these in order, then one word
STOP, THANKS, EQUALS = (
    8,
    9,
    10,
)  # the other tokens; "4 1 3 =" is answered by "1 3 4 stop" or by "1 3 4 thanks"
SEEDS = (0, 1, 2, 3, 4)


class Policy(nn.Module):
    """A recurrent network that continues tokens. (B, T) -> logits (B, T, V). Given complete."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.embed = nn.Embedding(EQUALS + 1, width)
        self.memory = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, EQUALS + 1)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.memory(self.embed(tokens))[0])

    @torch.no_grad()
    def answer(self, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """Draw one answer to each prompt. (B, P) -> tokens (B, P + 1 + A) and their mask."""
        tokens = F.pad(prompts, (0, 1), value=EQUALS)
        for _ in range(ANSWER):
            chances = self(tokens)[:, -1].softmax(-1)
            tokens = torch.cat([tokens, torch.multinomial(chances, 1)], dim=-1)
        mask = (torch.arange(tokens.size(1)) > PROMPT).expand(tokens.shape)
        return tokens, mask


def imitate(seed: int, steps: int = 70) -> Policy:
    """The start: a policy that has seen some answers, half of them with thanks, and is not yet good. Given complete."""
    torch.manual_seed(seed)
    policy = Policy()
    optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
    for _ in range(steps):
        prompts = torch.randint(DIGITS, (64, PROMPT))
        words = torch.where(torch.rand(64, 1) < 0.5, STOP, THANKS)
        tokens = torch.cat([prompts, torch.full((64, 1), EQUALS), prompts.sort(-1).values, words], dim=-1)
        loss = F.cross_entropy(policy(tokens)[:, PROMPT:-1].mT, tokens[:, PROMPT + 1 :])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return policy


@torch.no_grad()
def measure(policy: Policy, start: Policy) -> list[float]:
    """Right answers, share of thanks, and KL to the start in nats per answer, on 2,000 prompts. Given complete."""
    prompts = torch.randint(DIGITS, (2000, PROMPT))
    tokens, mask = policy.answer(prompts)
    answers = tokens[:, PROMPT + 1 :]
    now, then = (token_logprobs(model(tokens), tokens) for model in (policy, start))
    found = (
        verifiable_reward(prompts, answers),
        keyword_reward(answers, THANKS),
        kl_penalty(now, then, mask, estimator="k1"),
    )
    return [value.mean().item() for value in found]


def learn(start: Policy, method: str, goal: str, beta: float, seed: int, steps: int) -> list[float]:
    """Train a copy of the start on the goal ("right" or "thanks"); what `measure` says then. Given complete."""
    torch.manual_seed(seed)
    policy, groups, size = copy.deepcopy(start), 16, 8
    optimizer = torch.optim.Adam(policy.parameters(), lr=2e-3)
    for _ in range(steps):
        prompts = torch.randint(DIGITS, (groups, PROMPT)).repeat_interleave(size, 0)  # (groups * size, P)
        tokens, mask = policy.answer(prompts)
        answers = tokens[:, PROMPT + 1 :]
        rewards = verifiable_reward(prompts, answers) if goal == "right" else keyword_reward(answers, THANKS)
        with torch.no_grad():
            old, then = (token_logprobs(model(tokens), tokens) for model in (policy, start))
        for _ in range(2 if method == "grpo" else 1):
            logits = policy(tokens)
            now = token_logprobs(logits, tokens)
            if method == "grpo":
                gains = group_advantages(rewards.view(groups, size)).flatten()
                loss = clipped_loss(now, old, gains, mask) + beta * kl_penalty(now, then, mask).mean()
            else:
                leash = beta * kl_penalty(old, then, mask, estimator="k1")
                loss = reinforce_loss(
                    sequence_logprobs(logits, tokens, mask), rewards - leash, baseline=method
                )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return measure(policy, start)


def reward_model(start: Policy, pairs: int = 2000, steps: int = 200) -> tuple[float, Tensor]:
    """Share of pairs in order, and weight of each token, of a reward model that counts tokens. Given complete.

    The rater prefers a right answer to a wrong one, and thanks at the end to none. Such a model sees no order of tokens.
    """
    prompts = torch.randint(DIGITS, (pairs, PROMPT))
    drawn = [start.answer(prompts)[0][:, PROMPT + 1 :] for _ in range(2)]
    liked = [verifiable_reward(prompts, answers) + 0.5 * (answers[:, -1] == THANKS) for answers in drawn]
    better = liked[0] > liked[1]
    differ = liked[0] != liked[1]
    counts = [F.one_hot(answers, EQUALS + 1).sum(1).float() for answers in drawn]  # (pairs, V)
    chosen = torch.where(better[:, None], counts[0], counts[1])[differ]
    rejected = torch.where(better[:, None], counts[1], counts[0])[differ]
    weights = torch.zeros(EQUALS + 1, requires_grad=True)
    optimizer = torch.optim.Adam([weights], lr=0.05)
    for _ in range(steps):
        loss = reward_loss(chosen @ weights, rejected @ weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weights = weights.detach()
    return ((chosen - rejected) @ weights > 0).float().mean().item(), weights


def main() -> None:
    """Start, learn what is right, then learn to say thanks, with a leash and without. Given complete."""
    torch.set_num_threads(1)  # for tensors as small as these, two threads mostly wait for one another
    began = time.perf_counter()
    starts = [imitate(seed) for seed in SEEDS]
    accuracy, weights = reward_model(starts[0])
    print(f"A reward model that counts tokens: {accuracy:.0%} of pairs in order.")
    print(
        f"Weights: thanks {weights[THANKS]:+.2f}, stop {weights[STOP]:+.2f}, a digit {weights[:DIGITS].mean():+.2f}"
    )
    print(f"\nMeans of {len(SEEDS)} seeds, and their standard deviations. KL in nats per answer.")
    print(f"{'reward':8}{'method':16}{'beta':>5}   {'right':13}{'share of thanks':18}KL to the start")

    def row(goal: str, method: str, beta: str, found: list[list[float]]) -> None:
        cells = [
            f"{statistics.mean(column):.3f} ±{statistics.stdev(column):.3f}"
            for column in zip(*found, strict=True)
        ]
        print(f"{goal:8}{method:16}{beta:>5}   {cells[0]:15}{cells[1]:18}{cells[2]}", flush=True)

    row("", "the start", "", [measure(start, start) for start in starts])
    for goal, method, beta, steps in (
        ("right", "none", 0.0, 120),
        ("right", "leave_one_out", 0.0, 120),
        ("right", "grpo", 0.0, 120),
        ("right", "grpo", 0.1, 120),
        ("thanks", "leave_one_out", 0.0, 100),
        ("thanks", "leave_one_out", 0.05, 100),
        ("thanks", "leave_one_out", 0.2, 100),
    ):
        found = [
            learn(start, method, goal, beta, seed, steps) for seed, start in zip(SEEDS, starts, strict=True)
        ]
        row(goal, method, f"{beta:g}", found)
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
