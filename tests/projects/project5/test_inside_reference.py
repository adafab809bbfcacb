"""inside.py of the reference on a circuit made by hand and on trained models, and the guide's numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType

import pytest
import torch

from cohort_cli.catalog import Project

Load = Callable[[str], ModuleType]


def induction_by_hand(module: ModuleType, V: int = 12) -> torch.nn.Module:
    """A TinyAttention of two layers whose weights are written, not trained: it continues what repeats.

    Parts of V channels each: two for places only, then the token, the token before it and the prediction. Each of
    these three has its negative beside it, so that the mean is 0 and a norm leaves what is 0 at 0.
    """
    C = 8 * V
    model = module.TinyAttention(2, n_heads=1, d_model=C, vocab_size=V).double()
    eye = torch.eye(V).double()
    token, before, prediction = (slice(n * V, (n + 1) * V) for n in (2, 4, 6))
    no_token, no_before, no_prediction = (slice(n * V, (n + 1) * V) for n in (3, 5, 7))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        for norm in (*model.norms, model.norm):
            norm.weight.fill_(1.0)
        model.embed.weight[:, token], model.embed.weight[:, no_token] = eye, -eye
        # Layer 0: each place asks for the one before it. Its query is its own place, turned back by one step.
        for i in range(V):
            rate = 10_000.0 ** (-2 * i / C)
            turn = torch.tensor([[math.cos(rate), -math.sin(rate)], [math.sin(rate), math.cos(rate)]])
            model.query[0].weight[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = 120.0 * turn
            model.key[0].weight[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = torch.eye(2).double()
        model.value[0].weight[:V, token] = eye
        model.out[0].weight[before, :V], model.out[0].weight[no_before, :V] = eye, -eye
        # Layer 1: the query is the token, the key the token before. What is found goes to the prediction.
        model.query[1].weight[:V, token] = 40.0 * eye
        model.key[1].weight[:V, before] = eye
        model.value[1].weight[:V, token] = eye
        model.out[1].weight[prediction, :V], model.out[1].weight[no_prediction, :V] = 4.0 * eye, -4.0 * eye
        model.head.weight[:, prediction] = 4.0 * eye
    return model


def test_a_circuit_made_by_hand_is_seen_and_can_be_broken(reference: Load) -> None:
    module = reference("inside")
    model = induction_by_hand(module)
    rows = [torch.randperm(12, generator=torch.Generator().manual_seed(n))[:10] for n in range(20)]
    ids = torch.stack(rows).repeat(1, 2)
    with torch.no_grad():
        logits, attention, hidden = model(ids)
        before, induction = module.previous_token_score(attention), module.induction_score(attention, 10)
        assert before[0, 0] > 0.99
        assert before[1, 0] < 0.2
        assert (
            induction[1, 0] > 0.9
        )  # token 0 has none before it and takes itself: the first query finds it, too early
        assert induction[0, 0] < 0.01
        lens = module.logit_lens(hidden, model.norm, model.head)
        torch.testing.assert_close(lens[-1], logits)

        def right(logits: torch.Tensor) -> float:
            """The share of the second copy, without its first query, for which the right token has rank 0."""
            ranks = module.rank_of_next(logits[None], ids)
            return float((ranks[0, :, 11:] == 0).double().mean())

        assert right(logits) > 0.95
        assert float(lens[:-1].abs().max()) < 1e-9  # nothing is predicted before the last layer
        whole = float(module.copy_losses(logits, ids)[1])
        assert whole < 0.5
        for head in ((0, 0), (1, 0)):
            for mode in ("zero", "mean"):
                assert module.copy_losses(module.knock_out(model, ids, [head], mode), ids)[1] > whole + 1.0
        silent = module.copy_losses(module.knock_out(model, ids, [(1, 0)]), ids)[1]
        assert float(silent) == pytest.approx(
            math.log(12)
        )  # nobody says anything: all 12 tokens are equally likely


def test_two_layers_learn_induction_and_one_does_not(reference: Load) -> None:
    """A quarter of the lab's training is enough to tell them apart."""
    module = reference("inside")
    ids = module.repeated_tokens(64, 16, 64, torch.Generator().manual_seed(1))
    found = {}
    for n_layers in (1, 2):
        logits, attention, _ = module.train_copier(n_layers, steps=600)(ids)
        found[n_layers] = (
            float(module.copy_losses(logits, ids)[1]),
            float(module.induction_score(attention, 16).max()),
        )
    assert found[1][1] < 0.3 < 0.6 < found[2][1]
    assert found[1][0] > 2.3 > 1.5 > found[2][0]


def test_the_numbers_by_hand_are_right(project: Project) -> None:
    guide = project.guide.read_text(encoding="utf-8")
    assert f"$(1/4 + 1/5 + 1/6)/3 = {(1 / 4 + 1 / 5 + 1 / 6) / 3:.3f}$" in guide
    assert f"$(1/2 + 1/3 + 1/4 + 1/5 + 1/6)/5 = {sum(1 / n for n in range(2, 7)) / 5:.3f}$" in guide
    for count in (64, 16):
        assert f"$\\ln {count} = {math.log(count):.2f}$" in guide
