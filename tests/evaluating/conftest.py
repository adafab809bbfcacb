"""Small local copies of the benchmarks, in the form that the hub gives them, and a run with GPT-2's vocabulary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

Row = dict[str, Any]
# context, four endings, which is right; the endings differ in length on purpose
ENDINGS = """
A woman fills a kettle at the tap. She|sets it on the stove.|sings it a song about trains.|paints.|leaves.|0
Two boys build a tower of blocks. The tower|reads the news.|falls, and they begin again.|swims away.|sleeps.|1
A man opens an umbrella because|the soup is cold.|his shoes are blue and old.|it begins to rain.|why?|2
The dog hears a key in the lock and|counts to nine with great care.|buys a ticket.|turns.|runs to the door.|3
She ties the boat to the post, then|steps onto the jetty.|the.|melts.|eats the whole lake with a small spoon.|0
They roll out the dough and|cut it into rounds.|call the police about it.|plough.|teach it to whistle.|0
""".strip().splitlines()
PASSAGES = [
    "He had lost the map, and without the map nobody could find the way back to the hut, so they looked for the map",
    "The cat slept on the chair all day. When she wanted to sit down, she had to lift the cat",
    "\"Where is the lamp?\" she asked. \"I cannot read without the lamp",
    "Every spring the river rose, and every spring they carried the chairs upstairs to save them from the river",
    "The baker burnt the bread, and all morning the street smelt of burnt bread",
]  # fmt: skip
SUBJECTS = ("astronomy", "marketing", "high_school_physics")


def questions(count: int, start: int = 0) -> list[Row]:
    """Questions about numbers: the right answer stands at a place that goes round."""
    rows = []
    for number in range(start, start + count):
        for subject in SUBJECTS:
            gold = (number + len(subject)) % 4
            choices = [str(number + 7 * (place - gold)) for place in range(4)]
            question = f"Which of these is the number {number}, in the notes on {subject.replace('_', ' ')}?"
            rows.append({"question": question, "subject": subject, "choices": choices, "answer": gold})
    return rows


def write(path: Path, rows: list[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def hellaswag(tmp_path: Path) -> Path:
    rows = [
        {"ind": 10 + n, "activity_label": "At home", "ctx": ctx, "endings": endings, "label": label}
        for n, (ctx, *endings, label) in enumerate(line.split("|") for line in ENDINGS)
    ]
    return write(tmp_path / "hellaswag.jsonl", rows)


@pytest.fixture
def lambada(tmp_path: Path) -> Path:
    return write(tmp_path / "lambada.jsonl", [{"text": text} for text in PASSAGES])


@pytest.fixture
def mmlu(tmp_path: Path) -> Path:
    write(tmp_path / "mmlu" / "dev.jsonl", questions(5, start=100))
    return write(tmp_path / "mmlu" / "test.jsonl", questions(4)).parent
