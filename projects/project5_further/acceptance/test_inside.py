"""Step `inside`: scores of heads on maps made by hand, losses of both copies, knock-outs, and the logit lens.

L layers, B batch, H heads, T time, D numbers per head, C channels, V vocabulary, P period.
"""

import inside_toys
import torch
from draws_bench import surprise, table

from cohort_cli.checking.authoring import check


def random_maps(rng, L, B, H, T):
    """Attention as it could be: (L, B, H, T, T), nothing from the future, each row adds up to 1."""
    weight = (1.5 * rng.normal(L, B, H, T, T)).exp().tril()
    return weight / weight.sum(-1, keepdim=True)


def made_by_hand(P):
    """Five heads whose scores are known: (2P, 2P) each, by name."""
    T = 2 * P
    maps = {}
    for name in ("induction", "previous token", "same token", "first token", "uniform"):
        looks = torch.zeros(T, T, dtype=torch.float64)
        for t in range(T):
            to = {"induction": t - P + 1 if t >= P else t, "previous token": max(0, t - 1)}
            to |= {"same token": t - P if t >= P else t, "first token": 0}
            if name == "uniform":
                looks[t, : t + 1] = 1 / (t + 1)
            else:
                looks[t, to[name]] = 1.0
        maps[name] = looks
    return maps


@check("inside-repeated", title="random tokens, and the same ones once more")
def test_inside_repeated(member, expect, rng):
    """The second half of each row is its first half again. All V tokens come equally often, also token V - 1; rows
    differ from one another, and tokens from their neighbours. Counted over 4,000 draws: a correct answer fails less
    than once in a million runs. The same seed of the generator gives the same tokens, another seed gives others.
    """
    seed, V = rng.random.randrange(2**31), 8
    repeated = member.inside.repeated_tokens
    ids = repeated(400, 10, V, torch.Generator().manual_seed(seed))
    expect.shape(ids, (400, 20), say="400 rows, period 10.")
    expect.equal(str(ids.dtype), "torch.int64", say="The data type.")
    within = bool(((ids >= 0) & (ids < V)).all())
    expect.that(within, f"Tokens are 0 to {V - 1}.", got=ids.unique())
    first, second = ids[:, :10], ids[:, 10:]
    expect.equal(second, first, say="The second half of each row is its first half.")
    flat = torch.full((V,), 1 / V, dtype=torch.float64)
    seen = table(first.flatten(), V=V)
    expect.that(surprise(seen, 4000 * flat) > 1e-9, "How often each token came.", got=seen, want=4000 * flat)
    pairs = {
        "next to each other": (first[:, 0:10:2].flatten(), first[:, 1:10:2].flatten()),
        "in rows that are neighbours": (first[0::2].flatten(), first[1::2].flatten()),
    }
    for where, (one, other) in pairs.items():
        seen = table(one, other, V=V)
        fits = surprise(seen, 2000 * torch.outer(flat, flat)) > 1e-9
        expect.that(fits, f"How often each pair of tokens came {where}.", got=seen)
    again = repeated(400, 10, V, torch.Generator().manual_seed(seed))
    expect.equal(again, ids, say="Two generators with the same seed.")
    other = repeated(400, 10, V, torch.Generator().manual_seed(seed + 1))
    expect.that(not torch.equal(other, ids), "Generators with different seeds gave the same tokens.")


@check("inside-previous", title="the previous-token score is the attention one step back")
def test_inside_previous(member, expect, rng):
    """A head that always takes the token before it scores 1, one that takes anything else 0, uniform attention the mean
    of 1/2, 1/3, …, 1/T. The first token has none before it and does not count. Then random maps, query by query.

    One number for each head of each layer: the mean over the batch.
    """
    P, T = 4, 8
    maps = made_by_hand(P)
    names = [name for name in maps if name != "first token"]  # its second query also looks one step back
    got = member.inside.previous_token_score(torch.stack([maps[name] for name in names])[None, None])
    uniform = sum(1 / (t + 1) for t in range(1, T)) / (T - 1)
    scores = {"induction": 0.0, "previous token": 1.0, "same token": 0.0, "uniform": uniform}
    want = torch.tensor([[scores[name] for name in names]], dtype=torch.float64)
    expect.close(got, want, axes=("layer", "head"), say=f"Heads made by hand: {', '.join(names)}.")
    for L, B, H, T in ((2, 3, 4, 6), (3, 2, 1, 9)):
        maps = random_maps(rng, L, B, H, T)
        want = sum(maps[..., t, t - 1] for t in range(1, T)).sum(1) / (B * (T - 1))
        got = member.inside.previous_token_score(maps)
        expect.close(got, want, axes=("layer", "head"), say=f"Random maps, (L, B, H, T) = {(L, B, H, T)}.")


@check("inside-induction", title="the induction score looks after the earlier occurrence")
def test_inside_induction(member, expect, rng):
    """A perfect induction head scores 1. A head that takes the token before, the same token in the first copy (one too
    early), or the first token of all, scores 0. Uniform attention scores the mean of 1/(t + 1) over the second copy.

    Only queries of the second copy count, and all P of them. Then random maps, query by query.
    """
    P = 5
    maps = made_by_hand(P)
    got = member.inside.induction_score(torch.stack(list(maps.values()))[None, None], P)
    uniform = sum(1 / (t + 1) for t in range(P, 2 * P)) / P
    want = torch.tensor([[1.0, 0.0, 0.0, 0.0, uniform]], dtype=torch.float64)
    expect.close(got, want, axes=("layer", "head"), say=f"Heads made by hand: {', '.join(maps)}.")
    for L, B, H, P in ((2, 3, 4, 3), (3, 2, 1, 6)):
        maps = random_maps(rng, L, B, H, 2 * P)
        want = sum(maps[..., t, t - P + 1] for t in range(P, 2 * P)).sum(1) / (B * P)
        got = member.inside.induction_score(maps, P)
        expect.close(got, want, axes=("layer", "head"), say=f"Random maps, (L, B, H, P) = {(L, B, H, P)}.")


@check("inside-losses", title="the same tokens, seen for the first and the second time")
def test_inside_losses(member, expect, rng):
    """Logits at t predict the token at t + 1. First: the losses of tokens 1 to P - 1. Second: those of tokens P + 1 to
    2P - 1. Token P, where the copy begins, belongs to neither: that it comes cannot be known. Means in nats over
    batch and tokens, computed here one by one.

    Logits of several thousand too: the loss stays finite.
    """
    for B, P, V, size in ((3, 4, 7, 1.0), (2, 6, 5, 2.0), (2, 2, 5, 4000.0)):
        half = rng.integers(0, V, B, P)
        ids = torch.cat([half, half], 1)
        logits = size * rng.normal(B, 2 * P, V, std=1.0)
        each = torch.zeros(B, 2 * P, dtype=torch.float64)  # the loss of the token at t
        for b in range(B):
            for t in range(1, 2 * P):
                each[b, t] = logits[b, t - 1].logsumexp(-1) - logits[b, t - 1, ids[b, t]]
        want = torch.stack([each[:, 1:P].mean(), each[:, P + 1 :].mean()])
        first, second = member.inside.copy_losses(logits, ids)
        got = torch.stack(
            [torch.as_tensor(value, dtype=torch.float64).squeeze() for value in (first, second)]
        )
        say = f"(first copy, second copy) for B = {B}, P = {P}, V = {V}, logits of about {size:g}."
        expect.close(got, want, atol=1e-8, rtol=1e-6, axes=("copy",), say=say)


@check("inside-ablate", title="the chosen heads say nothing, the others what they said")
def test_inside_ablate(member, expect, rng):
    """Zero puts 0 in the place of a head's output. Mean puts the head's own mean over batch and positions there: D
    numbers, the same everywhere. One head, several, none, all. The caller's tensor stays as it was, and a mode that
    does not exist is a ValueError.
    """
    B, H, T, D = 3, 4, 5, 2
    z = rng.normal(B, H, T, D, std=1.0) + 0.5
    for mode in ("zero", "mean"):
        for heads in ([2], [0, 3], [], [0, 1, 2, 3]):
            want = z.clone()
            for h in heads:
                for d in range(D):
                    value = sum(float(z[b, h, t, d]) for b in range(B) for t in range(T)) / (B * T)
                    want[:, h, :, d] = value if mode == "mean" else 0.0
            got, after = member.echo(member.inside.ablate_heads, z, heads, mode)
            say = f"Heads {heads}, mode {mode!r}."
            expect.close(got, want, axes=("batch", "head", "token", "number"), say=say)
            expect.equal(bool((after[0] == z).all()), True, say=f"{say} The caller's z is as it was.")
    got, after = member.echo(member.inside.ablate_heads, z, [1])
    want = z.clone()
    want[:, 1] = 0.0
    expect.close(got, want, axes=("batch", "head", "token", "number"), say="Without a mode: zero.")
    expect.raises(member.inside.ablate_heads, z, [1], "median", say="mode='median' needs a ValueError.")


@check("inside-knock-out", title="a head is knocked out in its own layer", needs=["inside-ablate"])
def test_inside_knock_out(member, expect, rng):
    """Pairs of (layer, head) in a network of three layers with three heads: one head, two heads of a layer, heads of two
    layers, none. The means are those of the run itself: a later layer has already lost what an earlier one lost.

    Then a circuit that was made by hand: head 0.0 tells each token the one before it, head 1.0 looks for it. Without
    either, the second copy cannot be known; heads 0.1 and 1.1 change nothing.
    """
    toys = member.bring(inside_toys)
    number = rng.random.randrange(2**31)
    there, here = toys.Stack(number), inside_toys.Stack(number)
    ids = rng.integers(0, 7, 3, 6)

    def without(model, heads, mode):
        def edit(layer, z):
            z = z.clone()
            for its, head in heads:
                if its == layer:
                    z[:, head] = 0.0 if mode == "zero" else z[:, head].mean((0, 1))
            return z

        with torch.no_grad():
            return model(ids, edit)[0]

    for mode in ("zero", "mean"):
        for heads in ([(1, 2)], [(0, 1), (0, 2)], [(0, 0), (2, 1)], [(1, 0), (2, 0), (1, 1)], []):
            got = member.inside.knock_out(there, ids, heads, mode)
            say = f"The logits without {heads}, mode {mode!r}."
            expect.close(got, without(here, heads, mode), axes=("row", "token", "word"), say=say)
    got = member.inside.knock_out(there, ids, [(0, 1)])
    say = "The logits without (0, 1), no mode given: zero."
    expect.close(got, without(here, [(0, 1)], "zero"), axes=("row", "token", "word"), say=say)
    there, here = toys.Circuit(), inside_toys.Circuit()
    copy = torch.stack([rng.permutation(7)[:5] for _ in range(4)])
    ids = torch.cat([copy, copy], 1)
    for heads in ([], [(0, 0)], [(1, 0)], [(0, 1), (1, 1)]):
        got = member.inside.knock_out(there, ids, heads, "zero")
        say = f"The circuit made by hand, without {heads}: the logits."
        expect.close(got, without(here, heads, "zero"), axes=("row", "token", "word"), say=say)


@check("inside-lens", title="the lens is the final norm, then the head, after each layer")
def test_inside_lens(member, expect, rng):
    """Hidden states of four places, the final norm with weights of its own, and the head. Computed here vector by vector
    in float64. The last entry is what the network itself says; the first is what the embedding alone would say.

    Logits, not probabilities, and for each layer's whole residual stream, not for what the layer added.
    """
    L, B, T, C, V = 3, 2, 4, 6, 9
    hidden = rng.normal(L + 1, B, T, C, std=2.0)
    gain, weight = rng.normal(C, std=1.0) + 1.0, rng.normal(V, C, std=1.0)
    toys = member.bring(inside_toys)
    want = torch.zeros(L + 1, B, T, V, dtype=torch.float64)
    for place in [(n, b, t) for n in range(L + 1) for b in range(B) for t in range(T)]:
        x = hidden[place]
        want[place] = weight @ (x / (x.pow(2).mean() + 1e-6).sqrt() * gain)
    got, after = member.echo(member.inside.logit_lens, hidden, toys.Scale(gain), toys.Head(weight))
    say = "After 0, 1, 2 and 3 layers: the logits."
    expect.close(got, want, axes=("layers", "row", "token", "word"), say=say)
    expect.equal(bool((after[0] == hidden).all()), True, say="The hidden states are as they were.")


@check("inside-rank", title="the rank of the token that really comes next")
def test_inside_rank(member, expect, rng):
    """For each layer and position: how many tokens have a higher logit than the one that follows in the text. 0 is the
    best. Position t is judged by the token at t + 1, so the last has no rank. A token with the same logit is not higher.
    """
    L, B, T, V = 3, 2, 5, 8
    ids = rng.integers(0, V, B, T)
    for ties in (True, False):
        lens = rng.integers(0, 4, L + 1, B, T, V).double() if ties else rng.normal(L + 1, B, T, V, std=1.0)
        want = torch.zeros(L + 1, B, T - 1, dtype=torch.int64)
        for n, b, t in [(n, b, t) for n in range(L + 1) for b in range(B) for t in range(T - 1)]:
            row = lens[n, b, t].tolist()
            want[n, b, t] = sum(value > row[int(ids[b, t + 1])] for value in row)
        got = member.inside.rank_of_next(lens, ids)
        say = "Logits in whole numbers, many of them equal." if ties else "Logits that all differ."
        expect.shape(got, (L + 1, B, T - 1), say=say)
        expect.equal(got.long(), want, say=f"{say} The ranks.")
