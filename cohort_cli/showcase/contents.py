"""What each file of an entry may hold: one reader for each, which raises Refused. docs/showcase.md says it in words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from typing import Any, get_type_hints

from cohort_cli.checking.states import State
from cohort_cli.errors import CohortError
from cohort_cli.manifest import WrongType, convert
from cohort_cli.showcase import card, figures, strict
from cohort_cli.showcase.strict import Refused
from cohort_cli.tokens import formats
from cohort_cli.training.config import SCHEMA as PRESET
from cohort_cli.training.config import SECTIONS, Config
from cohort_cli.training.config import check as check_config

SCHEMA = "cohort.entry/1"
CONFIG, VERDICTS, EVALUATION = "cohort.entry-config/1", "cohort.entry-verdicts/1", "cohort.entry-evaluation/1"
MODEL = "cohort.browser-model/1"
ALPHABET = "cohort.alphabet/1"

KINDS = ("run", "project")
CLAIMS = ("validation_loss", "bits_per_byte", "parameters", "steps")
METRICS = ("loss", "lr", "grad_norm", "tokens", "tokens_per_second", "seconds", "utilisation", "validation_loss",
           "perplexity", "bits_per_byte", "accuracy", "chance", "reward_margin", "loss_over_ln2")  # fmt: skip
MOST_ROWS, MOST_SAMPLES = 2000, 200
LONGEST_PROMPT, LONGEST_SAMPLE = 2000, 20_000
MOST_MERGES = 1 << 16
HANDLE = r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}"  # as on the group's board
NAME = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_-])?"  # Windows drops a dot at the end
ID = r"[a-z0-9][a-z0-9_-]{0,59}"  # of a project, a step, a check, a benchmark
VERSION = r"\d{1,6}(\.\w{1,20}){1,4}"
PYTHON = r"\d{1,2}\.\d{1,3}\.\d{1,3}[a-z0-9+]{0,8}"
SHA256 = r"[0-9a-f]{64}"
SOURCE = r"(hf:[\w.-]+(/[\w.-]+)?|(run:)?[\w.-]*)"  # a name, never a path
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names of devices on Windows
FILLERS = "\u115f\u1160\u2800\u3164\uffa0"  # letters and a sign of which nothing is to be seen
_PILE = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20f0\ufe20-\ufe2f]{5}")
PAGE = re.compile(r"\.(md|html?|xhtml)$", re.IGNORECASE)  # ada-x.md would be the page of ada-x
STATES = {state.value for state in State} | {"not checked"}


def entry(data: bytes) -> dict[str, Any]:
    """entry.json. That its files are there and as it says is for entry.py to see."""
    keys = ("schema", "handle", "name", "title", "kind", "project", "created", "kit", "files", "claims")
    table = _object(data, SCHEMA, keys, optional=("figures",))
    figures.table(table.get("figures", {}))
    for key, pattern in (("handle", HANDLE), ("name", NAME), ("project", ID), ("kit", VERSION)):
        strict.words(table[key], key, pattern)
    for key in ("handle", "name"):
        if RESERVED.fullmatch(table[key]):
            raise Refused(f"{key} is {table[key]!r}, which Windows keeps for a device")
    if PAGE.search(table["name"]):
        raise Refused(f"name is {table['name'][:40]!r}, which ends as a page does")
    if not strict.words(table["title"], "title", longest=120).strip() or "\n" in table["title"]:
        raise Refused("title is not one line of text")
    if not any(map(_is_seen, table["title"])) or _PILE.search(unicodedata.normalize("NFD", table["title"])):
        raise Refused("title has nothing to be seen, or signs that pile up")
    if table["kind"] not in KINDS:
        raise Refused(f"kind is none of {', '.join(KINDS)}")
    try:
        date.fromisoformat(strict.words(table["created"], "created", r"\d{4}-\d\d-\d\d"))
    except ValueError as trouble:
        raise trouble if isinstance(trouble, Refused) else Refused("created is no day") from None
    if not isinstance(table["files"], dict):
        raise Refused("files is no object")
    for facts in table["files"].values():
        strict.table(facts, ("bytes", "sha256"))
        strict.whole(facts["bytes"], "bytes of a file")
        strict.words(facts["sha256"], "sha256 of a file", SHA256)
    claims = strict.table(table["claims"], CLAIMS)
    for key, value in claims.items():
        if value is None:
            continue
        if key in ("parameters", "steps"):
            strict.whole(value, key)
        elif strict.number(value, key) < 0:
            raise Refused(f"{key} is below 0")
    return table


def _is_seen(letter: str) -> bool:
    return unicodedata.category(letter)[0] not in "CMZ" and letter not in FILLERS


def config(data: bytes) -> dict[str, Any]:
    table = _object(data, CONFIG, ("schema", "source", "code", "config"), ("python",))
    strict.words(table.get("python", "3.11.0"), "python", PYTHON)
    if table["source"] not in ("mine", "reference"):
        raise Refused("source is neither mine nor reference")
    _hashes(table["code"], "code")
    given = strict.table(table["config"], ("schema", "preset", "title", "task", *SECTIONS))
    if given["schema"] != PRESET:
        raise Refused(f"config does not say {PRESET}")
    heads: dict[str, Any] = {key: strict.words(given[key], key) for key in ("preset", "title", "task")}
    records: dict[str, Any] = {name: _record(cls, given[name], name) for name, cls in SECTIONS.items()}
    for section, key in (("data", "source"), ("data", "tokenizer"), ("model", "start_from")):
        strict.words(given[section].get(key, ""), f"{section}.{key}", SOURCE)
    try:
        check_config(Config(**heads, **records), "it")
    except (CohortError, TypeError, ValueError, OverflowError) as trouble:
        raise Refused(f"its numbers do not fit: {str(trouble)[:120]}") from None
    return table


def _record(cls: Any, given: Any, section: str) -> Any:
    """A section of a run's configuration, as the record that it was."""
    needed = [key for key in cls._fields if key not in cls._field_defaults]
    strict.table(given, needed, cls._fields)
    types = get_type_hints(cls)
    values = {}
    for key, value in given.items():
        try:
            values[key] = convert(value, types[key])
        except WrongType:
            raise Refused(f"{section}.{key} is of the wrong type") from None
        for words in value if isinstance(value, list) else [value]:
            if isinstance(words, str):
                strict.words(words, f"{section}.{key}", longest=LONGEST_PROMPT)
    return cls(**values)


def metrics(data: bytes) -> list[dict[str, Any]]:
    rows = strict.rows(strict.text(data), MOST_ROWS)
    before = 0
    for row in rows:
        strict.table(row, ("step",), METRICS)
        if strict.whole(row["step"], "step") < before:
            raise Refused("its steps go back")
        before = row["step"]
        for key, value in row.items():
            strict.number(value, key)
    return rows


def samples(data: bytes) -> list[dict[str, Any]]:
    rows = strict.rows(strict.text(data), MOST_SAMPLES)
    for row in rows:
        strict.table(row, ("step", "prompt", "text"), ("seed",))
        strict.whole(row["step"], "step")
        strict.whole(row.get("seed", 0), "seed", most=1 << 63)
        strict.words(row["prompt"], "a prompt", longest=LONGEST_PROMPT)
        strict.words(row["text"], "a text", longest=LONGEST_SAMPLE)
    return rows


def verdicts(data: bytes) -> dict[str, Any]:
    """project -> checks (check -> state) and code (step -> hash of the code that stands there)."""
    table = _object(data, VERDICTS, ("schema", "projects"))
    if not isinstance(table["projects"], dict) or len(table["projects"]) > 20:
        raise Refused("projects is no small object")
    for project, facts in table["projects"].items():
        strict.words(project, "a project", ID)
        strict.table(facts, ("checks", "code"))
        if not isinstance(facts["checks"], dict) or len(facts["checks"]) > 500:
            raise Refused("checks is no small object")
        for check, state in facts["checks"].items():
            strict.words(check, "a check", ID)
            if not isinstance(state, str) or state not in STATES:
                raise Refused(f"{check} has a state that there is not")
        _hashes(facts["code"], "code")
    return table


def evaluation(data: bytes) -> list[dict[str, Any]]:
    results = _object(data, EVALUATION, ("schema", "results"))["results"]
    if not isinstance(results, list) or len(results) > 100:
        raise Refused("results is no short list")
    for row in results:
        strict.table(row, ("step", "benchmark", "measure", "value", "n", "of"), ("error", "chance"))
        for key in ("step", "n", "of"):
            strict.whole(row[key], key)
        for key in ("benchmark", "measure"):
            strict.words(row[key], key, ID)
        for key in {"value", "error", "chance"} & row.keys():
            strict.number(row[key], key)
    return results


def tokenizer(data: bytes) -> dict[str, Any]:
    """Characters, the name of GPT-2's, or byte-level BPE that cuts as GPT-2 does or not at all: a pattern of somebody's
    own could keep a reader's browser busy for ever."""
    text = strict.text(data)
    content = strict.value(text)
    if isinstance(content, dict) and "schema" in content:
        strict.table(content, ("schema", "kind"), ("alphabet",))
        if content["schema"] != ALPHABET or content["kind"] not in ("characters", "gpt2"):
            raise Refused(f"it does not say {ALPHABET}, or is of a kind that is not known")
        letters = content.get("alphabet")
        if content["kind"] == "gpt2" and letters is not None:
            raise Refused("GPT-2's tokenizer has no alphabet")
        if content["kind"] == "characters" and not _is_alphabet(letters):
            raise Refused("alphabet is not a text of different characters in their order")
        return content
    try:
        pattern = _pattern(content)
        if pattern not in (None, formats.GPT2_SPLIT_PATTERN):
            raise Refused("it cuts text by a pattern that is not GPT-2's")
        parts = formats.from_huggingface(text)
    except Refused:
        raise
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as trouble:
        raise Refused(f"it is no byte-level BPE: {str(trouble)[:120]}") from None
    if (longest := max(map(len, parts.vocab.values()))) > formats.LONGEST:
        raise Refused(f"it has a token of {longest:,} bytes; {formats.LONGEST:,} are allowed")
    if len(parts.merges) > MOST_MERGES:
        raise Refused(f"it has {len(parts.merges):,} merges; {MOST_MERGES:,} are allowed")
    return dict(content)


def _is_alphabet(letters: Any) -> bool:
    """Control characters may be in it, halves of characters may not."""
    return (
        isinstance(letters, str)
        and letters == "".join(sorted(set(letters)))
        and not re.search("[\ud800-\udfff]", letters)
    )


def _pattern(content: Any) -> Any:
    """The pattern that a tokenizer.json names, looked at before anybody compiles it."""
    cutting = content.get("pre_tokenizer") or {}
    for step in cutting.get("pretokenizers") or [cutting]:
        if "pattern" in step:
            return step["pattern"].get("Regex")
    return None


def model_json(data: bytes) -> dict[str, Any]:
    """What the page's engine reads beside the weights: an object of plain values with the schema of its writer."""
    table = strict.value(strict.text(data))
    if not isinstance(table, dict) or table.get("schema") != MODEL:
        raise Refused(f"it does not say {MODEL}")
    waiting: list[Any] = [table]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            for key in found:
                strict.words(key, "a key", r"[A-Za-z0-9.][A-Za-z0-9_.-]*", 100)
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
        elif isinstance(found, str):
            strict.words(found, "a text", longest=500)
        elif found is not None and not isinstance(found, bool):
            strict.number(found, "a value")
    return table


def model(data: bytes) -> dict[str, strict.Tensor]:
    found = strict.tensors(data, len(data))
    strict.require_finite(data, found)
    return found


def _object(
    data: bytes, schema: str, keys: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    found = strict.value(strict.text(data))
    if not isinstance(found, dict) or found.get("schema") != schema:
        raise Refused(f"it does not say {schema}")
    return strict.table(found, keys, optional)


def _hashes(found: Any, what: str) -> None:
    if not isinstance(found, dict) or len(found) > 100:
        raise Refused(f"{what} is no small object")
    for name, digest in found.items():
        strict.words(name, f"a name of {what}", ID)
        strict.words(digest, f"a hash of {what}", SHA256)


KIB = 1024
Rule = tuple[int, Callable[[bytes], Any]]  # most bytes, what reads it
FILES: dict[str, Rule] = {
    "entry.json": (64 * KIB, entry),
    "card.md": (64 * KIB, lambda data: card.inspect(strict.text(data))),
    "config.json": (64 * KIB, config),
    "metrics.jsonl": (2048 * KIB, metrics),
    "samples.jsonl": (2048 * KIB, samples),
    "verdicts.json": (64 * KIB, verdicts),
    "evaluation.json": (64 * KIB, evaluation),
    "tokenizer.json": (4096 * KIB, tokenizer),
    "model.json": (64 * KIB, model_json),
    "model.safetensors": (16 * KIB * KIB, model),
}
FIGURE: Rule = (figures.MOST_BYTES, figures.inspect)


def rule(name: str) -> Rule | None:
    """How large a file of this name may be, and what reads it; None if an entry has no such file."""
    return FIGURE if figures.NAME.fullmatch(name) else FILES.get(name)
