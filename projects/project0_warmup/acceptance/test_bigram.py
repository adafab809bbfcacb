"""Step `bigram`: one-hot rows, a matrix of logits, and gradient descent that ends where counting began.

N characters, V vocabulary size. The member computes in float32; the oracle here in float64, with the gradient on paper.
"""

import torch

from cohort_cli.checking.authoring import check


def numbers(got):
    return got.double() if isinstance(got, torch.Tensor) else got


def pairs(ids, V):
    """(V, V) float64: how often b follows a."""
    counts = torch.zeros(V, V, dtype=torch.float64)
    for a, b in zip(ids.tolist()[:-1], ids.tolist()[1:], strict=True):
        counts[a, b] += 1
    return counts


def descended(ids, V, steps, lr):
    """W after gradient descent. The gradient of row a is (times a came * softmax - counts of what followed) / pairs."""
    counts, W = pairs(ids, V), torch.zeros(V, V, dtype=torch.float64)
    for _ in range(steps):
        W = W - lr * (counts.sum(1, keepdim=True) * W.softmax(1) - counts) / counts.sum()
    return W


def chain(rng, N, V):
    """ids (N,) of a random text. Each of the V characters is followed by four of them, with 0.7, 0.15, 0.1 and 0.05.

    All come about equally often, so that no row learns much more slowly than the others.
    """
    ids = [0]
    for _ in range(N - 1):
        ids.append((ids[-1] + rng.random.choices((1, 2, 3, 4), weights=(14, 3, 2, 1))[0]) % V)
    return rng.permutation(V)[torch.tensor(ids)]


@check("one-hot", title="an id becomes a row with a single 1")
def test_one_hot(member, expect, rng):
    """Row i has a 1 at place ids[i] and 0 everywhere else, in V columns, also if the largest ids do not come. It is a
    tensor of floats, because it is multiplied with weights. For an id that comes twice the row comes twice.
    """
    for N, V in ((5, 4), (4, 7)):
        ids = rng.integers(0, V - 1, N)
        ids[1] = ids[0] = 2
        got = member.bigram.one_hot(ids, V)
        want = torch.tensor([[float(column == id) for column in range(V)] for id in ids.tolist()])
        expect.close(numbers(got), want.double(), axes=("row", "column"), say=f"ids {ids.tolist()}, V={V}.")
        expect.equal(
            got.dtype.is_floating_point, True, say="Whether it is a tensor of floats, such as float32."
        )


@check("rows-of-w", title="the logits after an id are its row of W, and gradients flow there")
def test_rows_of_w(member, expect, rng):
    """one_hot(ids) @ W picks rows of W, as W[ids] does. Row a, not column a: a row says what comes after a. The gradient
    of a row is the sum of what comes back for each time that its id was there; a row that was not used gets 0.
    """
    V = 4
    for ids in ([2, 0, 2, 3, 2], [1, 0]):
        W, back = rng.normal(V, V, dtype=torch.float32), rng.normal(len(ids), V, dtype=torch.float32)
        want = torch.tensor([W[id].tolist() for id in ids], dtype=torch.float64)
        got = member.bigram.logits_of(W, torch.tensor(ids))
        expect.close(numbers(got), want, atol=1e-6, axes=("id", "next"), say=f"The rows {ids} of W.")
        gradient = torch.zeros(V, V, dtype=torch.float64)
        for row, id in enumerate(ids):
            gradient[id] += back[row].double()
        seen = member.vjp(member.bigram.logits_of, W, torch.tensor(ids), cotangent=back)
        say = f"The gradient that reaches W from the rows {ids}."
        expect.close(numbers(seen.inputs[0]), gradient, atol=1e-5, axes=("id", "next"), say=say)


@check("train-steps", title="each step is W minus lr times the gradient", needs=["nll-mean"])
def test_train_steps(member, expect, rng):
    """From W = 0 all is determined, so W can be compared number by number after 0, 1, 2 and 6 steps. The gradient is
    known on paper: for each pair of neighbours softmax of the row, minus 1 at what really came, divided by all pairs.

    A character that was never followed by anything has a row of zeros to the end.
    """
    for V, N in ((5, 50), (7, 31)):
        ids = chain(rng, N, V - 1)
        for steps, lr in ((0, 3.0), (2, 5.0), (1, 3.0), (6, 2.0)):
            want = descended(ids, V, steps, lr)
            got = member.bigram.train(ids, V, steps, lr)
            say = f"W after {steps} steps with lr={lr}; {N} ids, V={V}."
            expect.close(numbers(got), want, atol=1e-4, axes=("id", "next"), say=say)


@check("train-counts", title="gradient descent comes to the counted table", needs=["nll-mean"])
def test_train_counts(member, expect, rng):
    """The best bigram is known: the shares of the counts, without smoothing. Nothing can have a lower loss on the text
    itself. After 200 steps the learned table must be within 0.01 nats of it. You get the same model by two roads.
    """
    V = 6
    ids = chain(rng, 400, V)
    counts = pairs(ids, V)
    share = counts / counts.sum(1, keepdim=True)
    best = -float(torch.xlogy(counts, share).sum() / counts.sum())
    W = member.bigram.train(ids, V, 200, 12.0)
    expect.shape(W, (V, V), say="The shape of W.")
    log_probs = W.double().log_softmax(1)
    nats = -float((counts * log_probs).sum() / counts.sum())
    say = f"200 steps with lr=12.0: the loss is {nats:.4f} nats, that of the counts {best:.4f}; 0.01 more is allowed."
    expect.that(best - 1e-5 <= nats <= best + 0.01, say, got=W.double())
