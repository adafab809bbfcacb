"""Step `nll`: softmax, the negative log-likelihood, and the units in which it is told.

N characters that are scored, V vocabulary size. Oracles are Python's math, number by number.
"""

import math
from collections import Counter

import torch

from cohort_cli.checking.authoring import check


def softmax_row(row):
    biggest = max(row)
    weights = [math.exp(value - biggest) for value in row]
    return [weight / math.fsum(weights) for weight in weights]


def softmax_each(x):
    """Softmax of each row of x (..., V)."""
    rows = [softmax_row(row) for row in x.reshape(-1, x.shape[-1]).tolist()]
    return torch.tensor(rows, dtype=torch.float64).view(x.shape)


def nll_each(logits, targets):
    """The mean over rows of ln(sum of exp) minus the right logit."""
    nats = []
    for row, right in zip(logits.tolist(), targets.tolist(), strict=True):
        biggest = max(row)
        nats.append(biggest + math.log(math.fsum(math.exp(value - biggest) for value in row)) - row[right])
    return math.fsum(nats) / len(nats)


@check("softmax-rows", title="softmax: exp of each number, divided by the sum of its row")
def test_softmax_rows(member, expect, rng):
    """On paper first: softmax of 0, ln 2 and ln 3. The exponentials are 1, 2 and 3, their sum is 6, so the answer is
    1/6, 2/6 and 3/6. Then one row, two dimensions and three: each row of the last dimension adds up to 1.

    The same number added to a whole row changes nothing. The caller's logits stay, and float32 gives float32.
    """
    paper = torch.tensor([0.0, math.log(2), math.log(3)], dtype=torch.float64)
    got = member.measure.softmax(paper)
    expect.close(
        got, torch.tensor([1 / 6, 2 / 6, 3 / 6], dtype=torch.float64), say="softmax of 0, ln 2, ln 3."
    )
    for shape in ((4, 4), (3, 5), (2, 3, 4)):
        x = rng.normal(*shape)
        got, (after,) = member.echo(member.measure.softmax, x)
        expect.close(got, softmax_each(x), say=f"Logits of shape {shape}.")
        expect.close(after, x, atol=0.0, say="The logits after the call.")
    shift = rng.normal(3, 1, std=3.0)
    x = rng.normal(3, 4)
    got = member.measure.softmax(x + shift)
    expect.close(got, softmax_each(x), axes=("row", "entry"), say="A number was added to each row.")
    got = member.measure.softmax(x.float())
    expect.equal(str(got.dtype), "torch.float32", say="Logits in float32. The data type of the result.")


@check("softmax-large", title="softmax is right for logits of 10,000 and -10,000", needs=["softmax-rows"])
def test_softmax_large(member, expect, rng):
    """exp(710) is infinite in float64 and exp(-750) is 0, and then inf / inf and 0 / 0 are no numbers. Take the
    largest of a row away from that row: the answer stays the same, and no exponential is above 1. The rows here lie
    far apart, so one number for all of them does not help.
    """
    x = rng.normal(4, 3) + torch.tensor([[10_000.0], [-10_000.0], [0.0], [700.0]], dtype=torch.float64)
    x[2] = torch.tensor([0.0, 2000.0, -2000.0])
    x[3, 0] += 100
    expect.close(member.measure.softmax(x), softmax_each(x), axes=("row", "entry"))


@check("nll-mean", title="the mean of minus the logarithm of what the right characters got")
def test_nll_mean(member, expect, rng):
    """Equal logits are a model that knows nothing: it gives each of V characters 1 / V, and its loss is ln V. Then
    random logits. Each row counts once, with the logit of its own target. A tensor of shape (), because training
    needs it.
    """
    cases = []
    for V in (2, 3, 65):
        cases.append(
            (torch.full((5, V), 0.7, dtype=torch.float64), rng.integers(0, V, 5), f"equal logits, V={V}")
        )
    for N, V in ((1, 3), (4, 4), (7, 5)):
        cases.append((2 * rng.normal(N, V), rng.integers(0, V, N), f"random logits, N={N}, V={V}"))
    got = [member.measure.nll(logits, targets) for logits, targets, _ in cases]
    expect.shape(got[0], (), say="The loss of five rows is one number: a tensor of shape ().")
    for one, (_, _, what) in zip(got, cases, strict=True):
        expect.shape(one, (), say=f"The loss is a tensor of shape () ({what}).")
    want = torch.tensor([nll_each(logits, targets) for logits, targets, _ in cases], dtype=torch.float64)
    say = f"Nats: {'; '.join(what for _, _, what in cases)}."
    expect.close(torch.stack([one.double() for one in got]), want, atol=1e-6, axes=("case",), say=say)


@check("nll-stable", title="the loss is right where a probability rounds to 0", needs=["nll-mean"])
def test_nll_stable(member, expect, rng):
    """A model may be very sure and wrong: logits 2,000 apart. The probability of the right character is then 0 in a
    computer, and ln 0 is minus infinity. But the loss is 2,000. ln(softmax) is the logit minus ln(sum of exp), and the
    largest of the row comes out of that sum before exp.
    """
    cases = []
    for offset in (0.0, 900.0, -900.0):
        logits = rng.normal(5, 4) + offset
        logits[0, 1] += 2000.0
        logits[2, 3] -= 300.0
        cases.append((logits, torch.tensor([0, 1, 3, 2, 0])))
    want = torch.tensor([nll_each(*case) for case in cases], dtype=torch.float64)
    got = torch.stack([member.measure.nll(*case).double() for case in cases])
    expect.close(got, want, atol=1e-5, axes=("case",), say="Logits around 0, 900 and -900.")


@check("nll-gradient", title="gradients flow back through the loss", needs=["nll-mean"])
def test_nll_gradient(member, expect, rng):
    """The derivative of the mean loss is (softmax - 1 at the target) / N, for each logit. Calls such as item(), detach()
    or math.log cut it off, and then nothing can be trained.
    """
    logits, targets = rng.normal(5, 4), rng.integers(0, 4, 5)
    want = softmax_each(logits)
    want[torch.arange(5), targets] -= 1.0
    seen = member.vjp(member.measure.nll, logits, targets)
    say = "The gradient of the loss with respect to the logits."
    expect.close(seen.inputs[0], want / 5, axes=("row", "logit"), say=say)


@check("text-probability", title="the log-probability of a text is the sum of the logarithms")
def test_text_probability(member, expect, rng):
    """The chain rule: P(text) = P(first) * P(second, given the first) * … So the logarithm is a sum of logarithms. Short
    texts first, then texts of 1,000 and 3,000 characters, whose probability is 0 as a float, and its logarithm is not.
    """
    cases = []
    for N, V in ((1, 3), (2, 4), (6, 5), (1000, 30), (3000, 30)):
        weights = rng.normal(N, V).exp()
        cases.append((weights / weights.sum(1, keepdim=True), rng.integers(0, V, N)))
    want = [
        math.fsum(math.log(row[t]) for row, t in zip(p.tolist(), ids.tolist(), strict=True))
        for p, ids in cases
    ]
    for size, part in (("1, 2 and 6", slice(0, 3)), ("1,000 and 3,000", slice(3, 5))):
        got = [float(member.measure.log_probability(*case)) for case in cases[part]]
        say = f"Texts of {size} characters."
        right = torch.tensor(want[part], dtype=torch.float64)
        expect.close(
            torch.tensor(got, dtype=torch.float64), right, atol=1e-6, rtol=1e-6, axes=("text",), say=say
        )


@check("units", title="perplexity and bits per byte")
def test_units(member, expect, rng):
    """Perplexity is e to the power of the mean nats: a uniform model of 65 characters has 65. Bits per byte is all the
    nats of a text, nats_per_token * tokens, in bits (divided by ln 2), shared out over its bytes.
    """
    nats = [0.0, math.log(65), *(rng.random.uniform(0.5, 4.0) for _ in range(3))]
    want = torch.tensor([math.e**one for one in nats], dtype=torch.float64)
    got = torch.tensor([float(member.measure.perplexity(one)) for one in nats], dtype=torch.float64)
    expect.close(got, want, atol=1e-5, rtol=1e-6, axes=("case",), say=f"Perplexity of {nats} nats.")
    texts = [(one, rng.random.randint(50, 90), rng.random.randint(100, 400)) for one in nats[1:]]
    texts.append((math.log(256), 120, 120))
    want = torch.tensor(
        [one * tokens / (math.log(2.0) * size) for one, tokens, size in texts], dtype=torch.float64
    )
    got = [float(member.measure.bits_per_byte(*text)) for text in texts]
    say = f"Bits per byte of (nats per token, tokens, bytes): {[(round(a, 3), b, c) for a, b, c in texts]}."
    expect.close(torch.tensor(got, dtype=torch.float64), want, atol=1e-6, axes=("text",), say=say)


def heldout(train, validation, n, V, alpha):
    """The model's nats per character, one character after the other."""
    grams = Counter(tuple(train[i : i + n]) for i in range(len(train) - n + 1))
    before = Counter(tuple(train[i : i + n - 1]) for i in range(len(train) - n + 1))
    nats = []
    for i in range(len(validation) - n + 1):
        gram = tuple(validation[i : i + n])
        nats.append(-math.log((grams[gram] + alpha) / (before[gram[:-1]] + alpha * V)))
    return math.fsum(nats) / len(nats)


@check(
    "heldout",
    title="counted on one part of the text, scored on the other",
    needs=["count-grams", "add-alpha"],
)
def test_heldout(member, expect, rng):
    """What counts is how well a model does on a text that it has not counted. Every character of the held-out part is
    scored that has n - 1 others before it there: M - n + 1 of M. The counts come from the training part only.

    n = 1, 2 and 3, two values of alpha, and alpha left out: then it is 0.1. Two ids of the vocabulary occur nowhere, and
    have their share of alpha all the same.
    """
    V, used = 7, 5
    follows = rng.integers(0, used, used)
    ids = [0]
    for _ in range(120):
        ids.append(int(follows[ids[-1]]) if rng.random.random() < 0.7 else rng.random.randrange(used))
    train, validation = ids[:90], ids[90:]
    got, want = [], []
    for alpha in (0.1, 1.7):
        more = () if alpha == 0.1 else (alpha,)
        for n in (1, 2, 3):
            nats = member.ngrams.heldout_nll(torch.tensor(train), torch.tensor(validation), n, V, *more)
            got.append(float(nats))
            want.append(heldout(train, validation, n, V, alpha))
    say = "Nats per character: n = 1, 2, 3 with alpha left out, then n = 1, 2, 3 with alpha = 1.7."
    seen, right = (torch.tensor(values, dtype=torch.float64) for values in (got, want))
    expect.close(seen, right, atol=1e-9, axes=("case",), say=say)
