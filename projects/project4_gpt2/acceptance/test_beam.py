"""Step `beam`: the likeliest texts that a search of a given width finds.

The check brings a small model along, whose scores depend on every token that it sees and on where that token stands.
What is right was worked out with Python's own numbers: once by trying all texts, once by the rule, one text at a time.
"""

import itertools
import math

import text_toys
import torch
from text_bench import alone, check_mode, last

from cohort_cli.checking.authoring import check

GAP = 1e-4  # scores that are compared differ by more than this, so rounding decides nothing


def logs_of(model, tokens):
    return last(model, tokens).log_softmax(-1).tolist()


def all_texts(model, prompt, new, penalty, eos_id):
    """(score, new tokens) of every text of `new` tokens, or that ends before with eos_id, best first."""
    found, known = [], {}
    for n in range(1, new + 1):
        for tokens in itertools.product(range(len(logs_of(model, prompt))), repeat=n):
            if eos_id in tokens[:-1] or (n < new and tokens[-1] != eos_id):
                continue
            total = 0.0
            for i, token in enumerate(tokens):
                if tokens[:i] not in known:
                    known[tokens[:i]] = logs_of(model, [*prompt, *tokens[:i]])
                total += known[tokens[:i]][token]
            found.append((total / n**penalty, list(tokens)))
    return sorted(found, reverse=True)


def by_the_rule(model, prompt, width, new, penalty=0.0, eos_id=None, wrong=""):
    """(score, new tokens) of what is kept after each step, best first; and the smallest gap that decided something.

    wrong: what another rule would give, to find inputs that tell them apart.
    """
    kept, gap = [(0.0, 0.0, [])], math.inf  # score, sum, new tokens
    for _ in range(new):
        ended = [bool(tokens) and tokens[-1] == eos_id for _, _, tokens in kept]
        if (wrong == "any stops" and any(ended)) or (wrong == "best stops" and ended[0]):
            break
        ranked = []
        for rank, (score, total, tokens) in enumerate(kept):
            if ended[rank] and wrong != "goes on":
                if wrong != "is dropped":
                    ranked.append((-score, rank, 0, total, tokens))
                continue
            continued = []
            for token, log in enumerate(logs_of(model, [*prompt, *tokens])):
                longer = total + log
                score = log if wrong == "last token" else longer / (len(tokens) + 1) ** penalty
                continued.append((-score, rank, token, longer, [*tokens, token]))
            ranked += sorted(continued)[:1] if wrong == "one each" and tokens else continued
        ranked.sort()
        for one, next in itertools.pairwise(ranked[: width + 1]):
            gap = min(gap, next[0] - one[0])
        kept = [(-minus, total, tokens) for minus, _, _, total, tokens in ranked[:width]]
    return [(score, tokens) for score, _, tokens in kept], gap


def all_differ(model, prompt, width, new, *wrongs, eos_id=None):
    """Whether the rule and these other rules give different texts."""
    found = [by_the_rule(model, prompt, width, new, 0.0, eos_id, wrong)[0] for wrong in ("", *wrongs)]
    texts = [[tokens for _, tokens in kept] for kept in found]
    return all(one != other for one, other in itertools.combinations(texts, 2))


def compare(expect, found, prompt, want, say):
    """The member's [(tokens, score)] with our (score, new tokens)."""
    kind = isinstance(found, list) and all(len(item) == 2 for item in found)
    expect.that(kind, f"{say} A list of pairs (tokens, score) is needed.", got=type(found).__name__)
    expect.that(all(isinstance(score, float) for _, score in found), f"{say} A score is a float.")
    texts, wanted = [tokens.tolist() for tokens, _ in found], [[*prompt, *tokens] for _, tokens in want]
    shown = f" The texts are {texts[:3]} …, and must be {wanted[:3]} …." if texts != wanted else ""
    got = torch.tensor([score for _, score in found], dtype=torch.float64)
    scores = torch.tensor([score for score, _ in want], dtype=torch.float64)
    expect.close(got, scores, atol=1e-5, axes=("place",), say=f"{say} The scores, best first.{shown}")
    expect.equal(texts, wanted, say=f"{say} The texts, best first, each with the prompt in front.")


def suitable(rng, fits, V, block_size, sharpness=0.5, T=3):
    """A Toy's number, the judge's Toy, and a prompt, such that `fits(model, prompt)` is true."""
    for _ in range(400):
        number = rng.random.randrange(2**31)
        model = text_toys.Toy(number, V, block_size, sharpness)
        prompt = rng.integers(0, V, T).tolist()
        if fits(model, prompt):
            break
    return member_toy(number, V, block_size, sharpness), model, prompt


def member_toy(*settings):
    return lambda member: member.bring(text_toys).Toy(*settings)


@check("beam-greedy", title="a beam of width 1 is the greedy choice")
def test_beam_greedy(member, expect, rng):
    """One text is kept, so at each step it is the likeliest token that follows it. The same text as greedy's, whatever
    length_penalty is, and its score is the sum of its tokens' log-probabilities divided by n ** length_penalty; n counts
    new tokens only.

    The text grows past block_size: the model sees the last block_size tokens. idx stays as it was.
    """

    def fits(model, prompt):
        return by_the_rule(model, prompt, 1, 7)[1] > GAP and len(set(alone(model, prompt, 7)[3:])) > 3

    toy, model, prompt = suitable(rng, fits, 9, 6)
    theirs, idx = toy(member), torch.tensor([prompt])
    text = alone(model, prompt, 7)
    # Several tokens first: of one alone, a sum of probabilities and the probability of the text are the same.
    for new, penalty in ((4, 0.0), (1, 0.0), (7, 0.0), (7, 1.0), (4, 0.6)):
        search, how = member.sampling.beam_search, {"max_new_tokens": new, "length_penalty": penalty}
        found, after = member.echo(search, theirs, idx, beam_width=1, **how)
        total = math.fsum(logs_of(model, text[: 3 + i])[text[3 + i]] for i in range(new))
        say = f"{new} new tokens after 3, block_size 6, length_penalty={penalty}."
        compare(expect, found, prompt, [(total / new**penalty, text[3 : 3 + new])], say)
        expect.equal(after[1], idx, say="idx after the call.")


@check("beam-wide", title="a beam that is wide enough finds the best of all texts", needs=["beam-greedy"])
def test_beam_wide(member, expect, rng):
    """Three tokens, four steps: 81 texts. With a width of 81 or more nothing is ever dropped, so all of them come
    back, in the order of their scores. Also with an eos_id, where some are shorter, and with a length_penalty.

    A width above the number of texts that there are is no error: at the first step there are only three.
    """

    def fits(model, prompt):
        scores = [score for score, _ in all_texts(model, prompt, 4, 0.0, None)]
        return all(a - b > 1e-6 for a, b in itertools.pairwise(scores))

    toy, model, prompt = suitable(rng, fits, 3, 20)
    theirs = toy(member)
    for width, penalty, eos_id in ((81, 0.0, None), (100, 0.0, None), (81, 0.0, 1), (90, 1.3, 1)):
        want = all_texts(model, prompt, 4, penalty, eos_id)
        how = {"max_new_tokens": 4, "length_penalty": penalty, "eos_id": eos_id}
        idx = torch.tensor([prompt])
        found = member.sampling.beam_search(theirs, idx, beam_width=width, **how)
        # Of all texts, neighbours may be nearer than rounding; they are compared as (score, text) in a dict.
        say = (
            f"All texts of 4 tokens out of 3, beam_width={width}, length_penalty={penalty}, eos_id={eos_id}:"
        )
        got = torch.tensor([score for _, score in found], dtype=torch.float64)
        scores = torch.tensor([score for score, _ in want], dtype=torch.float64)
        expect.close(got, scores, atol=1e-5, axes=("place",), say=f"{say} the scores, best first.")
        texts = {tuple(tokens.tolist()): score for tokens, score in found}
        expect.equal(len(texts), len(want), say=f"{say} the number of different texts.")
        own = [texts.get((*prompt, *tokens), math.nan) for _, tokens in want]
        own = torch.tensor(own, dtype=torch.float64)
        expect.close(own, scores, atol=1e-5, axes=("place",), say=f"{say} the score of each text.")


@check(
    "beam-narrow", title="at each step the best continuations of all kept texts stay", needs=["beam-greedy"]
)
def test_beam_narrow(member, expect, rng):
    """Widths 2, 3 and 6, out of five tokens. All continuations of all kept texts compete with one another: two of the
    same text may stay, and another text may have none. At the beginning there is one text, not beam_width copies of it.

    The tokens and prompts are chosen so that the best text is not the greedy one.
    """
    for width in (3, 6, 2):

        def fits(model, prompt, width=width):
            found, gap = by_the_rule(model, prompt, width, 6)
            parents = [tuple(tokens[:-1]) for _, tokens in found]
            telling = gap > GAP and found[0][1] != alone(model, prompt, 6)[3:] and len(set(parents)) < width
            return telling and all_differ(model, prompt, width, 6, "one each", "last token")

        toy, model, prompt = suitable(rng, fits, 5, 7)
        theirs = toy(member)
        for new in (6, 2, 1):
            want, _ = by_the_rule(model, prompt, width, new)
            idx = torch.tensor([prompt])
            found = member.sampling.beam_search(theirs, idx, beam_width=width, max_new_tokens=new)
            compare(expect, found, prompt, want, f"beam_width={width}, {new} new tokens.")


@check("beam-eos", title="a text that has ended is kept, and competes", needs=["beam-narrow"])
def test_beam_eos(member, expect, rng):
    """It is not continued, it keeps its place and its score, and it loses its place only to better ones. When all
    that are kept have ended, the model is not called again.

    eos_id is once 2 and once 0, which Python takes for false. It also stands at the end of the prompt, where it is
    not new and ends nothing.
    """
    for eos_id, all_end in ((2, False), (0, False), (0, True)):

        def fits(model, prompt, eos_id=eos_id, all_end=all_end):
            prompt[-1] = eos_id
            found, gap = by_the_rule(model, prompt, 3, 7, 0.0, eos_id)
            lengths = sorted({len(tokens) for _, tokens in found})
            wrongs = ["goes on", "is dropped", *([] if all_end else ["any stops", "best stops"])]
            if gap <= GAP or not all_differ(model, prompt, 3, 7, *wrongs, eos_id=eos_id):
                return False
            if all_end:
                return lengths[-1] <= 5 and len(lengths) > 1
            return lengths[-1] == 7 and lengths[0] < 5

        toy, model, prompt = suitable(rng, fits, 4, 20, 0.8)
        theirs = toy(member)
        for new in (7, 3, 1):
            want, _ = by_the_rule(model, prompt, 3, new, 0.0, eos_id)
            how = {"beam_width": 3, "max_new_tokens": new, "eos_id": eos_id}
            found = member.sampling.beam_search(theirs, torch.tensor([prompt]), **how)
            compare(expect, found, prompt, want, f"beam_width=3, up to {new} new tokens, eos_id={eos_id}.")
        if all_end:
            seen = max(columns for _, columns in member.get(theirs, "calls"))
            most = max(ended_before(model, prompt, eos_id))
            say = "When all kept texts have ended, the model is not called again: the longest text that it was given."
            expect.that(seen <= most, say, got=seen, want=most)


def ended_before(model, prompt, eos_id):
    """The lengths of the texts that a search of width 3 has to continue."""
    lengths = []
    for new in range(8):
        kept, _ = by_the_rule(model, prompt, 3, new, 0.0, eos_id)
        lengths += [len(prompt) + len(t) for _, t in kept if not t or t[-1] != eos_id]
        if lengths[-1] < len(prompt) + new:
            break
    return lengths


@check("beam-length", title="the score is divided by n ** length_penalty, at every step", needs=["beam-eos"])
def test_beam_length(member, expect, rng):
    """A sum of logarithms falls with every token, so without a penalty short texts win. Divided by n ** 1 it is the mean
    per token. The divided scores decide at every step, not only at the end.

    n is the number of new tokens of that text, its eos_id included, the prompt not. Chosen so that each length_penalty
    gives other texts, and so that dividing only at the end gives others too.
    """
    for penalty in (1.0, 0.5, 2.0):

        def fits(model, prompt, penalty=penalty):
            found, gap = by_the_rule(model, prompt, 3, 6, penalty, 1)
            plain, _ = by_the_rule(model, prompt, 3, 6, 0.0, 1)
            at_the_end = sorted((t for _, t in plain))
            lengths = {len(tokens) for _, tokens in found}
            return gap > GAP and sorted(t for _, t in found) != at_the_end and len(lengths) > 1

        toy, model, prompt = suitable(rng, fits, 4, 20, 0.5)
        want, _ = by_the_rule(model, prompt, 3, 6, penalty, 1)
        how = {"beam_width": 3, "max_new_tokens": 6, "eos_id": 1, "length_penalty": penalty}
        found = member.sampling.beam_search(toy(member), torch.tensor([prompt]), **how)
        compare(expect, found, prompt, want, f"length_penalty={penalty}, beam_width=3, eos_id=1.")


@check(
    "beam-ties", title="of equal scores the better text's and the lower token comes first", needs=["beam-eos"]
)
def test_beam_ties(member, expect, rng):
    """Here the model finds all tokens equally likely, so scores are equal everywhere, and only the rule decides:
    first by the text that is continued, the better one first, then by the token id.

    torch.topk and an unstable sort do not promise any order of equals; sort with stable=True, or Python's sorted.
    """
    theirs = member.bring(text_toys).Level(rng.random.randrange(2**31), 20, 20)
    model = text_toys.Level(0, 20, 20)
    prompt = rng.integers(0, 20, 3).tolist()
    for width, new, eos_id in ((4, 1, None), (4, 3, None), (25, 2, None), (3, 2, 1), (4, 3, 3)):
        want, _ = by_the_rule(model, prompt, width, new, 0.0, eos_id)
        how = {"beam_width": width, "max_new_tokens": new, "eos_id": eos_id}
        found = member.sampling.beam_search(theirs, torch.tensor([prompt]), **how)
        compare(expect, found, prompt, want, f"20 tokens equally likely, {how}.")


@check("beam-borders", title="what has no meaning is refused", needs=["beam-greedy"])
def test_beam_borders(member, expect, rng):
    """A beam_width below 1 and more than one row are a ValueError. With max_new_tokens=0 the prompt comes back, alone
    and with the score 0: nothing was added.
    """
    theirs, search = member.bring(text_toys).Toy(1, 7, 8), member.sampling.beam_search
    prompt = rng.integers(0, 7, 3).tolist()
    for width in (0, -2):
        how = {"beam_width": width, "max_new_tokens": 3}
        expect.raises(search, theirs, torch.tensor([prompt]), say=f"{how} needs a ValueError.", **how)
    how = {"beam_width": 2, "max_new_tokens": 3}
    expect.raises(search, theirs, rng.integers(0, 7, 2, 3), say="Two rows: a ValueError.", **how)
    found = search(theirs, torch.tensor([prompt]), beam_width=3, max_new_tokens=0)
    compare(expect, found, prompt, [(0.0, [])], "max_new_tokens=0.")


@check("beam-mode", title="eval mode meanwhile, and afterwards the mode that it was in")
def test_beam_mode(member, expect, rng):
    """As in generate: eval() and no_grad() while text is made, and the old mode afterwards, also after an error."""
    toys, idx = member.bring(text_toys), rng.integers(0, 7, 1, 3)
    how = {"beam_width": 2, "max_new_tokens": 4}
    number = rng.random.randrange(2**31)
    check_mode(expect, member, toys, number, lambda model: member.sampling.beam_search(model, idx, **how))
