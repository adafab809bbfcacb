"""Step `loss`: cross-entropy, perplexity, bits per byte, the first loss, and the loss on held-out batches.

V = vocab_size. The oracle is torch's own cross-entropy in float64.
"""

import math

import loss_bench
import torch
import torch.nn.functional as F

from cohort_cli.checking.authoring import check


def torchs(logits, targets, ignore_index=-100):
    """The mean in float64, by torch."""
    flat = logits.double().reshape(-1, logits.size(-1))
    return F.cross_entropy(flat, targets.reshape(-1), ignore_index=ignore_index)


def number(value):
    """A tensor of one number in float64, from a tensor or from Python's own."""
    return torch.as_tensor(value, dtype=torch.float64)


@check("loss-values", title="the mean of log-sum-exp minus the target's logit")
def test_loss_values(member, expect, rng):
    """For each position log(sum(exp(z))) - z[target], then the mean over all positions, in nats.

    Logits (..., V) and targets (...) may have any number of leading dimensions: one position alone, (B, V), (B, T, V).
    Inputs stay as they are. Compared with torch's own cross-entropy in float64.
    """
    for leading in ((6,), (), (3, 4), (2, 3, 4)):
        logits, targets = rng.normal(*leading, 7, std=2.0), rng.integers(0, 7, *leading)
        got, after = member.echo(member.loss.cross_entropy, logits, targets)
        say = f"Logits {(*leading, 7)}, targets {leading}."
        expect.close(got, torchs(logits, targets), say=say)
        expect.close(after[0], logits, say="The logits afterwards.")
        expect.equal(after[1], targets, say="The targets afterwards.")


@check("loss-stable", title="large logits give neither inf nor nan", needs=["loss-values"])
def test_loss_stable(member, expect, rng):
    """exp(5000) is infinite and log(0) is minus infinity, in float64 too. Subtract the largest logit of each row first.

    Rows far above and far below 0 stand in one batch here, so one maximum for the whole batch is not enough. A target
    that is very unlikely costs what it costs: a small number added inside the logarithm would hide that.
    """
    base, targets = rng.normal(4, 7), rng.integers(0, 7, 4)
    up, down = base + 5_000.0, base - 5_000.0
    both = torch.cat([up, down])
    for what, logits, wanted in (
        ("All logits are near 5,000.", up, targets),
        ("All logits are near -5,000.", down, targets),
        ("Some rows are near 5,000, others near -5,000.", both, targets.repeat(2)),
    ):
        expect.close(member.loss.cross_entropy(logits, wanted), torchs(logits, wanted), say=what)
    unlikely = base.clone()
    unlikely[torch.arange(4), targets] = -60.0
    got = member.loss.cross_entropy(unlikely, targets)
    expect.close(
        got, torchs(unlikely, targets), say="The targets have logits of -60: they are very unlikely."
    )
    wide = rng.normal(4, 7, std=1e4, dtype=torch.float32)
    got = member.loss.cross_entropy(wide, targets)
    expect.close(got, torchs(wide, targets), rtol=1e-6, atol=1e-3, say="float32 logits of tens of thousands.")


@check("loss-ignored", title="positions with ignore_index do not count", needs=["loss-values"])
def test_loss_ignored(member, expect, rng):
    """They are in neither the sum nor the number that it is divided by. -100 is the default; any number may be given,
    also one that is a token.

    Padding and prompts are hidden from the loss in this way, so a wrong divisor makes long answers count less.
    """
    logits, targets = rng.normal(3, 5, 7, std=2.0), rng.integers(0, 7, 3, 5)
    hidden = torch.zeros(3, 5, dtype=torch.bool)
    hidden[0, 1:], hidden[2, 3:] = True, True
    for ignore_index in (None, -1, 900):
        wanted = targets.masked_fill(hidden, -100 if ignore_index is None else ignore_index)
        given = {} if ignore_index is None else {"ignore_index": ignore_index}
        got = member.loss.cross_entropy(logits, wanted, **given)
        what = "no ignore_index is given" if ignore_index is None else f"ignore_index={ignore_index}"
        expect.close(
            got, torchs(logits, targets.masked_fill(hidden, -100)), say=f"6 of 15 are hidden, {what}."
        )
    token = int(targets[1, 1])
    got = member.loss.cross_entropy(logits, targets, ignore_index=token)
    expect.close(got, torchs(logits, targets, token), say=f"ignore_index={token}, which is a token.")


@check("loss-none", title="when no position counts the loss is 0, not nan", needs=["loss-values"])
def test_loss_none(member, expect, rng):
    """0/0 is nan, and one nan in the gradients makes every weight nan at the next step. It happens: an answer that was
    cut off leaves only hidden targets. The loss is 0 then, and so are all gradients.
    """
    logits, targets = rng.normal(2, 3, 5), torch.full((2, 3), -100)
    seen = member.vjp(member.loss.cross_entropy, logits, targets)
    expect.close(seen.output, number(0.0), say="No target counts: the loss.")
    expect.close(
        seen.inputs[0], torch.zeros_like(logits), say="No target counts: the gradient of the logits."
    )


@check("loss-gradient", title="the gradient is softmax minus 1 at the target", needs=["loss-values"])
def test_loss_gradient(member, expect, rng):
    """d loss / d z = (softmax(z) - onehot(target)) / n, where n is the number of positions that count. It is 0 where a
    position does not count.

    A loss of the right value whose graph was cut (detach, item, a new tensor made of it) teaches nothing.
    """
    logits, targets = rng.normal(3, 4, 6, std=2.0), rng.integers(0, 6, 3, 4)
    targets[1, 2:] = -100
    seen = member.vjp(member.loss.cross_entropy, logits, targets)
    counts = targets != -100
    want = logits.softmax(-1) - F.one_hot(targets.clamp(min=0), 6)
    want = want * counts.unsqueeze(-1) / counts.sum()
    expect.close(seen.inputs[0], want, axes=("batch", "token", "word"), say="The gradient of the logits.")


@check("loss-half", title="logits in 16 bits are summed in 32", needs=["loss-values"])
def test_loss_half(member, expect, rng):
    """bfloat16 keeps 8 binary digits: a sum over a vocabulary, and a loss of 7, are wrong in the second decimal then.

    float16 and bfloat16 logits are taken to float32 first, and the loss is float32. float32 and float64 stay.
    """
    for dtype in (torch.bfloat16, torch.float16, torch.float32, torch.float64):
        # in so many, a sum in 16 bits and a result in 16 bits are not rounded alike by chance
        batches = [(rng.normal(3, 900).to(dtype), rng.integers(0, 900, 3)) for _ in range(40)]
        losses = [member.loss.cross_entropy(logits, targets) for logits, targets in batches]
        want = torch.stack([torchs(logits, targets) for logits, targets in batches])
        say = f"The losses of 40 batches of logits in {dtype}."
        expect.close(torch.stack(losses), want, atol=1e-5, axes=("batch",), say=say)
        kind = torch.float64 if dtype is torch.float64 else torch.float32
        expect.equal(losses[0].dtype, kind, say=f"The data type of the loss of {dtype} logits.")


@check("loss-units", title="perplexity is exp(nats); bits per byte counts bytes, not tokens")
def test_loss_units(member, expect, rng):
    """ln 50 nats are a perplexity of 50: as if 50 tokens were equally likely. exp(1000) is too large: inf, no error.

    Bits per byte: nats times tokens are all nats of the text; over ln 2 they are bits; over the bytes, bits per byte.
    A text without bytes is a ValueError.
    """
    for nats in (0.0, math.log(50), rng.random.uniform(1, 5)):
        got = number(member.loss.perplexity(nats))
        expect.close(got, number(math.exp(nats)), rtol=1e-6, say=f"The perplexity of {nats:.4f} nats.")
    expect.close(
        number(member.loss.perplexity(1_000.0)), number(math.inf), say="The perplexity of 1,000 nats."
    )
    nats, tokens = rng.random.uniform(2, 5), rng.random.randrange(50, 100)
    for n_bytes in (4 * tokens + 3, tokens - 7):
        got = number(member.loss.bits_per_byte(nats, tokens, n_bytes))
        want = number(nats * tokens / n_bytes * math.log2(math.e))
        say = f"{nats:.4f} nats per token, {tokens} tokens, {n_bytes} bytes: bits per byte."
        expect.close(got, want, rtol=1e-6, say=say)
    expect.raises(member.loss.bits_per_byte, 2.0, 5, 0, say="0 bytes: a ValueError.")


@check("first-loss", title="an untrained model should have a loss of about ln V")
def test_first_loss(member, expect, rng):
    """A model that knows nothing finds all V tokens equally likely: ln V nats, 10.82 for GPT-2's 50,257 tokens.

    The first loss is plausible within `tolerance` nats of that, above and below. Much lower is as suspicious as much
    higher: the model may see its targets. nan is not plausible.
    """
    for V in (50_257, 65, 2):
        got = number(member.loss.expected_initial_loss(V))
        expect.close(got, number(math.log(V)), rtol=1e-6, say=f"The expected first loss with V = {V}.")
    V = rng.random.randrange(100, 60_000)
    center = math.log(V)
    for tolerance in (None, 0.05, 1.5):
        given = {} if tolerance is None else {"tolerance": tolerance}
        width = 0.3 if tolerance is None else tolerance
        seen, wanted = {}, {}
        for name, away in {"as expected": 0.0, "inside": 0.95, "outside": 1.05, "far outside": 2.5}.items():
            for side, sign in (("above", 1), ("below", -1)):
                place, loss = f"{name}, {side}", center + sign * away * width
                seen[place] = bool(member.loss.initial_loss_is_plausible(loss, V, **given))
                wanted[place] = away < 1
        seen["nan"], wanted["nan"] = (
            bool(member.loss.initial_loss_is_plausible(math.nan, V, **given)),
            False,
        )
        expect.equal(seen, wanted, say=f"Which first losses are plausible, within {width} of ln {V}.")


def batches_of(rng, V, lengths):
    """Batches (x, y) of 2 rows; in each one `hidden` targets do not count, as -1 or as -100."""
    batches = []
    for T, hidden in lengths:
        x, y = rng.integers(0, V, 2, T), rng.integers(0, V, 2, T)
        places = rng.permutation(2 * T)[:hidden]
        y.view(-1)[places] = torch.where(rng.integers(0, 2, hidden) == 0, -1, -100)
        batches.append((x, y))
    return batches


def expected(table, batches):
    """[loss, perplexity, tokens] of the tokens that count, all in one mean."""
    x, y = (torch.cat([batch[i].flatten() for batch in batches]) for i in (0, 1))
    loss = F.cross_entropy(table[x[y >= 0]], y[y >= 0])
    return torch.stack([loss, loss.exp(), number(int((y >= 0).sum()))])


def numbers(result):
    return torch.stack([number(result[key]) for key in ("loss", "perplexity", "tokens")])


@check("estimate-mean", title="the estimate is a mean over tokens, not over batches")
def test_estimate_mean(member, expect, rng):
    """Batches differ in length and in how many targets count (those below 0 do not). Each batch's loss is the mean of
    its own tokens; in the mean over all tokens it weighs as much as it has tokens. A batch without any has the loss nan,
    and is left out. The perplexity is exp of the mean, and not a mean of perplexities.
    """
    bench = member.bring(loss_bench)
    table = rng.normal(9, 9, std=2.0)
    for what, lengths in (
        ("Batches of different lengths", [(6, 0), (3, 0), (5, 0)]),
        ("Some targets do not count", [(6, 7), (6, 1), (6, 3)]),
        ("In one batch no target counts", [(4, 2), (3, 6), (5, 0)]),
    ):
        batches = batches_of(rng, 9, lengths)
        result = member.loss.estimate_loss(bench.Bigram(table), batches, 3)
        missing = [key for key in ("loss", "perplexity", "tokens") if key not in result]
        expect.equal(missing, [], say="Keys that are missing.")
        say = f"{what}: loss, perplexity, number of tokens."
        expect.close(numbers(result), expected(table, batches), rtol=1e-5, axes=("number",), say=say)
    x, y = batches_of(rng, 9, [(5, 10)])[0]
    say = "No token counts in any batch: a ValueError."
    expect.raises(member.loss.estimate_loss, bench.Bigram(table), [(x, y)], 3, say=say)


@check("estimate-steps", title="no more batches are taken than asked for", needs=["estimate-mean"])
def test_estimate_steps(member, expect, rng):
    """At most `steps` batches are taken from the iterable. It may be endless, and the batch after the last one belongs
    to whoever reads on. With fewer batches than that, the mean is over those that are there.
    """
    bench = member.bring(loss_bench)
    table = rng.normal(9, 9, std=2.0)
    batches = batches_of(rng, 9, [(6, 1), (3, 0), (5, 2), (4, 0), (7, 3)])
    for steps in (3, 1, 5, 8):
        feed = member.feed(batches)
        result = member.loss.estimate_loss(bench.Bigram(table), feed, steps)
        used = min(steps, 5)
        expect.close(
            numbers(result),
            expected(table, batches[:used]),
            rtol=1e-5,
            axes=("number",),
            say=f"5 batches, steps={steps}: loss, perplexity, number of tokens.",
        )
        expect.equal(member.get(feed, "pulled"), used, say=f"5 batches, steps={steps}: batches taken.")


@check("estimate-mode", title="measuring changes nothing in the model", needs=["estimate-mean"])
def test_estimate_mode(member, expect, rng):
    """While the loss is measured the model is in eval mode (dropout off) and no graph is kept. Afterwards it is in the
    mode it was in, also when a batch raises an error; gradients that were there are still there.

    Forgotten eval() makes the validation loss too high; forgotten train() trains the rest of the run without dropout.
    """
    bench = member.bring(loss_bench)
    table, gradient = rng.normal(9, 9), rng.normal(9, 9)
    batches = batches_of(rng, 9, [(6, 1), (3, 0)])
    for training in (True, False):
        model = bench.Bigram(table).train(training)
        bench.set_gradient(model, gradient)
        member.loss.estimate_loss(model, batches, 2)
        seen = bench.seen(model)
        mode = "training" if training else "eval"
        say = f"A model in {mode} mode. Was each call in training mode, with gradients; is the model now?"
        want = {"training": False, "gradients": False, "now": training}
        got = {key: any(value) if isinstance(value, list) else value for key, value in seen.items()}
        expect.equal(got, want, say=say)
        expect.close(bench.gradient(model), gradient, say="The gradient that was there before.")
    model = bench.Bigram(table, breaks_at=2).train()
    try:
        member.loss.estimate_loss(model, batches, 2)
    except Exception as error:
        if getattr(error, "todo", False):
            raise
    now = bench.seen(model)["now"]
    expect.equal(now, True, say="The second batch raised an error: is the model in training mode again?")
