"""The public benchmarks: where each comes from, and how one row of it becomes an item.

hellaswag   which of four endings follows? Completion style: the endings themselves are compared, not their letters.
            Source: Zellers et al. 2019, https://arxiv.org/abs/1905.07830
lambada     the last word of a passage, as OpenAI prepared it for GPT-2.
            Source: Paperno et al. 2016, https://arxiv.org/abs/1606.06031
mmlu        exam questions of 57 subjects with answers A to D, after five worked examples.
            Source: Hendrycks et al. 2021, https://arxiv.org/abs/2009.03300
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from cohort_cli.errors import UsageError
from cohort_cli.evaluating.items import Item, Scored
from cohort_cli.evaluating.statistics import Share, mean_and_error
from cohort_cli.manifest import did_you_mean

Row = dict[str, Any]
LETTERS = "ABCD"
SUBJECT_NAMES = """
abstract_algebra anatomy astronomy business_ethics clinical_knowledge college_biology college_chemistry
college_computer_science college_mathematics college_medicine college_physics computer_security conceptual_physics
econometrics electrical_engineering elementary_mathematics formal_logic global_facts high_school_biology
high_school_chemistry high_school_computer_science high_school_european_history high_school_geography
high_school_government_and_politics high_school_macroeconomics high_school_mathematics high_school_microeconomics
high_school_physics high_school_psychology high_school_statistics high_school_us_history high_school_world_history
human_aging human_sexuality international_law jurisprudence logical_fallacies machine_learning management marketing
medical_genetics miscellaneous moral_disputes moral_scenarios nutrition philosophy prehistory professional_accounting
professional_law professional_medicine professional_psychology public_relations security_studies sociology
us_foreign_policy virology world_religions"""
SUBJECTS = tuple(SUBJECT_NAMES.split())


class Benchmark(NamedTuple):
    """A benchmark with a name here."""

    name: str
    hub: str  # id on the Hugging Face hub
    configuration: str | None
    split: str  # whose items are scored
    examples: str | None  # the split of worked examples
    items: Callable[[Iterable[Row], Iterable[Row], int], Iterator[Item]]  # (rows, example rows, shots)
    summary: Callable[[list[Scored]], dict[str, Any]]


# --- reading a row ---------------------------------------------------------------------------------------------


def text_of(row: Row, name: str, place: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(
            f"{place}: {name!r} is {value!r}, not a text.", f"The row has: {', '.join(map(str, row))}."
        )
    return value


def texts_of(row: Row, name: str, count: int, place: str) -> list[str]:
    value = row.get(name)
    if not isinstance(value, list) or len(value) != count or not all(isinstance(v, str) and v for v in value):
        raise UsageError(f"{place}: {name!r} is {value!r}, not a list of {count} texts.")
    return value


def number_of(row: Row, name: str, count: int, place: str) -> int:
    """Which choice is right, 0 to count - 1. HellaSwag writes it as text."""
    value = row.get(name)
    if isinstance(value, str) and value.isdecimal() and len(value) < 4:
        value = int(value)
    if type(value) is not int or not 0 <= value < count:
        raise UsageError(f"{place}: {name!r} is {row.get(name)!r}, not a number from 0 to {count - 1}.")
    return value


# --- HellaSwag -------------------------------------------------------------------------------------------------


def hellaswag(rows: Iterable[Row], examples: Iterable[Row], shots: int) -> Iterator[Item]:
    for number, row in enumerate(rows, 1):
        place = f"hellaswag, row {number}"
        endings = texts_of(row, "endings", 4, place)
        yield Item(
            str(row.get("ind", number - 1)),
            text_of(row, "ctx", place),
            tuple(f" {ending}" for ending in endings),
            number_of(row, "label", 4, place),
        )


def hellaswag_summary(scored: list[Scored]) -> dict[str, Any]:
    """The likeliest ending, and the likeliest per token: the two numbers that are published for GPT-2."""
    return {"accuracy": share(scored, 0.25).to_json(), "normalised": share(scored, 0.25, "tokens").to_json(),
            "per_byte": share(scored, 0.25, "bytes").to_json()}  # fmt: skip


def share(scored: list[Scored], chance: float, per: str = "") -> Share:
    return Share(sum(one.best(per) == one.gold for one in scored), len(scored), chance)


# --- LAMBADA ---------------------------------------------------------------------------------------------------


def lambada(rows: Iterable[Row], examples: Iterable[Row], shots: int) -> Iterator[Item]:
    for number, row in enumerate(rows, 1):
        place = f"lambada, row {number}"
        before, _, last = text_of(row, "text", place).strip().rpartition(" ")
        if not before.strip():
            raise UsageError(f"{place}: the text is a single word, so nothing comes before the last one.")
        yield Item(str(number - 1), before, (f" {last}",), 0, group=last)


def lambada_summary(scored: list[Scored]) -> dict[str, Any]:
    """Right is a word whose tokens are each the likeliest. Chance: always the commonest last word of these items."""
    commonest = Counter(one.group for one in scored).most_common(1)[0][1] / len(scored)
    nats, error = mean_and_error([-one.logprobs[0] for one in scored])
    perplexity = math.exp(min(nats, 700.0))
    return {
        "accuracy": Share(sum(one.greedy[0] for one in scored), len(scored), commonest).to_json(),
        "perplexity": {"value": perplexity, "error": error and perplexity * error, "n": len(scored)},
    }


# --- MMLU ------------------------------------------------------------------------------------------------------


def mmlu(rows: Iterable[Row], examples: Iterable[Row], shots: int) -> Iterator[Item]:
    """The letter after "Answer:", with `shots` worked examples of the same subject before the question."""
    worked: dict[str, list[str]] = defaultdict(list)
    for number, row in enumerate(examples, 1):
        place = f"mmlu, row {number} of the worked examples"
        gold = number_of(row, "answer", 4, place)
        worked[subject_of(row, place)].append(f"{question(row, place)} {LETTERS[gold]}\n\n")
    seen: Counter[str] = Counter()
    for number, row in enumerate(rows, 1):
        place = f"mmlu, row {number}"
        subject = subject_of(row, place)
        title = subject.replace("_", " ")
        yield Item(
            f"{subject}/{seen[subject]}",
            question(row, place),
            tuple(f" {letter}" for letter in LETTERS),
            number_of(row, "answer", 4, place),
            group=subject,
            head=f"The following are multiple choice questions (with answers) about {title}.\n\n",
            examples=tuple(worked[subject][:shots]),
        )
        seen[subject] += 1


def question(row: Row, place: str) -> str:
    answers = texts_of(row, "choices", 4, place)
    lines = [f"{letter}. {answer}" for letter, answer in zip(LETTERS, answers, strict=True)]
    return "\n".join([text_of(row, "question", place).strip(), *lines, "Answer:"])


def subject_of(row: Row, place: str) -> str:
    subject = text_of(row, "subject", place)
    if subject not in SUBJECTS:
        raise UsageError(
            f"{place}: {subject!r} is none of the 57 subjects.", did_you_mean(subject, list(SUBJECTS))
        )
    return subject


def mmlu_summary(scored: list[Scored]) -> dict[str, Any]:
    """Over all items, each subject, and the mean of the subjects."""
    by_subject: dict[str, list[Scored]] = defaultdict(list)
    for one in scored:
        by_subject[one.group].append(one)
    subjects = {name: share(found, 0.25).to_json() for name, found in sorted(by_subject.items())}
    mean = sum(float(found["value"] or 0) for found in subjects.values()) / len(subjects)
    return {
        "accuracy": share(scored, 0.25).to_json(),
        "mean_of_subjects": {"value": mean, "n": len(subjects), "of": len(SUBJECTS)},
        "subjects": subjects,
    }


BENCHMARKS = {
    found.name: found
    for found in (
        Benchmark("hellaswag", "Rowan/hellaswag", None, "validation", None,
                  hellaswag, hellaswag_summary),
        Benchmark("lambada", "EleutherAI/lambada_openai", "default", "test", None,
                  lambada, lambada_summary),
        Benchmark("mmlu", "cais/mmlu", "all", "test", "dev",
                  mmlu, mmlu_summary),
    )
}  # fmt: skip
