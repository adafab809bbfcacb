"""The data sets that ship with Project 3 are what their cards say, and their answers are right.

What can be computed is computed here a second time, by other means than the scripts beside the data.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from support import REPO

DATA = REPO / "projects" / "project3_pretrain_finetune" / "data"
Row = dict[str, str]

FIELDS = {
    "messages": {"text", "label", "kind", "split"},
    "instructions": {"instruction", "input", "output", "family", "split"},
    "preferences": {"prompt", "chosen", "rejected", "kind", "split"},
}
LEAST = {"messages": 600, "instructions": 700, "preferences": 200}
BE = {"am", "is", "are", "was", "were", "be", "been", "being"}
AUXILIARIES = BE | {"has", "have"}


def read(name: str) -> list[Row]:
    return [
        json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    ]


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", str(DATA / script), *arguments], capture_output=True, text=True, check=False
    )


def of_family(name: str) -> list[Row]:
    rows = [row for row in read("instructions") if row["family"] == name]
    assert len(rows) >= 30
    return rows


def words(text: str) -> list[str]:
    return re.findall(r"[a-z'-]+", text.lower())


# --- files and cards -----------------------------------------------------------------------------------------


def test_the_sets_are_what_the_sources_give() -> None:
    done = run("make_sets.py", "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_figures_in_the_cards_are_true() -> None:
    done = run("make_cards.py", "--check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", FIELDS)
def test_the_card_names_the_file_and_its_checksum(name: str) -> None:
    card, data = (DATA / f"{name}.md").read_text(encoding="utf-8"), (DATA / f"{name}.jsonl").read_bytes()
    assert b"\r" not in data
    assert data.endswith(b"}\n")
    assert f"`{hashlib.sha256(data).hexdigest()}`" in card
    assert f"`{name}.jsonl`, {len(read(name)):,} lines, {len(data):,} bytes" in card
    for split, n in Counter(row["split"] for row in read(name)).items():
        assert split in {"train", "validation", "test"}
        column = {"train": 0, "validation": 1, "test": 2}[split]
        totals = re.search(r"^\| all \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", card, re.MULTILINE)
        assert totals is not None
        assert int(totals[column + 1]) == n
    for heading in ("## How it was made", "## Limits and biases", "## Licence\n\nMIT"):
        assert heading in card
    for field in FIELDS[name]:
        assert f"| `{field}` |" in card


@pytest.mark.parametrize("name", FIELDS)
def test_every_line_has_the_fields_and_no_line_comes_twice(name: str) -> None:
    rows = read(name)
    assert len(rows) >= LEAST[name]
    for row in rows:
        assert set(row) == FIELDS[name]
        for field, value in row.items():
            assert isinstance(value, str)
            assert value == value.strip()
            assert value or field == "input"
    what = {"messages": ["text"], "instructions": ["instruction", "input"], "preferences": ["prompt"]}[name]
    seen = Counter(tuple(row[field].lower() for field in what) for row in rows)
    assert [key for key, n in seen.items() if n > 1] == []


@pytest.mark.parametrize("name", FIELDS)
def test_every_group_is_in_every_split(name: str) -> None:
    group = "family" if name == "instructions" else "kind"
    found = defaultdict(Counter)
    for row in read(name):
        found[row[group], row.get("label")][row["split"]] += 1
    for counted in found.values():
        n = counted.total()
        assert 0.6 * n <= counted["train"] <= 0.85 * n
        assert min(counted["validation"], counted["test"]) >= 3


@pytest.mark.parametrize("name", FIELDS)
def test_no_line_has_a_near_duplicate_in_another_split(name: str) -> None:
    """Jaccard similarity of character 5-grams, through an index from each 5-gram to the lines that hold it."""
    rows = read(name)
    fields = {"messages": ["text"], "instructions": ["input", "output"], "preferences": ["prompt"]}[name]
    grams: list[set[str]] = []
    for row in rows:
        parts = [row[field] or row["instruction"] for field in fields]
        text = " " + " ".join(re.findall(r"[a-z]+|0+", re.sub(r"\d", "0", " ".join(parts).lower()))) + " "
        grams.append({text[i : i + 5] for i in range(max(1, len(text) - 4))})
    holders = defaultdict(list)
    common: Counter[tuple[int, int]] = Counter()
    for j, own in enumerate(grams):
        for gram in own:
            common.update((i, j) for i in holders[gram] if rows[i]["split"] != rows[j]["split"])
            holders[gram].append(j)
    assert len(common) > 1000
    near = [(i, j) for (i, j), n in common.items() if n >= 0.5 * (len(grams[i]) + len(grams[j]) - n)]
    assert [(rows[i], rows[j]) for i, j in near] == []


@pytest.mark.parametrize("name", FIELDS)
def test_numbers_and_addresses_are_of_the_kind_that_cannot_exist(name: str) -> None:
    text = (DATA / f"{name}.jsonl").read_text(encoding="utf-8")
    called = re.findall(r"(?<![\d-])\d{3}[- ]\d{4}(?!\d)|\+\d[\d ]{6,}|(?<![\d.,])\d{7,}", text)
    assert called or name == "instructions"
    assert [number for number in called if not re.fullmatch(r"555-01\d\d", number)] == []
    hosts = re.findall(
        r"\b[a-z0-9-]+\.(?:com|net|org|io|info|ly|co|[a-z]{2}|example)\b(?!['.]\w)", text.lower()
    )
    assert hosts or name == "preferences"
    abbreviations = {"a.m", "p.m"}  # no addresses
    assert [host for host in hosts if not host.endswith(".example") and host not in abbreviations] == []


@pytest.mark.parametrize("name", FIELDS)
def test_hugging_face_datasets_reads_the_file_as_it_is(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    loaded = datasets.load_dataset(
        "json", data_files=str(DATA / f"{name}.jsonl"), split="train", cache_dir=str(tmp_path)
    )
    assert loaded.to_list() == read(name)


# --- messages ------------------------------------------------------------------------------------------------


def test_no_simple_rule_tells_spam_from_ham() -> None:
    rows = read("messages")
    assert {row["label"] for row in rows} == {"spam", "ham"}
    assert 0.4 < sum(row["label"] == "spam" for row in rows) / len(rows) < 0.6
    printed = run("baseline.py").stdout.split("preferences\n")[0]
    found = {
        what: float(value) for value, what in re.findall(r"^  (\d\.\d{3})  (.+)$", printed, re.MULTILINE)
    }
    assert len(found) == 6
    for what, accuracy in found.items():
        if what.startswith("naive Bayes"):
            assert 0.65 < accuracy < 0.9  # words help, and they are not enough
        else:
            assert accuracy < 0.7


def test_links_numbers_and_alarm_are_in_both_labels() -> None:
    by_label = defaultdict(list)
    for row in read("messages"):
        by_label[row["label"]].append(row["text"])
    for sign in (
        r"\.example",
        r"555-01",
        r"!",
        r"\d",
        r"\bcard",
        r"\baccount",
        r"\bpa(y|id)",
        r"\b(today|now)\b",
    ):
        share = {label: sum(bool(re.search(sign, t)) for t in ts) / len(ts) for label, ts in by_label.items()}
        assert min(share.values()) > 0.005
        assert max(share.values()) < 0.6


# --- instructions --------------------------------------------------------------------------------------------


def test_there_are_many_families_and_the_passive_is_large() -> None:
    families = Counter(row["family"] for row in read("instructions"))
    assert len(families) >= 10
    assert families["active_to_passive"] >= 150
    probes = [row for row in of_family("active_to_passive") if row["split"] == "test"]
    assert len(probes) == 20


def active_and_passive() -> list[tuple[str, str]]:
    return [
        *((row["input"], row["output"]) for row in of_family("active_to_passive")),
        *((row["output"], row["input"]) for row in of_family("passive_to_active")),
    ]


def test_the_passive_keeps_the_words_and_adds_be_and_by() -> None:
    pairs = active_and_passive()
    assert len({sentence for pair in pairs for sentence in pair}) == 2 * len(pairs)  # none is used both ways
    pronouns = {"i": "me", "he": "him", "she": "her", "we": "us", "they": "them"}
    for active, passive in pairs:
        before, after = Counter(words(active)), Counter(words(passive))
        for subject, object_form in pronouns.items():
            if words(active)[0] == subject:
                before[subject] -= 1
                before[object_form] += 1
        gone, new = +(before - after), +(after - before)
        assert new["by"] == 1, passive
        participle = [word for word in new.elements() if word not in AUXILIARIES | {"by"}]
        verb = [word.replace("ate", "eaten") for word in gone.elements() if word not in AUXILIARIES]
        assert max(len(participle), len(verb)) <= 1, (active, passive)
        # "wrote" becomes "written"; "repaired" may stay as it is
        assert [word[0] for word in participle] == [word[0] for word in verb], (active, passive)
        assert BE & set(words(passive)), passive
        agent = " ".join(words(passive)).split(" by ")[1].split()[0]
        assert agent in {words(active)[0], pronouns.get(words(active)[0])}


def test_the_verb_agrees_with_its_subject() -> None:
    """A noun in -s before the verb is plural; a, an, this or one before the noun makes it singular."""
    singular, plural = {"is", "was", "has"}, {"are", "were", "have"}
    checked = 0
    for pair in active_and_passive():
        for sentence in pair:
            found = words(sentence)
            place = next((i for i, word in enumerate(found) if word in singular | plural), None)
            if place is None or " of " in " ".join(found[:place]):
                continue
            noun, verb = found[place - 1], found[place]
            if found[0] in {"a", "an", "this"}:
                assert verb in singular, sentence
            elif re.search(r"[^su]s$", noun) and "'" not in noun:
                assert verb in plural, sentence
            elif noun not in {
                "deer",
                "sheep",
                "mice",
                "geese",
                "teeth",
                "fishermen",
                "they",
                "we",
                "children",
                "trout",
            }:
                assert verb in singular, sentence
            checked += 1
    assert checked > 150


def test_counts_and_orders_are_right() -> None:
    for row in of_family("count_letters"):
        assert row["output"] == str(len(row["input"]))
    for row in of_family("count_one_letter"):
        letter = re.search(r'"(\w)"', row["instruction"])
        assert letter is not None
        assert row["output"] == str(len(re.findall(letter[1], row["input"]))) != "0"
    for row in of_family("count_words"):
        assert row["output"] == str(row["input"].count(" ") + 1)
    for family, key in (("sort_words", str.lower), ("sort_by_length", len)):
        for row in of_family(family):
            given, ordered = row["input"].split(", "), row["output"].split(", ")
            assert Counter(given) == Counter(ordered)
            keys = [key(word) for word in ordered]
            assert all(a < b for a, b in itertools.pairwise(keys))  # no ties: one right answer


def test_conversions_are_right() -> None:
    per_unit = {  # in SI units or in the unit that others are counted in
        "milli": 1e-3, "centi": 1e-2, "kilo": 1e3, "mega": 1e6, "giga": 1e9,
        "metre": 1, "gram": 1, "litre": 1, "byte": 1, "tonne": 1e6, "inch": 0.0254, "inche": 0.0254, "feet": 0.3048,
        "yard": 0.9144, "ounce": 28.349523125, "pound": 453.59237, "second": 1, "minute": 60, "hour": 3600,
        "day": 86400, "week": 604800, "month": 1, "year": 12, "cubic metre": 1000, "square metre": 1,
        "hectare": 10000, "dozen": 12, "piece": 1, "egg": 1,
    }  # fmt: skip

    def size(unit: str) -> float:
        unit = unit.lower().removesuffix("s")
        if unit in per_unit:
            return per_unit[unit]
        prefix = next(p for p in ("milli", "centi", "kilo", "mega", "giga") if unit.startswith(p))
        return per_unit[prefix] * per_unit[unit.removeprefix(prefix)]

    number = r"(\d[\d,]*(?:\.\d+)?) ((?:cubic |square |degrees )?[A-Za-z]+)"
    for row in of_family("unit_conversion"):
        answer = re.fullmatch(number, row["output"])
        assert answer is not None, row
        got = float(answer[1].replace(",", ""))
        wanted = []
        for value, unit in re.findall(number, row["instruction"]):
            n = float(value.replace(",", ""))
            if unit == "degrees Celsius":
                wanted.append(n * 1.8 + 32 if answer[2] == "degrees Fahrenheit" else None)
            elif unit == "degrees Fahrenheit":
                wanted.append((n - 32) / 1.8 if answer[2] == "degrees Celsius" else None)
            elif unit != "to":  # "1,000 to one"
                wanted.append(n * size(unit) / size(answer[2]))
        assert wanted == [pytest.approx(got)], row


def test_answers_have_the_form_that_the_family_promises() -> None:
    for row in of_family("extract"):
        assert row["output"] in row["input"]
    assert Counter(row["output"] for row in of_family("sentiment")).keys() == {
        "positive",
        "negative",
        "neutral",
    }
    for family, most in (("spelling", 1), ("past_tense", 1)):
        same = 0
        for row in of_family(family):
            given, answer = row["input"].split(), row["output"].split()
            changed = sum(a != b for a, b in zip(given, answer, strict=True))
            assert changed <= most, row
            same += changed == 0
        assert same <= (
            3 if family == "past_tense" else 0
        )  # "cost", "cut" and "hurt" look alike in both tenses
    for family in ("synonym", "antonym"):
        for row in of_family(family):
            assert row["input"] != row["output"]
    for row in of_family("arithmetic"):
        assert re.fullmatch(r"[\d,.]+( \w+)?", row["output"])


# --- preferences ---------------------------------------------------------------------------------------------


def test_length_is_no_shortcut_to_the_chosen_answer() -> None:
    rows = read("preferences")
    assert len({row["kind"] for row in rows}) >= 5
    assert all(row["chosen"] != row["rejected"] for row in rows)
    differences = [len(row["chosen"]) - len(row["rejected"]) for row in rows]
    wins = sum(d > 0 for d in differences) + sum(d == 0 for d in differences) / 2
    assert 0.45 < wins / len(rows) < 0.55
    assert abs(sum(differences) / len(differences)) < 10


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [("concise", 0, 0), ("complete", 1, 1), ("answers", 0.3, 0.7), ("polite", 0.3, 0.7)],
)
def test_length_within_a_kind_is_what_the_card_says(kind: str, least: float, most: float) -> None:
    rows = [row for row in read("preferences") if row["kind"] == kind]
    assert len(rows) >= 20
    assert least <= sum(len(row["chosen"]) > len(row["rejected"]) for row in rows) / len(rows) <= most
