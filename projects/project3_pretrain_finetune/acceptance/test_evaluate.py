"""Step `evaluate`: multiple choice, what an accuracy is worth, agreement, and a judge that has a favourite place.

V = 23 tokens. The check brings a tokenizer, a model and a judge along.
"""

import math

import evaluate_toys
import torch

from cohort_cli.checking.authoring import check

WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "tree",
    "naïve",
    "café",
    "river",
    "東京",
    "slowly",
    "sees",
    "Ünder",
    "moon",
]


def sentence(rng, low, high):
    return "".join(f" {rng.random.choice(WORDS)}" for _ in range(rng.random.randrange(low, high)))


def new_items(rng, count, endings=(3, 5)):
    """Items whose endings differ much in their number of tokens, and bytes per token."""
    items = []
    for _ in range(count):
        texts, wanted = [], rng.random.randrange(*endings)
        while len(texts) < wanted:
            text = sentence(rng, 1, 7)
            texts += [text] if text not in texts else []
        item = {"context": sentence(rng, 2, 8).strip(), "endings": texts}
        items.append({**item, "label": rng.random.randrange(len(texts))})
    return items


def new_reader(toys, rng, std=0.7, **words):
    weights = rng.normal(evaluate_toys.V, 5), rng.normal(5, evaluate_toys.V, std=std)
    return toys.Reader(*weights, **words), evaluate_toys.Reader(*weights).eval()


def likelihood(reader, context, ending, longest=None):
    """One token at a time: how likely is it after exactly what stands before it?"""
    tok = evaluate_toys.Words()
    before, total = tok.encode(context), 0.0
    if longest is not None:
        before = before[-(longest - len(tok.encode(ending))) :]
    for token in tok.encode(ending):
        logits, _ = reader(torch.tensor([before]))
        total += math.log(torch.softmax(logits[0, -1], -1)[token].item())
        before = [*before, token]
    return total


def likelihoods(reader, item, longest=None):
    values = [likelihood(reader, item["context"], ending, longest) for ending in item["endings"]]
    return torch.tensor(values, dtype=torch.float64)


@check("choice-likelihood", title="the log-likelihood of each ending, and of nothing else")
def test_choice_likelihood(member, expect, rng):
    """The sum of log p(token | all before it) over the ending's tokens. The context is given and is not counted.

    The logits of a position are about the next token: the ending's first token is predicted by the context's last one.
    """
    toys = member.bring(evaluate_toys)
    there, here = new_reader(toys, rng)
    for item in new_items(rng, 3):
        got = member.evaluate.ending_log_likelihoods(there, toys.Words(), item["context"], item["endings"])
        want = likelihoods(here, item)
        expect.close(got, want, atol=1e-4, axes=("ending",), say=f"{item['context']!r}: {item['endings']}")
    for context, endings in (("", [" cat", " dog"]), ("the", [" cat", ""])):
        expect.raises(
            member.evaluate.ending_log_likelihoods,
            there,
            toys.Words(),
            context,
            endings,
            say=f"context {context!r}, endings {endings}: a ValueError, since one has no token.",
        )


@check("choice-long", title="what is too long loses its beginning", needs=["choice-likelihood"])
def test_choice_long(member, expect, rng):
    """With max_seq_len the oldest tokens are dropped, so that exactly max_seq_len are left. The ending stays whole.

    The model must never see more than that. Cut at the other end, the very tokens that are asked for would be gone.
    """
    toys = member.bring(evaluate_toys)
    there, here = new_reader(toys, rng)
    endings = [" the cat", " a dog sees", " moon"]
    item = {"context": sentence(rng, 9, 15).strip(), "endings": endings}
    for longest in (5, 8):
        got = member.evaluate.ending_log_likelihoods(
            there, toys.Words(), item["context"], endings, max_seq_len=longest
        )
        want = likelihoods(here, item, longest)
        expect.close(got, want, atol=1e-4, axes=("ending",), say=f"At most {longest} tokens: {item}")
    seen = max(member.get(there, "lengths"))
    expect.that(seen <= 8, "The model must see at most max_seq_len tokens.", got=seen)
    expect.raises(
        member.evaluate.ending_log_likelihoods,
        there,
        toys.Words(),
        "the",
        endings,
        max_seq_len=3,
        say="An ending of 3 tokens and max_seq_len=3: a ValueError.",
    )


@check("choice-mode", title="in eval mode, without gradients, and back again", needs=["choice-likelihood"])
def test_choice_mode(member, expect, rng):
    """With dropout on, the same question has another answer each time. The model comes in training mode here, and in
    eval mode the second time; afterwards it is in the mode it came in. Gradients would only cost memory.
    """
    toys = member.bring(evaluate_toys)
    there, here = new_reader(toys, rng, dropout=0.5)
    item = new_items(rng, 1)[0]
    for mode in (True, False):
        there.train(mode)
        got = member.evaluate.ending_log_likelihoods(there, toys.Words(), item["context"], item["endings"])
        words = f"A model that came with training = {mode}"
        expect.equal(set(member.get(there, "modes")), {False}, say=f"{words}: training in each forward pass.")
        expect.close(got, likelihoods(here, item), atol=1e-4, say=f"{words}: the log-likelihoods.")
        expect.equal(member.get(there, "training"), mode, say=f"{words}: training afterwards.")
    expect.equal(set(member.get(there, "with_gradient")), {False}, say="Whether gradients were recorded.")


WAYS = ("none", "tokens", "bytes")
TOLD_APART = (
    ("none", "all tokens"),
    ("bytes", "characters"),
)  # some items are right in one, wrong in the other


def answers(here, item):
    """The likeliest ending in each of the three ways and in two wrong ones; None where two are nearly equal."""
    encode, endings = evaluate_toys.Words().encode, item["endings"]
    lengths = {
        "none": [1 for _ in endings],
        "tokens": [len(encode(ending)) for ending in endings],
        "all tokens": [len(encode(item["context"])) + len(encode(ending)) for ending in endings],
        "bytes": [len(ending.encode()) for ending in endings],
        "characters": [len(ending) for ending in endings],
    }
    total, found = likelihoods(here, item), {}
    for way, counts in lengths.items():
        scores = total / torch.tensor(counts)
        best = scores.sort(descending=True).values
        found[way] = None if best[0] - best[1] < 1e-3 else int(scores.argmax())
    return found


def clear_items(here, rng, count, endings=(3, 5)):
    """[(item, answers)] for items in which no two endings are nearly equal."""
    pairs = [(item, answers(here, item)) for item in new_items(rng, count, endings)]
    return [(item, found) for item, found in pairs if None not in found.values()]


@check("choice-normalize", title="per token, per byte, or as it is", needs=["choice-likelihood"])
def test_choice_normalize(member, expect, rng):
    """Every token makes a text less likely, so without division the shortest ending often wins.

    "tokens" divides by the ending's tokens, "bytes" by its bytes in UTF-8, where é is two and 東 is three.
    """
    toys = member.bring(evaluate_toys)
    there, here = new_reader(toys, rng)
    pairs = clear_items(here, rng, 60)
    while not all(any(found[a] != found[b] for _, found in pairs) for a, b in TOLD_APART):
        pairs += clear_items(here, rng, 20)
    for item, found in pairs:
        for way, other in TOLD_APART:
            if found[way] != found[other]:
                item["label"] = found[way]
    # small groups, so that two mistakes do not agree by chance
    groups = [pairs[start : start + 3] for start in range(0, len(pairs), 3)]
    for normalize in WAYS:
        got = []
        for group in groups:
            items = [item for item, _ in group]
            result = member.evaluate.evaluate_multiple_choice(there, toys.Words(), items, normalize=normalize)
            got.append(member.get(result, "acc"))
        want = [
            sum(found[normalize] == item["label"] for item, found in group) / len(group) for group in groups
        ]
        got, want = (torch.tensor(accs, dtype=torch.float64) for accs in (got, want))
        expect.close(got, want, axes=("group",), say=f"normalize={normalize!r}: acc of groups of 3 items.")
    expect.raises(
        member.evaluate.evaluate_multiple_choice,
        there,
        toys.Words(),
        items,
        normalize="characters",
        say="normalize='characters' is not known: a ValueError.",
    )


@check("choice-result", title="accuracy, standard error, and what guessing gives", needs=["choice-normalize"])
def test_choice_result(member, expect, rng):
    """Some items have two endings and some four, so guessing gives neither 1/2 nor 1/4.

    Of two endings that are equally likely the first one counts as the answer. A label that is no ending, and no items
    at all, are a ValueError.
    """
    toys = member.bring(evaluate_toys)
    there, here = new_reader(toys, rng)
    tok = toys.Words()
    pairs = clear_items(here, rng, 9, (2, 3)) + clear_items(here, rng, 14, (4, 5))
    items = []
    for number, (item, _) in enumerate(pairs):  # four in five are right, so acc is far from the baseline
        best = int(likelihoods(here, item).argmax())
        label = best if number % 5 else (best + 1) % len(item["endings"])
        items.append({**item, "label": label})
    right = sum(number % 5 != 0 for number in range(len(items)))
    result = member.evaluate.evaluate_multiple_choice(there, tok, items, normalize="none")
    got = toys.as_dict(result)
    n = len(items)
    want = {"acc": right / n, "n": n, "baseline": sum(1 / len(item["endings"]) for item in items) / n}
    want["stderr"] = math.sqrt(right * (n - right) / n**3)
    for name in ("n", "acc", "baseline", "stderr"):
        value = torch.tensor([float(got[name])], dtype=torch.float64)
        expect.close(value, torch.tensor([want[name]], dtype=torch.float64), say=f"{name} of {n} items.")
    same = [{"context": "the", "endings": [" cat", " cat", " cat"], "label": label} for label in (0, 1, 2)]
    same.append({**same[0]})
    # every logit is 0, so that equal endings are equal to the last bit, also as rows of one batch
    flat = toys.Reader(rng.normal(evaluate_toys.V, 5), torch.zeros(5, evaluate_toys.V, dtype=torch.float64))
    result = member.evaluate.evaluate_multiple_choice(flat, tok, same, normalize="none")
    expect.close(
        torch.tensor(member.get(result, "acc")),
        torch.tensor(0.5),
        say="Equal endings, labels 0, 1, 2 and 0: acc.",
    )
    evaluate = member.evaluate.evaluate_multiple_choice
    expect.raises(evaluate, there, tok, [], normalize="none", say="No items: a ValueError.")
    for label in (3, -1):
        wrong = [{**same[0], "label": label}]
        expect.raises(
            evaluate, there, tok, wrong, normalize="none", say=f"label {label} of 3 endings: a ValueError."
        )


@check("chance", title="29 % of 200 is not distinguishable from 25 %")
def test_chance(member, expect, rng):
    """How far does guessing alone stray? Its standard error is sqrt(p (1 - p) / n) with p = baseline.

    The measured error is none of guessing: it is 0 after three right answers out of three, and would prove skill. Far
    below the baseline is distinguishable too: there the labels are probably mixed up.
    """
    make, ask = member.evaluate.EvalResult, member.evaluate.distinguishable_from_chance

    def result(right, n, baseline):
        acc = right / n
        return make(acc=acc, stderr=math.sqrt(acc * (1 - acc) / n), n=n, baseline=baseline)

    cases = [
        (58, 200, 0.25, 1.96, False),
        (70, 200, 0.25, 1.96, True),
        (2, 2, 0.5, 1.96, False),
        (30, 200, 0.25, 1.96, True),
        (2859, 10042, 0.25, 1.96, True),
        (23, 150, 0.1, 1.96, True),  # 2.18 standard errors of guessing, 1.81 measured ones
        (70, 200, 0.25, 4.0, False),
        (58, 200, 0.25, 1.0, True),
        (0, 3, 0.25, 1.96, False),
    ]
    got = [ask(result(*case[:3]), case[3]) for case in cases]
    got.append(ask(result(58, 200, 0.25)))
    words = [f"{right}/{n}, baseline {p}, z {z}" for right, n, p, z, _ in cases] + ["58/200, z left out"]
    want = dict(zip(words, [case[4] for case in cases] + [False], strict=True))
    expect.equal(dict(zip(words, map(bool, got), strict=True)), want, say="Distinguishable?")


@check("kappa", title="agreement beyond chance")
def test_kappa(member, expect, rng):
    """Two judges who both say "good" to nine answers in ten agree on 82 in a hundred by chance. Kappa takes that away.

    It is 1 for equal labels, 0 for chance, below 0 for less than chance.
    """
    for kinds, length in ((3, 40), (2, 25), (5, 60)):
        skew = [rng.random.choice("abcde"[:kinds] + "aaa") for _ in range(length)]
        other = [x if rng.random.random() < 0.6 else rng.random.choice("abcde"[1:kinds]) for x in skew]
        labels = sorted(set(skew) | set(other))
        table = torch.zeros(len(labels), len(labels), dtype=torch.float64)
        for x, y in zip(skew, other, strict=True):
            table[labels.index(x), labels.index(y)] += 1 / length
        chance = torch.outer(table.sum(1), table.sum(0)).trace()
        want = (table.trace() - chance) / (1 - chance)
        got = torch.tensor([member.evaluate.agreement(skew, other)], dtype=torch.float64)
        expect.close(got, want.reshape(1), say=f"{''.join(skew)} and {''.join(other)}.")
    cases = [([1, 2, 1, 2], [2, 1, 2, 1], -1.0), ([1, 2, 3], [1, 2, 3], 1.0), ([7, 7], [7, 7], 1.0)]
    for a, b, value in cases:
        got = torch.tensor(member.evaluate.agreement(a, b), dtype=torch.float64)
        expect.close(got, torch.tensor(value), say=f"{a} and {b}.")
    for a, b in (([1, 2], [1]), ([], [])):
        expect.raises(member.evaluate.agreement, a, b, say=f"{a} and {b}: a ValueError.")


@check("judge-parse", title="a reply that cannot be read is not guessed")
def test_judge_parse(member, expect):
    """Exactly one line "A: number" and one line "B: number", on the scale. Anything else is None.

    A judge that writes an essay, a range, 7/10, or two verdicts would otherwise give some number, and nobody would know.
    """
    cases = {
        "A: 70\nB: 55": (70.0, 55.0),
        "B: 55\nA: 70": (70.0, 55.0),
        "I thought about 3 things.\n  A :  7.5 \r\nB:0\nDone: 12": (7.5, 0.0),
        "A: 100\nB: 100\n": (100.0, 100.0),
        "The first gets 70, the second 55.": None,
        "A: 70": None,
        "A: 70\nB: 155": None,
        "A: -5\nB: 50": None,
        "A: 70\nB: 55\nOn reflection:\nB: 60": None,
        "A: 7/10\nB: 5/10": None,
        "A: 70 to 80\nB: 55": None,
        "A: 70 B: 55": None,
        "A: high\nB: low": None,
        "Answer A: 70\nAnswer B: 55": None,
        "": None,
    }
    got = {reply: member.evaluate.parse_scores(reply, (0, 100)) for reply in cases}
    got = {reply: value if value is None else tuple(map(float, value)) for reply, value in got.items()}
    expect.equal(got, cases, say="On a scale from 0 to 100.")
    got = member.evaluate.parse_scores("A: -1\nB: 10", (-1, 10))
    expect.equal(
        None if got is None else tuple(map(float, got)), (-1.0, 10.0), say="On a scale from -1 to 10."
    )


def pairs(rng, count):
    """Items, and how many points each answer deserves."""
    items, likes = [], {}
    for number in range(count):
        texts = {name: f"answer {name}{number}{{}}{sentence(rng, 2, 5)}" for name in "ab"}
        items.append({"instruction": f"request {number} {{x}}{sentence(rng, 2, 4)}", **texts})
        likes |= {text: float(rng.random.randrange(10, 60)) for text in texts.values()}
    return items, likes


def numbers(result, names):
    return torch.tensor([float(result[name]) for name in names], dtype=torch.float64)


@check("judge-swap", title="both orders, so that a favourite place does not decide", needs=["judge-parse"])
def test_judge_swap(member, expect, rng):
    """This judge gives 30 points more to whatever stands first. In the mean over both orders the points even out.

    An item is won only by an answer that is ahead in both orders; where the order decides, it is a tie and inconsistent.
    The prompt has the request, both answers and the ends of the scale in it, as JUDGE_PROMPT has them.
    """
    toys = member.bring(evaluate_toys)
    items, likes = pairs(rng, 12)
    likes |= {items[0]["a"]: 55.0, items[0]["b"]: 11.0, items[1]["a"]: 20.0, items[1]["b"]: 25.0}
    likes |= {items[2]["a"]: 12.0, items[2]["b"]: 52.0, items[3]["a"]: 30.0, items[3]["b"]: 30.0}
    deserved = [(likes[item["a"]], likes[item["b"]]) for item in items]
    gaps = [a - b for a, b in deserved]
    for swap in (True, False):
        client = toys.Judge(likes, 30.0)
        result = toys.as_dict(member.evaluate.judge(items, client=client, scale=(0, 100), swap=swap))
        prompts = member.get(client, "prompts")
        expect.equal(len(prompts), 24 if swap else 12, say=f"swap={swap}: prompts for 12 items.")
        bonus = (15.0, 15.0) if swap else (30.0, 0.0)
        means = [sum(pair[i] for pair in deserved) / 12 + bonus[i] for i in (0, 1)]
        got = numbers(result, ("score_a", "score_b"))
        expect.close(got, torch.tensor(means, dtype=torch.float64), say=f"swap={swap}: [score_a, score_b].")
        needed = 30 if swap else -30  # how much better a must be to be ahead in every order
        want = {"wins_a": sum(gap > needed for gap in gaps), "wins_b": sum(gap < -30 for gap in gaps)}
        want["ties"] = 12 - want["wins_a"] - want["wins_b"]
        want["inconsistent"] = sum(abs(gap) < 30 for gap in gaps) if swap else 0
        want |= {"n": 12, "calls": len(prompts), "unparsed": 0}
        expect.equal({name: result[name] for name in want}, want, say=f"swap={swap}: the counts.")
    needed = [items[5]["instruction"], items[5]["a"], items[5]["b"], "from 0 ", "to 100 "]
    there = [any(all(part in prompt for part in needed) for prompt in prompts)]
    expect.equal(there, [True], say="Request, both answers and the scale are in the prompt, word for word.")


@check("judge-unparsed", title="what the judge did not answer is counted, not made up", needs=["judge-swap"])
def test_judge_unparsed(member, expect, rng):
    """Three items, three replies in each order. Some replies cannot be read; the mean is over the others of that order.

    An item whose one order has no usable reply at all is not judged: the favourite place would not be taken out.
    """
    toys = member.bring(evaluate_toys)
    items, likes = pairs(rng, 3)
    silent = "I would rather not say."
    # Item 0: of the first order one reply is lost, one has other numbers. Item 1: the second order is lost. 2: nothing.
    replies = {0: silent, 1: "A: 90\nB: 1", 9: silent, 10: "A: 101\nB: 1", 11: silent}
    client = toys.Judge(likes, 30.0, replies)
    result = toys.as_dict(member.evaluate.judge(items, client=client, repeats=3))
    expect.equal(len(member.get(client, "prompts")), 18, say="Prompts for 3 items, 2 orders, 3 repeats.")
    counts = {name: result[name] for name in ("n", "calls", "unparsed")}
    expect.equal(counts, {"n": 2, "calls": 18, "unparsed": 4}, say="The counts.")
    (a, b), (c, d) = ((likes[item["a"]], likes[item["b"]]) for item in (items[0], items[2]))
    first = ((90 + a + 30) / 2, (1 + b) / 2)
    zero = ((first[0] + a) / 2, (first[1] + b + 30) / 2)
    want = torch.tensor([(zero[0] + c + 15) / 2, (zero[1] + d + 15) / 2], dtype=torch.float64)
    expect.close(numbers(result, ("score_a", "score_b")), want, say="[score_a, score_b] of the two items.")
    mute = toys.Judge(likes, 0.0, dict.fromkeys(range(18), silent))
    result = toys.as_dict(member.evaluate.judge(items, client=mute, repeats=3))
    counts = {name: result[name] for name in ("n", "wins_a", "wins_b", "ties", "calls", "unparsed")}
    want = {"n": 0, "wins_a": 0, "wins_b": 0, "ties": 0, "calls": 18, "unparsed": 18}
    expect.equal(counts, want, say="The counts when no reply can be used.")
    expect.that(
        math.isnan(result["score_a"]), "score_a without any judged item is nan.", got=result["score_a"]
    )
