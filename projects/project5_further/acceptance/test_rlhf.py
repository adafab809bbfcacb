"""Step `rlhf`: preferences, log-probabilities of answers, KL, REINFORCE, groups, the clip, two rewards.

B batch, T time, V vocabulary, G groups, K answers in a group, P tokens of a prompt, A tokens of an answer.
"""

import math

import torch

from cohort_cli.checking.authoring import check

DOUBLE = torch.float64


def zeros(gradient, like):
    """No gradient is the gradient 0."""
    return torch.zeros_like(like) if gradient is None else gradient


def some_mask(rng, rows, length):
    """Masks as they come: each row has at least one token of its answer, somewhere after the first place."""
    mask = rng.integers(0, 2, rows, length).bool()
    mask[:, 0] = False
    mask[:, -1] |= ~mask.any(-1)
    mask[0] = torch.arange(length) >= 2
    mask[1] = torch.arange(length) == length - 2
    return mask


@check("rlhf-preference", title="a reward model learns from pairs: ln 2 at equality, finite everywhere")
def test_rlhf_preference(member, expect, rng):
    """The mean of -ln sigmoid(chosen - rejected) of random rewards and its two gradients; ln 2 for equal ones; then
    differences of 2,000 and -2,000 in float32, where sigmoid is 0 and its logarithm minus infinity.
    """
    reward_loss = member.rlhf.reward_loss
    chosen, rejected = rng.normal(5, std=2.0), rng.normal(5, std=2.0)
    seen = member.vjp(reward_loss, chosen, rejected)
    want = torch.log1p(torch.exp(rejected - chosen)).mean()
    expect.close(seen.output, want, say="The loss of five random pairs.")
    pull = 1 / (1 + torch.exp(chosen - rejected)) / 5
    got = torch.stack([zeros(gradient, chosen) for gradient in seen.inputs])
    say = "The gradients for the chosen and for the rejected rewards."
    expect.close(got, torch.stack([-pull, pull]), axes=("answer", "pair"), say=say)
    same = rng.normal(4)
    want = torch.tensor(math.log(2), dtype=DOUBLE)
    expect.close(reward_loss(same, same), want, say="The loss of equal rewards.")
    for gap in (2000.0, -2000.0):
        chosen, rejected = torch.tensor([gap, 0.0]), torch.zeros(2)
        seen = member.vjp(reward_loss, chosen, rejected)
        want = torch.tensor([max(0.0, -gap), math.log(2)]).mean()
        expect.close(seen.output, want, atol=1e-4, say=f"The loss with differences of {gap:.0f} and 0.")
        want = torch.tensor([-0.5 if gap < 0 else 0.0, -0.25])
        say = f"The gradient for chosen, differences {gap:.0f} and 0."
        expect.close(zeros(seen.inputs[0], chosen), want, atol=1e-6, axes=("pair",), say=say)


@check("rlhf-logprobs", title="an answer's log-probability: shifted, summed, without the prompt")
def test_rlhf_logprobs(member, expect, rng):
    """Logits at t speak of the token at t + 1, so the first token has no log-probability: 0. The sum runs over the
    tokens in the mask; a row without any gives 0. Then the gradient with respect to the logits, and a logit of 4,000.
    """
    rlhf = member.rlhf
    logits, tokens = rng.normal(3, 6, 7, std=2.0), rng.integers(0, 7, 3, 6)
    mask = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]]).bool()
    each = torch.zeros(3, 6, dtype=DOUBLE)
    for row in range(3):
        for t in range(1, 6):
            before = logits[row, t - 1]
            each[row, t] = before[tokens[row, t]] - before.logsumexp(0)
    got = rlhf.token_logprobs(logits, tokens)
    expect.close(got, each, axes=("row", "token"), say="token_logprobs.")
    g = rng.normal(3)
    seen = member.vjp(rlhf.sequence_logprobs, logits, tokens, mask, cotangent=g)
    say = "sequence_logprobs, answers of 3, 2 and 0 tokens."
    expect.close(seen.output, (each * mask).sum(-1), axes=("row",), say=say)
    wanted = torch.nn.functional.one_hot(tokens[:, 1:], 7) - logits[:, :-1].softmax(-1)
    wanted = wanted * (mask[:, 1:] * g[:, None])[..., None]
    want = torch.cat([wanted, torch.zeros(3, 1, 7, dtype=DOUBLE)], dim=1)
    say = "The gradient of sequence_logprobs with respect to the logits."
    expect.close(zeros(seen.inputs[0], logits), want, axes=("row", "position", "word"), say=say)
    far = torch.zeros(1, 3, 4)
    far[0, 1, 2] = 4000.0
    got = rlhf.token_logprobs(far, torch.tensor([[0, 1, 3]]))
    want = torch.tensor([[0.0, -math.log(4), -4000.0]])
    expect.close(got, want, atol=1e-3, axes=("row", "token"), say="token_logprobs, a logit of 4,000.")


@check("rlhf-kl", title="k1 and k3, token by token, summed over the answer")
def test_rlhf_kl(member, expect, rng):
    """Both estimators against their formulas, with numbers in the prompt that must not count. k3 is the default, and
    never below 0: not even for an answer that the reference finds likelier, where k1 is. Another name is a ValueError.
    """
    mask = some_mask(rng, 4, 6)
    now, ref = rng.normal(4, 6, std=0.7) - 2.0, rng.normal(4, 6, std=0.7) - 2.0
    ref[3] = now[3] + 0.5  # k1 is negative there
    now, ref = now.where(mask, now - 9.0), ref.where(mask, ref + 3.0)
    ratio = ref.exp() / now.exp()  # reference over policy
    wanted = {"k1": -ratio.log(), "k3": ratio - 1 - ratio.log()}
    want = torch.stack([each.masked_fill(~mask, 0.0).sum(-1) for each in wanted.values()])
    got = [member.rlhf.kl_penalty(now, ref, mask, estimator=name) for name in wanted]
    for part in got:
        expect.shape(part, (4,), say="One number for each of four answers.")
    expect.close(torch.stack(got), want, axes=("estimator", "row"), say="k1 and k3 of four answers.")
    got = member.rlhf.kl_penalty(now, ref, mask)
    want = wanted["k3"].masked_fill(~mask, 0.0).sum(-1)
    expect.close(got, want, axes=("row",), say="The default, k3.")
    say = "estimator='k9': a ValueError."
    expect.raises(member.rlhf.kl_penalty, now, ref, mask, estimator="k9", say=say)


@check("rlhf-kl-gradient", title="KL pulls the policy, and leaves the reference alone", needs=["rlhf-kl"])
def test_rlhf_kl_gradient(member, expect, rng):
    """The gradient of k3 is 1 - reference / policy at each token of the answer, of k1 it is 1, and 0 at all others.
    The reference gets none: it is a copy that stays as it is. Its log-probabilities could take one here.
    """
    mask = some_mask(rng, 3, 5)
    now, ref, g = rng.normal(3, 5) - 2.0, rng.normal(3, 5) - 2.0, rng.normal(3)
    for name, slope in (("k1", torch.ones_like(now)), ("k3", 1 - (ref - now).exp())):
        seen = member.vjp(member.rlhf.kl_penalty, now, ref, mask, cotangent=g, estimator=name)
        want = (slope * g[:, None]).masked_fill(~mask, 0.0)
        got = torch.stack([zeros(gradient, now) for gradient in seen.inputs[:2]])
        say = f"{name}: the gradients for the policy and for the reference."
        expect.close(
            got, torch.stack([want, torch.zeros_like(want)]), axes=("model", "row", "token"), say=say
        )


def baselines(rewards):
    others = [(sum(rewards.tolist()) - r) / (len(rewards) - 1) for r in rewards.tolist()]
    return {
        "none": torch.zeros_like(rewards),
        "mean": torch.full_like(rewards, sum(rewards.tolist()) / len(rewards)),
        "leave_one_out": torch.tensor(others, dtype=rewards.dtype),
    }


@check("rlhf-reinforce", title="REINFORCE: three baselines, and rewards that are numbers, not paths")
def test_rlhf_reinforce(member, expect, rng):
    """The loss of random answers and rewards with each baseline, and the gradient for each log-probability:
    -(reward - baseline) / B. Descending makes those answers likelier that were better than the baseline. The rewards
    could take a gradient here, and must get none, through the baseline neither. The mean is the default.

    One answer alone has no others, so leave_one_out is then a ValueError, as is a name that is not known.
    """
    reinforce_loss = member.rlhf.reinforce_loss
    logprobs, rewards = rng.normal(5) - 6.0, rng.normal(5) + 2.0
    found = baselines(rewards)
    for name, baseline in found.items():
        seen = member.vjp(reinforce_loss, logprobs, rewards, baseline=name)
        want = -((rewards - baseline) * logprobs).mean()
        expect.close(seen.output, want, say=f"The loss, baseline={name!r}.")
        want = torch.stack([-(rewards - baseline) / 5, torch.zeros_like(rewards)])
        got = torch.stack([zeros(gradient, rewards) for gradient in seen.inputs])
        say = f"baseline={name!r}: the gradients for log-probabilities and rewards."
        expect.close(got, want, axes=("argument", "answer"), say=say)
    want = -((rewards - found["mean"]) * logprobs).mean()
    expect.close(reinforce_loss(logprobs, rewards), want, say="The loss with the default, the mean.")
    say = "leave_one_out with one answer: a ValueError."
    expect.raises(reinforce_loss, logprobs[:1], rewards[:1], baseline="leave_one_out", say=say)
    say = "baseline='median': a ValueError."
    expect.raises(reinforce_loss, logprobs, rewards, baseline="median", say=say)


@check("rlhf-groups", title="advantages within a group, and none where all are equal")
def test_rlhf_groups(member, expect, rng):
    """Each row minus its mean, over its standard deviation with K below the line. A group of equal rewards gives 0 for
    each answer, and not what rounding leaves of the mean, divided by itself. A group of one answer is such a group.
    """
    group_advantages = member.rlhf.group_advantages
    rewards = rng.normal(3, 4, std=2.0) + torch.tensor([[0.0], [5.0], [-3.0]], dtype=DOUBLE)
    want = torch.stack([(row - row.mean()) / row.var(correction=0).sqrt() for row in rewards])
    got = group_advantages(rewards)
    expect.close(got, want, atol=1e-6, axes=("group", "answer"), say="Three groups of four.")
    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0]], dtype=DOUBLE)
    root = math.sqrt(3.0)
    want = torch.tensor([[root, -1 / root, -1 / root, -1 / root], [0.0] * 4, [0.0] * 4], dtype=DOUBLE)
    got = group_advantages(rewards)
    expect.close(
        got, want, atol=1e-6, axes=("group", "answer"), say="One right of four, all right, none right."
    )
    values = [rng.random.uniform(0.1, 0.9) for _ in range(40)]
    rows = torch.tensor([[value] * 7 for value in values])  # float32
    rows = rows[rows.mean(-1) != rows[:, 0]][:3]
    expect.close(
        group_advantages(rows), torch.zeros_like(rows), atol=1e-6, say="Equal rewards, seven of each."
    )
    alone = rng.normal(2, 1)
    expect.close(group_advantages(alone), torch.zeros_like(alone), atol=1e-6, say="Groups of one answer.")


def clip_case(rng):
    """Ratios on both sides of the clip for either sign of the advantage, other numbers where the mask is False."""
    mask = some_mask(rng, 6, 7)
    mask[2], mask[1] = mask[1].clone(), mask[0].clone()
    old = rng.normal(6, 7) - 2.0
    now = old + rng.normal(6, 7, std=0.5)
    for row in (0, 1):  # a good answer and a bad one
        far = torch.tensor([-1.0, -0.7, 0.05, 0.6, 0.9], dtype=DOUBLE) + rng.normal(5, std=0.02)
        now[row, 2:] = old[row, 2:] + far[rng.permutation(5)]
    now, old = now.where(mask, now + 2.0), old.where(mask, old - 3.0)
    gains = rng.normal(6, std=0.3) + torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    return now, old, gains.to(DOUBLE), mask


@check("rlhf-clip", title="the clipped loss takes the smaller gain, for either sign")
def test_rlhf_clip(member, expect, rng):
    """min(r A, clip(r) A), the mean over the tokens of each answer, then over the answers, which have different lengths.
    Ratios lie on both sides of the clip. At the start, r = 1, the loss is minus the mean of the advantages.
    """
    now, old, gains, mask = clip_case(rng)
    for clip in (0.2, 0.4):
        total = 0.0
        for row in range(6):
            gain, answer = float(gains[row]), []
            for t in mask[row].nonzero().flatten().tolist():
                ratio = math.exp(float(now[row, t] - old[row, t]))
                answer.append(min(ratio * gain, min(max(ratio, 1 - clip), 1 + clip) * gain))
            total -= sum(answer) / len(answer) / 6
        more = {} if clip == 0.2 else {"clip": clip}
        got = member.rlhf.clipped_loss(now, old, gains, mask, **more)
        say = f"The loss of six answers, clip = {clip}{'' if more else ', the default'}."
        expect.close(got, torch.tensor(total, dtype=DOUBLE), say=say)
    got = member.rlhf.clipped_loss(now, now, gains, mask)
    expect.close(got, -gains.mean(), say="The loss where the policy is still the old one.")


@check("rlhf-clip-gradient", title="beyond the clip, only the way back has a gradient", needs=["rlhf-clip"])
def test_rlhf_clip_gradient(member, expect, rng):
    """A good answer (A > 0) stops pulling once r is above 1 + clip, a bad one once r is below 1 - clip. On the other
    side it pulls on: that is the way back. Old log-probabilities and advantages could take a gradient, and get none.
    """
    now, old, gains, mask = clip_case(rng)
    for clip in (0.2, 0.4):
        ratio, gain = (now - old).exp(), gains[:, None].expand(now.shape)
        pulls = torch.where(gain > 0, ratio < 1 + clip, ratio > 1 - clip) & mask
        want = (-ratio * gain / mask.sum(-1, keepdim=True) / 6).masked_fill(~pulls, 0.0)
        seen = member.vjp(member.rlhf.clipped_loss, now, old, gains, mask, clip=clip)
        got = zeros(seen.inputs[0], now)
        expect.close(
            got, want, axes=("row", "token"), say=f"The gradient for the log-probabilities, clip = {clip}."
        )
        rest = torch.cat([zeros(seen.inputs[1], old).flatten(), zeros(seen.inputs[2], gains)])
        expect.close(
            rest, torch.zeros_like(rest), say="The gradients for old log-probabilities and advantages."
        )


@check("rlhf-rewards", title="a reward that can be verified, and one that can be cheated")
def test_rlhf_rewards(member, expect, rng):
    """Right, in falling order, with two tokens swapped, as in the prompt, each token one higher, another token twice,
    ascending and made up, and right but too late; other words behind. Then the keyword's share of random answers.
    """
    prompts = rng.integers(0, 9, 9, 4)
    prompts[:, :2] = torch.tensor([[5, 2]])
    prompts[5] = torch.tensor([6, 3, 3, 1])
    ordered = torch.tensor([sorted(row) for row in prompts.tolist()])
    tail = rng.integers(0, 12, 9, 2)
    answers = torch.cat([ordered, tail], dim=-1)
    answers[2, :4] = ordered[2].flip(0)
    answers[3, :4] = prompts[3]
    answers[4, :4] = (ordered[4] + 1) % 9
    answers[5, :4] = torch.tensor([1, 3, 6, 6])
    answers[6, :4] = torch.tensor([0, 0, 0, 0])
    answers[7] = torch.cat([torch.tensor([11, 11]), ordered[7]])
    answers[8, :4] = ordered[8][[3, 1, 2, 0]]
    order = rng.permutation(9)
    right = [
        float(row[: len(p)] == sorted(p))
        for p, row in zip(prompts[order].tolist(), answers[order].tolist(), strict=True)
    ]
    got = member.rlhf.verifiable_reward(prompts[order], answers[order])
    say = "verifiable_reward of nine answers."
    expect.close(got, torch.tensor(right), axes=("answer",), say=say)
    expect.that(
        got.is_floating_point(), "verifiable_reward: numbers with a point, float32.", got=str(got.dtype)
    )
    answers, keyword = rng.integers(0, 4, 6, 5), rng.random.randrange(4)
    some = torch.tensor([[1, 1, 1, 0, 0], [0, 0, 0, 1, 1], [0, 0, 0, 0, 0]]).bool()
    answers[:3] = torch.where(some, keyword, (keyword + 1) % 4)
    share = torch.tensor([row.count(keyword) / 5 for row in answers.tolist()])
    got = member.rlhf.keyword_reward(answers, keyword)
    say = f"keyword_reward of six answers of five tokens, keyword {keyword}."
    expect.close(got, share, atol=1e-6, axes=("answer",), say=say)
