"""Step `speculative`: what is kept, what takes the place of the rest, and that nobody can tell it from the target alone.

T time, V vocabulary, K drafted tokens. The models are tables of the kit's: each text has a known distribution.
Where draws are counted, a correct answer fails less than once in a million runs.
"""

import itertools
import math

import speculative_toys
import torch
from draws_bench import surprise

from cohort_cli.checking.authoring import check

SURE = 40  # runs in which a wrong choice of one in three is sure to show: (2/3)^40 is 1e-7


def distribution(rng, V):
    """Random probabilities (V,), none of them tiny."""
    weight = rng.normal(V, std=1.0).exp() + 0.05
    return weight / weight.sum()


@check("spec-probs", title="temperature divides the logits, and 0 takes the likeliest")
def test_spec_probs(member, expect, rng):
    """softmax(logits / temperature) over the last dimension, for one row of logits and for several. At temperature 0
    the likeliest has 1; of several that are equal, the first. The caller's logits stay as they are.
    """
    logits = torch.stack([rng.permutation(24)[:6].double() / 8 - 1 for _ in range(3)])
    for temperature in (1.0, 0.5, 3.0):
        weight = [[math.exp(value / temperature) for value in row] for row in logits.tolist()]
        want = torch.tensor([[w / math.fsum(row) for w in row] for row in weight], dtype=torch.float64)
        say = f"temperature={temperature}."
        got, after = member.echo(member.speculative.next_token_probs, logits, temperature)
        expect.close(got, want, atol=1e-6, axes=("row", "token"), say=say)
        expect.equal(bool((after[0] == logits).all()), True, say=f"{say} The logits are as they were.")
        got = member.speculative.next_token_probs(logits[0], temperature)
        expect.close(got, want[0], atol=1e-6, axes=("token",), say=f"{say} One row alone.")
    level = torch.tensor([[0.0, 2.0, 1.0, 2.0], [3.0, 1.0, 0.0, 3.0]], dtype=torch.float64)
    want = torch.tensor([[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    got = member.speculative.next_token_probs(level, 0.0)
    expect.close(got, want, atol=1e-6, axes=("row", "token"), say="temperature=0, two are the likeliest.")


@check("spec-accept", title="a token is kept with probability min(1, p / q)")
def test_spec_accept(member, expect, rng):
    """For every token of two random distributions, and for a token that the target never gives. The rate is the mean of
    that over tokens drawn from q: the sum of min(p, q). It is 1 if both are equal, and 0 if they share no token.
    """
    for V in (4, 7):
        p, q = distribution(rng, V), distribution(rng, V)
        p[1] = 0.0
        p = p / p.sum()
        want = torch.tensor([min(1.0, float(p[x]) / float(q[x])) for x in range(V)], dtype=torch.float64)
        got = [float(member.speculative.accept_probability(p, q, x)) for x in range(V)]
        got = torch.tensor(got, dtype=torch.float64)
        expect.close(got, want, atol=1e-6, axes=("token",), say="The probability to keep each token.")
    p = torch.stack([distribution(rng, 5) for _ in range(6)]).view(2, 3, 5)
    q = torch.stack([distribution(rng, 5) for _ in range(6)]).view(2, 3, 5)
    q[0, 0] = p[0, 0]
    p[1, 1], q[1, 1] = torch.tensor([0.5, 0.5, 0, 0, 0]), torch.tensor([0, 0, 0.2, 0.3, 0.5])
    want = torch.zeros(2, 3, dtype=torch.float64)
    for a, b in itertools.product(range(2), range(3)):
        want[a, b] = math.fsum(min(x, y) for x, y in zip(p[a, b].tolist(), q[a, b].tolist(), strict=True))
    got = member.speculative.acceptance_rate(p, q)
    expect.close(got, want, atol=1e-6, axes=("row", "place"), say="alpha for each of 2 x 3 places.")


@check("spec-residual", title="the residual is what the target gives beyond the draft")
def test_spec_residual(member, expect, rng):
    """max(p - q, 0), divided by its sum: it adds up to 1, and a token of which the draft gives more than the target has
    exactly 0. If p and q are equal there is nothing left to divide; the answer is then p, not nan. p and q stay.
    """
    for V in (4, 9):
        p, q = distribution(rng, V), distribution(rng, V)
        left = [max(0.0, a - b) for a, b in zip(p.tolist(), q.tolist(), strict=True)]
        want = torch.tensor([x / math.fsum(left) for x in left], dtype=torch.float64)
        got, after = member.echo(member.speculative.residual, p, q)
        expect.close(got, want, atol=1e-6, axes=("token",), say=f"{V} tokens.")
        expect.equal(got[want == 0] == 0, want[want == 0] == 0, say="Exactly 0 where q is above p.")
        same = bool((after[0] == p).all()) and bool((after[1] == q).all())
        expect.equal(same, True, say="p and q are as they were.")
    p, q = torch.tensor([0.0, 1.0, 0.0]).double(), torch.tensor([1.0, 0.0, 0.0]).double()
    expect.close(member.speculative.residual(p, q), p, atol=1e-6, say="No token in common: p.")
    p = distribution(rng, 5)
    got = member.speculative.residual(p, p.clone())
    expect.close(got, p, atol=1e-6, axes=("token",), say="p and q are equal.")


def sure_case(rng, K, V=9):
    """(draft_tokens, q, p, bonus): each token has 0.1 in p and q, so it is kept for sure; p[K] has the bonus token only.

    Each is unlikely in its own row of q and likely in the others: another row would reject it. So would another of p.
    """
    order = rng.permutation(V)
    tokens, bonus, others = order[:K], int(order[K]), order[K + 1 :]
    q, p = torch.zeros(K, V, dtype=torch.float64), torch.zeros(K + 1, V, dtype=torch.float64)
    for i in range(K):
        q[i, tokens] = 0.9 / (K - 1)
        p[i, others] = 0.9 * distribution(rng, len(others))
        q[i, tokens[i]] = p[i, tokens[i]] = 0.1
    p[K, bonus] = 1.0
    return tokens, q, p, bonus


@check(
    "spec-verify",
    title="kept up to the first rejection, and then one more token",
    needs=["spec-accept", "spec-residual"],
)
def test_spec_verify(member, expect, rng):
    """Cases in which chance has no say. All kept: p gives each token as much as q, and p[K] has one token only. The
    whole draft and that token come back. Rejected at place i: the target never gives that token there, and only one
    token has more from p than from q. The draft up to i and that token come back, and nothing after it, although the
    rest would be kept.

    A list of int. Each case runs 40 times: what goes wrong one time in three shows. A draft of 0 tokens: one from p[0].
    """
    toys, seed = member.bring(speculative_toys), rng.random.randrange(2**31)
    K, V = 3, 9
    tokens, q, p, bonus = sure_case(rng, K)
    got = member.speculative.verify(tokens, q, p, torch.Generator().manual_seed(seed))
    kinds = sorted({type(token).__name__ for token in got}) if isinstance(got, list) else type(got).__name__
    expect.equal(kinds, ["int"], say="verify returns a list of int. The types in it:")
    want = torch.tensor([[*tokens.tolist(), bonus, -1, -1]]).expand(SURE, -1)
    got = toys.verified(tokens.expand(SURE, -1), q, p, seed)
    expect.close(
        got.double(), want.double(), axes=("run", "place"), say="All kept, and one from p[K]; -1 is none."
    )
    for i in range(K):
        tokens, q, p, _ = sure_case(rng, K)
        a, b, instead = [int(x) for x in rng.permutation(V).tolist() if x not in tokens.tolist()][:3]
        q[i], p[i] = 0.0, 0.0
        q[i, tokens[i]], q[i, a], q[i, b] = 0.6, 0.25, 0.15
        p[i, instead], p[i, a], p[i, b] = 0.6, 0.25, 0.15
        row = [*tokens.tolist()[:i], instead]
        want = torch.tensor([row + [-1] * (K + 3 - len(row))]).expand(SURE, -1)
        got = toys.verified(tokens.expand(SURE, -1), q, p, seed + 1 + i)
        say = f"Draft {tokens.tolist()}, rejected at place {i}; the residual has token {instead} only; -1 is none."
        expect.close(got.double(), want.double(), axes=("run", "place"), say=say)
    one = torch.zeros(1, V, dtype=torch.float64)
    one[0, 4] = 1.0
    got = member.speculative.verify(tokens[:0], q[:0], one, torch.Generator().manual_seed(seed))
    expect.equal(got, [4], say="A draft of no tokens, and p[0] has token 4 only.")


@check("spec-verify-chance", title="a round's tokens come as often as they should", needs=["spec-verify"])
def test_spec_verify_chance(member, expect, rng):
    """6,000 drafts of two tokens from q, over four tokens. Every result, from one token to three, has a probability that
    can be written down: kept tokens count min(p, q), a rejected place max(p - q, 0), the bonus p. They are counted.

    The first token of all results together must be distributed as p[0]. The same seed gives the same tokens.
    """
    toys, N, V = member.bring(speculative_toys), 6000, 4
    one = torch.tensor([[0.45, 0.30, 0.20, 0.05], [0.10, 0.25, 0.20, 0.45]], dtype=torch.float64)
    two = torch.tensor([[0.10, 0.15, 0.40, 0.35], [0.40, 0.30, 0.20, 0.10]], dtype=torch.float64)
    for _ in range(2):
        first, second, bonus = one[:, rng.permutation(V)], two[:, rng.permutation(V)], rng.permutation(V)
        p = torch.stack([first[0], second[0], torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)[bonus]])
        q = torch.stack([first[1], second[1]])
        drafts = torch.multinomial(q, N, replacement=True, generator=rng.generator).T
        seed = rng.random.randrange(2**31)
        got = toys.verified(drafts, q, p, seed)
        expect.shape(got, (N, 5), say="What came back, filled up with -1.")
        keep, rest = torch.minimum(p[:2], q), (p[:2] - q).clamp(min=0.0)
        start = torch.bincount(got[:, 0].clamp(min=0), minlength=V).double()
        fits = surprise(start, N * p[0]) > 1e-9
        expect.that(
            fits, "How often each token came first; it must be as p[0] says.", got=start, want=N * p[0]
        )
        want = torch.zeros(V, V + 1, V + 1, dtype=torch.float64)  # the last entry: no token there
        want[:, V, V] = rest[0]
        want[:, :V, V] = torch.outer(keep[0], rest[1])
        want[:, :V, :V] = keep[0][:, None, None] * keep[1][None, :, None] * p[2]
        cell = torch.where(got < 0, V, got)
        seen = torch.bincount(
            (cell[:, 0] * (V + 1) + cell[:, 1]) * (V + 1) + cell[:, 2], minlength=V * (V + 1) ** 2
        )
        fits = surprise(seen[: want.numel()], N * want) > 1e-9
        sizes = torch.stack([(got >= 0).sum(1) == n for n in (1, 2, 3)]).sum(1).double()
        sums = N * torch.stack([want[:, V, V].sum(), want[:, :V, V].sum(), want[:, :V, :V].sum()])
        say = "How often each result came. Shown: results of 1, 2 and 3 tokens."
        expect.that(fits, say, got=sizes, want=sums)
        again = toys.verified(drafts[:100], q, p, seed)
        expect.equal(again, got[:100], say="The same seed of the generator gives the same tokens.")


def pair(member, rng, V, block_size, noise, **more):
    """A target and its draft beside the member's code, and the same two here."""
    number = rng.random.randrange(2**31)
    toys = member.bring(speculative_toys)
    there = [toys.Toy(number, V, block_size, amount, **more) for amount in (0.0, noise)]
    return there, [speculative_toys.Toy(number, V, block_size, amount, **more) for amount in (0.0, noise)]


def logits_after(model, tokens):
    """What the model says after a list of tokens: (V,)."""
    with torch.no_grad():
        return model(torch.tensor([tokens]))[0][0, -1]


def greedy(model, tokens, new):
    """The list of tokens and what the model adds, the likeliest each time."""
    text = list(tokens)
    for _ in range(new):
        text.append(int(logits_after(model, text).argmax()))
    return text


def rounds(target, draft, tokens, new, k):
    """How many rounds greedy decoding takes: in each, the draft is kept as long as it says what the target says."""
    text, place, count = greedy(target, tokens, new), len(tokens), 0
    agrees = [int(logits_after(draft, text[:t]).argmax()) == text[t] for t in range(len(tokens), len(text))]
    while place < len(text):
        kept = 0
        while kept < k and place + kept < len(text) and agrees[place + kept - len(tokens)]:
            kept += 1
        place, count = place + kept + 1, count + 1
    return count


@check("spec-greedy", title="at temperature 0 it is the target's greedy text", needs=["spec-probs"])
def test_spec_greedy(member, expect, rng):
    """Token for token, whatever the draft says: a draft that is the target itself, one that often agrees, one that never
    knows. k = 1, 2, 3 and 5, also more than there are tokens left. The prompt stands in front, exactly max_new_tokens
    follow it, and the caller's ids stay as they are. The texts are as long as block_size allows.
    """
    for noise in (0.0, 0.5, 9.0):
        there, (target, _) = pair(member, rng, 8, 16, noise)
        for T, new, k in (
            (2, 11, 4),
            (3, 13, 3),
            (1, 15, 1),
            (5, 11, 5),
            (4, 2, 5),
            (2, 9, 2),
            (3, 1, 4),
            (4, 0, 2),
        ):
            ids = rng.integers(0, 8, T)
            want = torch.tensor(greedy(target, ids.tolist(), new))
            generate = member.speculative.speculative_generate
            got, after = member.echo(generate, *there, ids, new, k=k, temperature=0.0)
            say = f"{T} tokens and {new} new ones, k={k}."
            expect.shape(got, (T + new,), say=say)
            expect.close(got.double(), want.double(), axes=("token",), say=say)
            expect.equal(bool((after[2] == ids).all()), True, say=f"{say} The caller's ids are as they were.")


@check("spec-calls", title="the target is called once for each round", needs=["spec-greedy", "spec-verify"])
def test_spec_calls(member, expect, rng):
    """Counted at temperature 0, where the number of rounds is known. A draft that is always right gives k + 1 tokens for
    one call of the target: k of its own and the bonus. One that is always wrong still gives 1. The draft is called at
    most k times a round, and no model is given more tokens than its block_size.

    ValueError for a text that does not fit, for k = 0, and for a prompt without tokens.
    """
    generate = member.speculative.speculative_generate
    for noise, what in ((0.0, "always right"), (0.7, "often right"), (9.0, "seldom right")):
        for T, new, k in ((4, 20, 4), (2, 22, 1), (3, 21, 6), (5, 12, 3)):
            there, here = pair(member, rng, 6, 24, noise)
            ids = rng.integers(0, 6, T)
            want = rounds(*here, ids.tolist(), new, k)
            generate(*there, ids, new, k=k, temperature=0.0)
            calls = [member.get(model, "calls") for model in there]
            say = f"{new} tokens, k={k}, a draft that is {what}: {want} calls of the target. Shown: the tokens of each."
            expect.that(len(calls[0]) == want, say, got={"target": calls[0], "draft": calls[1]})
            most = max([0, *calls[0], *calls[1]])
            expect.that(most <= 24, "The most tokens that a model was given; block_size is 24.", got=most)
            say = f"{want} rounds with k={k}: at most {want * k} calls of the draft."
            expect.that(len(calls[1]) <= want * k, say, got=len(calls[1]))
    ids, toys = rng.integers(0, 6, 4), member.bring(speculative_toys)
    small, large = toys.Toy(1, 6, 8), toys.Toy(1, 6, 30)
    for models, name in (((small, large), "target"), ((large, small), "draft")):
        say = f"4 tokens and 5 new ones, and the {name} has block_size 8: a ValueError."
        expect.raises(generate, *models, ids, 5, k=2, temperature=0.0, say=say)
        expect.shape(generate(*models, ids, 4, k=2, temperature=0.0), (8,), say="4 and 4 fit into 8.")
    for k in (0, -1):
        expect.raises(generate, large, large, ids, 4, k=k, temperature=0.0, say=f"k={k} needs a ValueError.")
    expect.raises(generate, large, large, ids[:0], 4, temperature=0.0, say="A prompt without tokens.")


def chances(model, tokens, new, temperature):
    """The probability of each continuation of `new` tokens: (V,) * new, one text after the other."""
    V = model.table.size(1)
    result = torch.zeros([V] * new, dtype=torch.float64)
    for text in itertools.product(range(V), repeat=new):
        chance = 1.0
        for n, token in enumerate(text):
            weight = (logits_after(model, [*tokens, *text[:n]]) / temperature).exp()
            chance *= float(weight[token] / weight.sum())
        result[text] = chance
    return result


def pair_that_disagrees(member, rng, temperature):
    """A pair of models and a prompt after which they differ clearly, at this temperature and without one."""
    best = -1.0
    for _ in range(60):
        number, ids = rng.random.randrange(2**31), rng.integers(0, 3, 3)
        here = [speculative_toys.Toy(number, 3, 12, noise) for noise in (0.0, 1.2)]
        differ = []
        for other in ([], [0], [1], [2]):
            at, bt = (logits_after(model, [*ids.tolist(), *other]) for model in here)
            p, q, flat = (at / temperature).softmax(-1), (bt / temperature).softmax(-1), bt.softmax(-1)
            greedy_q = torch.nn.functional.one_hot(q.argmax(), 3)
            apart = [(p - q).abs().sum(), (q - greedy_q).abs().sum(), (p - greedy_q).abs().sum()]
            apart += [(q - flat).abs().sum(), 4.0 * p.min()]
            differ.append(float(min(apart)))
        if differ[0] + 0.3 * min(differ) > best:
            best, chosen = differ[0] + 0.3 * min(differ), (number, ids)
    number, ids = chosen
    toys = member.bring(speculative_toys)
    there = [toys.Toy(number, 3, 12, noise) for noise in (0.0, 1.2)]
    return there, speculative_toys.Toy(number, 3, 12), ids


@check("spec-chance", title="nobody can tell it from the target alone", needs=["spec-verify-chance"])
def test_spec_chance(member, expect, rng):
    """Two models over three tokens, 2,000 texts of three tokens with k = 2, at temperature 0.5 and 2. How often each
    of the 3, 9 and 27 continuations came is compared with the target's own probabilities, multiplied out.

    The draft's own temperature matters: q must be what its tokens were drawn from. The same seed gives the same texts.
    """
    toys, N = member.bring(speculative_toys), 2000
    for temperature in (0.5, 2.0):
        there, target, ids = pair_that_disagrees(member, rng, temperature)
        seed = rng.random.randrange(2**31)
        got = toys.written(*there, ids, N, 3, seed, k=2, temperature=temperature)
        expect.shape(got, (N, 3), say="3 new tokens each.")
        want = N * chances(target, ids.tolist(), 3, temperature)
        seen = (
            torch.bincount((got[:, 0] * 3 + got[:, 1]) * 3 + got[:, 2], minlength=27).double().view(3, 3, 3)
        )
        for n in (1, 2, 3):
            counts, right = (t.reshape(3**n, -1).sum(1) for t in (seen, want))
            say = f"temperature={temperature}: how often each continuation of {n} came."
            expect.that(surprise(counts, right) > 1e-9, say, got=counts, want=right)
    texts = []
    for start, other in ((1, 5), (2, 5), (3, 6)):
        member.seed(start)
        texts.append(toys.written(*there, ids, 30, 6, other, k=3, temperature=2.0))
    expect.equal(texts[1], texts[0], say="Two generators with the same seed.")
    expect.that(not torch.equal(texts[2], texts[0]), "Another seed gave the same 180 tokens.", got=texts[2])


@check("spec-expected", title="how many tokens a call of the target is worth")
def test_spec_expected(member, expect, rng):
    """1 + alpha + alpha^2 + … + alpha^k, added up term by term here, from alpha = 0, which gives 1, to alpha = 1, which
    gives k + 1. The speed-up divides it by what a round costs: k calls of the draft and one of the target.
    """
    alphas = [0.0, 1.0, 0.5, 0.9] + [rng.random.uniform(0.1, 0.95) for _ in range(3)]
    for k in (1, 2, 4, 8):
        want = torch.tensor([math.fsum(a**i for i in range(k + 1)) for a in alphas], dtype=torch.float64)
        got = torch.tensor(
            [float(member.speculative.expected_tokens(a, k)) for a in alphas], dtype=torch.float64
        )
        shown = ", ".join(f"{a:.3f}" for a in alphas)
        expect.close(got, want, atol=1e-7, axes=("alpha",), say=f"Tokens for k={k} and alpha = {shown}.")
        for cost in (0.0, 0.05, 0.3, 1.0):
            got = [float(member.speculative.expected_speedup(a, k, cost)) for a in alphas]
            got = torch.tensor(got, dtype=torch.float64)
            say = f"The speed-up for k={k}, cost={cost} and alpha = {shown}."
            expect.close(got, want / (1 + k * cost), atol=1e-7, axes=("alpha",), say=say)
