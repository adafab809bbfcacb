"""The families of instructions.jsonl: how each turns the lines of sources/ into instruction, input and output."""

from __future__ import annotations

import ast
import operator
import random
import re
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

from english import Sentence, past, third_person

Row = dict[str, str]
Sections = Callable[[str], Iterable[tuple[str, str]]]

# Several wordings of each task. {} stands for what is asked about; without it the example is in the input.
WORDINGS = {
    "active_to_passive": [
        "Rewrite the sentence in the passive voice.",
        "Turn this active sentence into a passive one.",
        "Change the sentence from active to passive.",
        "Put the following sentence into the passive.",
        "Convert the active sentence to passive voice.",
    ],
    "passive_to_active": [
        "Rewrite the sentence in the active voice.",
        "Turn this passive sentence into an active one.",
        "Change the sentence from passive to active.",
        "Say it in the active voice.",
    ],
    "synonym": [
        "Give a synonym of the word.",
        "Name a word with the same meaning.",
        "Find another word for this one.",
    ],
    "antonym": ["Give the opposite of the word.", "Name an antonym.", "Which word means the contrary?"],
    "plural": [
        "Write the plural of the noun.",
        "Give the plural form.",
        "Change the noun from singular to plural.",
    ],
    "past_tense": [
        "Put the sentence into the past tense.",
        "Rewrite the sentence in the simple past.",
        "Change the verb to the past tense.",
    ],
    "spelling": [
        "Correct the spelling mistake in the sentence.",
        "One word is spelt wrongly. Write the sentence correctly.",
        "Fix the spelling.",
    ],
    "definition": ['Define the word "{}" in one line.', 'What does "{}" mean?', "Explain the word briefly."],
    "polite": [
        "Rewrite the sentence so that it sounds polite.",
        "Say this in a more polite way.",
        "Make the sentence friendlier.",
    ],
    "sentiment": [
        "Classify the sentence as positive, negative or neutral.",
        "Is the tone positive, negative or neutral? Answer with one word.",
        "Label the sentiment: positive, negative or neutral.",
    ],
    "extract": [
        "Extract from the text: {}.",
        "Find this in the text: {}.",
        "Copy only the following from the text: {}.",
    ],
    "general_knowledge": ["{}"],
    "unit_conversion": ["{}"],
    "arithmetic": ["{}"],
    "count_words": [
        "How many words does the sentence have?",
        "Count the words in the sentence.",
        "State the number of words.",
    ],
    "count_letters": ["How many letters does the word have?", "Count the letters of the word."],
    "count_one_letter": [
        'How often does the letter "{}" occur in the word?',
        'Count the letter "{}" in the word.',
    ],
    "sort_words": ["Sort the words alphabetically.", "Put these words into alphabetical order."],
    "sort_by_length": [
        "Sort the words from the shortest to the longest.",
        "Order these words by their length.",
    ],
}

# unit: (dimension, how many of the smallest unit of that dimension)
UNITS = {
    name: (dimension, Fraction(factor))
    for dimension, units in {
        "length": "millimetres 1,centimetres 10,metres 1000,kilometres 1000000,inch 25.4,inches 25.4,"
        "feet 304.8,yards 914.4",
        "mass": "milligrams 1,grams 1000,kilograms 1000000,tonnes 1000000000",
        "pounds": "ounces 1,pounds 16",
        "volume": "millilitres 1,litres 1000,cubic_metres 1000000",
        "area": "square_metres 1,hectares 10000",
        "time": "seconds 1,minutes 60,hours 3600,days 86400,weeks 604800",
        "calendar": "months 1,years 12",
        "data": "kilobytes 1,megabytes 1000,gigabytes 1000000",
        "number": "pieces 1,dozen 12",
    }.items()
    for name, factor in (unit.split() for unit in units.split(","))
}
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def number(value: Fraction) -> str:
    """1500 is "1,500" and 3/4 is "0.75"; every answer must be exact with three decimals."""
    if value * 1000 % 1:
        raise ValueError(f"not exact with three decimals: {value}")
    return f"{float(value):,.3f}".rstrip("0").rstrip(".")


def converted(value: Fraction, unit: str, to: str) -> str:
    """`converted(3, "kilometres", "metres")` is "3,000 metres"."""
    if unit == "celsius":
        return f"{number(value * 9 / 5 + 32)} degrees Fahrenheit"
    if unit == "fahrenheit":
        return f"{number((value - 32) * 5 / 9)} degrees Celsius"
    if UNITS[unit][0] != UNITS[to][0]:
        raise ValueError(f"no way from {unit} to {to}")
    result = number(value * UNITS[unit][1] / UNITS[to][1])
    name = to.replace("_", " ")
    return f"{result} {name.removesuffix('s') if result == '1' else name}"


def calculated(expression: str) -> Fraction:
    """The value of an expression of numbers, + - * and /, exactly."""

    def value(node: ast.expr) -> Fraction:
        if isinstance(node, ast.BinOp):
            result: Fraction = OPERATORS[type(node.op)](value(node.left), value(node.right))
            return result
        return Fraction(ast.literal_eval(node))

    return value(ast.parse(expression, mode="eval").body)


def examples(family: str, line: str) -> tuple[str, str, str]:
    """(what the wording asks about, the input, the output) of one line of sources/instructions.txt."""
    first, *more = (part.strip() for part in line.split(" | "))
    match family:
        case "past_tense":
            found = re.fullmatch(r"(.*)\{(\w+)(?::(\w+))?\}(.*)", first)
            if found is None:
                raise ValueError(f"no verb in braces: {first!r}")
            before, verb, is_third, after = found.groups()
            return (
                "",
                f"{before}{third_person(verb) if is_third else verb}{after}",
                f"{before}{past(verb)}{after}",
            )
        case "spelling":
            return "", re.sub(r"\[(\w+)\|\w+\]", r"\1", line), re.sub(r"\[\w+\|(\w+)\]", r"\1", line)
        case "count_words":
            return "", first, str(len(first.split()))
        case "unit_conversion":
            value, unit, to = more[0].split()
            return first, "", converted(Fraction(value), unit, to)
        case "arithmetic":
            return first, "", more[1].format(number(calculated(more[0])))
        case "general_knowledge":
            return first, "", more[0]
        case "extract":
            return more[0], first, more[1]
        case _:
            return first, first, more[0]


def counting_and_sorting(words: list[str], rng: random.Random) -> Iterator[tuple[str, str, str, str]]:
    """(family, asked, input, output): the families that need a list of words and nothing else."""
    for word in words[:40]:
        yield "count_letters", "", word, str(len(word))
    for word in words[40:80]:
        letter = rng.choice(sorted(set(word), key=lambda x: (-word.count(x), x))[:2])  # mostly more than once
        yield "count_one_letter", letter, word, str(word.count(letter))
    rest = words[80:]
    for _ in range(50):
        some = rng.sample(rest, rng.randint(3, 6))
        yield "sort_words", "", ", ".join(some), ", ".join(sorted(some))
    for _ in range(30):
        lengths = rng.sample(sorted({len(word) for word in words}), rng.randint(3, 5))
        some = [rng.choice([word for word in words if len(word) == length]) for length in lengths]
        yield "sort_by_length", "", ", ".join(some), ", ".join(sorted(some, key=len))


def instructions(sections: Sections, seed: int) -> list[Row]:
    """Every example of every family, in the order of the sources."""
    rng = random.Random(seed)
    found: list[tuple[str, str, str, str]] = []
    for family, line in sections("voice.txt"):
        sentence = Sentence.from_line(line)
        both = sentence.active(), sentence.passive()
        found.append((family, "", *(both if family == "active_to_passive" else both[::-1])))
    for family, line in sections("instructions.txt"):
        found.append((family, *examples(family, line)))
    words = [word for _, line in sections("words.txt") for word in line.split()]
    found += counting_and_sorting(words, rng)

    rows = []
    for family, asked, given, output in found:
        wording = rng.choice(WORDINGS[family])
        is_asked_in_the_wording = "{}" in wording and family not in {"extract", "count_one_letter"}
        rows.append(
            {
                "instruction": wording.format(asked),
                "input": "" if is_asked_in_the_wording else given,
                "output": output,
                "family": family,
            }
        )
    return rows
