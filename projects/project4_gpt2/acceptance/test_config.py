"""Step `config`: the shape of a model, GPT-2's four shapes, and how many parameters they have."""

import torch
from torch import nn

from cohort_cli.checking.authoring import check
from cohort_cli.checking.judge.stopped import MemberRaised

# What OpenAI published, and what the four models on the hub have: name -> layers, heads, width, parameters.
PUBLISHED = {
    "gpt2": (12, 12, 768, 124_439_808),
    "gpt2-medium": (24, 16, 1024, 354_823_168),
    "gpt2-large": (36, 20, 1280, 774_030_080),
    "gpt2-xl": (48, 25, 1600, 1_557_611_200),
}
SMALL = {"block_size": 8, "vocab_size": 11, "n_layer": 2, "n_head": 3, "n_embd": 12}


def field(member, config, name):
    return member.get(config, name)


def torchs_count(block_size, vocab_size, n_layer, n_head, n_embd, bias):
    """Parameters of the same network made of torch's parts, on the meta device, which holds no numbers."""
    with torch.device("meta"):
        block = nn.TransformerEncoderLayer(n_embd, n_head, 4 * n_embd, bias=bias)
        others = [nn.Embedding(vocab_size, n_embd), nn.Embedding(block_size, n_embd)]
        others.append(nn.LayerNorm(n_embd, bias=bias))
    in_block, in_others = (
        sum(p.numel() for part in parts for p in part.parameters()) for parts in ([block], others)
    )
    return n_layer * in_block + in_others


@check("config-refuses", title="a model that cannot be built is refused at once")
def test_config_refuses(member, expect):
    """Zero layers, seven heads for a width of 12, a dropout of 1: a ValueError where the number was written down.

    Without it the mistake shows up hours later, in a shape error deep inside attention, or not at all. What can be
    built must be taken, small as it is.
    """
    new = member.gpt.GPTConfig
    tiny = {name: 1 for name in SMALL}
    for fields in (SMALL, tiny, SMALL | {"n_head": 12}, SMALL | {"n_head": 1}, SMALL | {"dropout": 0.95}):
        config = new(**fields)
        got = {name: field(member, config, name) for name in fields}
        expect.equal(got, fields, say=f"What GPTConfig({fields}) has; it can be built.")
    expect.equal(field(member, new(**SMALL | {"bias": False}), "bias"), False, say="bias=False.")
    wrong = [{name: size} for name in SMALL for size in (0, -1)]
    wrong += [{"n_head": 5}, {"n_head": 7}, {"n_head": 24}]
    wrong += [{"dropout": dropout} for dropout in (-0.1, 1.0, 1.5)]
    taken = [f"{fields}: {got}" for fields in wrong if (got := outcome(new, SMALL | fields)) != "ValueError"]
    say = f"Each of these instead of the numbers in {SMALL} must be a ValueError."
    expect.that(not taken, say, got=", ".join(taken))


def outcome(function, fields):
    """The name of the error of this call; ValueError for any kind of it."""
    try:
        function(**fields)
    except MemberRaised as error:
        if error.todo:
            raise
        return "ValueError" if "ValueError" in error.kinds else error.type
    return "no error"


@check("config-sizes", title="the four sizes are GPT-2's", needs=["config-refuses"])
def test_config_sizes(member, expect):
    """12, 24, 36 and 48 layers; a head is 64 wide in all of them. 1,024 positions, 50,257 tokens, with biases.

    A name that is none of the four is a ValueError: a typo must not become the smallest model.
    """
    for name, (layers, heads, width, _) in PUBLISHED.items():
        config = member.gpt.config_for(name)
        want = {"n_layer": layers, "n_head": heads, "n_embd": width}
        want |= {"block_size": 1024, "vocab_size": 50257, "bias": True}
        got = {key: field(member, config, key) for key in want}
        expect.equal(got, want, say=f"The configuration of {name}.")
    for name in ("gpt2-huge", "gpt3", ""):
        expect.raises(member.gpt.config_for, name, say=f"{name!r} is no size of GPT-2: a ValueError.")


@check("config-count", title="parameters on paper", needs=["config-sizes"])
def test_config_count(member, expect, rng):
    """Embeddings of tokens and positions; in each block 12 C^2, 9 C of biases, two norms; the last norm. No head: it is
    the token embedding's matrix.

    Compared with networks of torch's own parts, of random sizes, and with the four models on the hub: 124,439,808 for
    the smallest one. (OpenAI's first text gave 117 million; that was a slip.)
    """
    sizes = random_sizes(rng, bias=True)
    got = [member.gpt.count_parameters(member.gpt.GPTConfig(**size)) for size in sizes]
    say = f"Parameters of {'; '.join(map(str, sizes))}."
    expect.equal(got, [torchs_count(**size) for size in sizes], say=say)
    for name, (*_, count) in PUBLISHED.items():
        got = member.gpt.count_parameters(member.gpt.config_for(name))
        expect.equal(got, count, say=f"Parameters of {name}.")


@check("config-bare", title="and without biases", needs=["config-count"])
def test_config_bare(member, expect, rng):
    """With bias=False no linear layer has a bias, and no norm has an offset: a norm is left with its C gains.

    Compared with networks of torch's own parts, of random sizes.
    """
    sizes = random_sizes(rng, bias=False)
    got = [member.gpt.count_parameters(member.gpt.GPTConfig(**size)) for size in sizes]
    say = f"Parameters of {'; '.join(map(str, sizes))}."
    expect.equal(got, [torchs_count(**size) for size in sizes], say=say)


def random_sizes(rng, bias):
    """Three configurations."""
    sizes = []
    for _ in range(3):
        heads, width = rng.random.randint(2, 5), rng.random.randint(3, 9)
        size = {"block_size": rng.random.randint(5, 40), "vocab_size": rng.random.randint(50, 99)}
        size |= {"n_layer": rng.random.randint(2, 6), "n_head": heads, "n_embd": heads * width}
        sizes.append(size | {"bias": bias})
    return sizes
