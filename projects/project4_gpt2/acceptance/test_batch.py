"""Step `batch`: prompts of different lengths are continued together, and none of them sees the padding.

The check brings a small model along, whose scores depend on every token that it sees and on where that token stands.
"""

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


def ragged(rng, V, lengths):
    return [rng.integers(0, V, length) for length in lengths]


def compare(expect, got, want, say):
    """A list of texts (T_i,), each with its prompt in front."""
    expect.that(isinstance(got, list), f"{say} A list of tensors is needed.", got=type(got).__name__)
    expect.equal([text.tolist() for text in got], want, say=say)


@check("batch-alone", title="each row gets what it would get alone")
def test_batch_alone(member, expect, rng):
    """Greedy texts of six prompts of 1 to 7 tokens, in several orders and with several neighbours. Each must be what its
    prompt gets without any of the others.

    A prompt that is filled up at the left stands at other positions; one that is filled up at the right must be read at
    its own last token, and its new tokens follow it at once. Also with the longest prompt alone, and with prompts of one
    length.
    """
    number, model = toy_whose_choice_moves(rng, 11, 17)
    theirs = member.bring(text_toys).Toy(number, 11, 17)
    prompts = clear_rows(rng, model, 11, (3, 1, 7, 5, 7, 2), 9)
    for chosen in ((0, 1, 2, 3, 4, 5), (5, 0, 1), (2,), (1,), (4, 2), (3, 2, 1, 0)):
        for new in (1, 9):
            some = [prompts[i] for i in chosen]
            want = [alone(model, prompt.tolist(), new) for prompt in some]
            got = member.sampling.generate_batch(theirs, some, new, temperature=0.0)
            say = f"Prompts of {', '.join(str(len(prompt)) for prompt in some)} tokens, {new} new ones."
            compare(expect, got, want, say)
    for how in ({"top_k": 1}, {"top_p": 1e-9, "temperature": 2.0}, {"temperature": 1e-5}):
        got = member.sampling.generate_batch(theirs, prompts, 9, **how)
        want = [alone(model, prompt.tolist(), 9) for prompt in prompts]
        compare(expect, got, want, f"{how} is the greedy choice too.")


@check("batch-together", title="one call of the model for all rows", needs=["batch-alone"])
def test_batch_together(member, expect, rng):
    """Eight new tokens for five prompts: at most eight calls of the model. One call for each
    prompt would give the same text, five times slower.

    No call has more than block_size columns, and the prompts that came in stay as they were.
    """
    theirs = member.bring(text_toys).Toy(rng.random.randrange(2**31), 11, 14)
    prompts = ragged(rng, 11, (3, 6, 1, 4, 2))
    _, after = member.echo(member.sampling.generate_batch, theirs, prompts, 8, temperature=0.0)
    calls = member.get(theirs, "calls")
    expect.that(len(calls) <= 8, "At most eight calls of the model.", got=len(calls))
    widest = max(columns for _, columns in calls)
    expect.that(widest <= 14, "The model must not see more than block_size = 14 columns.", got=widest)
    same = [text.tolist() for text in after[1]] == [prompt.tolist() for prompt in prompts]
    expect.that(same, "The prompts must stay as they were.", got=[text.tolist() for text in after[1]])


@check("batch-eos", title="every row ends with its own eos_id", needs=["batch-alone"])
def test_batch_eos(member, expect, rng):
    """Each text ends with the eos_id that it drew, and nothing follows; the others go on. One that draws none gets all
    its tokens. When all have ended, the model is not called again.

    eos_id is 0 here, which Python takes for false, and which is also the likeliest number to fill up with. It stands in
    two of the prompts, where it was not drawn and ends nothing.
    """
    for all_end in (True, False):
        for _ in range(4000):
            number = rng.random.randrange(2**31)
            model = text_toys.Toy(number, 5, 17)
            prompts = ragged(rng, 5, (3, 1, 4, 2))
            prompts[0][1], prompts[3][1] = 0, 0
            want = [alone(model, prompt.tolist(), 12, 0) for prompt in prompts]
            added = [len(text) - len(prompt) for text, prompt in zip(want, prompts, strict=True)]
            ended = [text[-1] == 0 and count < 12 for text, count in zip(want, added, strict=True)]
            fits = len(set(added)) >= 3 and sum(ended) == (4 if all_end else 3)
            if fits and all(is_clear(model, prompt.tolist(), 12) for prompt in prompts):
                break
        theirs = member.bring(text_toys).Toy(number, 5, 17)
        got = member.sampling.generate_batch(theirs, prompts, 12, temperature=0.0, eos_id=0)
        compare(expect, got, want, f"eos_id=0; the rows get {added} new tokens.")
        calls = len(member.get(theirs, "calls"))
        most = max(added)
        expect.that(
            calls <= most, "After the last row's end there is nothing to call for.", got=calls, want=most
        )


@check("batch-draws", title="tokens are drawn from each row's own probabilities", needs=["batch-alone"])
def test_batch_draws(member, expect, rng):
    """Three prompts of different lengths, each 500 times (in four calls), with temperature, top_k and top_p. How
    often does each token come? How often each pair in two rows that are neighbours? A correct answer fails here less
    than once in a million runs.

    The same generator seed gives the same texts, and another seed gives others.
    """
    V, times = 7, 500
    number, seed = rng.random.randrange(2**31), rng.random.randrange(2**31)
    model, theirs = text_toys.Toy(number, V, 10, 0.5), member.bring(text_toys).Toy(number, V, 10, 0.5)
    prompts = ragged(rng, V, (4, 1, 2))
    for how in ({}, {"temperature": 0.6, "top_k": 5}, {"temperature": 1.5, "top_p": 0.8}):
        texts = []
        for part in range(4):
            generator = torch.Generator().manual_seed(seed + part)
            idx = prompts * (times // 4)
            texts += member.sampling.generate_batch(theirs, idx, 1, generator=generator, **how)
        say = ", ".join(f"{name}={value}" for name, value in how.items()) or "temperature=1"
        lengths = [len(text) for text in texts]
        expect.equal(lengths, [5, 2, 3] * times, say="The lengths of 1500 texts with one new token.")
        drawn = torch.stack([text[-1] for text in texts]).view(times, 3)
        chances = [by_hand(last(model, prompt.tolist()), **how) for prompt in prompts]
        chances = torch.tensor(chances, dtype=torch.float64)
        for row in range(3):
            seen, want = table(drawn[:, row], V=V), chances[row] * times
            words = f"{say}, a prompt of {len(prompts[row])} tokens: how often each token came."
            expect.that(surprise(seen, want) > 1e-9, words, got=seen, want=want)
        seen = table(drawn[:, 0], drawn[:, 1], V=V)
        want = torch.outer(chances[0], chances[1]) * times
        words = f"{say}: how often each pair came in two rows that are neighbours."
        expect.that(surprise(seen, want) > 1e-9, words, got=seen, want=want)
    found = []
    for start, other in ((1, seed), (2, seed), (3, seed + 1)):
        member.seed(start)
        generator = torch.Generator().manual_seed(other)
        texts = member.sampling.generate_batch(theirs, prompts * 5, 5, temperature=3.0, generator=generator)
        found.append([text.tolist() for text in texts])
    expect.equal(found[1], found[0], say="Texts from generators with the same seed.")
    expect.that(found[2] != found[0], "Generators with different seeds gave the same 75 tokens.")


@check("batch-borders", title="empty prompts and texts that are too long are refused", needs=["batch-alone"])
def test_batch_borders(member, expect, rng):
    """Nothing predicts the first token of an empty prompt, so it is a ValueError. So is a text that would not fit into
    block_size: here no window can slide, since each row stands at another place. Exactly block_size tokens fit.

    No prompts give no texts. With max_new_tokens=0 the prompts come back.
    """
    number = rng.random.randrange(2**31)
    model, theirs = text_toys.Toy(number, 7, 8), member.bring(text_toys).Toy(number, 7, 8)
    generate_batch = member.sampling.generate_batch
    prompts = clear_rows(rng, model, 7, (3, 5, 1), 3)
    want = [alone(model, prompt.tolist(), 3) for prompt in prompts]
    compare(expect, generate_batch(theirs, prompts, 3, temperature=0.0), want, "5 + 3 tokens fit into 8.")
    say = "5 + 4 tokens do not fit into block_size = 8: a ValueError."
    for order in ((1, 0, 2), (0, 1, 2), (2, 0, 1)):
        expect.raises(generate_batch, theirs, [prompts[i] for i in order], 4, say=say)
    empty = [*prompts, torch.zeros(0, dtype=torch.int64)]
    expect.raises(generate_batch, theirs, empty, 2, say="One of four prompts has no tokens: a ValueError.")
    compare(expect, generate_batch(theirs, [], 3), [], "No prompts.")
    want = [prompt.tolist() for prompt in prompts]
    compare(expect, generate_batch(theirs, prompts, 0), want, "max_new_tokens=0.")


@check("batch-mode", title="eval mode meanwhile, and afterwards the mode that it was in")
def test_batch_mode(member, expect, rng):
    """As in generate: eval() and no_grad() while text is made, and the old mode afterwards, also after an error."""
    toys, prompts = member.bring(text_toys), ragged(rng, 7, (3, 1))
    number = rng.random.randrange(2**31)
    check_mode(expect, member, toys, number, lambda m: member.sampling.generate_batch(m, prompts, 4))
