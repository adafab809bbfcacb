"""Step `own`: properties that every causal block has, whatever is inside.

B batch, T time, C = 12 = d_model, two heads of 6. All parameters are drawn at random first, so a block that
starts as the identity is judged by what it can become.
"""

import torch

from cohort_cli.checking.authoring import check


def new_block(member, rng, dropout=0.0):
    """A member's block in float64 with random weights. Names and shapes are the member's own."""
    config = member.block.BlockConfig(d_model=12, n_heads=2, max_seq_len=8, dropout=dropout)
    block = member.own.OwnBlock(config).double()
    free = {
        name: entry["shape"] for name, entry in block.parameter_info().items() if entry["same_as"] is None
    }
    block.assign({name: rng.normal(*shape, std=max([1, *shape]) ** -0.5) for name, shape in free.items()})
    return block


@check("own-shape", title="any number of tokens up to max_seq_len")
def test_own_shape(member, expect, rng):
    """(B, T, C) in, (B, T, C) out, for T = 8 = max_seq_len, for fewer tokens, and for one: it fits wherever
    TransformerBlock fits.
    """
    block = new_block(member, rng)
    for T in (8, 5, 1):
        expect.shape(block(rng.normal(2, T, 12)), (2, T, 12), say=f"{T} tokens.")


@check("own-causal", title="no token sees a later one", needs=["own-shape"])
def test_own_causal(member, expect, rng):
    """Change the tokens from t on: the outputs before t must not move. And the gradient of one output must
    be zero at all later tokens. Only then is a low training loss worth anything.
    """
    block = new_block(member, rng)
    for T in (8, 5):
        x, other = rng.normal(2, T, 12), rng.normal(2, T, 12)
        before = block(x)
        for t in (1, 2, T - 1):
            after = block(torch.cat([x[:, :t], other[:, t:]], dim=1))
            say = f"T = {T}: the outputs before token {t}, after the tokens from {t} on were changed."
            expect.close(after[:, :t], before[:, :t], axes=("batch", "token", "channel"), say=say)
    g = torch.zeros(2, 5, 12, dtype=torch.float64)
    g[:, 2] = rng.normal(2, 12)
    gradient = member.vjp(block, x, cotangent=g).inputs[0]
    nothing = torch.zeros(2, 2, 12, dtype=torch.float64)
    expect.close(gradient[:, 3:], nothing, say="The gradient of output 2 at tokens 3 and 4.")


@check("own-past", title="it does something, and it looks back", needs=["own-shape"])
def test_own_past(member, expect, rng):
    """The output is not just the input, and somewhere it depends on an earlier token: a block that treats every
    token alone could not learn that "New" comes before "York".

    Which earlier tokens is yours to choose: the one before, every second one, those of the same chunk.
    """
    block = new_block(member, rng)
    x = rng.normal(2, 8, 12)
    y = block(x)
    moved = float((y - x).abs().max())
    expect.that(moved > 1e-6, "The output is the input: the block does nothing.", got=moved)
    moved = 0.0
    for token in (0, 3, 5):
        changed = x.clone()
        changed[:, token] = rng.normal(2, 12)
        moved = max(moved, float((block(changed) - y)[:, token + 1 :].abs().max()))
    expect.that(moved > 1e-9, "No output depends on an earlier token: nothing looks back.", got=moved)


@check("own-batch", title="the rows of a batch do not see each other", needs=["own-shape"])
def test_own_batch(member, expect, rng):
    """Three sequences at once must give what they give one at a time. Statistics over the batch, or a
    careless `view`, mix them.
    """
    block = new_block(member, rng)
    x = rng.normal(3, 5, 12)
    alone = torch.cat([block(x[b : b + 1]) for b in range(3)])
    expect.close(
        block(x), alone, axes=("batch", "token", "channel"), say="All rows at once, against one at a time."
    )


@check("own-eval", title="in eval mode the same input gives the same output", needs=["own-shape"])
def test_own_eval(member, expect, rng):
    """After .eval() nothing may be random, whatever the dropout: a model must give the same answer twice.

    And it must not remember earlier calls.
    """
    block = new_block(member, rng, dropout=0.5).eval()
    x, other = rng.normal(2, 5, 12), rng.normal(2, 8, 12)
    first = block(x)
    block(other)
    expect.close(
        block(x), first, axes=("batch", "token", "channel"), say="The second call against the first."
    )


@check("own-gradient", title="everything in it can be trained", needs=["own-shape"])
def test_own_gradient(member, expect, rng):
    """Every parameter takes part in the output, and the gradient reaches every token of the input:

    earlier blocks learn from it. A block that sends tokens to experts may leave some of them out of one batch, so
    several batches, each with a block of its own, count together.
    """
    missing = None
    for _ in range(8):
        block = new_block(member, rng)
        x, g = rng.normal(8, 8, 12), rng.normal(8, 8, 12)
        seen = member.vjp(block, x, cotangent=g, params_of=block)
        idle = {name for name, gradient in seen.parameters.items() if gradient is None}
        missing = idle if missing is None else missing & idle
        if not missing:
            break
    expect.equal(sorted(missing), [], say="These parameters get no gradient.")
    finite = all(bool(g.isfinite().all()) for g in seen.parameters.values() if g is not None)
    expect.that(finite, "A gradient is infinite or not a number.")
    reached = seen.inputs[0] is not None and bool((seen.inputs[0].abs().sum(-1) > 0).all())
    expect.that(reached, "The gradient does not reach every token of the input.")


@check("own-finite", title="large inputs do not break it", needs=["own-shape"])
def test_own_finite(member, expect, rng):
    """Residual streams grow with depth. Inputs of 10,000 must still give finite outputs and finite gradients.

    What breaks first is exp without subtracting a maximum, or a division by something that can become 0.
    """
    block = new_block(member, rng)
    x, g = rng.normal(2, 5, 12, std=10_000.0), rng.normal(2, 5, 12)
    seen = member.vjp(block, x, cotangent=g)
    expect.that(bool(seen.output.isfinite().all()), "The output is infinite or not a number.")
    finite = seen.inputs[0] is not None and bool(seen.inputs[0].isfinite().all())
    expect.that(finite, "The gradient with respect to the input is infinite or not a number.")


@check("own-saved", title="it can be saved, loaded, copied, and used in float32", needs=["own-shape"])
def test_own_saved(member, expect, rng):
    """A second block that loads the first one's state_dict gives the same output; so does a deep copy.

    In float32 it takes float32 and gives float32. Long training runs depend on this.
    """
    block, twin = new_block(member, rng).eval(), new_block(member, rng).eval()
    x = rng.normal(2, 5, 12)
    y = block(x)
    twin.load_state_dict(block.state_dict())
    expect.close(twin(x), y, say="A second block with the first one's state_dict.")
    expect.close(member.deepcopy(block)(x), y, say="A deep copy.")
    small = block.float()(x.float())
    expect.equal(str(small.dtype), "torch.float32", say="The output of a float32 block.")
    expect.close(small.double(), y, atol=1e-3, say="The output in float32.")
