"""The page's tokenizer cuts and joins every text as Python's does."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from javascript import Page, page

from cohort_cli.showcase.kernel import ASSETS
from cohort_cli.tokens import formats
from cohort_cli.training.data import tokenizer as tokenizers
from cohort_cli.training.data.tokenizer import Tokenizer

# Unassigned characters may be letters in the Unicode of one library, and not yet in that of the other.
LETTERS = st.characters(exclude_categories=["Cs", "Cn"])
SPACES = st.sampled_from(" \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u2003\u2028\u3000\ufeff\u200b")
PIECES = st.one_of(
    LETTERS,
    SPACES,
    st.sampled_from(["'s", "'LL", " the", "the ", "12", "ab", "é", "日本", "👩‍👧", "<|endoftext|>"]),
)
TEXTS = st.lists(PIECES, max_size=30).map("".join)
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CORPUS = (
    "the cat and the hat of the theatre; that's what they'll think, 12 times 1200.  日本日本 ééé\n\n\tthe\n"
    * 2
)


@cache
def trained(pattern: str | None) -> str:
    """A small byte-level BPE of CORPUS, as `cohort tokenizer export` writes it."""
    import regex

    words = [
        [bytes([byte]) for byte in word.encode()] for word in regex.findall(formats.covering(pattern), CORPUS)
    ]
    vocab = {byte: bytes([byte]) for byte in range(256)}
    merges = []
    for _ in range(60):
        pairs: dict[tuple[bytes, bytes], int] = {}
        for word in words:
            for pair in pairwise(word):
                pairs[pair] = pairs.get(pair, 0) + 1
        best = max(pairs, key=lambda pair: (pairs[pair], pair), default=(b"", b""))
        if best[0] + best[1] in vocab.values() or not best[0]:
            break
        merges.append(best)
        vocab[len(vocab)] = best[0] + best[1]
        for word in words:
            for at in range(len(word) - 2, -1, -1):
                if tuple(word[at : at + 2]) == best:
                    word[at : at + 2] = [best[0] + best[1]]
    vocab[len(vocab)] = b"<|endoftext|>"
    return formats.to_huggingface(formats.Parts(vocab, merges, ["<|endoftext|>"], pattern))


KINDS = {
    "characters": lambda: tokenizers.Characters("the cat sat 日本 é\n👩'").to_json(),
    "gpt2 pattern": lambda: trained(formats.GPT2_SPLIT_PATTERN),
    "no pattern": lambda: trained(None),
}


@pytest.fixture(scope="module")
def here() -> Iterator[Page]:
    with page("tokenizer.js") as made:
        for kind, text in KINDS.items():
            made.run("void ((globalThis.all ??= {})[kind] = cohort.tokenizer(text))", kind=kind, text=text())
        yield made


@cache
def python(kind: str) -> Tokenizer:
    return tokenizers.from_json(KINDS[kind](), Path("tokenizer.json"))


@pytest.mark.parametrize("kind", KINDS)
@MANY
@given(text=TEXTS)
def test_ids_are_python_s_and_lead_back(here: Page, kind: str, text: str) -> None:
    ids = python(kind).encode(text)
    assert here.run("all[kind].encode(text)", kind=kind, text=text) == ids
    assert here.run("all[kind].decode(ids)", kind=kind, ids=ids) == python(kind).decode(ids)


@pytest.mark.parametrize("kind", KINDS)
@MANY
@given(data=st.data())
def test_any_ids_become_python_s_text(here: Page, kind: str, data: st.DataObject) -> None:
    """Pieces of characters too, which become U+FFFD."""
    size = python(kind).vocab_size
    ids = data.draw(st.lists(st.integers(0, size - 1), max_size=12))
    assert here.run("all[kind].decode(ids)", kind=kind, ids=ids) == python(kind).decode(ids)


@pytest.mark.parametrize("kind", KINDS)
def test_facts_about_the_vocabulary(here: Page, kind: str) -> None:
    code = "(({ vocabSize, endOfText, unknown }) => [vocabSize, endOfText, unknown])(all[kind])"
    mine = python(kind)
    assert here.run(code, kind=kind) == [mine.vocab_size, mine.end_of_text, mine.unknown]
    assert here.run("all[kind].decode([1e6, -1, 0.5])", kind=kind) == ""
    pieces = here.run("ids.map(all[kind].piece).join('')", kind=kind, ids=mine.encode("the cat"))
    assert pieces == "the cat"


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_page_shows_of_a_tokenizer(here: Page, kind: str) -> None:
    text = "the cat, that théâtre 日"
    ids = here.run("all[kind].encode(text)", kind=kind, text=text)
    assert here.run("all[kind].encode(text, all[kind].merges.length)", kind=kind, text=text) == ids
    parts = here.run("ids.map(all[kind].bytes)", kind=kind, ids=ids)
    assert b"".join(map(bytes, parts)).decode() == python(kind).decode(ids)
    merges = here.run("all[kind].merges", kind=kind)
    assert bool(merges) == (kind != "characters")
    for left, right, made in here.run("all[kind].merges.map((ids) => ids.map(all[kind].bytes))", kind=kind):
        assert left + right == made
    assert here.run("all[kind].bytes(1e6)", kind=kind) == []
    if merges:
        assert here.run("all[kind].encode(text, 0)", kind=kind, text=text) == list(text.encode())


def test_gpt2_itself(here: Page) -> None:
    whole = tokenizers.gpt2_as_file().to_str()
    here.run("void (all.gpt2 = cohort.tokenizer(text))", text=whole)
    gpt2 = tokenizers.gpt2()
    texts = [
        CORPUS,
        "Hello, world! I'll be   there\n\n at 10:30. <|endoftext|>",
        "naïve Σίσυφος 日本語 🙂 \u200b\ufeff\x85x",
    ]
    for text in texts:
        ids = gpt2.encode(text)
        assert here.run("all.gpt2.encode(text)", text=text) == ids
        assert here.run("all.gpt2.decode(ids)", ids=ids) == text
    assert here.run("all.gpt2.endOfText") == gpt2.end_of_text == 50256


def test_with_node_s_own_decoder(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    mine = python("gpt2 pattern")
    samples = [
        [255, 97],
        [0xE2, 0x82],
        [0xEF, 0xBB, 0xBF, 97],
        mine.encode("日本 the \ufeffcat👩‍👧"),
        [0xF0, 0x9F, 0x41],
    ]
    (tmp_path / "given.json").write_text(json.dumps([KINDS["gpt2 pattern"](), samples]), encoding="utf-8")
    script = (
        "const { readFileSync } = require('fs');\n"
        f"require({json.dumps(str(ASSETS / 'tokenizer.js'))});\n"
        "const [text, samples] = JSON.parse(readFileSync('given.json', 'utf8'));\n"
        "const it = cohort.tokenizer(text);\n"
        "console.log(JSON.stringify(samples.map((ids) => [it.decode(ids), it.encode(it.decode(ids))])));\n"
    )
    done = subprocess.run([node, "-e", script], cwd=tmp_path, capture_output=True, check=True)
    texts = [mine.decode(ids) for ids in samples]
    assert json.loads(done.stdout) == [[text, mine.encode(text)] for text in texts]


def changed(**changes: Any) -> str:
    return json.dumps({**json.loads(trained(formats.GPT2_SPLIT_PATTERN)), **changes})


def in_model(**changes: Any) -> str:
    return changed(model={**json.loads(trained(formats.GPT2_SPLIT_PATTERN))["model"], **changes})


BYTES = formats.Parts({byte: bytes([byte]) for byte in range(256)}, [], [], r"(?:a+)+$|\s")
SPLIT = json.loads(formats.to_huggingface(BYTES))["pre_tokenizer"]
WRONG = {
    "": "no JSON",
    "[]": "no JSON object",
    "[" * 100_000: "no JSON",
    "{}": "no byte-level BPE",
    '{"schema": "cohort.alphabet/1", "kind": "gpt2"}': "no vocabulary of the kind gpt2",
    changed(model=None): "no byte-level BPE",
    changed(normalizer={"type": "Lowercase"}): "changes its text",
    changed(post_processor={"type": "TemplateProcessing"}): "adds tokens",
    changed(pre_tokenizer=None): "no byte-level BPE",
    changed(pre_tokenizer=SPLIT): "a pattern that is not GPT-2's",  # it would hang
    changed(added_tokens=[{"content": "x"}]): "no token",
    changed(added_tokens={}): "no list",
    in_model(type="WordPiece"): "no byte-level BPE",
    in_model(byte_fallback=True): "byte_fallback",
    in_model(vocab={"a": 1}): "lacks a byte",
    in_model(vocab={"a": 1e308}): "ids",
    in_model(vocab={"a": 1, "b": 1}): "ids",
    in_model(merges={}): "no list",
    in_model(merges=["a"]): "merge 0",
    in_model(merges=[["the", "re"]]): "merge 0",
    in_model(merges=["q q"]): "lacks what merge 0",
    in_model(merges=[["__proto__", "a"]]): "merge 0",
}


@pytest.mark.parametrize("text", WRONG, ids=list(WRONG.values()))
def test_what_it_cannot_follow_is_refused(here: Page, text: str) -> None:
    said = here.run("tried(() => cohort.tokenizer(text) && '')", text=text)
    assert said.startswith("Error: ")
    assert WRONG[text] in said
