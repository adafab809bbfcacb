"""Step `block`: TransformerBlock.

B = 2 batch, T = 5 time, C = 12 = d_model, H = 3 heads, 20 hidden channels in the MLP.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from cohort_cli.checking.authoring import check

SIZE = {"d_model": 12, "n_heads": 3, "d_ff": 20, "max_seq_len": 8}
SHAPES = {
    "ln_1.weight": (12,),
    "ln_1.bias": (12,),
    "attn.c_attn.weight": (36, 12),
    "attn.c_attn.bias": (36,),
    "attn.c_proj.weight": (12, 12),
    "attn.c_proj.bias": (12,),
    "ln_2.weight": (12,),
    "ln_2.bias": (12,),
    "mlp.c_fc.weight": (20, 12),
    "mlp.c_fc.bias": (20,),
    "mlp.c_proj.weight": (12, 20),
    "mlp.c_proj.bias": (12,),
}
TORCHS_NAMES = {
    "ln_1.": "norm1.",
    "attn.c_attn.": "self_attn.in_proj_",
    "attn.c_proj.": "self_attn.out_proj.",
    "ln_2.": "norm2.",
    "mlp.c_fc.": "linear1.",
    "mlp.c_proj.": "linear2.",
}


def torchs(w, pre, eps):
    """torch's own block with the same weights."""
    layer = nn.TransformerEncoderLayer(
        12,
        3,
        dim_feedforward=20,
        dropout=0.0,
        activation=lambda hidden: F.gelu(hidden, approximate="tanh"),
        layer_norm_eps=eps,
        batch_first=True,
        norm_first=pre,
        dtype=torch.float64,
    )
    pairs = [
        (ours + kind, theirs + kind) for ours, theirs in TORCHS_NAMES.items() for kind in ("weight", "bias")
    ]
    layer.load_state_dict({theirs: w[ours] for ours, theirs in pairs})
    return layer


def run(layer, x):
    return layer(x, src_mask=torch.ones(x.size(1), x.size(1), dtype=torch.bool).triu(1))


@check("block-shape", title="shapes, parameters, and every field of the config arrives")
def test_block_shape(member, expect, rng):
    """(B, T, C) in, (B, T, C) out, for T up to max_seq_len; more tokens are a ValueError.

    The number of parameters shows whether d_ff, bias and norm reach the parts that need them: 12 * 36 + 12
    * 12 in attention, 2 * 12 * 20 in the MLP, the biases, and the norms.
    """
    configs = (
        ({}, 1184),
        ({"bias": False}, 1080),
        ({"norm": "rmsnorm"}, 1160),
        ({"norm_position": "post", "d_ff": None}, 1884),
    )
    for fields, want in configs:
        block = member.block.TransformerBlock(member.block.BlockConfig(**{**SIZE, **fields})).double()
        for T in (8, 5, 1):
            expect.shape(block(rng.normal(2, T, 12)), (2, T, 12), say=f"{T} tokens, max_seq_len 8, {fields}.")
        count = sum(p.numel() for p in block.parameters().values())
        expect.equal(count, want, say=f"The number of parameters with {fields}.")
    expect.raises(block, rng.normal(2, 9, 12), say="9 tokens are more than max_seq_len = 8: a ValueError.")


@check("block-pre", title="the pre-norm block gives the same numbers as torch's", needs=["block-shape"])
def test_block_pre(member, expect, rng):
    """x = x + attn(ln_1(x)), then x = x + mlp(ln_2(x)). What is added comes from the norm; what it is added
    to does not.

    Compared with torch.nn.TransformerEncoderLayer(norm_first=True) on the same weights, with random gains
    and biases in both norms and eps = 0.1.

    Reading: Xiong et al. 2020, figure 1.
    """
    block = member.block.TransformerBlock(member.block.BlockConfig(**SIZE, eps=0.1)).double()
    w = rng.fill(block, SHAPES)
    x = rng.normal(2, 5, 12)
    want = run(torchs(w, pre=True, eps=0.1), x).detach()
    expect.close(block(x), want, axes=("batch", "token", "channel"))


@check("block-post", title="the post-norm block gives the same numbers as torch's", needs=["block-shape"])
def test_block_post(member, expect, rng):
    """x = ln_1(x + attn(x)), then x = ln_2(x + mlp(x)): here the sum itself is normalised.

    Compared with torch.nn.TransformerEncoderLayer(norm_first=False) on the same weights.

    Reading: Vaswani et al. 2017, section 3.1.
    """
    block = member.block.TransformerBlock(
        member.block.BlockConfig(**SIZE, eps=0.1, norm_position="post")
    ).double()
    w = rng.fill(block, SHAPES)
    x = rng.normal(2, 5, 12)
    want = run(torchs(w, pre=False, eps=0.1), x).detach()
    expect.close(block(x), want, axes=("batch", "token", "channel"))


@check("block-options", title="RMSNorm, relu and no biases, when the config says so", needs=["block-shape"])
def test_block_options(member, expect, rng):
    """norm="rmsnorm", activation="relu", bias=False, eps = 0.1: a block as in newer models.

    Every field of the config must reach the part that needs it. Computed here with torch's functions.
    """
    config = member.block.BlockConfig(**SIZE, norm="rmsnorm", activation="relu", bias=False, eps=0.1)
    block = member.block.TransformerBlock(config).double()
    w = rng.fill(block, {name: shape for name, shape in SHAPES.items() if not name.endswith("bias")})
    x = rng.normal(2, 5, 12)
    normed = F.rms_norm(x, (12,), w["ln_1.weight"], 0.1)
    q, k, v = F.linear(normed, w["attn.c_attn.weight"]).unflatten(-1, (3, 3, 4)).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
    y = x + F.linear(mixed, w["attn.c_proj.weight"])
    normed = F.rms_norm(y, (12,), w["ln_2.weight"], 0.1)
    y = y + F.linear(F.relu(F.linear(normed, w["mlp.c_fc.weight"])), w["mlp.c_proj.weight"])
    expect.close(block(x), y, axes=("batch", "token", "channel"))


@check("block-gpt2", title="with GPT-2's weights it is GPT-2's block", needs=["block-shape"])
def test_block_gpt2(member, expect, rng):
    """A tiny block of the transformers library, with its weights, one input and its output, is stored
    beside this test.

    Your block gets the same weights and must give the same output. If it does, it can carry the real GPT-2.
    """
    stored = json.loads((Path(__file__).parent / "fixtures" / "gpt2_block.json").read_text(encoding="utf-8"))
    w = {name: torch.tensor(value, dtype=torch.float64) for name, value in stored["weights"].items()}
    config = member.block.BlockConfig(**stored["config"])
    block = member.block.TransformerBlock(config).double()
    drawn = rng.fill(block, {name: tuple(value.shape) for name, value in w.items()})
    # Each number was drawn only once, so it tells which of GPT-2's numbers belongs in its place.
    right = {
        a: b
        for name in w
        for a, b in zip(drawn[name].flatten().tolist(), w[name].flatten().tolist(), strict=True)
    }
    own = block.parameters()
    block.assign({name: value.clone().apply_(right.__getitem__) for name, value in own.items()})
    x, want = (torch.tensor(stored[key], dtype=torch.float64) for key in ("input", "output"))
    expect.close(block(x), want, axes=("batch", "token", "channel"))


@check("block-causal", title="no token sees a later one, in the whole block", needs=["block-shape"])
def test_block_causal(member, expect, rng):
    """Attention may be causal and the block still leak, if something else mixes the tokens.

    Change the tokens from t on: the outputs before t must not move, with both positions of the norm. And
    each row of the batch must give what it gives alone.
    """
    for position in ("pre", "post"):
        config = member.block.BlockConfig(**SIZE, norm_position=position)
        block = member.block.TransformerBlock(config).double()
        rng.fill(block, SHAPES)
        x, other = rng.normal(2, 5, 12), rng.normal(2, 5, 12)
        before = block(x)
        for t in (1, 2, 4):
            after = block(torch.cat([x[:, :t], other[:, t:]], dim=1))
            say = f"{position}-norm: the outputs before token {t}, after the tokens from {t} on were changed."
            expect.close(after[:, :t], before[:, :t], axes=("batch", "token", "channel"), say=say)
        say = f"{position}-norm: the second row of the batch, alone and with the first."
        expect.close(block(x[1:]), before[1:], axes=("batch", "token", "channel"), say=say)


@check("block-gradient", title="the gradient passes the whole block", needs=["block-shape"])
def test_block_gradient(member, expect, rng):
    """The residual connections let the gradient reach the first of many blocks. A `detach` on the way stops
    it.

    Gradients with respect to x and to all parameters, compared with those of torch's block.
    """
    block = member.block.TransformerBlock(member.block.BlockConfig(**SIZE, eps=0.1)).double()
    w = rng.fill(block, SHAPES)
    x, g = rng.normal(2, 5, 12), rng.normal(2, 5, 12)
    seen = member.vjp(block, x, cotangent=g, params_of=block)
    missing = [name for name, gradient in seen.parameters.items() if gradient is None]
    expect.equal(missing, [], say="These parameters get no gradient.")
    theirs, leaf = torchs(w, pre=True, eps=0.1), x.clone().requires_grad_()
    (run(theirs, leaf) * g).sum().backward()
    expect.close(seen.inputs[0], leaf.grad, axes=("batch", "token", "channel"), say="The gradient for x.")
    want = numbers(p.grad for p in theirs.parameters())
    expect.close(numbers(seen.parameters.values()), want, say="The gradients of all parameters, sorted.")


@check("block-dropout", title="the config's dropout reaches attention and MLP", needs=["block-shape"])
def test_block_dropout(member, expect, rng):
    """In eval mode the output is the one without dropout. In training it varies from call to call: the
    config's dropout was handed on to attention and to the MLP.
    """
    config = member.block.BlockConfig(**SIZE, eps=0.1, dropout=0.5)
    block = member.block.TransformerBlock(config).double().eval()
    w = rng.fill(block, SHAPES)
    x = rng.normal(2, 5, 12)
    want = run(torchs(w, pre=True, eps=0.1), x).detach()
    expect.close(block(x), want, say="In eval mode the output is that without dropout.")
    token = rng.normal(1, 1, 12)
    many = block.train()(token.expand(200, 1, 12))
    expect.that(bool((many.std(dim=0) > 1e-3).any()), "In training, with dropout=0.5, the outputs must vary.")
    for part, silent in (("attention", "mlp.c_proj"), ("the MLP", "attn.c_proj")):
        rng.fill(block, SHAPES, silent=[silent])
        dropped = float((block(token.expand(200, 1, 12)) == token).double().mean())
        say = f"With only {part} at work, about half of the outputs must be the inputs: no dropout acts on {part}."
        expect.that(0.35 < dropped < 0.65, say)


def numbers(tensors):
    """Everything in these tensors as one sorted row."""
    return torch.cat([t.flatten() for t in tensors]).sort().values
