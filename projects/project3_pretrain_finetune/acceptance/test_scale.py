"""Step `scale`: what a run will need, in whole numbers."""

import torch
from torch import nn

from cohort_cli.checking.authoring import check

GPT2 = {(12, 768, 12): 124_439_808, (24, 1024, 16): 354_823_168, (36, 1280, 20): 774_030_080}
GPT2 |= {(48, 1600, 25): 1_557_611_200}


def gpt2(member, layers, width, heads):
    return member.scale.GPTShape(
        vocab_size=50257, n_layers=layers, d_model=width, n_heads=heads, max_seq_len=1024
    )


def some_shape(rng, **fields):
    """A small shape in which no two numbers are equal."""
    heads = rng.random.choice([2, 3])
    width = heads * rng.random.randrange(5, 12)
    layers = rng.random.randrange(4, 9)
    # a table of positions that has as many numbers as all biases, or all projections, would hide which one is missing
    lengths = [T for T in range(40, 90) if T not in (9 * layers, width * layers)]
    shape = {"n_layers": layers, "d_model": width, "n_heads": heads}
    shape |= {"vocab_size": rng.random.randrange(300, 900), "max_seq_len": rng.random.choice(lengths)}
    return {**shape, **fields}


def torchs_count(shape):
    """The same model made of torch's layers, without memory for its weights, counted."""
    C, bias = shape["d_model"], shape.get("bias", True)
    with torch.device("meta"):
        layer = nn.TransformerEncoderLayer(
            C, shape["n_heads"], shape.get("d_ff") or 4 * C, norm_first=True, bias=bias
        )
        parts = [nn.Embedding(shape["vocab_size"], C), nn.Embedding(shape["max_seq_len"], C)]
        parts += [layer] * shape["n_layers"] + [nn.LayerNorm(C, bias=bias)]
        if not shape.get("tied", True):
            parts.append(nn.Linear(C, shape["vocab_size"], bias=False))
    return sum(p.numel() for part in parts for p in part.parameters())


@check("scale-parameters", title="GPT-2's four sizes, to the last parameter")
def test_scale_parameters(member, expect, rng):
    """124,439,808, 354,823,168, 774,030,080 and 1,557,611,200, and a small model, counted from torch's own layers.

    The matrix that the head shares with the embedding is counted once.
    """
    shape = some_shape(rng)
    got = member.scale.count_parameters(member.scale.GPTShape(**shape))
    expect.equal(got, torchs_count(shape), say=f"Parameters of {shape}.")
    for (layers, width, heads), want in GPT2.items():
        got = member.scale.count_parameters(gpt2(member, layers, width, heads))
        expect.equal(got, want, say=f"{layers} layers, {width} wide.")


@check(
    "scale-options",
    title="without bias, untied, and with an MLP of another width",
    needs=["scale-parameters"],
)
def test_scale_options(member, expect, rng):
    """bias=False takes the biases of the linear layers and of all LayerNorms, the last one too. tied=False adds a head.

    d_ff is the width of the hidden layer, and 4 * d_model only if it is None.
    """
    for fields in ({"bias": False}, {"tied": False}, {"d_ff": 37}):
        shape = some_shape(rng, **fields)
        got = member.scale.count_parameters(member.scale.GPTShape(**shape))
        expect.equal(got, torchs_count(shape), say=f"Parameters of {shape}.")


@check("scale-flops", title="FLOPs for one token: 6 N + 12 L C T", needs=["scale-parameters"])
def test_scale_flops(member, expect, rng):
    """Forward 2 N, backward 4 N, and attention's own products, which grow with the length of the sequence.

    GPT-2 small comes to 0.860 GFLOP per token, XL to 10.29.
    """
    shape = some_shape(rng)
    L, C, T = shape["n_layers"], shape["d_model"], shape["max_seq_len"]
    got = member.scale.flops_per_token(member.scale.GPTShape(**shape))
    expect.equal(got, 6 * torchs_count(shape) + 12 * L * C * T, say=f"FLOPs per token of {shape}.")
    for (sizes, count), want in zip(GPT2.items(), ("0.860", "2.431", "5.210", "10.289"), strict=True):
        got = member.scale.flops_per_token(gpt2(member, *sizes))
        expect.equal(f"{got / 1e9:.3f}", want, say=f"GFLOP per token with {count:,} parameters.")


@check("scale-state", title="weights, gradients and Adam's moments", needs=["scale-parameters"])
def test_scale_state(member, expect, rng):
    """16 bytes per parameter in float32: 4 for the weight, 4 for its gradient, 8 for two moments. Autocast adds a copy
    of 2 bytes. XL comes to 24.92 GB, and an eighth of it on each of 8 GPUs.

    These three do not depend on the batch.
    """
    shape = some_shape(rng)
    N = torchs_count(shape)
    some = next(number for number in range(7, N + 2) if N % number)  # does not divide evenly
    for dtype, shards, weight in (("float32", 1, 4), ("bfloat16", 1, 6), ("float32", some, 4)):
        for batch_size in (2, 5):
            words = {"batch_size": batch_size, "dtype": dtype, "shards": shards}
            got = member.scale.training_memory(member.scale.GPTShape(**shape), **words)
            want = {
                part: -(-size * N // shards)
                for part, size in (("weights", weight), ("gradients", 4), ("optimizer", 8))
            }
            got = {part: got.get(part) for part in want}
            expect.equal(got, want, say=f"{N} parameters, {words}.")
    got = member.scale.training_memory(gpt2(member, 48, 1600, 25), batch_size=1, shards=8)
    three = sum(got[part] for part in ("weights", "gradients", "optimizer"))
    expect.equal(
        f"{three / 1e9:.2f}", "3.12", say="GB of XL's weights, gradients and moments on each of 8 GPUs."
    )


@check("scale-activations", title="what is kept for backward, and the logits", needs=["scale-parameters"])
def test_scale_activations(member, expect, rng):
    """Both grow with the number of tokens in a forward pass, and neither with the number of parameters as such.

    Of each layer: the inputs of the norms, their outputs, queries, keys, values, what attention gives, and the hidden
    layer twice. With a small model and a large vocabulary the logits are the largest part of all.
    """
    shape = some_shape(rng, d_ff=37)
    V, L, C, T = (shape[name] for name in ("vocab_size", "n_layers", "d_model", "max_seq_len"))
    config = member.scale.GPTShape(**shape)
    for dtype, norms, others, logit in (("float32", 4, 4, 8), ("bfloat16", 4, 2, 10)):
        for batch_size in (1, 3):
            words = {"batch_size": batch_size, "dtype": dtype}
            got = member.scale.training_memory(config, **words)
            tokens = batch_size * T
            layer = norms * 2 * C + others * (6 * C + 2 * 37)
            want = {"activations": tokens * L * layer, "logits": tokens * V * logit}
            part = {name: got.get(name) for name in want}
            expect.equal(part, want, say=f"{shape}, {words}.")
            total = sum(size for name, size in got.items() if name != "total")
            expect.equal(got.get("total"), total, say="total: the sum of all parts.")
            got = member.scale.training_memory(config, **words, chunked_loss=True, shards=4)
            part = {name: got.get(name) for name in want}
            expect.equal(part, {**want, "logits": 0}, say=f"{words}, chunked_loss=True, shards=4.")
    for words in ({"batch_size": 1, "dtype": "float8"}, {"batch_size": 0}, {"batch_size": 1, "shards": 0}):
        expect.raises(member.scale.training_memory, config, say=f"{words}: a ValueError.", **words)


@check("scale-time", title="tokens and hours", needs=["scale-flops"])
def test_scale_time(member, expect, rng):
    """20 tokens for each parameter unless said otherwise; FLOPs divided by what all devices really do in an hour.

    A utilisation of 40 was meant as 0.4, and would promise a run a hundred times too short: a ValueError.
    """
    shape = some_shape(rng)
    config, N = member.scale.GPTShape(**shape), torchs_count(shape)
    expect.equal(member.scale.tokens_for(config), 20 * N, say=f"Tokens for {N} parameters.")
    expect.equal(member.scale.tokens_for(config, 7), 7 * N, say=f"Tokens for {N} parameters, 7 for each.")
    flops, gpus = rng.random.uniform(1, 9) * 1e20, rng.random.randrange(2, 9)
    peak, share = rng.random.uniform(1, 9) * 1e14, rng.random.uniform(0.2, 0.6)
    got = member.scale.hours(flops, gpus, peak, share)
    want = torch.tensor(flops / gpus / peak / share / 60 / 60, dtype=torch.float64)
    words = f"{flops:.3g} FLOPs, {gpus} devices of {peak:.3g} FLOP/s, utilisation {share:.2f}."
    expect.close(torch.tensor(got, dtype=torch.float64), want, atol=0.0, rtol=1e-9, say=words)
    for bad in (40, 0, -0.4):
        expect.raises(member.scale.hours, 1e20, 8, 1e15, bad, say=f"utilisation={bad}: a ValueError.")
    expect.raises(member.scale.hours, 1e20, 0, 1e15, 0.4, say="No device: a ValueError.")
