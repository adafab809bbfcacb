"""Step `classify`: a head on one position, and what is needed around it.

V = 11 tokens, C = 6 = d_model, K = 3 classes; 4 is the padding. The backbone is a small causal module of the kit's.
"""

import random

import finetune_toys
import torch

from cohort_cli.checking.authoring import check

V, WIDTH, C, K, PAD = 11, 5, 6, 3, 4
SHAPES = {
    "backbone.table.weight": (V, WIDTH),
    "backbone.mix.weight": (C, WIDTH),
    "backbone.mix.bias": (C,),
    "head.weight": (K, C),
    "head.bias": (K,),
}


def new_classifier(member, rng):
    """A member's classifier in float64 with random weights, and those weights."""
    backbone = member.bring(finetune_toys).Backbone(V, WIDTH, C)
    model = member.classify.SequenceClassifier(backbone, C, K, pad_id=PAD).double()
    return model, rng.fill(model, SHAPES)


def logits_of(w, texts):
    """Each text alone, without padding, read at its last token."""
    backbone = finetune_toys.Backbone(V, WIDTH, C).double()
    part = {name.removeprefix("backbone."): value for name, value in w.items() if "backbone." in name}
    hidden = [torch.func.functional_call(backbone, part, (torch.tensor([text]),))[0, -1] for text in texts]
    return torch.stack(hidden) @ w["head.weight"].T + w["head.bias"]


def padded(texts, length):
    return torch.tensor([text + [PAD] * (length - len(text)) for text in texts])


def words(rng, n):
    """n tokens that are no padding."""
    return [rng.random.choice([i for i in range(V) if i != PAD]) for _ in range(n)]


@check("classify-values", title="the head reads each row's last token that is not padding")
def test_classify_values(member, expect, rng):
    """Three texts of 5, 2 and 4 tokens, padded to 7. The logits must be those of each text alone: in a causal model
    only the last token has seen the whole text, and behind it stands padding.

    Logits as they are: cross_entropy applies log-softmax itself.
    """
    model, w = new_classifier(member, rng)
    texts = [words(rng, n) for n in (5, 2, 4)]
    expect.close(model(padded(texts, 7)), logits_of(w, texts), axes=("batch", "class"))


@check("classify-padding", title="padding changes nothing, wherever its id stands", needs=["classify-values"])
def test_classify_padding(member, expect, rng):
    """GPT-2 has no padding token, so its end-of-text token often serves as one, and may stand inside a text as well.
    What counts is the last token that is something else. A row of nothing but padding is a ValueError.
    """
    model, w = new_classifier(member, rng)
    texts = [words(rng, 6), words(rng, 2)]
    want = logits_of(w, texts)
    for length in (6, 7, 9):
        say = f"Texts of 6 and 2 tokens, padded to {length}."
        expect.close(model(padded(texts, length)), want, axes=("batch", "class"), say=say)
    texts = [[*words(rng, 2), PAD, *words(rng, 2)], [PAD, *words(rng, 2), PAD, PAD, *words(rng, 1)]]
    say = "Texts in which the padding's id also stands inside."
    expect.close(model(padded(texts, 8)), logits_of(w, texts), axes=("batch", "class"), say=say)
    empty = torch.tensor([words(rng, 3), [PAD] * 3])
    expect.raises(model, empty, say="The second row is nothing but padding: a ValueError.")


@check("classify-gradient", title="backbone and head both learn", needs=["classify-values"])
def test_classify_gradient(member, expect, rng):
    """A new classifier can be trained whole: the head, and through it the backbone. Which part really is trained is
    decided later, by freeze_all_but. Compared with the gradients of the same computation in torch.
    """
    model, w = new_classifier(member, rng)
    frozen = sorted(name for name, entry in model.parameter_info().items() if not entry["requires_grad"])
    expect.equal(frozen, [], say="These parameters of a new classifier are frozen.")
    texts = [words(rng, n) for n in (5, 2, 4)]
    g = rng.normal(3, K)
    seen = member.vjp(model, padded(texts, 7), cotangent=g, params_of=model).parameters
    missing = sorted(name for name, gradient in seen.items() if gradient is None)
    expect.equal(missing, [], say="These parameters get no gradient.")
    leaves = {name: value.clone().requires_grad_() for name, value in w.items()}
    want = torch.autograd.grad((logits_of(leaves, texts) * g).sum(), list(leaves.values()))
    got, want = (torch.cat([t.flatten() for t in all]).sort().values for all in (seen.values(), want))
    expect.close(got, want, say="The gradients of all parameters, sorted.")


@check("classify-freeze", title="only the named parts are trained, and they are counted")
def test_classify_freeze(member, expect):
    """ "head" is not "head_norm", and "h.1" is not "h.10": a name means that parameter, or what lies below that module.

    A second call with other names frees what the first one froze. A name that fits nothing is a ValueError.
    """
    toys = member.bring(finetune_toys)
    tree = toys.Tree()
    count = member.classify.freeze_all_but(tree, ["head", "h.1"])
    want = ["h.1.weight", "h.1.bias", "head.weight", "head.bias"]
    expect.equal(
        toys.trainable(tree), want, say='After freeze_all_but(model, ["head", "h.1"]) these are trained.'
    )
    expect.equal(count, 21 + 1 + 80 + 2, say="It must return how many numbers are trained.")
    count = member.classify.freeze_all_but(tree, ["h.10.bias", "head_norm"])
    want = ["h.10.bias", "head_norm.weight", "head_norm.bias"]
    expect.equal(toys.trainable(tree), want, say='Then ["h.10.bias", "head_norm"] on the same model.')
    expect.equal(count, 11, say="How many numbers are trained then.")
    say = 'No parameter is called "haed": a ValueError.'
    expect.raises(member.classify.freeze_all_but, tree, ["head", "haed"], say=say)


@check("classify-balance", title="as many examples of each class, chosen by the seed")
def test_classify_balance(member, expect, rng):
    """Classes 0, 1 and 5 have 7, 4 and 9 examples; 4 of each must stay. Nothing twice, nothing invented.

    The same seed gives the same list. Over many seeds every example has its turn: the first four may all come from one
    sender. Python's own random numbers are not touched.
    """
    labels = [0] * 7 + [1] * 4 + [5] * 9
    examples = [([i, *words(rng, i % 3 + 1)], label) for i, label in enumerate(labels)]
    rng.random.shuffle(examples)
    chosen, after = member.echo(member.classify.balance, examples, 3)
    counts = {label: sum(example[1] == label for example in chosen) for label in (0, 1, 5)}
    expect.equal(counts, {0: 4, 1: 4, 5: 4}, say="How many there are of each class.")
    numbers = sorted(example[0][0] for example in chosen)
    expect.equal(len(set(numbers)), 12, say="How many different examples there are among the 12.")
    invented = [example for example in chosen if tuple(example) not in examples]
    expect.equal(invented, [], say="These were not among the examples.")
    expect.equal(after[0], examples, say="The list that it was given, after the call.")
    expect.equal(member.classify.balance(examples, 3), chosen, say="A second call with the same seed.")
    seen = {example[0][0] for seed in range(60) for example in member.classify.balance(examples, seed)}
    expect.equal(
        sorted(seen), list(range(20)), say="The examples that were chosen at least once in 60 seeds."
    )
    member.seed(17)
    member.classify.balance(examples, 3)
    say = "The next number of Python's own generator, which nobody should have used."
    expect.equal(member.bring(finetune_toys).draw(), random.Random(17).random(), say=say)


@check("classify-batch", title="a batch is cut, then padded on the right to its longest text")
def test_classify_batch(member, expect, rng):
    """Texts of 6, 2 and 3 tokens with max_length = 4 give ids of shape (3, 4), and with max_length = 9 of shape
    (3, 6): not wider than the longest text that is left. The first tokens stay. Both results are int64.
    """
    examples = [(words(rng, n), label) for n, label in ((6, 2), (2, 0), (3, 1))]
    for length, width in ((4, 4), (9, 6)):
        (ids, labels), after = member.echo(member.classify.pad_batch, examples, pad_id=PAD, max_length=length)
        say = f"The ids with max_length = {length}."
        expect.shape(ids, (3, width), say=say)
        expect.equal(ids, padded([text[:length] for text, _ in examples], width), say=say)
        expect.equal(labels, torch.tensor([2, 0, 1]), say="The labels.")
        kinds = f"{ids.dtype}, {labels.dtype}"
        expect.equal(kinds, "torch.int64, torch.int64", say="The data types of ids and labels.")
        expect.equal(after[0], examples, say="The examples after the call.")


@check("classify-accuracy", title="accuracy counts examples, in eval mode, and leaves no trace")
def test_classify_accuracy(member, expect):
    """Batches of 4, 3 and 1 examples with 2, 3 and 0 right answers: 5 / 8, not the mean of the three shares.

    Eval mode while it runs, afterwards the mode that was there before. Batches may come from a generator, so
    they can be used once. No gradients. No example at all is a ValueError.
    """
    toys = member.bring(finetune_toys)
    ids = [torch.tensor([[i, 0] for i in row]) for row in ([0, 2, 1, 2], [1, 0, 2], [1])]
    labels = [torch.tensor(row) for row in ([0, 1, 2, 2], [1, 0, 2], [0])]
    for training in (True, False):
        model, mode = toys.Voter(3).train(training), "training" if training else "eval"
        batches = member.feed(list(zip(ids, labels, strict=True)))
        got = member.classify.accuracy(model, batches)
        expect.equal(got, 0.625, say=f"Of a model that came in {mode} mode.")
        expect.equal(
            member.get(model, "training"),
            training,
            say=f"Whether it is in training mode; it came in {mode} mode.",
        )
        expect.equal(
            member.get(model, "gradients"), [False] * 3, say="Whether gradients were on, batch by batch."
        )
    expect.raises(member.classify.accuracy, toys.Voter(3), [], say="No example at all: a ValueError.")
