"""Step `sampling`: from scores to probabilities, and from probabilities to text.

The check brings a small model along, whose scores depend on every token that it sees and on where that token stands.
B batch, T time, V vocabulary.
"""

import math

import text_toys
import torch
from text_bench import (
    alone,
    by_hand,
    check_mode,
    clear_rows,
    is_clear,
    last,
    surprise,
    table,
    toy_whose_choice_moves,
)

from cohort_cli.checking.authoring import check


def scores_of(rng, V=9, rows=3):
    """Logits (rows, V), in every row all different, in steps of 1/16: no rounding decides which one is larger."""
    return torch.stack([rng.permutation(6 * V)[:V].double() / 16 - 1 for _ in range(rows)])


def compare(member, expect, logits, **how):
    """The member's probabilities and ours, and which of them are 0. 1e-6: float32 is good enough."""
    say = ", ".join(f"{name}={value}" for name, value in how.items()) + ":"
    want = torch.tensor([by_hand(row, **how) for row in logits], dtype=torch.float64)
    got = member.sampling.next_token_probs(logits, **how)
    expect.close(got, want, atol=1e-6, axes=("row", "token"), say=f"{say} the probabilities.")
    expect.equal(got == 0, want == 0, say=f"{say} which tokens have exactly 0.")


@check("probs-temperature", title="temperature divides the scores, and 0 takes the likeliest")
def test_probs_temperature(member, expect, rng):
    """softmax(logits / temperature), each row on its own. Below 1 the likely tokens gain, above 1 the others do.

    Near 0 the likeliest has all; at 0 itself there is nothing to divide by, so 0 is a case of its own. If several are
    the likeliest, the first has all. A number that is added to all logits changes nothing, also if it is 1000: subtract
    the largest before exp, or let torch.softmax do it. The logits that came in stay as they were.
    """
    logits = scores_of(rng)
    for temperature in (1.0, 0.5, 3.0):
        compare(member, expect, logits, temperature=temperature)
    compare(member, expect, logits + 1000.0, temperature=0.5)
    want = torch.tensor([by_hand(row, 0.0) for row in logits], dtype=torch.float64)
    for temperature in (0.0, 0.0001):
        got = member.sampling.next_token_probs(logits, temperature=temperature)
        expect.close(got, want, atol=1e-6, axes=("row", "token"), say=f"temperature={temperature}.")
    level = torch.zeros(2, 9, dtype=torch.float64)
    level[0, 4:7], level[1, 7:] = 1.0, 1.0
    want = torch.zeros(2, 9, dtype=torch.float64)
    want[0, 4], want[1, 7] = 1.0, 1.0
    got = member.sampling.next_token_probs(level, temperature=0.0)
    expect.close(got, want, atol=1e-6, axes=("row", "token"), say="temperature=0, and several are largest.")
    for how in ({"temperature": 0.7}, {"top_k": 3}, {"top_p": 0.6}):
        _, after = member.echo(member.sampling.next_token_probs, logits, **how)
        expect.equal(after[0], logits, say=f"The logits after the call with {how}.")


@check("probs-top-k", title="top_k keeps k tokens, no more and no fewer", needs=["probs-temperature"])
def test_probs_top_k(member, expect, rng):
    """For every k from 1 to V, and for k above V, which keeps all. The others get exactly 0: 1e-10 is not 0, and in
    20,000 words of text it is drawn sooner or later. What is kept adds up to 1 again.

    Each row has a cut of its own; k = 1 is the greedy choice.
    """
    logits = scores_of(rng)
    for top_k in (1, 2, 5, 8, 9, 10, 50):
        compare(member, expect, logits, top_k=top_k)
    compare(member, expect, logits - 20.0, top_k=4)


@check("probs-top-p", title="top_p keeps the smallest set that has at least p", needs=["probs-temperature"])
def test_probs_top_p(member, expect, rng):
    """The token with which the sum reaches p is kept, and the next one is not: tried a little below and a little above
    the sum of the 1, 2, 3 … likeliest tokens of each row.

    A tiny p leaves the likeliest token, which is the greedy choice; p = 1 leaves all. Each row has its own cut. If the
    wrong tokens are kept: after sorting, the cut has to go back to the places that the tokens came from.
    """
    logits = scores_of(rng)
    sums = torch.tensor([by_hand(row) for row in logits], dtype=torch.float64)
    sums = sums.sort(dim=-1, descending=True).values.cumsum(-1)
    compare(member, expect, logits, top_p=1e-9)
    for place in (3, 1, 5, 0, 2, 4):
        for row in range(3):
            for step in (-1e-4, 1e-4):
                top_p = float(sums[row, place]) + step
                # If this is also near a cut of another row, rounding would decide there.
                near = (sums - top_p).abs()
                if 0.0 < top_p < 1.0 and float(near.min()) > 5e-5:
                    compare(member, expect, logits, top_p=top_p)
    compare(member, expect, logits, top_p=1.0)


@check("probs-order", title="first temperature, then top_k, then top_p", needs=["probs-top-k", "probs-top-p"])
def test_probs_order(member, expect, rng):
    """Temperature changes how many tokens top_p keeps, so it comes first. After top_k the rest adds up to 1 again
    before top_p looks at it.

    The values of top_p here are chosen so that another order gives other tokens.
    """
    for temperature, top_k in ((2.0, 4), (0.6, 3), (3.0, 7)):
        logits = scores_of(rng)
        for first in logits:
            held = sorted(by_hand(first, temperature, top_k), reverse=True)
            for n in range(1, top_k):
                top_p = math.fsum(held[:n]) - 1e-4
                sums = [sorted(by_hand(row, temperature, top_k), reverse=True) for row in logits]
                near = (torch.tensor(sums, dtype=torch.float64).cumsum(-1) - top_p).abs()
                if top_p > 0.0 and float(near.min()) > 5e-5:
                    compare(member, expect, logits, temperature=temperature, top_k=top_k, top_p=top_p)


@check("probs-errors", title="a setting that means nothing is refused", needs=["probs-temperature"])
def test_probs_errors(member, expect, rng):
    """A negative temperature turns the order round, top_k = 0 would keep nothing, top_p = 15 was meant as 15 per cent.

    Each of these is a ValueError, and the values at the border are not.
    """
    logits, probs = scores_of(rng), member.sampling.next_token_probs
    wrong = [{"temperature": value} for value in (-1.0, -1e-6, float("inf"))]
    wrong += [{"top_k": value} for value in (0, -1)]
    wrong += [{"top_p": value} for value in (0.0, -0.5, 1.0001, 15.0)]
    for how in wrong:
        expect.raises(probs, logits, say=f"{how} needs a ValueError.", **how)
    right = ({"temperature": 0.0}, {"temperature": 100.0}, {"top_k": 1}, {"top_p": 1.0}, {"top_p": 1e-6})
    for how in right:
        expect.shape(probs(logits, **how), (3, 9), say=f"The probabilities with {how}.")


@check("generate-greedy", title="each sampler at its limit takes the likeliest token, row by row")
def test_generate_greedy(member, expect, rng):
    """temperature=0, a very small temperature, top_k=1 and a tiny top_p: all give the same text, that of argmax.

    Three prompts: short, exactly block_size long, and longer. The model sees the last block_size tokens, and what it
    says at the last of them decides. The whole prompt stays in front, and idx itself is not changed. With
    max_new_tokens=0 nothing is added.
    """
    number, model = toy_whose_choice_moves(rng, 11, 6)
    theirs = member.bring(text_toys).Toy(number, 11, 6)
    limits = ({"temperature": 0.0}, {"temperature": 1e-5}, {"top_k": 1}, {"top_p": 1e-9, "temperature": 2.0})
    for T, new in ((2, 9), (6, 5), (9, 4)):
        idx = torch.stack(clear_rows(rng, model, 11, [T] * 5, new))
        want = torch.tensor([alone(model, row, new) for row in idx.tolist()])
        for how in limits:
            got, after = member.echo(member.sampling.generate, theirs, idx, new, **how)
            say = f"{T} tokens and {new} new ones, block_size 6, {how}."
            expect.shape(got, (5, T + new), say=say)
            expect.equal(got, want, say=say)
            expect.equal(after[1], idx, say=f"The prompt after the call: {say}")
    idx = rng.integers(0, 11, 2, 3)
    expect.equal(member.sampling.generate(theirs, idx, 0), idx, say="max_new_tokens=0.")
    most = max(columns for _, columns in member.get(theirs, "calls"))
    expect.equal(most, 6, say="The most tokens that the model was given at once (block_size is 6).")


@check("generate-draws", title="tokens come as often as they should, each row for itself")
def test_generate_draws(member, expect, rng):
    """Two prompts, each 2,000 times (in four calls), two new tokens. How often does each token come first? How often
    second, after each first one? How often does each pair come in two rows that are neighbours?

    One draw for all rows, or the same random numbers at every step, gives the right share of each token and the wrong
    share of pairs. A correct answer fails here less than once in a million runs.

    The same generator seed gives the same text, whatever was drawn before; another seed gives another. So do two calls
    without a generator.
    """
    V, rows = 7, 4000
    number, seed = rng.random.randrange(2**31), rng.random.randrange(2**31)
    model = text_toys.Toy(number, V, 6, 0.5)
    theirs = member.bring(text_toys).Toy(number, V, 6, 0.5)
    prompts = rng.integers(0, V, 2, 3)
    prompts[1, 2] = (prompts[0, 2] + 1) % V
    for how in ({}, {"temperature": 0.6}, {"temperature": 2.0, "top_k": 4}, {"top_p": 0.8}):
        texts = []
        for part in range(4):
            generator = torch.Generator().manual_seed(seed + part)
            idx = prompts.repeat(rows // 8, 1)
            texts.append(member.sampling.generate(theirs, idx, 2, generator=generator, **how))
        text = torch.cat(texts)
        expect.shape(text, (rows, 5), say=f"{rows} rows, 3 tokens and 2 new ones, {how}.")
        say = ", ".join(f"{name}={value}" for name, value in how.items()) or "temperature=1"
        first = []
        for row in range(2):
            prompt, drawn = prompts[row].tolist(), text[row::2, 3:]
            one = torch.tensor(by_hand(last(model, prompt), **how), dtype=torch.float64)
            two = [by_hand(last(model, [*prompt, token]), **how) for token in range(V)]
            two = one[:, None] * torch.tensor(two, dtype=torch.float64)
            first.append(one)
            for what, seen, want in (
                ("the first new token", table(drawn[:, 0], V=V), one * len(drawn)),
                ("the pair of new tokens", table(drawn[:, 0], drawn[:, 1], V=V), two * len(drawn)),
            ):
                fits = surprise(seen, want) > 1e-9
                expect.that(
                    fits, f"{say}, prompt {row}: how often each came, as {what}.", got=seen, want=want
                )
        seen = table(text[0::2, 3], text[1::2, 3], V=V)
        want = torch.outer(*first) * (rows // 2)
        say = f"{say}: how often each pair came in two rows that are neighbours."
        expect.that(surprise(seen, want) > 1e-9, say, got=seen, want=want)
    idx, texts = prompts.repeat(4, 1), []
    for start, other in ((1, seed), (2, seed), (3, seed + 1), (4, None), (5, None)):
        member.seed(start)
        generator = None if other is None else torch.Generator().manual_seed(other)
        texts.append(member.sampling.generate(theirs, idx, 12, temperature=3.0, generator=generator))
    expect.equal(texts[1], texts[0], say="Two texts from generators with the same seed.")
    differs = not torch.equal(texts[2], texts[0])
    expect.that(differs, "Generators with different seeds gave the same 96 tokens.", got=texts[2])
    differs = not torch.equal(texts[3], texts[4])
    expect.that(differs, "Without a generator, two calls gave the same 96 tokens.", got=texts[3])


@check("generate-eos", title="a row that has ended waits for the others", needs=["generate-greedy"])
def test_generate_eos(member, expect, rng):
    """Five rows draw eos_id at different steps. From then on each is filled with eos_id, and the others go on as if
    nothing had happened. When the last one has drawn it, no column is added.

    Once eos_id is 0, which Python takes for false. It also stands in a prompt, where it was not drawn and ends nothing.
    """
    for eos_id in (3, 0):
        number, idx, free, ends = rows_that_end(rng, eos_id)
        theirs = member.bring(text_toys).Toy(number, 5, 8)
        for new in (14, max(ends) + 1, max(ends)):
            n = min(new, max(ends) + 1)
            rows = [(row[: end + 1] + [eos_id] * n)[:n] for row, end in zip(free, ends, strict=True)]
            want = torch.cat([idx, torch.tensor(rows)], dim=1)
            got = member.sampling.generate(theirs, idx, new, temperature=0.0, eos_id=eos_id)
            say = f"eos_id={eos_id} is drawn as new token {[end + 1 for end in ends]}, of {new}."
            expect.equal(got, want, say=say)
        got = member.sampling.generate(theirs, idx, 14, temperature=0.0)
        want = torch.cat([idx, torch.tensor(free)], dim=1)
        expect.equal(got, want, say="Without eos_id, no token ends anything.")


def rows_that_end(rng, eos_id):
    """A Toy's number, five prompts, what follows them freely, and at which different steps each draws eos_id."""
    for _ in range(4000):
        number = rng.random.randrange(2**31)
        model = text_toys.Toy(number, 5, 8)
        idx = rng.integers(0, 4, 5, 3)
        idx += idx >= eos_id  # no eos_id in the prompts, but for two
        idx[0, 1], idx[1, 2] = eos_id, eos_id
        free = [alone(model, row, 14)[3:] for row in idx.tolist()]
        ends = [row.index(eos_id) if eos_id in row[:10] else 99 for row in free]
        others = [set(row[end + 1 : end + 3]) - {eos_id} for row, end in zip(free, ends, strict=True)]
        at_once = any(all(token == eos_id for token in step) for step in zip(*free, strict=True))
        fits = max(ends) < 10 and len(set(ends)) >= 3 and all(others) and min(ends[:2]) >= 2 and not at_once
        if fits and all(is_clear(model, row, 14) for row in idx.tolist()):
            break
    return number, idx, free, ends


@check("generate-mode", title="eval mode meanwhile, and afterwards the mode that it was in")
def test_generate_mode(member, expect, rng):
    """Dropout in a text is noise, and the record for gradients is memory that nobody needs: eval() and no_grad().

    Who calls this in the middle of training wants to go on training, also if the model raised an error half-way: that
    needs try and finally. A model that was in eval mode stays there.
    """
    toys, generate = member.bring(text_toys), member.sampling.generate
    number, idx = rng.random.randrange(2**31), rng.integers(0, 7, 2, 3)
    check_mode(expect, member, toys, number, lambda model: generate(model, idx, 4))
