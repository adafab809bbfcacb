"""Step `pretrain`: batches counted in tokens, the bigram baseline, the loss on held-out text, and the training itself.

The training is done again here by hand, on what the member's code has shown to a small model that the check brings.
"""

import itertools
import math

import pretrain_toys
import torch

from cohort_cli.checking.authoring import check

SEQUENCES, T = 2, 4  # of each micro-batch
RUN = {"steps": 8, "learning_rate": 0.05, "warmup_steps": 3}


def number(expect, got, want, say, within=2e-6):
    """A number; the slack is for float32."""
    kind = type(got).__name__
    expect.that(kind in ("float", "int"), f"{say} A number is needed here.", got=kind)
    expect.that(abs(got - want) < within, say, got=float(got), want=want)


@check("pretrain-units", title="batches in tokens, and losses in bits per byte")
def test_pretrain_units(member, expect, rng):
    """GPT-2's batch has 524,288 tokens. A GPU that holds 16 sequences of 1,024 adds up 32 micro-batches; 8 of them
    together do 4 each. What does not come out even is a ValueError: rounding would train on another batch.

    A loss per token depends on the tokenizer, one per byte does not: nats per token, times tokens, over bytes, and one
    bit is ln 2 nats. So you can compare models with different tokenizers.
    """
    steps = member.pretrain.accumulation_steps
    for tokens, sequences, context, processes, want in (
        (524_288, 16, 1024, 1, 32),
        (524_288, 16, 1024, 8, 4),
        (360, 3, 5, 4, 6),
        (15, 3, 5, 1, 1),
    ):
        words = f"{tokens} tokens, {sequences} sequences of {context}, {processes} processes"
        expect.equal(steps(tokens, sequences, context, processes), want, say=f"{words}.")
    expect.equal(steps(30, 3, 5), 2, say="30 tokens, 3 sequences of 5; one process, since none are named.")
    for tokens, sequences, context, processes in ((31, 3, 5, 1), (45, 3, 5, 2), (10, 3, 5, 1)):
        words = f"{tokens} tokens, {sequences} sequences of {context}, {processes} processes: a ValueError."
        expect.raises(steps, tokens, sequences, context, processes, say=words)
    bits = member.pretrain.bits_per_byte
    number(expect, bits(2 * math.log(2), 100, 400), 0.5, "2 bits per token, 4 bytes per token.", 1e-9)
    number(
        expect, bits(3.0, 250, 1000), 3 / 4 * math.log2(math.e), "3 nats per token, 4 bytes per token.", 1e-9
    )


def plain_bigram(train, held_out, vocab, alpha):
    """One pair after the other."""
    total = 0.0
    for a, b in itertools.pairwise(held_out):
        after = [y for x, y in itertools.pairwise(train) if x == a]
        total -= math.log((after.count(b) + alpha) / (len(after) + alpha * vocab))
    return total / (len(held_out) - 1)


@check("pretrain-bigram", title="the loss of counted pairs, with smoothing")
def test_pretrain_bigram(member, expect, rng):
    """In 0 1 0 1 0, 0 is followed twice by 1; the last 0 is followed by nothing, so it is not counted. With alpha = 1
    and three tokens, p(1 | 0) = (2 + 1) / (2 + 3).

    Pairs are counted in train and asked for in held_out. A token that train never had gets 1 / V for each successor.
    """
    loss = member.pretrain.bigram_loss
    text = torch.tensor([0, 1, 0, 1, 0])
    got = loss(text, torch.tensor([0, 1, 1]), 3, alpha=1.0)
    want = -(math.log(3 / 5) + math.log(1 / 5)) / 2
    number(expect, got, want, "0 1 1 after 0 1 0 1 0, V = 3, alpha = 1.")
    got = loss(text, torch.tensor([2, 0, 2]), 3, alpha=1.0)
    number(expect, got, (math.log(3) + math.log(5)) / 2, "2 0 2 after 0 1 0 1 0, V = 3, alpha = 1.")
    train, held_out = rng.integers(0, 4, 40), torch.cat([rng.integers(0, 5, 30), torch.tensor([4, 1])])
    for alpha in (0.5, 2.0, None):
        want = plain_bigram(train.tolist(), held_out.tolist(), 5, alpha or 0.1)
        got = loss(train, held_out, 5) if alpha is None else loss(train, held_out, 5, alpha=alpha)
        words = "without alpha, which is then 0.1" if alpha is None else f"alpha = {alpha}"
        number(expect, got, want, f"40 random tokens, then 32 others, {words}.")


@check("pretrain-bigram-large", title="counted pairs of GPT-2's 50,257 tokens", needs=["pretrain-bigram"])
def test_pretrain_bigram_large(member, expect, rng):
    """A table of 50,257 x 50,257 numbers would need 10 GB or more. A text of N tokens has at most N - 1 different
    pairs: count those that are there.

    If you make one number of each pair, it must not leave its range: a * 50,257 + b goes beyond 2^31,
    and float32 tells whole numbers apart up to 2^24 only.
    """
    some = rng.permutation(50257)[:40]
    some[:2] = torch.tensor([50256, 0])
    train, held_out = (some[rng.integers(0, 40, length)] for length in (600, 200))
    want = plain_bigram(train.tolist(), held_out.tolist(), 50257, 0.1)
    got = member.pretrain.bigram_loss(train, held_out, 50257)
    number(expect, got, want, "600 tokens, then 200 others, V = 50,257.", 1e-5)


@check("pretrain-validation", title="every token of the held-out text counts, once")
def test_pretrain_validation(member, expect, rng):
    """Token i is predicted from the tokens of its window before it, for i = 1 to N - 1; the mean is over these N - 1. A
    last window that is shorter counts as much as it has tokens, no more and no less.

    The batch size changes nothing. Meanwhile the model is in eval mode (or dropout would be in the number), afterwards
    in the mode in which it was.
    """
    toys = member.bring(pretrain_toys)
    there, here = new_model(toys, rng, 11, 7)
    here.eval()
    loss = member.pretrain.validation_loss
    for length, context, batch_size in (
        (24, 5, 2),
        (24, 5, 8),
        (21, 5, 3),
        (30, None, 2),
        (4, 6, 8),
        (17, 1, 3),
    ):
        ids = rng.integers(0, 11, length)
        size = context or 7
        parts = []
        for i in range(1, length):
            start = (i - 1) // size * size
            with torch.no_grad():
                logits = here(ids[None, start:i])[0][0, -1]
            parts.append(float(logits.logsumexp(0) - logits[ids[i]]))
        words = f"{length} tokens, context = {context}, batch_size = {batch_size}"
        got = loss(there, ids, context=context, batch_size=batch_size)
        number(expect, got, sum(parts) / len(parts), f"{words}.")
    toys.other_in_training(there)
    for mode, words in ((True, "in training"), (False, "in eval mode")):
        there.train(mode)
        got = loss(there, ids, context=1)
        number(expect, got, sum(parts) / len(parts), f"{words} before the call: the loss without dropout.")
        expect.equal(
            member.get(there, "training"), mode, say=f"It was {words} before; training afterwards is"
        )


def new_model(toys, rng, vocab, block_size):
    """A model there, and one with the same weights here."""
    there, here = toys.Tiny(vocab, block_size), pretrain_toys.Tiny(vocab, block_size)
    values = {name: rng.normal(*p.shape, std=0.7) for name, p in here.named_parameters()}
    there.assign(values)
    here.load_state_dict(values, strict=False)
    return there, here


def rate(step, steps, learning_rate, warmup_steps):
    """Half a cosine goes as sin^2 does: from 1 to 0."""
    if step < warmup_steps:
        return learning_rate * (step + 1) / warmup_steps
    share = math.sin(math.pi / 2 * (steps - 1 - step) / (steps - 1 - warmup_steps)) ** 2
    return learning_rate * (0.1 + 0.9 * share)


def by_hand(model, batches, weight_decay, clip_norm, steps, learning_rate, warmup_steps):
    """Train on these whole batches of windows, inputs and the token after them.

    (losses, norms of the gradients, the largest number in the first gradient)
    """
    parameters = list(model.parameters())
    first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    losses, norms, largest = [], [], 0.0
    for step, windows in enumerate(batches):
        loss = model(windows[:, :-1], windows[:, 1:])[1]
        gradients = torch.autograd.grad(loss, parameters)
        norm = float(sum((g * g).sum() for g in gradients)) ** 0.5
        largest = largest or max(float(g.abs().max()) for g in gradients)
        lr = rate(step, steps, learning_rate, warmup_steps)
        for p, g, m, v in zip(parameters, gradients, first, second, strict=True):
            g = g * min(1.0, clip_norm / norm)
            m += 0.1 * (g - m)
            v += 0.05 * (g * g - v)
            step_size = m / (1 - 0.9 ** (step + 1)) / ((v / (1 - 0.95 ** (step + 1))).sqrt() + 1e-8)
            with torch.no_grad():
                p -= lr * (step_size + (weight_decay if p.ndim > 1 else 0.0) * p)
        losses.append(float(loss.detach()))
        norms.append(norm)
    return torch.tensor(losses, dtype=torch.float64), norms, largest


def flat(values, dims):
    return torch.cat([v.detach().flatten() for _, v in sorted(values.items()) if (v.ndim > 1) == (dims > 1)])


def same_weights(expect, there, here, say):
    got, want = there.parameters(), dict(here.named_parameters())
    for dims, words in ((2, "matrices and embeddings"), (1, "biases and gains")):
        expect.close(flat(got, dims), flat(want, dims), atol=1e-6, say=f"{say}: all {words}, in one row.")


def losses_of(expect, losses, count):
    """The losses as a tensor."""
    kinds = (
        sorted({type(loss).__name__ for loss in losses})
        if isinstance(losses, list)
        else type(losses).__name__
    )
    expect.equal(kinds, ["float"], say="A list of numbers is needed, the loss of each step.")
    expect.equal(len(losses), count, say="The number of losses.")
    return torch.tensor(losses, dtype=torch.float64)


def train_both(member, expect, toys, rng, micro, weight_decay, clip, **run):
    """pretrain() on a text of one word, whose windows are all the same, beside the same by hand.

    With `clip`, the first gradient is clipped (also number by number, if somebody does that) and the last is not;
    without, none is. (model there, model here, losses there, losses here)
    """
    batches = [torch.full((1, T + 1), int(rng.integers(0, 7, 1)))] * run["steps"]
    for _ in range(30):
        there, here = new_model(toys, rng, 7, T)
        start = {name: p.detach().clone() for name, p in here.named_parameters()}
        _, norms, largest = by_hand(here, batches, weight_decay, 1e9, **run)
        clip_norm = min((min(norms) * max(norms)) ** 0.5, largest / 1.3) if clip else 1e9
        here.load_state_dict(start, strict=False)
        want, norms, _ = by_hand(here, batches, weight_decay, clip_norm, **run)
        if not clip or (norms[0] > 1.5 * clip_norm and norms[-1] < 0.7 * clip_norm):
            break
    options = {"clip_norm": clip_norm, "weight_decay": weight_decay, **run}
    options |= {"batch_tokens": micro * SEQUENCES * T, "micro_sequences": SEQUENCES}
    pretrain = member.get(member.pretrain.pretrain, "")
    losses = toys.pretrain(pretrain, there, batches[0][0, :1].repeat(30), **options)[0]
    return there, here, losses_of(expect, losses, run["steps"]), want


@check("pretrain-schedule", title="the learning rate rises, then falls to a tenth")
def test_pretrain_schedule(member, expect, rng):
    """A text of one word, no decay, nothing to clip: what is left is AdamW with betas (0.9, 0.95) and its learning rate.
    Both are seen in the losses, one for each step, and in the weights at the end.

    With 3 steps of warm-up the rates are 1/3, 2/3, 1 of the highest, then half a cosine from 1 down to 0.1 at the last
    step. With 0 steps of warm-up the cosine begins at once.
    """
    toys = member.bring(pretrain_toys)
    for warmup in (3, 0):
        run = {**RUN, "warmup_steps": warmup, "learning_rate": 0.03}
        there, here, losses, want = train_both(member, expect, toys, rng, 1, 0.0, False, **run)
        expect.close(
            losses, want, atol=1e-6, axes=("step",), say=f"The loss of each step, warmup_steps = {warmup}."
        )
        same_weights(expect, there, here, f"After 8 steps, warmup_steps = {warmup}")


@check(
    "pretrain-accumulate",
    title="several micro-batches make the step of one big batch",
    needs=["pretrain-schedule"],
)
def test_pretrain_accumulate(member, expect, rng):
    """Three micro-batches of two windows, then one step: the same as with all six at once. Their gradients add up to the
    mean's gradient, and that is clipped as a whole, once.

    First on a text of one word, where the gradient is clipped in the first steps and short enough in the last; then on a
    text in which each token occurs once, where each micro-batch has another gradient. The loss of a step is the mean
    over all its windows.
    """
    toys = member.bring(pretrain_toys)
    there, here, losses, want = train_both(member, expect, toys, rng, 3, 0.0, True, **RUN)
    expect.close(losses, want, atol=1e-6, axes=("step",), say="The loss of each step, on a text of one word.")
    same_weights(expect, there, here, "After 8 steps on a text of one word")
    there, here = new_model(toys, rng, 23, T)
    ids = rng.permutation(23)
    options = {"batch_tokens": 3 * SEQUENCES * T, "micro_sequences": SEQUENCES, "weight_decay": 0.0, **RUN}
    pretrain, seed = member.get(member.pretrain.pretrain, ""), rng.random.randrange(2**31)
    losses, tokens, _, _ = toys.pretrain(pretrain, there, ids, seed, clip_norm=1.5, **options)
    shapes = [tuple(x.shape) for x in tokens]
    expect.equal(shapes, [(SEQUENCES, T)] * 24, say="What the model was shown in 8 steps of 3 micro-batches.")
    starts = torch.cat([(ids == x[:, :1]).long().argmax(1) for x in tokens])
    windows = ids[(starts.unsqueeze(1) + torch.arange(T + 1)).clamp(max=22)]
    want, _, _ = by_hand(here, windows.split(3 * SEQUENCES), 0.0, 1.5, **RUN)
    losses = losses_of(expect, losses, 8)
    expect.close(
        losses, want, atol=1e-6, axes=("step",), say="The loss of each step, on the windows that were drawn."
    )
    same_weights(expect, there, here, "After 8 steps on the windows that were drawn")


@check(
    "pretrain-decay",
    title="matrices and embeddings decay, biases and gains do not",
    needs=["pretrain-schedule"],
)
def test_pretrain_decay(member, expect, rng):
    """Decay pulls weights towards 0 with each step, lr * weight_decay * weight, beside the gradient and not in it. For a
    gain, which starts at 1, towards 0 is the wrong way.

    Embeddings decay, the tied one once. weight_decay is 0.1 if it is not given.
    """
    toys = member.bring(pretrain_toys)
    there, here, losses, want = train_both(member, expect, toys, rng, 1, 2.0, False, **RUN)
    expect.close(losses, want, atol=1e-6, axes=("step",), say="The loss of each step, weight_decay = 2.")
    same_weights(expect, there, here, "After 8 steps with weight_decay = 2")


@check("pretrain-windows", title="windows from everywhere, with the token after each as its target")
def test_pretrain_windows(member, expect, rng):
    """A text of 23 tokens, each of which occurs once, so that each window says where it began: at every place from 0 to
    N - T - 1 = 18, also the first and the last, and about equally often.

    The windows of a step differ, and so do those of the next step. `generator` decides: the same seed shows the same
    windows, another seed others. The model is in training mode, whatever it was in before.
    """
    toys = member.bring(pretrain_toys)
    ids = rng.permutation(23)
    options = {**RUN, "steps": 40, "batch_tokens": 4 * 5 * T, "micro_sequences": 5}
    seeds = [rng.random.randrange(2**31) for _ in range(2)]
    drawn = []
    for number_of_run, seed in enumerate((seeds[0], seeds[0], seeds[1])):
        there, _ = new_model(toys, rng, 23, T)
        there.eval()
        member.seed(number_of_run)
        pretrain = member.get(member.pretrain.pretrain, "")
        _, tokens, targets, modes = toys.pretrain(pretrain, there, ids, seed, **options)
        expect.equal(sorted(set(modes)), [True], say="Training mode, of all calls.")
        shapes = sorted({tuple(x.shape) for x in tokens})
        expect.equal(shapes, [(5, T)], say="The shapes of what the model was shown.")
        rows = torch.cat(tokens)
        starts = (ids == rows[:, :1]).long().argmax(1)
        want = ids[(starts.unsqueeze(1) + torch.arange(T)).clamp(max=22)]
        expect.equal(rows, want, say="Each row is a piece of the text, without gaps.")
        if all(y is not None for y in targets):
            want = ids[(starts.unsqueeze(1) + torch.arange(1, T + 1)).clamp(max=22)]
            expect.equal(torch.cat(targets), want, say="The targets: the tokens after each position.")
        drawn.append(starts)
    expect.equal(drawn[1], drawn[0], say="The starts of two runs whose generators have the same seed.")
    # Of 800 draws from 19 places each gets 42, give or take 6.3: 5 and 85 are six deviations away.
    counts = torch.bincount(drawn[0], minlength=19)
    strange = [place for place in range(len(counts)) if place > 18 or not 5 < counts[place] < 85]
    expect.equal(strange, [], say="Places that began a window much too seldom or too often in 800 draws.")
    steps = [step.tolist() for step in drawn[0].split(20)]
    expect.equal(
        len({tuple(step) for step in steps}), 40, say="How many of 40 steps had windows of their own."
    )
    same = sum(len(set(row.tolist())) == 1 for row in drawn[0].split(5))
    say = "So many of 160 micro-batches had five windows that began at the same place."
    expect.that(same < 5, say, got=same)  # by chance there is one in a thousand runs
    alike = sum(step == step[:5] * 4 for step in steps)
    expect.equal(alike, 0, say="Steps whose four micro-batches were all the same.")
    differs = not torch.equal(drawn[2], drawn[0])
    expect.that(differs, "Generators with different seeds drew the same 800 windows.")


def echoes(rng, count):
    """A text of pairs: a b a b a b a b a b a b, then another pair, of eight tokens."""
    pairs = [rng.permutation(8)[:2] for _ in range(count)]
    return torch.cat([pair.repeat(6) for pair in pairs])


@check(
    "pretrain-learns",
    title="your GPT learns what counted pairs cannot know",
    needs=["model-values", "model-start"],
)
def test_pretrain_learns(member, expect, rng):
    """a b a b a b a b, then another pair: who sees only the last token cannot know what follows, who sees the one before
    it can. Your own GPT, one layer, width 32, is trained for 120 steps.

    On a text that it has not seen it must be far better than counted pairs (about 2 nats). A loss that falls in
    training only says that it learned something; this one says that it learned the task.
    """
    toys = member.bring(pretrain_toys)
    member.seed(rng.random.randrange(2**31))
    train, held_out = echoes(rng, 300), echoes(rng, 40)
    config = member.gpt.GPTConfig(block_size=12, vocab_size=8, n_layer=1, n_head=2, n_embd=32)
    model = member.gpt.GPT(config)
    options = {"steps": 120, "batch_tokens": 32 * 12, "micro_sequences": 32, "learning_rate": 0.02}
    generator = torch.Generator().manual_seed(rng.random.randrange(2**31))
    losses = member.pretrain.pretrain(model, train, generator=generator, warmup_steps=10, **options)
    x, y = held_out[:-1], held_out[1:]
    whole = len(x) // 12 * 12
    loss = toys.evaluate(model, x[:whole].view(-1, 12), y[:whole].view(-1, 12))
    counted = plain_bigram(train.tolist(), held_out.tolist(), 8, 0.1)
    # Over seeds it is 0.6 to 0.8. Chance alone is ln 8 = 2.08.
    result = (
        "as it must be"
        if loss < 0.6 * counted
        else "no better than counts"
        if loss < 2.5
        else "worse than chance"
    )
    say = (
        f"Loss on new text {loss:.2f}, of counted pairs {counted:.2f}; in training at last {losses[-1]:.2f}."
    )
    expect.equal(result, "as it must be", say=say)
