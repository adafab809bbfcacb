"""Step usecase without a loop statement: maps, sums, reduces."""

from functools import reduce
from itertools import accumulate, chain
from math import exp, lgamma, log

SECTIONS = ("Intended use", "Training data and licence", "Evaluation", "Limits", "How it was made")


def _fail(message):
    raise ValueError(message)


def _same_length(a, b):
    return len(a) if len(a) == len(b) > 0 else _fail(f"{len(a)} and {len(b)}")


def _f1(label, predicted, actual):
    guessed, real = ([x == label for x in xs] for xs in (predicted, actual))
    return 2 * sum(map(min, guessed, real)) / (sum(guessed) + sum(real))


def macro_f1(predicted, actual):
    _same_length(predicted, actual)
    scores = {label: _f1(label, predicted, actual) for label in actual}
    return sum(scores.values()) / len(scores)


def compare_with_baseline(mine, baseline):
    n = _same_length(mine, baseline)
    kinds = [*zip(map(bool, mine), map(bool, baseline))]
    n10, n01 = kinds.count((True, False)), kinds.count((False, True))
    m = n10 + n01
    log_choose = lambda k: lgamma(m + 1) - lgamma(k + 1) - lgamma(m - k + 1)
    tail = sum(map(lambda k: exp(log_choose(k) - m * log(2)), range(min(n10, n01) + 1)))
    rate = (n10 - n01) / n
    return {
        "difference": rate,
        "standard_error": ((m / n - rate * rate) / n) ** 0.5,
        "p_value": tail * 2 if tail < 0.5 else 1.0,
    }


def distinct_n(samples, n):
    grams = list(chain.from_iterable(zip(*(sample[i:] for i in range(n))) for sample in samples))
    return len({*grams}) / len(grams) if grams else 0.0


def longest_copy(sample, training):
    diagonals = range(1 - len(sample), len(training))
    pairs = lambda d: zip(sample[max(0, -d) :], training[max(0, d) :])
    runs = lambda d: accumulate(pairs(d), lambda run, pair: (run + 1) * (pair[0] == pair[1]), initial=0)
    return max(chain([0], *map(runs, diagonals)))


def model_card(title, sections, metrics):
    [_fail(f"nothing under {name}") for name in SECTIONS if sections.get(name, "").strip() == ""]
    metrics or _fail("no metrics")
    line = lambda item: f"+ {item[0]}: {item[1][0]:.3f} (baseline: {item[1][1]:.3f})\n"
    under = {"Evaluation": "\n\n" + "".join(map(line, metrics.items()))}
    names = (*SECTIONS, *filter(lambda name: name not in SECTIONS, sections))
    return reduce(
        lambda card, name: card + f"\n\n## {name}\n\n{sections[name]}{under.get(name, '')}", names, f"# {title}"
    )
