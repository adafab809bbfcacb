"""Step `dpo`: log-probabilities of answers, the loss that compares them, and a reference that stays as it is.

B batch, T time, V = 11 tokens. The models are small ones of the kit's.
"""

import math

import finetune_toys
import torch

from cohort_cli.checking.authoring import check

V = 11


def rewards(chosen, rejected, ref_chosen, ref_rejected, beta):
    return beta * (chosen - ref_chosen), beta * (rejected - ref_rejected)


@check("dpo-logprob", title="the log-probability of an answer is a sum over its tokens")
def test_dpo_logprob(member, expect, rng):
    """One number for each row: the sum of the log-probabilities of the labels that count, whatever ignore_index is,
    and 0 for a row in which none counts. Not a mean: the loss compares whole answers. The labels are shifted already.

    Computed here position by position. The caller's labels must stay as they are.
    """
    there, here = finetune_toys.twins(member, rng, "LanguageModel", V, 5, 6)
    ids, targets = rng.integers(0, V, 3, 5), rng.integers(0, V, 3, 5)
    ignored = torch.tensor([[1, 0, 0, 0, 0], [1, 1, 1, 0, 1], [1, 1, 1, 1, 1]]).bool()
    logits, _ = here(ids)
    each = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)
    want = each.masked_fill(ignored, 0.0).sum(-1)
    for ignore_index in (-100, 4):
        counting = targets.masked_fill(targets == 4, 5) if ignore_index == 4 else targets
        each = logits.gather(-1, counting.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)
        want = each.masked_fill(ignored, 0.0).sum(-1)
        labels = counting.masked_fill(ignored, ignore_index)
        more = {} if ignore_index == -100 else {"ignore_index": ignore_index}
        got, after = member.echo(member.dpo.sequence_logprob, there, ids, labels, **more)
        say = f"Rows with 4, 1 and 0 labels that count, ignore_index = {ignore_index}."
        expect.close(got, want, axes=("row",), say=say)
        expect.equal(after[2], labels, say="The labels after the call.")


@check(
    "dpo-logprob-gradient",
    title="log-probabilities can be learned from, and stay finite",
    needs=["dpo-logprob"],
)
def test_dpo_logprob_gradient(member, expect, rng):
    """The gradients with respect to the model, compared with those of the same sum in torch. Then logits of several
    thousand: the probability itself is 0 for a float, its logarithm is an ordinary number.
    """
    there, here = finetune_toys.twins(member, rng, "LanguageModel", V, 5, 6)
    ids, labels = rng.integers(0, V, 3, 5), rng.integers(0, V, 3, 5)
    labels[0, :2] = -100
    g = rng.normal(3)
    seen = member.vjp(member.dpo.sequence_logprob, there, ids, labels, cotangent=g, params_of=there)
    missing = sorted(name for name, gradient in seen.parameters.items() if gradient is None)
    expect.equal(missing, [], say="These parameters get no gradient.")
    each = -torch.nn.functional.cross_entropy(here(ids)[0].mT, labels, reduction="none")
    want = torch.autograd.grad((each.sum(-1) * g).sum(), list(here.parameters()))
    for (name, gradient), right in zip(seen.parameters.items(), want, strict=True):
        expect.close(gradient, right, say=f"The gradient of {name}.")
    values = {name: value * (3000.0 if "head" in name else 1.0) for name, value in there.parameters().items()}
    there.assign(values)
    for name, parameter in here.named_parameters():
        parameter.data = values[name]
    each = -torch.nn.functional.cross_entropy(here(ids)[0].mT, labels, reduction="none")
    got = member.dpo.sequence_logprob(there, ids, labels)
    expect.close(
        got, each.sum(-1), atol=1e-7, rtol=1e-10, axes=("row",), say="With logits of several thousand."
    )


@check("dpo-start", title="the loss starts at ln 2, with a gradient that points the right way")
def test_dpo_start(member, expect, rng):
    """A policy that is still its reference has reward 0 for every answer: a margin of 0, and a loss of ln 2 = 0.6931
    for any beta. That is the first number to look at in a run. Its gradient is -beta / 2B for a chosen answer, and
    the opposite for a rejected one: descending raises the first and lowers the second.
    """
    for beta in (0.1, 0.7):
        chosen, rejected = rng.normal(4, std=9.0) - 30.0, rng.normal(4, std=9.0) - 20.0
        seen = member.vjp(member.dpo.dpo_loss, chosen, rejected, chosen, rejected, pick=0, beta=beta)
        want = torch.tensor(math.log(2), dtype=torch.float64)
        expect.close(seen.output, want, say=f"The loss of a policy that is its reference, beta = {beta}.")
        right = torch.full((4,), beta / 8, dtype=torch.float64)
        gradients = [seen.inputs[0], seen.inputs[1]]
        got = torch.stack([torch.zeros(4, dtype=torch.float64) if g is None else g for g in gradients])
        say = "The gradients for the chosen and the rejected log-probabilities."
        expect.close(got, torch.stack([-right, right]), axes=("answer", "pair"), say=say)


@check("dpo-loss", title="the loss is the mean of -ln sigmoid of the margins")
def test_dpo_loss(member, expect, rng):
    """Random log-probabilities, two values of beta and the default of 0.1, against the formula in float64. The mean
    is taken of the losses, not of the margins.
    """
    for beta in (0.3, 2.0, 0.1):
        four = [rng.normal(5, std=2.0) - 12.0 for _ in range(4)]
        chosen, rejected = rewards(*four, beta)
        want = torch.log1p(torch.exp(rejected - chosen)).mean()
        more = {} if beta == 0.1 else {"beta": beta}
        loss, _ = member.dpo.dpo_loss(*four, **more)
        expect.close(loss, want, say=f"The loss with beta = {beta}.")


@check("dpo-gradient", title="the policy learns, the reference does not", needs=["dpo-loss"])
def test_dpo_gradient(member, expect, rng):
    """All four arguments could take a gradient here; only the policy's two may get one. Pairs that the policy already
    orders well move it less: the gradient is beta * sigmoid(-margin) / B.
    """
    four = [rng.normal(5, std=2.0) - 12.0 for _ in range(4)]
    four[0] += torch.tensor([20.0, -20.0, 0.0, 0.0, 0.0])  # one pair is surely in order, one surely not
    seen = member.vjp(member.dpo.dpo_loss, *four, pick=0, beta=0.5)
    chosen, rejected = rewards(*four, 0.5)
    pull = 0.5 * torch.sigmoid(rejected - chosen) / 5
    zero = torch.zeros(5, dtype=torch.float64)
    got = torch.stack([zero if g is None else g for g in seen.inputs])
    want = torch.stack([-pull, pull, zero, zero])
    say = "The gradients: policy chosen, policy rejected, reference chosen, reference rejected."
    expect.close(got, want, axes=("answer", "pair"), say=say)


@check("dpo-stable", title="large margins give large losses, not infinite ones", needs=["dpo-loss"])
def test_dpo_stable(member, expect):
    """Margins of 2,000 and -2,000, in float32. Rejected by that much, sigmoid is 0 and its logarithm minus infinity, but
    -ln sigmoid(-m) is simply m for a large m. The gradient is then beta, not nan.
    """
    for margin in (2000.0, -2000.0):
        chosen, rest = torch.tensor([margin * 2, 0.0]), torch.zeros(2)
        seen = member.vjp(member.dpo.dpo_loss, chosen, rest, rest, rest, pick=0, beta=0.5)
        losses = torch.tensor([max(0.0, -margin), math.log(2)])
        say = f"The loss with margins of {margin:.0f} and 0."
        expect.close(seen.output, losses.mean(), atol=1e-4, say=say)
        want = torch.tensor([0.0 if margin > 0 else -0.25, -0.125])
        expect.close(
            seen.inputs[0], want, atol=1e-6, axes=("pair",), say="The gradient for the chosen answers."
        )


@check("dpo-metrics", title="four numbers to watch, as plain floats")
def test_dpo_metrics(member, expect, rng):
    """reward_chosen and reward_rejected are means of beta * (policy - reference), reward_margin is their difference,
    accuracy the share of pairs whose chosen answer has the higher reward; a tie is not higher. Python floats: a
    tensor that still has its graph keeps a whole step in memory.
    """
    names = ("reward_chosen", "reward_rejected", "reward_margin", "accuracy")
    for beta in (0.1, 0.4):
        # Three pairs are right, one of them with a reward above 0; one is wrong, and one is a tie.
        gains = torch.tensor([[2.0, -1.0, -2.0, -1.0, 0.0], [1.0, -3.0, 1.0, -2.0, 0.0]]) + rng.normal(
            2, 5, std=0.1
        )
        ref_chosen = rng.normal(5, std=2.0) - 20.0
        ref_rejected = ref_chosen - torch.tensor([9.0, 9.0, -9.0, -9.0, -9.0])
        gains[:, 4] = 0.0
        four = [ref_chosen + gains[0], ref_rejected + gains[1], ref_chosen, ref_rejected]
        chosen, rejected = rewards(*four, beta)
        _, metrics = member.dpo.dpo_loss(*four, beta=beta)
        expect.equal(isinstance(metrics, dict), True, say="The second result is a dict.")
        expect.equal(sorted(names), sorted(set(metrics) & set(names)), say="The names in it.")
        kinds = {name: type(metrics[name]).__name__ for name in names}
        expect.equal(kinds, dict.fromkeys(names, "float"), say="The types of the four numbers.")
        better = float((chosen > rejected).double().mean())
        want = torch.stack([chosen.mean(), rejected.mean(), (chosen - rejected).mean(), torch.tensor(better)])
        got = torch.tensor([metrics[name] for name in names], dtype=torch.float64)
        say = f"{', '.join(names)}, beta = {beta}."
        expect.close(got, want, atol=1e-6, axes=("number",), say=say)


@check("dpo-reference", title="the reference is a copy of its own, frozen and without dropout")
def test_dpo_reference(member, expect, rng):
    """The policy moves on, the reference stays: a second name for the same model would follow it, and the loss would
    stay ln 2 for ever. None of the copy's parameters can be trained, and it is in eval mode, whatever mode the model
    is in. The model itself keeps its mode and what can be trained.
    """
    toys = member.bring(finetune_toys)
    there, here = finetune_toys.twins(member, rng, "LanguageModel", V, 5, 6, dropout=0.5)
    there.train()
    ids = rng.integers(0, V, 2, 5)
    want = here.eval()(ids)[0]
    copied = member.dpo.freeze_copy(there)
    expect.equal(toys.same(copied, there), False, say="Whether the copy is the model itself.")
    expect.equal(set(toys.modes(copied)), {False}, say="Whether parts of the copy are in training mode.")
    expect.equal(toys.trainable(copied), [], say="These parameters of the copy can be trained.")
    expect.equal(set(toys.modes(there)), {True}, say="Whether the model is in training mode; it came in it.")
    names = [name for name, _ in here.named_parameters()]
    expect.equal(toys.trainable(there), names, say="The model's own parameters that can be trained.")
    there.assign({name: rng.normal(*value.shape) for name, value in there.parameters().items()})
    say = "The copy's logits, after the model itself was changed."
    expect.close(copied(ids)[0], want, axes=("batch", "token", "word"), say=say)
