"""Step `temperature`: softmax with a temperature, entropy, and a text, one id after the other.

V vocabulary, C context.
"""

import math

import temperature_toys
import torch
from mlp_draws import surprise

from cohort_cli.checking.authoring import check


def softmax(logits, temperature):
    """Row by row, with the highest logit taken out first."""
    up = ((logits - logits.max(-1, keepdim=True).values) / temperature).exp()
    return up / up.sum(-1, keepdim=True)


@check("temperature-softmax", title="softmax of the logits divided by the temperature")
def test_temperature_softmax(member, expect, rng):
    """Random logits at temperatures below 1, at 1 and above, for one row, a batch, and more dimensions. At 1 it is plain
    softmax. Logits of several thousand give numbers, not nan: softmax does not change when all logits shift.
    """
    for shape, size, temperature in (
        ((5,), 1.0, 1.0),
        ((3, 6), 1.5, 0.5),
        ((4, 5), 1.5, 2.5),
        ((2, 3, 4), 1.0, 0.8),
        ((3, 5), 3000.0, 1.0),
        ((2, 5), 3000.0, 4.0),
    ):
        logits = rng.normal(*shape, std=size)
        got = member.temperature.probabilities(logits, temperature)
        say = f"Logits of shape {shape}, about {size:g} large, temperature {temperature}."
        expect.close(got, softmax(logits, temperature), say=say)


@check("temperature-zero", title="temperature 0 is the highest logit, for sure")
def test_temperature_zero(member, expect, rng):
    """1 for the highest logit of each row and 0 for the others, as floating-point numbers, so that they can be drawn
    from. A small temperature comes close to that. A temperature below 0 would prefer the worst: a ValueError.
    """
    for shape in ((6,), (4, 5), (2, 3, 4)):
        logits = rng.normal(*shape)
        best = logits.argmax(-1)
        want = torch.zeros(shape, dtype=torch.float64).scatter(-1, best.unsqueeze(-1), 1.0)
        got = member.temperature.probabilities(logits, 0.0)
        expect.close(got, want, say=f"Logits of shape {shape}, temperature 0.")
        kind = str(got.dtype)
        expect.that(got.is_floating_point(), "Probabilities are floating-point numbers.", got=kind)
        expect.close(
            member.temperature.probabilities(logits, 0), want, say="The same with temperature 0, an int."
        )
    logits = torch.stack([rng.permutation(5).double() for _ in range(3)])
    got = member.temperature.probabilities(logits, 0.01)
    want = torch.nn.functional.one_hot(logits.argmax(-1), 5).double()
    expect.close(got, want, say="Logits that are whole numbers, temperature 0.01.")
    for temperature in (-1.0, -0.001):
        say = f"temperature = {temperature}: a ValueError."
        expect.raises(member.temperature.probabilities, logits, temperature, say=say)


@check("temperature-entropy", title="entropy: 0 for a sure thing, ln V for no idea")
def test_temperature_entropy(member, expect, rng):
    """The sum of -p ln p over the last dimension, in nats. All on one id: 0, although ln 0 is minus infinity. All ids
    alike: ln V. Random rows too, some with zeros in them.
    """
    V = 6
    sure = torch.eye(V, dtype=torch.float64)[:2]
    even = torch.full((2, V), 1 / V, dtype=torch.float64)
    got = member.temperature.entropy(torch.cat([even, sure]))
    want = torch.tensor([math.log(V), math.log(V), 0.0, 0.0], dtype=torch.float64)
    expect.close(
        got, want, atol=1e-6, axes=("row",), say=f"Two rows that know nothing, two that are sure; V = {V}."
    )
    for shape in ((5,), (3, 7), (2, 3, 4)):
        p = softmax(rng.normal(*shape, std=1.5), 1.0)
        p[..., 0] = 0.0
        p = p / p.sum(-1, keepdim=True)
        want = torch.where(p > 0, -p * p.clamp(min=1e-300).log(), 0.0).sum(-1)
        say = f"Random rows of shape {shape}, each with a zero in it."
        expect.close(member.temperature.entropy(p), want, atol=1e-6, say=say)


def telling_start(rng, V, C, extra):
    """C + extra ids. The first C and the last C lead to different ids, so that it shows which ones were taken."""
    while True:
        start = [rng.random.randrange(V) for _ in range(C + extra)]
        if not extra or adds(start[:C], 1, V, C) != adds(start[-C:], 1, V, C):
            return start


def adds(start, n, V, C):
    """What `Adds` continues with."""
    ids = list(start)
    for _ in range(n):
        ids.append((sum((place + 1) * id for place, id in enumerate(ids[-C:])) + 1) % V)
    return ids[len(start) :]


@check("generate-slides", title="each id follows from the C ids before it")
def test_generate_slides(member, expect, rng):
    """A model of the check's is sure of one next id, which depends on every place of its window. So the text is known:
    the window moves on by one id at a time, and takes in what was said. The start may be longer than C. n ids come
    back, without the start, as Python ints, at temperature 1 and at 0. n = 0 gives none. Too short a start is a
    ValueError.
    """
    toys = member.bring(temperature_toys)
    for C, extra, n, temperature in (
        (3, 2, 12, 1.0),
        (1, 0, 5, 0.0),
        (4, 0, 9, 0.0),
        (2, 6, 1, 1.0),
        (3, 1, 0, 1.0),
    ):
        V = 11
        start = telling_start(rng, V, C, extra)
        model = toys.Adds(V, C)
        got, after = toys.write(model, start, n, temperature, 0)
        want = adds(start, n, V, C)
        say = f"{n} ids at temperature {temperature:g}, context {C}, after the start {start}."
        expect.equal(got, want, say=say)
        kinds = {type(id).__name__ for id in got}
        expect.equal(kinds, {"int"} if n else set(), say="The types of the ids.")
        expect.equal(after, start, say="The list of the start afterwards.")
    say = "Two ids to begin with, context 3: a ValueError."
    expect.raises(toys.write, toys.Adds(7, 3), [1, 2], 4, 1.0, 0, say=say)


@check("generate-draws", title="ids come as often as the temperature says", needs=["generate-slides"])
def test_generate_draws(member, expect, rng):
    """A model that always says the same logits, and 4,000 ids from it at temperatures 0.5, 1 and 2: how often each id
    came. A correct answer fails less than once in a million runs. At temperature 0 it is always the highest.
    """
    toys = member.bring(temperature_toys)
    V, n = 5, 4000
    logits = (torch.linspace(-0.8, 0.8, V, dtype=torch.float64) + rng.normal(V, std=0.02))[rng.permutation(V)]
    for temperature in (0.5, 1.0, 2.0):
        said, _ = toys.write(toys.Says(logits), [0], n, temperature, rng.random.randrange(2**31))
        counts = torch.bincount(torch.tensor(said), minlength=V)
        slips = {
            "temperature-draw-ignores-temperature": softmax(logits, 1.0),
            "temperature-draw-multiplies": softmax(logits, 1 / temperature),
            "temperature-draw-uniform": torch.full((V,), 1 / V, dtype=torch.float64),
            "temperature-draw-always-best": softmax(logits, 1e-6),
        }
        slip = next((name for name, p in slips.items() if surprise(counts, n * p) > 1e-9), None)
        fits = surprise(counts, n * softmax(logits, temperature)) > 1e-9
        want = (n * softmax(logits, temperature)).round()
        say = f"How often each id came at temperature {temperature}, of {n}; expected are about {want.int().tolist()}."
        expect.that(fits, say, got=counts, mistake=slip)
    said, _ = toys.write(toys.Says(logits), [0], 50, 0.0, rng.random.randrange(2**31))
    expect.equal(said, [int(logits.argmax())] * 50, say="50 ids at temperature 0.")


@check("generate-mode", title="writing changes nothing in the model", needs=["generate-slides"])
def test_generate_mode(member, expect, rng):
    """While it writes, the model is in evaluation mode, no gradients are recorded, and each call is (1, C). Afterwards
    it is in the mode in which it came.
    """
    toys = member.bring(temperature_toys)
    for training in (True, False):
        model = toys.Adds(7, 3)
        model.train(training)
        toys.write(model, [1, 2, 3, 4], 6, 1.0, 0)
        modes, tracked = member.get(model, "modes"), member.get(model, "tracked")
        expect.that(not any(modes), "The model was in training mode while it wrote.")
        expect.that(not any(tracked), "Gradients were recorded while it wrote: use torch.no_grad().")
        name = "training" if training else "evaluation"
        say = f"Whether it is in training mode afterwards; it came in {name} mode."
        expect.equal(member.get(model, "training"), training, say=say)
        shapes = member.get(model, "shapes")
        expect.equal({tuple(shape) for shape in shapes}, {(1, 3)}, say="The shapes of what it was given.")


@check("generate-seed", title="the same seed, the same text", needs=["generate-slides"])
def test_generate_seed(member, expect, rng):
    """With the generator's seed the text repeats, whatever else the program has drawn. Another seed gives another text,
    and within one text the ids are not all drawn alike: chance goes on from one id to the next.
    """
    toys = member.bring(temperature_toys)
    V, seed = 50, rng.random.randrange(2**31)
    model = toys.Says(torch.zeros(V, dtype=torch.float64), 2)
    first, _ = toys.write(model, [0, 1], 40, 1.0, seed)
    again, _ = toys.write(model, [0, 1], 40, 1.0, seed, noise=1)
    say = "Twice with the same seed of the generator."
    expect.equal(again, first, say=say, mistake="generate-ignores-the-generator")
    other, _ = toys.write(model, [0, 1], 40, 1.0, seed + 1)
    say = "Generators with different seeds gave the same text."
    expect.that(other != first, say, mistake="generate-seeds-again")
    several = len(set(first)) > 5
    say = f"40 ids from {V} that are equally likely."
    expect.that(several, say, got=first, mistake="generate-seeds-every-id")
