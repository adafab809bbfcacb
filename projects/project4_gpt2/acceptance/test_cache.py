"""Step `cache`: keys and values are computed once, and the text is the same.

B batch, V = 13 = vocab_size, C = 12 = n_embd, H = 3 heads, two layers, at most 8 tokens. All weights are drawn, so that
nothing is 0 or 1 by chance. The logits with a cache are compared with your own model's logits without one.
"""

import itertools

import text_toys
import torch

from cohort_cli.checking.authoring import check

SIZE = {"block_size": 8, "vocab_size": 13, "n_layer": 2, "n_head": 3, "n_embd": 12}


def new_gpt(member, rng, **fields):
    """The member's model in float64 and in eval mode, with random numbers in every parameter; its configuration.

    And look(model, idx, cache), which gives its logits while nothing is recorded for gradients.
    """
    config = member.gpt.GPTConfig(**{**SIZE, **fields})
    model = member.gpt.GPT(config).double().eval()
    spread = {name: 0.5 if value.dim() < 2 else 0.6 for name, value in model.parameters().items()}
    model.assign({n: rng.normal(*v.shape, std=spread[n]) for n, v in model.parameters().items()})
    return model, config, member.bring(text_toys).logits


def new_cache(member, config, rows):
    return member.cache.KVCache(config, rows, dtype=torch.float64)


def in_chunks(look, model, idx, sizes, cache):
    """The logits of all chunks, one after the other, joined."""
    parts, start = [], 0
    for size in sizes:
        parts.append(look(model, idx[:, start : start + size], cache))
        start += size
    return torch.cat(parts, dim=1)


def splits(T):
    """Every way to cut T tokens into chunks; first the one in which every wrong mask gives other logits."""
    found = []
    for cuts in itertools.product((False, True), repeat=T - 1):
        places = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), T]
        found.append([b - a for a, b in itertools.pairwise(places)])
    return sorted(found, key=lambda sizes: (sizes != [3, T - 3], len(sizes), sizes))


@check("cache-splits", title="the logits are those without a cache, however the text is cut into chunks")
def test_cache_splits(member, expect, rng):
    """Seven tokens, three rows, cut in all 64 ways: at once, one by one, and everything between. The logits of all
    chunks together must be those of one call without a cache.

    If only the first chunk is right, look at the positions: a chunk's first token stands where the cache ends. If
    chunks of one token are right and longer ones are not, look at the mask: in a chunk, query t sees everything in
    the cache and the chunk's own keys up to t. is_causal=True of scaled_dot_product_attention means something else
    there.
    """
    model, config, look = new_gpt(member, rng)
    idx = rng.integers(0, 13, 3, 7)
    want = look(model, idx)
    for sizes in splits(7):
        cache = new_cache(member, config, 3)
        got = in_chunks(look, model, idx, sizes, cache)
        say = f"Chunks of {', '.join(map(str, sizes))} tokens."
        expect.close(got, want, atol=1e-9, axes=("row", "token", "word"), say=say)
    again = look(model, idx)
    expect.close(again, want, atol=1e-9, axes=("row", "token", "word"), say="Without a cache, afterwards.")


@check("cache-length", title="length counts the tokens that it has seen", needs=["cache-splits"])
def test_cache_length(member, expect, rng):
    """0 at first, and after each call the number of tokens that were given so far, with one layer or three, one row or
    five. A call without a cache counts nothing.
    """
    for layers, rows in ((1, 1), (3, 5), (2, 2)):
        model, config, look = new_gpt(member, rng, n_layer=layers)
        cache = new_cache(member, config, rows)
        expect.equal(member.get(cache, "length"), 0, say="The length of a new cache.")
        seen = 0
        for size in (3, 1, 1, 2):
            look(model, rng.integers(0, 13, rows, size), cache)
            look(model, rng.integers(0, 13, rows, size))
            seen += size
            say = f"{layers} layers, {rows} rows: the length after {seen} tokens."
            expect.equal(member.get(cache, "length"), seen, say=say)


@check("cache-own", title="two texts with one model do not mix", needs=["cache-splits"])
def test_cache_own(member, expect, rng):
    """Two caches take turns with the same model, of other lengths and other numbers of rows: each must go on where it
    stands itself. What was seen belongs into the cache; a position or a key that the model keeps is another text's.

    A cache for one row is made without batch_size, whose default is 1.
    """
    model, config, look = new_gpt(member, rng)
    first, second = rng.integers(0, 13, 2, 8), rng.integers(0, 13, 1, 6)
    ours, theirs = new_cache(member, config, 2), member.cache.KVCache(config, dtype=torch.float64)
    got = [[], []]
    for one, two in ((slice(0, 3), slice(0, 1)), (slice(3, 4), slice(1, 5)), (slice(4, 8), slice(5, 6))):
        got[0].append(look(model, first[:, one], ours))
        got[1].append(look(model, second[:, two], theirs))
    for what, parts, idx in (("first", got[0], first), ("second", got[1], second)):
        say = f"The {what} of two texts that take turns."
        expect.close(torch.cat(parts, 1), look(model, idx), atol=1e-9, axes=("row", "token", "word"), say=say)


@check("cache-reset", title="after reset() the next token is the first", needs=["cache-splits"])
def test_cache_reset(member, expect, rng):
    """Full to the last place, reset, then a shorter text: its logits must be those of a new cache. What is left of the
    old text, a position or a key, would show.
    """
    model, config, look = new_gpt(member, rng)
    cache = new_cache(member, config, 3)
    for T, sizes in ((8, (5, 3)), (6, (2, 1, 3)), (8, (1, 7))):
        idx = rng.integers(0, 13, 3, T)
        got = in_chunks(look, model, idx, sizes, cache)
        say = f"{T} tokens, with the same cache after reset()."
        expect.close(got, look(model, idx), atol=1e-9, axes=("row", "token", "word"), say=say)
        cache.reset()
        expect.equal(member.get(cache, "length"), 0, say="The length after reset().")


@check("cache-full", title="one token too many is refused, and nothing has changed", needs=["cache-splits"])
def test_cache_full(member, expect, rng):
    """block_size tokens fit, in every way to cut them. One more is a ValueError, also if the new tokens alone would fit.

    After it, the cache is as it was: its length is the same, and a chunk that does fit gets the right logits.
    """
    model, config, look = new_gpt(member, rng)
    idx = rng.integers(0, 13, 3, 8)
    want = look(model, idx)
    for sizes, too_many in (((8,), 1), ((5, 3), 1), ((5,), 4), ((1, 6), 2), ((), 9)):
        cache = new_cache(member, config, 3)
        got = [in_chunks(look, model, idx, sizes, cache)] if sizes else []
        seen = sum(sizes)
        say = f"{seen} tokens in the cache and {too_many} new ones, block_size 8: a ValueError."
        expect.raises(look, model, rng.integers(0, 13, 3, too_many), cache, say=say)
        expect.equal(member.get(cache, "length"), seen, say="The length after the error.")
        if seen < 8:
            got.append(look(model, idx[:, seen:], cache))
        got = torch.cat(got, 1)
        say = f"{seen} tokens, then {too_many} that were refused, then {8 - seen} that fit."
        expect.close(got, want, atol=1e-9, axes=("row", "token", "word"), say=say)


@check("cache-dtype", title="what is kept is as precise as it was asked for", needs=["cache-splits"])
def test_cache_dtype(member, expect, rng):
    """dtype=torch.float64 keeps keys and values in float64: through float32 they would lose half of their digits.

    A model in float32 with a cache without dtype gives float32. In bfloat16, with dtype=torch.bfloat16, it works too.
    """
    model, config, look = new_gpt(member, rng)
    idx = rng.integers(0, 13, 2, 8)
    want = look(model, idx)
    got = in_chunks(look, model, idx, (3, 1, 4), new_cache(member, config, 2))
    expect.equal(got.dtype, torch.float64, say="The data type of the logits of a model in float64.")
    expect.close(got, want, atol=1e-11, axes=("row", "token", "word"), say="float64, to 11 digits.")
    scale = float(want.abs().max())
    for dtype, made, part in ((torch.float32, {}, 1e-4), (torch.bfloat16, {"dtype": torch.bfloat16}, 0.2)):
        small = model.float() if dtype is torch.float32 else model.bfloat16()
        got = in_chunks(look, small, idx, (3, 1, 4), member.cache.KVCache(config, 2, **made))
        expect.equal(got.dtype, dtype, say=f"The data type of the logits of a model in {dtype}.")
        say = f"The logits in {dtype}."
        expect.close(got, want, atol=part * scale, axes=("row", "token", "word"), say=say)


@check("cache-work", title="a new token costs one position's work", needs=["cache-splits"])
def test_cache_work(member, expect, rng):
    """The numbers that torch computes are counted, not the seconds. After 60 tokens, one more with the cache must take
    less than half of what all 61 take without one. (It takes a tenth or less; joining old and new keys costs some.)

    If it takes as much, the old keys and values are computed again.
    """
    toys = member.bring(text_toys)
    model, config, look = new_gpt(member, rng, block_size=64)
    idx = rng.integers(0, 13, 2, 61)
    whole = toys.work(model, idx)
    cache = new_cache(member, config, 2)
    look(model, idx[:, :60], cache)
    one = toys.work(model, idx[:, 60:], cache)
    share = one / whole
    say = "The work for one token with a cache, as a share of the work for all 61 without one."
    expect.that(share < 0.5, say, got=round(share, 3), want="less than 0.5")


@check(
    "cache-generate", title="use_cache=True gives the same text", needs=["cache-splits", "generate-greedy"]
)
def test_cache_generate(member, expect, rng):
    """Greedy and drawn with the same seed, several rows, with and without eos_id; texts that stay below block_size, that
    end exactly there, and that grow past it.

    With learned positions nothing can be kept once the window slides: each token then stands at another place, so its
    key is another one.
    """
    model, _, _ = new_gpt(member, rng)
    generate = member.sampling.generate
    cases = [(3, 4), (3, 5), (2, 14), (8, 3), (11, 4), (1, 1)]
    for T, new in cases:
        idx = rng.integers(0, 13, 4, T)
        seed = rng.random.randrange(2**31)
        for how in (
            {"temperature": 0.0},
            {"temperature": 1.5},
            {"temperature": 1.5, "eos_id": 2, "top_k": 4},
        ):
            texts = []
            for use_cache in (False, True):
                generator = torch.Generator().manual_seed(seed)
                texts.append(generate(model, idx, new, generator=generator, use_cache=use_cache, **how))
            say = f"{T} tokens and up to {new} new ones, block_size 8, {how}, with the cache."
            expect.equal(texts[1], texts[0], say=say)


@check("cache-saves", title="use_cache=True gives the model new tokens only", needs=["cache-generate"])
def test_cache_saves(member, expect, rng):
    """Six tokens and 20 new ones, while there is room. Without a cache the model is given 6 + 7 + … + 25 = 310
    tokens; with one, 6 and then one at a time. Fewer than 100 are allowed. The prompt goes in at once, not token by
    token.
    """
    toys = member.bring(text_toys)
    model, _, _ = new_gpt(member, rng, block_size=32)
    watch = toys.watched(model)
    idx = rng.integers(0, 13, 3, 6)
    member.sampling.generate(model, idx, 20, temperature=0.0, use_cache=True)
    seen = member.get(watch, "seen")
    expect.that(sum(seen) < 100, "The tokens that the model was given.", got=sum(seen), want="fewer than 100")
    expect.that(len(seen) <= 20, "20 new tokens need at most 20 calls of the model.", got=len(seen))
