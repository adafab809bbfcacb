"""Results as lines for the terminal: each number with its items, its error, and what guessing gets. No torch."""

from __future__ import annotations

from typing import Any

from cohort_cli.prose import clean
from cohort_cli.training import baselines
from cohort_cli.training.live import UNITS, row
from cohort_cli.training.runs import RunFolder

WORDS = {
    "perplexity": ("perplexity", "{:.2f}"),
    "bits_per_byte": ("bits/byte", "{:.4f}"),
    "accuracy": ("accuracy", "{:.3f}"),
    "chance": ("chance", "{:.3f} (always the commonest label)"),
    "reward_margin": ("margin", "{:.3f} nats"),
}
NOTES = {
    "normalised": "by the mean per token, so that a long ending is no worse",
    "per_byte": "by the mean per byte",
}


def lines(folder: RunFolder, measure: str, found: dict[str, Any]) -> list[str]:
    if measure == "perplexity":
        return held_out(folder, found)
    if measure == "judge":
        return judge(found)
    if measure == "human":
        return human(found)
    return benchmark(measure, found)


def held_out(folder: RunFolder, found: dict[str, Any]) -> list[str]:
    """Loss on the run's own held-out data, and what follows from it."""
    config = folder.config()
    whole = config._replace(run=config.run._replace(eval_tokens=0))
    text = row("held out", f"{found['targets']:,} targets in {found['count']:,} {found['units']}")
    unit = UNITS[config.task]
    text += row("loss", f"{found['loss']:.4f} {unit}{_error(found.get('loss_error'), '{:.4f}')}")
    if (nats := baselines.bigram(folder, whole)) is not None:
        text += row("bigram", f"{nats:.4f} {unit}: counts of character pairs, same text")
    for key, (name, form) in WORDS.items():
        if key in found:
            text += row(name, form.format(found[key]) + _error(found.get(f"{key}_error"), form))
    return text


def benchmark(name: str, found: dict[str, Any]) -> list[str]:
    """One of the public benchmarks."""
    of = f" of {found['of']:,}" if found["of"] != found["count"] else ""
    text = row(name, f"{found['count']:,}{of} items, {clean(found['place'])}")
    text += share("accuracy", found["accuracy"])
    for key, says in NOTES.items():
        if key in found:
            text += share("  " + key.replace("_", " "), found[key], says)
    if "perplexity" in found:
        text += row(
            "perplexity",
            f"{found['perplexity']['value']:.2f} of the last word{_error(found['perplexity']['error'], '{:.2f}')}",
        )
    if "subjects" in found:
        mean = found["mean_of_subjects"]
        text += row(
            "subjects", f"{mean['n']} of {mean['of']}, the mean of their accuracies {mean['value']:.3f}"
        )
        shots = found["shots"]
        text += row(
            "examples", f"{shots['mean']:.1f} before each question ({shots['least']} to {shots['most']})"
        )
    if found["cut"]:
        text += row(
            "cut", f"{found['cut']:,} items are longer than the model's context; they lost their beginning"
        )
    if "contamination" in found:
        text += contamination(found["contamination"], found["count"])
    return text


def contamination(found: dict[str, Any], count: int) -> list[str]:
    seen, n = len(found["seen"]), found["row_tokens"]
    text = row(
        "seen",
        f"{seen:,} of {count:,} items share {n} tokens in a row with the {found['training_tokens']:,} training tokens",
    )
    if found["too_short"]:
        text += row("", f"{found['too_short']:,} items are shorter than that and cannot be looked for")
    if seen and found["accuracy_of_others"]:
        text += share("the others", found["accuracy_of_others"])
    return text


def judge(found: dict[str, Any]) -> list[str]:
    mark, choice = found["mark"], found["choice"]
    text = row(
        "judge",
        f"{clean(found['judge'])}, {len(found['items']):,} answers, {found['questions_asked']:,} questions asked",
    )
    if mark["n"]:
        text += row("mark", f"{mark['value']:.1f} of 100{_error(mark['error'], '{:.1f}')}, n = {mark['n']:,}")
    text += preference("against", found["against"], choice)
    if choice["same_in_both_orders"] is not None:
        text += row(
            "order",
            f"{choice['same_in_both_orders']:.0%} of the choices stay when the answers change places; the rest are ties",
        )
    if choice["chose_first_place"] is not None:
        text += row(
            "",
            f"the first answer was chosen in {choice['chose_first_place']:.0%} (50% if its place played no part)",
        )
    if lost := mark["unreadable"] + choice["unreadable"]:
        text += row("unreadable", f"{lost:,} replies are no mark and no choice; they are left out")
    if "people" in found:
        text += agreement("people", "judge and people say the same of", found["people"])
    return text


def human(found: dict[str, Any]) -> list[str]:
    if "sheet" in found:
        text = row("sheet", f"{found['pairs']:,} pairs: {clean(found['sheet'])}")
        return text + row(
            "", 'each rater fills the column "better" of a copy with A, B or tie; the key lies beside it'
        )
    text = row("human", f"{found['n']:,} pairs, raters: {found['raters']}")
    text += preference("against", found["against"], found)
    if found["raters"] > 1:
        text += agreement("raters", "two raters say the same of", found["agreement"])
    return text


def preference(name: str, against: str, found: dict[str, Any]) -> list[str]:
    if not found["n"]:
        return row(name, f"{clean(against)}: no pair was judged")
    verdict = "better" if found["share"] > 0.5 else "worse"
    if found["p"] >= 0.05:
        verdict = "not distinguishable"
    counts = f"{found['win']} won, {found['tie']} tied, {found['loss']} lost"
    return row(name, f"{clean(against)}: {counts}; {verdict} (sign test, {_p(found['p'])})")


def agreement(name: str, says: str, found: dict[str, Any]) -> list[str]:
    if found["equal"] is None:
        return row(name, "no pair that both judged")
    kappa = "" if found["kappa"] is None else f" (kappa {found['kappa']:.2f}: 0 is luck, 1 is always)"
    return row(name, f"{says} {found['equal']:.0%} of {found['n']:,} pairs{kappa}")


def share(name: str, found: dict[str, Any], says: str = "") -> list[str]:
    """A share of right items, in two lines."""
    alike = f", 95% from {found['low']:.3f} to {found['high']:.3f}" if not found["error"] else ""
    text = row(name, f"{found['value']:.3f}{_error(found['error'], '{:.3f}')}{alike}{says and ', ' + says}")
    p = "" if found["verdict"].startswith("too few") else f" ({_p(found['p'])})"
    return text + row("", f"chance {found['chance']:.3f}: {found['verdict']}{p}")


def _p(p: float) -> str:
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"


def _error(error: float | None, form: str) -> str:
    return "" if error is None else f" (standard error {form.format(error)})"
