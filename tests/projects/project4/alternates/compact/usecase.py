from math import comb, sqrt

SECTIONS = ("Intended use", "Training data and licence", "Evaluation", "Limits", "How it was made")


def macro_f1(predicted, actual):
    if len(predicted) != len(actual) or len(actual) == 0:
        raise ValueError("lengths")
    P, A, labels = list(predicted), list(actual), set(actual)
    return sum(2 * sum(p == a == c for p, a in zip(P, A)) / (P.count(c) + A.count(c)) for c in labels) / len(labels)


def compare_with_baseline(mine, baseline):
    if len(mine) != len(baseline) or not len(mine):
        raise ValueError("lengths")
    d = [bool(a) - bool(b) for a, b in zip(mine, baseline)]
    n, m, up = len(d), sum(map(abs, d)), d.count(1)
    p = sum(comb(m, k) for k in range(m + 1) if abs(2 * k - m) >= abs(2 * up - m)) / 2**m
    return dict(difference=sum(d) / n, standard_error=sqrt(m - sum(d) ** 2 / n) / n, p_value=p)


def distinct_n(samples, n):
    g = [tuple(s[i : i + n]) for s in samples for i in range(len(s) - n + 1)]
    return len(set(g)) / max(1, len(g))


def longest_copy(sample, training):
    s, t, best = list(sample), list(training), 0
    for i in range(len(s)):
        while i + best < len(s) and any(t[k : k + best + 1] == s[i : i + best + 1] for k in range(len(t))):
            best += 1
    return best


def model_card(title, sections, metrics):
    for s in SECTIONS:
        if not (sections.get(s) or "").strip():
            raise ValueError(s)
    if not metrics:
        raise ValueError("metrics")
    table = "\n".join(f"{k}: {v:.3f} (baseline: {b:.3f})" for k, (v, b) in metrics.items())
    return f"# {title}\n" + "".join(
        f"\n## {s}\n{sections[s]}\n" + f"\n{table}\n" * (s == "Evaluation")
        for s in (*SECTIONS, *(sections.keys() - set(SECTIONS)))
    )
