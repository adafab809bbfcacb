"""Step `quantise`: weights as whole numbers from -127 to 127, with a scale for each row.

O rows, I columns, Q = 127 the largest code, or 7 with four bits. Models are small ones of the kit's, in float64.
"""

import math

import quantise_toys
import torch

from cohort_cli.checking.authoring import check


def by_hand(w, Q=127, per_row=True):
    """(codes float64, scales) by looking at every number. The nearest of the whole numbers -Q … Q is taken."""
    rows = [max(abs(value) for value in row) for row in w.tolist()]
    sizes = rows if per_row else [max(rows)] * len(rows)
    scales = torch.tensor([[size / Q if size > 0 else 1.0] for size in sizes], dtype=torch.float64)
    whole = torch.arange(-Q, Q + 1, dtype=torch.float64)
    codes = whole[((w / scales)[..., None] - whole).abs().argmin(-1)]
    return codes, scales if per_row else scales[:1]


def clear(w):
    """These weights, moved a little where one lies half-way between two codes.

    So who computes in float32, or rounds a half the other way, gets the same codes.
    """
    w = w.clone()
    for _ in range(50):
        half_way = torch.zeros_like(w, dtype=torch.bool)
        for bits in range(2, 9):
            for size in (w.abs().amax(1, keepdim=True), w.abs().amax()):
                steps = w * (2 ** (bits - 1) - 1) / size.clamp(min=1e-30)
                half_way |= (steps.frac().abs() - 0.5).abs() < 1e-4
        if not bool(half_way.any()):
            break
        w[half_way] *= 0.999
    return w


def rounded(w, Q=127, per_row=True):
    """The weights that the codes stand for."""
    codes, scales = by_hand(w.detach(), Q, per_row)
    return codes * scales


def twins(member, rng, tied):
    """A network beside the member's code, and the same here, with the same weights."""
    there, here = member.bring(quantise_toys).Network(tied).double(), quantise_toys.Network(tied).double()
    drawn = {name: rng.normal(*p.shape, std=0.6) for name, p in here.named_parameters()}
    drawn |= {name: clear(value) for name, value in drawn.items() if value.dim() == 2}
    there.assign(drawn)
    with torch.no_grad():
        for name, parameter in here.named_parameters():
            parameter.copy_(drawn[name])
    return there, here


def coarse(here, Q=127, per_row=True, tied=False):
    """The network of this side with rounded weights in its linear layers."""
    with torch.no_grad():
        for module in here.modules():
            is_head = module is here.head
            if not isinstance(module, torch.nn.Linear) or (is_head and module.weight is here.table.weight):
                continue
            module.weight.copy_(rounded(module.weight, Q, per_row))
        if tied:
            here.table.weight.copy_(rounded(here.table.weight, Q, per_row))
    return here


@check("codes-values", title="codes are the nearest whole numbers, one scale for each row")
def test_codes_values(member, expect, rng):
    """A row's largest absolute value becomes 127 or -127, its scale is that value / 127. A row of zeros gets zeros, and
    a scale that divides nothing by 0. codes are int8, scales have the weight's data type and the shape (O, 1).

    Whether a half is rounded up or down does not matter: random numbers have none.
    """
    quantise = member.quantise.quantise
    for shape in ((5, 7), (3, 1), (1, 6)):
        w = clear(rng.normal(*shape) * torch.logspace(-2, 2, shape[0], dtype=torch.float64)[:, None])
        codes, scales = quantise(w)
        want, sizes = by_hand(w)
        expect.equal(codes.dtype, torch.int8, say="The data type of the codes.")
        expect.equal(scales.dtype, torch.float64, say="The data type of the scales of a float64 weight.")
        expect.close(scales, sizes, rtol=1e-6, atol=0.0, axes=("row", "one"), say=f"The scales of {shape}.")
        expect.equal(codes, want.to(torch.int8), say=f"The codes of a weight of {shape}.")
    w = rng.normal(4, 5)
    w[1], w[2, 0], w[2, 1] = 0.0, 9.0, -9.0
    w = clear(w)
    codes, scales = quantise(w)
    want = by_hand(w)[0]
    expect.equal(
        codes, want.to(torch.int8), say="Row 1 is zeros; row 2 has 9 and -9, which are 127 and -127."
    )
    fine = bool(scales.isfinite().all() and (scales != 0).all())
    expect.that(
        fine, "Every scale must be finite and not 0, that of a row of zeros too.", got=scales.tolist()
    )
    codes, scales = quantise(torch.zeros(2, 3), per_row=False)
    expect.equal(codes.abs().sum().item(), 0, say="The sum of the codes of a weight of zeros, per tensor.")
    fine = bool(scales.isfinite().all() and (scales != 0).all())
    expect.that(fine, "The one scale of zeros must be finite and not 0.", got=scales.tolist())
    expect.equal(scales.dtype, torch.float32, say="The data type of the scales of a float32 weight.")


@check("codes-bound", title="no weight moves by more than half a step", needs=["codes-values"])
def test_codes_bound(member, expect, rng):
    """|w - w'| <= scale / 2, for each weight, with 8 bits and with fewer: that is all that rounding may cost.
    dequantise is codes times scales, for scales (O, 1) and (1, 1), in their data type.
    """
    quantise, dequantise = member.quantise.quantise, member.quantise.dequantise
    for codes, scales in (
        (rng.integers(-127, 128, 4, 6), rng.normal(4, 1).abs()),
        (rng.integers(-127, 128, 3, 3), rng.normal(3, 1).abs()),
        (rng.integers(-7, 8, 2, 5), rng.normal(1, 1).abs()),
    ):
        got = dequantise(codes.to(torch.int8), scales)
        say = f"dequantise with scales {tuple(scales.shape)}."
        expect.close(got, codes.double() * scales, axes=("row", "column"), say=say)
    got = dequantise(codes.to(torch.int8), scales.float())
    expect.equal(got.dtype, torch.float32, say="The data type with float32 scales.")
    for bits in (8, 5, 4, 2):
        for per_row in (True, False):
            w = rng.normal(6, 40)
            codes, scales = quantise(w, bits=bits, per_row=per_row)
            back = codes.double() * scales
            over = float(((back - w).abs() / (scales / 2)).max())
            say = f"bits={bits}, per_row={per_row}: the largest error, in half steps. At most 1."
            expect.that(over <= 1 + 1e-4, say, got=over)


@check("codes-rows", title="an outlier costs its own row only", needs=["codes-values"])
def test_codes_rows(member, expect, rng):
    """One weight is made 100 times larger. With a scale for each row, all other rows keep their codes and their scales.
    With per_row=False there is one scale, of shape (1, 1), and it grows for all: most other weights become 0.

    Reading: Dettmers et al. 2022, section 2.1.
    """
    quantise = member.quantise.quantise
    w = rng.normal(6, 30).clamp(-3.0, 3.0)
    w[2, 5], w[4, 7] = 4.0, 3.5
    w = clear(w)
    outlier = w.clone()
    outlier[2, 5] = 400.0
    before, after = quantise(w), quantise(outlier)
    others = torch.tensor([0, 1, 3, 4, 5])
    expect.equal(after[0][others], before[0][others], say="The codes of the other rows, with the outlier.")
    expect.close(after[1][others], before[1][others], say="The scales of the other rows, with the outlier.")
    for weight, what in ((w, "without the outlier"), (outlier, "with the outlier")):
        codes, scales = quantise(weight, per_row=False)
        want, size = by_hand(weight, per_row=False)
        expect.close(scales, size, rtol=1e-6, atol=0.0, axes=("one", "one"), say=f"per_row=False, {what}.")
        expect.equal(codes, want.to(torch.int8), say=f"The codes with per_row=False, {what}.")


@check("codes-bits", title="fewer bits, fewer codes", needs=["codes-values"])
def test_codes_bits(member, expect, rng):
    """n bits have codes from -Q to Q with Q = 2^(n-1) - 1: 7 for four bits, 1 for two. -Q - 1 would fit too, and is not
    used: so 0 stays 0, and a weight and its negative get the same size.

    bits below 2 or above 8 are a ValueError, and so is a weight with one or three dimensions.
    """
    quantise = member.quantise.quantise
    for bits in (4, 7, 3, 2):
        w = rng.normal(5, 20)
        w[:, 0], w[:, 1] = 5.0, -5.0
        w = clear(w)
        codes, scales = quantise(w, bits=bits)
        want, sizes = by_hand(w, 2 ** (bits - 1) - 1)
        expect.close(scales, sizes, rtol=1e-6, atol=0.0, axes=("row", "one"), say=f"The scales, bits={bits}.")
        expect.equal(codes, want.to(torch.int8), say=f"The codes with bits={bits}.")
        expect.equal(codes.dtype, torch.int8, say="The data type of the codes.")
    for bits in (1, 9, 0):
        expect.raises(quantise, rng.normal(2, 2), bits=bits, say=f"bits={bits}: a ValueError.")
    for shape in ((4,), (2, 2, 2)):
        expect.raises(quantise, rng.normal(*shape), say=f"A weight of shape {shape}: a ValueError.")


@check("linear-values", title="a QuantLinear computes what the rounded weights compute")
def test_linear_values(member, expect, rng):
    """With a bias and without, scales per row and per tensor, on (N, I) and on (B, T, I). The codes are an int8 buffer,
    and nothing is a parameter: an optimizer would find nothing, and .double() leaves whole numbers alone.

    All buffers are in the state_dict, and x gets its gradient.
    """
    QuantLinear = member.quantise.QuantLinear
    for out, inputs, per_row, with_bias in ((5, 3, True, True), (4, 4, True, False), (3, 6, False, True)):
        codes = rng.integers(-127, 128, out, inputs)
        scales = rng.normal(out if per_row else 1, 1).abs() + 0.1
        bias = rng.normal(out) if with_bias else None
        layer = QuantLinear(codes.to(torch.int8), scales, bias)
        expect.equal(sorted(layer.parameters()), [], say="The parameters of a QuantLinear.")
        whole = [list(b.shape) for b in layer.buffers().values() if b.dtype == torch.int8]
        expect.equal(whole, [[out, inputs]], say="The shapes of its int8 buffers.")
        weight = codes.double() * scales
        x = rng.normal(2, 3, inputs)
        want = x @ weight.T + (0 if bias is None else bias)
        say = f"O = {out}, I = {inputs}, scales {tuple(scales.shape)}, bias: {with_bias}."
        expect.close(layer(x), want, axes=("batch", "token", "channel"), say=say)
        expect.close(layer(x[0]), want[0], axes=("row", "channel"), say=f"{say} Rows.")
        nothing = None if bias is None else torch.zeros_like(bias)
        empty = QuantLinear(torch.zeros(out, inputs, dtype=torch.int8), torch.ones_like(scales), nothing)
        empty.load_state_dict(layer.state_dict())
        say = f"{say} Another one, with this one's state_dict."
        expect.close(empty(x), want, axes=("batch", "token", "channel"), say=say)
        g = rng.normal(2, 3, out)
        seen = member.vjp(layer, x, cotangent=g)
        expect.close(seen.inputs[0], g @ weight, axes=("batch", "token", "channel"), say="The gradient of x.")


@check(
    "model-replaced",
    title="every linear layer is replaced, nothing else",
    needs=["linear-values", "codes-bits"],
)
def test_model_replaced(member, expect, rng):
    """Direct children, layers in a Sequential in a ModuleDict in a ModuleList, an untied head, and one layer that stands
    in two places: it is one QuantLinear afterwards, in both. The same model comes back. Embeddings and norms stay.

    bits and per_row reach every layer. A second call finds nothing left to do.
    """
    toys = member.bring(quantise_toys)
    for bits, per_row in ((8, True), (4, True), (3, False)):
        there, here = twins(member, rng, False)
        ids = rng.integers(0, 11, 2, 5)
        model = member.quantise.quantise_model(there, bits=bits, per_row=per_row)
        expect.that(toys.same(model, there), "quantise_model must return the model that it was given.")
        want = {
            n: "QuantLinear" if kind == "Linear" else kind for n, kind in quantise_toys.kinds(here).items()
        }
        expect.equal(toys.kinds(model), want, say="The modules and their kinds.")
        one = toys.one_layer_in_two_places(model)
        expect.that(one, "The layer that stood in two places is now two; it must be one QuantLinear in both.")
        expected = coarse(here, 2 ** (bits - 1) - 1, per_row)(ids).detach()
        say = f"bits={bits}, per_row={per_row}: the logits."
        expect.close(model(ids), expected, atol=1e-5, axes=("batch", "token", "word"), say=say)
        left = sorted(model.parameters())
        stay = [n for n, _ in here.named_parameters() if n.startswith(("table", "pos")) or ".norm." in n]
        expect.equal(left, sorted(stay), say="The parameters that are left.")
        again = member.quantise.quantise_model(model, bits=bits, per_row=per_row)
        expect.close(
            again(ids), expected, atol=1e-5, axes=("batch", "token", "word"), say="After a second call."
        )


@check(
    "model-tied", title="a tied head waits until it is asked for, and stays tied", needs=["model-replaced"]
)
def test_model_tied(member, expect, rng):
    """By default the shared matrix of head and embedding stays in floating point, one matrix for both. With
    tied=True both are quantised, and hold the same tensors: two copies would take the memory that you wanted to save.

    The table of positions is tied to nothing and stays. A QuantEmbedding gives rows of codes times scales.
    """
    toys = member.bring(quantise_toys)
    for size in (7, 1):
        codes, scales = rng.integers(-127, 128, 7, 4), rng.normal(size, 1).abs()
        table = member.quantise.QuantEmbedding(codes.to(torch.int8), scales)
        ids = rng.integers(0, 7, 2, 3)
        say = f"A QuantEmbedding with scales {tuple(scales.shape)}."
        expect.close(table(ids), (codes * scales)[ids], axes=("batch", "token", "channel"), say=say)
        expect.equal(sorted(table.parameters()), [], say="The parameters of a QuantEmbedding.")
    ids = rng.integers(0, 11, 2, 5)
    there, here = twins(member, rng, True)
    model = member.quantise.quantise_model(there)
    kinds = {n: "QuantLinear" if k == "Linear" else k for n, k in quantise_toys.kinds(here).items()} | {
        "head": "Linear"
    }
    expect.equal(toys.kinds(model), kinds, say="The kinds of modules, tied=False.")
    expect.that(toys.head_is_tied(model), "tied=False: head and embedding must still be one matrix.")
    want = coarse(here)(ids).detach()
    expect.close(model(ids), want, atol=1e-5, axes=("batch", "token", "word"), say="The logits, tied=False.")
    for per_row in (True, False):
        there, here = twins(member, rng, True)
        model = member.quantise.quantise_model(there, tied=True, per_row=per_row)
        kinds |= {"head": "QuantLinear", "table": "QuantEmbedding"}
        expect.equal(toys.kinds(model), kinds, say="The kinds of modules, tied=True.")
        want = coarse(here, per_row=per_row, tied=True)(ids).detach()
        say = f"The logits, tied=True, per_row={per_row}."
        expect.close(model(ids), want, atol=1e-5, axes=("batch", "token", "word"), say=say)
        shared, of = toys.shared_buffers(model)
        expect.that(
            shared == of and of >= 2,
            "tied=True: the head must hold the same tensors as the table, codes and scales.",
            got=f"{shared} of {of} are shared",
        )


@check("model-copy", title="with inplace=False the original is untouched", needs=["model-tied"])
def test_model_copy(member, expect, rng):
    """The original keeps its modules, its weights and its outputs. The copy is quantised, its tied head is still tied,
    and it shares no memory with the original: overwriting the original's weights changes nothing in it.
    """
    toys = member.bring(quantise_toys)
    ids = rng.integers(0, 11, 2, 5)
    for tied in (False, True):
        there, here = twins(member, rng, True)
        plain = here(ids).detach()
        model = member.quantise.quantise_model(there, tied=tied, inplace=False)
        seen = {"the same object came back": toys.same(model, there)} | toys.kinds(there)
        want = {"the same object came back": False} | quantise_toys.kinds(here)
        expect.equal(seen, want, say="The original's modules, and whether it came back itself.")
        expect.close(
            there(ids), plain, atol=1e-5, axes=("batch", "token", "word"), say="The original's logits."
        )
        found = list(toys.kinds(model).values())
        expect.that("QuantLinear" in found, "The copy must have QuantLinear layers.", got=found)
        want = coarse(here, tied=tied)(ids).detach()
        expect.close(
            model(ids),
            want,
            atol=1e-5,
            axes=("batch", "token", "word"),
            say=f"The copy's logits, tied={tied}.",
        )
        if not tied:
            expect.that(toys.head_is_tied(model), "In the copy, head and embedding must be one matrix.")
        toys.overwrite(there, 0.5)
        say = "The copy's logits after the original's weights were overwritten."
        expect.close(model(ids), want, atol=1e-5, axes=("batch", "token", "word"), say=say)


@check("size-and-bits", title="bytes of a model, and bits per byte of text")
def test_size_and_bits(member, expect, rng):
    """Parameters and buffers, trained or not, each tensor once, with the bytes of its own data type. int8 tensors count
    code_bits for each code, rounded up to whole bytes for each tensor: 15 codes of four bits are 8 bytes.

    bits per byte: nats / ln 2, divided by the bytes of a token. 2 nats for tokens of 4 bytes are 0.72 bits per byte.
    """
    shelf = member.bring(quantise_toys).Shelf()
    plain = 3 * 4 * 4 + 5 * 2 + 2 * 8 + (2 * 3 + 3) * 4 + 7
    for bits, codes in ((8, 15 + 3), (4, 8 + 2), (2, 4 + 1), (3, 6 + 2)):
        got = member.quantise.size_bytes(shelf, code_bits=bits)
        expect.equal(got, plain + codes, say=f"The bytes with code_bits={bits}.")
    got = member.quantise.size_bytes(shelf)
    expect.equal(got, plain + 18, say="The bytes without code_bits, which is then 8.")
    network = member.bring(quantise_toys).Network(True)
    count = sum(p.numel() for p in quantise_toys.Network(True).parameters())
    expect.equal(
        member.quantise.size_bytes(network), 4 * count, say="A network with a tied head, in float32."
    )
    pairs = [(2.0, 4.0), (1.0, 1.0), (3.3, 2.7), (0.0, 5.0)]
    got = torch.tensor([member.quantise.bits_per_byte(*pair) for pair in pairs], dtype=torch.float64)
    want = torch.tensor([nats * math.log2(math.e) / size for nats, size in pairs], dtype=torch.float64)
    expect.close(got, want, axes=("pair",), say=f"bits_per_byte of {pairs}: nats, bytes per token.")
    for size in (0.0, -1.0):
        expect.raises(member.quantise.bits_per_byte, 1.0, size, say=f"Tokens of {size} bytes: a ValueError.")
