"""Step `modern`: five differences between GPT-2's block and Llama's, each alone and together.

B batch, T time, C = 24 = d_model, H = 6 heads, D = 4, G = n_kv_heads, F inside the MLP: 96 with GELU, 64 with SwiGLU.
"""

import dataclasses
import itertools
import math

import torch
import torch.nn.functional as F

from cohort_cli.checking.authoring import check
from cohort_cli.checking.judge.expect import CheckFailed
from cohort_cli.checking.judge.weights import layouts

C, H, D = 24, 6, 4


@dataclasses.dataclass(frozen=True)
class Switched:
    """What a block is built with, as the member's Switches have it."""

    rms_norm: bool = False
    rotary: bool = False
    swiglu: bool = False
    n_kv_heads: int | None = None
    bias: bool = True


ALL = Switched(rms_norm=True, rotary=True, swiglu=True, n_kv_heads=2, bias=False)
ALONE = (
    Switched(),
    Switched(rms_norm=True),
    Switched(rotary=True),
    Switched(swiglu=True),
    Switched(n_kv_heads=2),
    Switched(bias=False),
)
EVERY = [
    Switched(*choice)
    for choice in itertools.product((False, True), (False, True), (False, True), (None, 2), (True, False))
]


def words(switched):
    """What is switched, for a message."""
    on = [name for name in ("rms_norm", "rotary", "swiglu") if getattr(switched, name)]
    on += [] if switched.n_kv_heads is None else [f"n_kv_heads={switched.n_kv_heads}"]
    on += [] if switched.bias else ["bias=False"]
    return ", ".join(on) or "nothing switched"


def new_block(member, switched, d_model=C, n_heads=H):
    switches = member.modern.Switches(**dataclasses.asdict(switched))
    return member.modern.Block(d_model, n_heads, switches)


def shapes(switched, d_model=C, n_heads=H):
    """Canonical name -> shape of every parameter, in nn.Linear's layout."""
    G = switched.n_kv_heads or n_heads
    inner = max(8, 8 * math.floor(d_model / 3 + 0.5)) if switched.swiglu else 4 * d_model
    matrices = {"attn.query": (d_model, d_model)}
    matrices |= dict.fromkeys(("attn.key", "attn.value"), (G * d_model // n_heads, d_model))
    matrices |= {"attn.c_proj": (d_model, d_model)}
    matrices |= {"mlp.gate": (inner, d_model)} if switched.swiglu else {}
    matrices |= {"mlp.c_fc": (inner, d_model), "mlp.c_proj": (d_model, inner)}
    found = {"ln_1.weight": (d_model,), "ln_2.weight": (d_model,)}
    if switched.bias and not switched.rms_norm:
        found |= {"ln_1.bias": (d_model,), "ln_2.bias": (d_model,)}
    for name, shape in matrices.items():
        found[f"{name}.weight"] = shape
        if switched.bias:
            found[f"{name}.bias"] = shape[:1]
    return found


def joined(values, old, new):
    """These parts as one fused matrix (and one fused bias)."""
    kinds = [kind for kind in ("weight", "bias") if f"{old[0]}.{kind}" in values]
    rest = {name: value for name, value in values.items() if name.rpartition(".")[0] not in old}
    return rest | {f"{new}.{kind}": torch.cat([values[f"{part}.{kind}"] for part in old]) for kind in kinds}


def fill(rng, block, switched):
    """Draw weights, find the member's own parameters for them (fused ones too), and write them. The drawn values.

    Where names leave open which is which, `rng.way` says which of the ways to take.
    """
    values = {}
    for name, shape in shapes(switched).items():
        values[name] = rng.normal(*shape, std=0.5 if len(shape) < 2 else 1.2 * shape[-1] ** -0.5)
    info = block.parameter_info()
    says_gate = any("gate" in name and entry["shape"] == [64, C] for name, entry in info.items())
    swap = {"mlp.gate": "mlp.c_fc", "mlp.c_fc": "mlp.gate"}
    groups = [(), ("attn.query", "attn.key", "attn.value"), ("attn.key", "attn.value")]
    first, ways = None, []
    for group, fused in zip(groups, ("", "attn.c_attn", "attn.kv"), strict=True):
        some = joined(values, group, fused) if group else values
        candidates = [some]
        if switched.swiglu and not says_gate:
            parts = [(name, *name.rpartition(".")[::2]) for name in some]
            candidates.append({f"{swap.get(part, part)}.{kind}": some[name] for name, part, kind in parts})
            candidates.append(joined(some, ("mlp.gate", "mlp.c_fc"), "mlp.c_fc"))
            candidates.append(joined(some, ("mlp.c_fc", "mlp.gate"), "mlp.c_fc"))
        for candidate in candidates:
            try:
                ways += layouts(info, candidate)
            except CheckFailed as refused:
                first = first or refused
        if ways:
            break
    if not ways:
        raise first
    rng.ways = max(rng.ways, len(ways))
    block.assign(ways[min(rng.way, len(ways) - 1)])
    return values


def turned(x, positions, base=10_000.0):
    """Rotary positions by complex numbers: number i of a half and number i of the other are a + ib."""
    half = x.size(-1) // 2
    angles = torch.tensor(
        [[p * base ** (-2 * i / x.size(-1)) for i in range(half)] for p in positions.tolist()],
        dtype=torch.float64,
    )
    z = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angles), angles)
    return torch.cat([z.real, z.imag], dim=-1)


def by_hand(w, x, switched):
    """The block, head by head. x (B, T, C)."""

    def norm(x, name):
        if switched.rms_norm:
            return w[f"{name}.weight"] * x / ((x * x).mean(-1, keepdim=True) + 1e-5).sqrt()
        return F.layer_norm(x, (C,), w[f"{name}.weight"], w.get(f"{name}.bias"), 1e-5)

    def linear(x, name):
        return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))

    T, G = x.size(1), switched.n_kv_heads or H
    inside, heads = norm(x, "ln_1"), []
    hidden = torch.ones(T, T, dtype=torch.bool).triu(1)
    for h in range(H):
        g = h // (H // G)
        q = linear(inside, "attn.query")[..., h * D : (h + 1) * D]
        k, v = (linear(inside, f"attn.{name}")[..., g * D : (g + 1) * D] for name in ("key", "value"))
        if switched.rotary:
            q, k = turned(q, torch.arange(T)), turned(k, torch.arange(T))
        scores = (q @ k.mT / math.sqrt(D)).masked_fill(hidden, -math.inf)
        heads.append(scores.softmax(-1) @ v)
    x = x + linear(torch.cat(heads, dim=-1), "attn.c_proj")
    inside = norm(x, "ln_2")
    if switched.swiglu:
        gate = linear(inside, "mlp.gate")
        inside = gate * gate.sigmoid() * linear(inside, "mlp.c_fc")
    else:
        inside = F.gelu(linear(inside, "mlp.c_fc"), approximate="tanh")
    return x + linear(inside, "mlp.c_proj")


@check("rms-norm", title="RMSNorm divides by the root of the mean square")
def test_rms_norm(member, expect, rng):
    """On x whose mean is far from 0, on small x, where eps counts, and on zeros, which stay zeros. For (N, C) and for
    (B, T, C), each token for itself. The mean is not subtracted: that is what RMSNorm leaves out of LayerNorm.

    Reading: Zhang and Sennrich 2019, section 3.
    """
    rms_norm = member.modern.rms_norm
    gain = rng.normal(7)
    for shape, size, eps in (((5, 7), 1.0, 1e-5), ((2, 3, 7), 3.0, 1e-3), ((4, 7), 1e-2, 1e-4)):
        x = size * (rng.normal(*shape) + 0.8)
        x[0] = 0.0
        want = gain * x / ((x * x).sum(-1, keepdim=True) / 7 + eps).sqrt()
        axes = ("row", "channel") if len(shape) == 2 else ("batch", "token", "channel")
        expect.close(
            rms_norm(x, gain, eps),
            want,
            atol=1e-6,
            rtol=1e-5,
            axes=axes,
            say=f"Numbers of about {size}, eps = {eps}.",
        )
    x = rng.normal(3, 7)
    want = gain * x / ((x * x).sum(-1, keepdim=True) / 7 + 1e-5).sqrt()
    expect.close(
        rms_norm(x, gain),
        want,
        atol=1e-6,
        rtol=1e-5,
        axes=("row", "channel"),
        say="Without eps, which is then EPS.",
    )
    got = rms_norm(x.float(), gain.float(), 1e-5)
    expect.equal(got.dtype, torch.float32, say="The data type of the result, for float32.")


@check("rotary-values", title="each pair is turned by position times its own rate")
def test_rotary_values(member, expect, rng):
    """Number i is paired with number i + D/2, and turned by p * base^(-2i/D) at position p, counter-clockwise.

    Compared with a product of complex numbers. Positions come unsorted and do not begin at 0, as with a cache. If all
    is right but the order of numbers, you paired neighbours: Su et al. write it so, public Llama weights do not.
    """
    rotate = member.modern.rotate
    for shape, base in (((2, 3, 5, 8), 10_000.0), ((1, 2, 4, 2), 10_000.0), ((3, 1, 6, 12), 500.0)):
        x, positions = rng.normal(*shape), rng.permutation(40)[: shape[2]] + 1
        say = f"x of shape {shape}, base {base:g}, positions {positions.tolist()}."
        want = turned(x, positions, base)
        axes = ("batch", "head", "token", "channel")
        expect.close(rotate(x, positions, base), want, atol=1e-4, axes=axes, say=say)
    x, positions = rng.normal(1, 2, 4, 6), torch.tensor([3, 0, 7, 1])
    expect.close(rotate(x, positions), turned(x, positions), atol=1e-4, say="Without base: it is 10,000.")
    for dtype in (torch.float32, torch.bfloat16):
        got = rotate(x.to(dtype), positions)
        expect.equal(got.dtype, dtype, say=f"The data type of the result, for {dtype}.")
    say = "5 numbers per head cannot be put into pairs: a ValueError."
    expect.raises(rotate, rng.normal(1, 1, 2, 5), torch.arange(2), say=say)


@check("rotary-offset", title="lengths stay, position 0 changes nothing, scores know the offset only")
def test_rotary_offset(member, expect, rng):
    """Three properties that hold whatever the pairs are. Position 0 is the identity. A rotation keeps the length of a
    vector. And q at position p + s times k at position p is the same for every p: so a key can stay in the cache as it
    is. But it is another one for another s, else the model could not know the order.
    """
    rotate = member.modern.rotate
    q, k = (
        rng.normal(1, 2, 1, 8).expand(1, 2, 6, 8).clone(),
        rng.normal(1, 2, 1, 8).expand(1, 2, 6, 8).clone(),
    )
    zeros, places = torch.zeros(6, dtype=torch.int64), rng.permutation(30)[:6]
    x = rng.normal(1, 2, 6, 8)
    expect.close(rotate(x, zeros), x, atol=1e-6, say="At position 0.")
    lengths = rotate(x, places).norm(dim=-1)
    expect.close(
        lengths, x.norm(dim=-1), atol=1e-4, axes=("batch", "head", "token"), say="Lengths of vectors."
    )
    seen = []
    for offset in (0, 1, 5):
        scores = (rotate(q, places + offset) * rotate(k, places)).sum(-1)
        same = scores[..., :1].expand_as(scores)
        say = (
            f"The same q and k, {offset} apart, at positions {places.tolist()}: all scores are the first one."
        )
        expect.close(scores, same, atol=2e-3, axes=("batch", "head", "token"), say=say)
        seen.append(scores[0, :, 0])
    moved = min(float((a - b).abs().max()) for a, b in itertools.combinations(seen, 2))
    expect.that(moved > 1e-3, "Offsets of 0, 1 and 5 give the same score; positions do nothing.", got=moved)


@check("swiglu-values", title="silu of the gate times the other branch, at equal parameters")
def test_swiglu_values(member, expect, rng):
    """The gate goes through silu, the other branch does not, and the two are multiplied before the last matrix.

    gated_width makes three matrices about as large as GELU's two: 8/3 C, to the nearest multiple of 8.
    """
    swiglu = member.modern.swiglu
    for shape, inner in (((5, 6), 10), ((2, 3, 4), 7)):
        width = shape[-1]
        x = rng.normal(*shape)
        gate, up, down = rng.normal(inner, width), rng.normal(inner, width), rng.normal(width, inner)
        through = x @ gate.T
        want = (through / (1 + (-through).exp()) * (x @ up.T)) @ down.T
        expect.close(swiglu(x, gate, up, down), want, say=f"x of shape {shape}, F = {inner}.")
    got = [int(member.modern.gated_width(width)) for width in (768, 64, 4096, 20, 100, 1)]
    say = "gated_width of 768, 64, 4096, 20, 100 and 1."
    expect.equal(got, [2048, 168, 10920, 56, 264, 8], say=say)


@check("kv-repeat", title="neighbouring heads share a key")
def test_kv_repeat(member, expect, rng):
    """Head h gets number h // (H / G): with 2 for 6 heads that is 0 0 0 1 1 1, not 0 1 0 1 0 1. With G = H nothing
    changes, and with G = 1 all get the same, as in multi-query attention. If G does not divide H, a ValueError.
    """
    repeat_kv = member.modern.repeat_kv
    for G, heads in ((2, 6), (3, 6), (4, 4), (1, 5)):
        x = rng.normal(2, G, 3, 4)
        want = torch.stack([x[:, h // (heads // G)] for h in range(heads)], dim=1)
        axes = ("batch", "head", "token", "channel")
        expect.close(repeat_kv(x, heads), want, axes=axes, say=f"{G} heads of keys for {heads} heads.")
    for G, heads in ((4, 6), (4, 2)):
        expect.raises(repeat_kv, rng.normal(1, G, 2, 2), heads, say=f"{G} for {heads} heads: a ValueError.")


@check("kv-cache-bytes", title="the cache shrinks by exactly H / G")
def test_kv_cache_bytes(member, expect):
    """Keys and values, in every layer, for every token: 2 L G D T numbers. Queries are not kept, so the number of heads
    does not matter. A Llama 2 of 70B (80 layers, 8 of 64 heads, D = 128) keeps 1.25 GiB for 4,096 tokens in 16 bits.
    """
    cache_bytes = member.modern.cache_bytes
    cases = [(80, 8, 128, 4096, 2), (12, 12, 64, 1024, 4), (1, 1, 1, 1, 1), (3, 5, 7, 11, 2)]
    got = [cache_bytes(*case) for case in cases]
    want = [2 * math.prod(case) for case in cases]
    expect.equal(got, want, say=f"The bytes for {cases}: layers, kv heads, D, tokens, bytes per number.")
    got = cache_bytes(2, 3, 4, 5)
    expect.equal(got, 480, say="Without the last argument, numbers have 2 bytes.")
    many, few = cache_bytes(32, 32, 128, 777), cache_bytes(32, 8, 128, 777)
    expect.equal(many, 4 * few, say="32 heads of keys and values take four times what 8 take.")


@check("block-parameters", title="every one of 32 blocks has the parameters that it should have")
def test_block_parameters(member, expect, rng):
    """C = 20, H = 5. LayerNorm has 2 C, RMSNorm C. With G = 1 key and value shrink to a fifth. SwiGLU has three matrices
    of 56 x 20, GELU two of 80 x 20. With bias=False no one-dimensional parameter is left but the gains of two norms.

    Impossible shapes are a ValueError when the block is made: heads that do not divide C, G that does not divide H.
    """
    for each in EVERY:
        switched = dataclasses.replace(each, n_kv_heads=each.n_kv_heads and 1)
        sizes = shapes(switched, 20, 5)
        block = new_block(member, switched, 20, 5)
        info = {name: entry for name, entry in block.parameter_info().items() if entry["same_as"] is None}
        flat = sum(math.prod(e["shape"]) for e in info.values() if max(e["shape"]) == math.prod(e["shape"]))
        if not switched.bias:
            expect.equal(flat, 40, say=f"{words(switched)}: numbers in biases and gains. Two gains of 20.")
        got = sum(math.prod(entry["shape"]) for entry in info.values())
        want = sum(math.prod(shape) for shape in sizes.values())
        expect.equal(got, want, say=f"{words(switched)}: the number of parameters.")
        expect.shape(block(rng.normal(2, 3, 20).float()), (2, 3, 20), say=f"{words(switched)}: the output.")
    wrong = [(20, 6, Switched()), (24, 6, Switched(n_kv_heads=4)), (24, 6, Switched(n_kv_heads=12))]
    wrong += [(24, 6, Switched(n_kv_heads=0)), (15, 5, Switched(rotary=True))]
    for d_model, heads, switched in wrong:
        switches = member.modern.Switches(**dataclasses.asdict(switched))
        say = f"C = {d_model}, H = {heads}, {words(switched)}: a ValueError."
        expect.raises(member.modern.Block, d_model, heads, switches, say=say)


@check(
    "block-values",
    title="all 32 blocks compute what the formula says, and learn",
    needs=["block-parameters"],
)
def test_block_values(member, expect, rng):
    """Random weights in your own parameters, whatever their names, and the output against the block written head by
    head. n_kv_heads = H gives exactly what None gives. Then the gradients of x and of all parameters.

    If the first message is about a single switch, that one is wrong; if it names several, they do not fit together.
    """
    for switched in (*ALONE, Switched(n_kv_heads=6), *(each for each in EVERY if each not in ALONE)):
        block = new_block(member, switched).double()
        w = fill(rng, block, switched)
        close = 1e-4 if switched.rotary or switched.rms_norm else 1e-8  # either may be done in float32
        for size in (1.0, 0.01):  # in small x the eps of the norms shows
            x = size * rng.normal(2, 7, C)
            say = f"{words(switched)}; x of about {size:g}."
            want = by_hand(w, x, switched)
            expect.close(block(x), want, atol=close, axes=("batch", "token", "channel"), say=say)
    for switched in (Switched(), ALL):
        block = new_block(member, switched).double()
        w = fill(rng, block, switched)
        x, g = rng.normal(2, 5, C), rng.normal(2, 5, C)
        seen = member.vjp(block, x, cotangent=g, params_of=block)
        leaves = {name: value.clone().requires_grad_() for name, value in w.items()}
        start = x.clone().requires_grad_()
        (by_hand(leaves, start, switched) * g).sum().backward()
        say = f"{words(switched)}: the gradient of x."
        close = 1e-3 if switched.rotary or switched.rms_norm else 1e-8
        expect.close(seen.inputs[0], start.grad, atol=close, axes=("batch", "token", "channel"), say=say)
        without = [name for name, gradient in seen.parameters.items() if gradient is None]
        expect.equal(without, [], say=f"{words(switched)}: these parameters get no gradient.")
        got = torch.cat([value.flatten() for value in seen.parameters.values()]).sort().values
        want = torch.cat([leaf.grad.flatten() for leaf in leaves.values()]).sort().values
        expect.close(
            got, want, atol=close, say=f"{words(switched)}: the gradients of all parameters, sorted."
        )


@check("block-causal", title="no token sees what comes after it", needs=["block-parameters"])
def test_block_causal(member, expect, rng):
    """Each switch alone, and all five: tokens from the fourth on are replaced; the first three outputs must not move,
    and the fourth must. The first three tokens by themselves give the same outputs too, and so does a single one.
    """
    for switched in (*ALONE, ALL):
        block = new_block(member, switched).double()
        block.assign({name: rng.normal(*v.shape, std=0.4) for name, v in block.parameters().items()})
        x = rng.normal(2, 6, C)
        other = torch.cat([x[:, :3], rng.normal(2, 3, C)], dim=1)
        before, after = block(x), block(other)
        say = f"{words(switched)}: the first three outputs, when later tokens change."
        expect.close(after[:, :3], before[:, :3], axes=("batch", "token", "channel"), say=say)
        moved = float((after[:, 3] - before[:, 3]).abs().min(-1).values.max())
        expect.that(
            moved > 0.0, f"{words(switched)}: the fourth output must change with its token.", got=moved
        )
        for T in (3, 1):
            say = f"{words(switched)}: the first {T} of 6 tokens by themselves."
            expect.close(block(x[:, :T]), before[:, :T], axes=("batch", "token", "channel"), say=say)
