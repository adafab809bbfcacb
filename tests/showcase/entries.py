"""Entries for tests: two good ones, and many that somebody built to do harm, each a small function with a name."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from cohort_cli.showcase import contents, entry
from cohort_cli.tokens import formats
from cohort_cli.training.config import SECTIONS, Config, to_dict

Files = dict[str, bytes]
FIGURE, SAYS = "figure-loss.png", "The loss falls from 4.5 to 4.25."
CARD = """# A small model

## What it is

It continues text, *badly*. See [nanoGPT](https://github.com/karpathy/nanoGPT) and
[below](#use-of-ai). 3 < 4 and `a <= b`.

## Data and licence

Python's documentation, PSF licence. <|endoftext|> is a token.

## What went wrong

| what | loss |
|---|---|
| no warm-up | 5.1 |

## Use of AI

None.

## Who reproduced it

Nobody yet.
"""


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


HEADER = {
    "__metadata__": {"format": contents.MODEL},
    "wte.weight": {"dtype": "I8", "shape": [3, 2], "data_offsets": [0, 6]},
    "wte.weight.scale": {"dtype": "F32", "shape": [3], "data_offsets": [6, 18]},
}
DATA = bytes(6) + struct.pack("<3f", 1, 2, 3)


def project(handle: str = "bob", name: str = "project1") -> Files:
    """A good entry of the kind "project"."""
    facts = {"checks": {"bytes": "ok", "merge-ties": "fail"}, "code": {"bytes": "0" * 64}}
    files = {"verdicts.json": dumped({"schema": contents.VERDICTS, "projects": {"project1": facts}})}
    return sealed(
        {**files, "card.md": CARD.encode()}, handle=handle, name=name, kind="project", project="project1"
    )


def png(*parts: tuple[bytes, bytes], mode: str = "L", size: tuple[int, int] = (3, 2)) -> bytes:
    """A small picture, with more parts behind the first."""
    file = io.BytesIO()
    Image.new(mode, size).save(file, "PNG", compress_level=9)
    data = file.getvalue()
    more = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    return data[:33] + more + data[33:]


def run(config: Config, handle: str = "ada", name: str = "small") -> Files:
    """A good entry of the kind "run", with everything that one may have."""
    rows = [{"step": 0, "validation_loss": 4.5, "bits_per_byte": 6.5}, {"step": 1, "loss": 4.25, "lr": 0.001}]
    scores = {
        "step": 1,
        "benchmark": "hellaswag",
        "measure": "accuracy",
        "value": 0.25,
        "error": 0.01,
        "chance": 0.25,
    }
    whole = {"schema": contents.CONFIG, "source": "reference", "code": {}, "config": to_dict(config)}
    files = {
        "card.md": CARD.encode(),
        "config.json": dumped(whole),
        "metrics.jsonl": b"".join(dumped(row) + b"\n" for row in rows),
        "samples.jsonl": dumped({"step": 1, "prompt": "The ", "text": "caf\u00e9\n", "seed": 1}) + b"\n",
        "verdicts.json": dumped({"schema": contents.VERDICTS, "projects": {}}),
        "evaluation.json": dumped(
            {"schema": contents.EVALUATION, "results": [{**scores, "n": 100, "of": 10_042}]}
        ),
        "tokenizer.json": dumped({"schema": contents.ALPHABET, "kind": "characters", "alphabet": "\nTabc"}),
        "model.json": dumped({"schema": contents.MODEL, "parity": {"positions": 200}}),
        "model.safetensors": safetensors(HEADER, DATA),
        FIGURE: png(),
    }
    return sealed(
        files,
        handle=handle,
        name=name,
        kind="run",
        project="project3",
        claims={"validation_loss": 4.5},
        figures={FIGURE: SAYS},
    )


def sealed(files: Files, claims: dict[str, Any] | None = None, **head: Any) -> Files:
    """With an entry.json that fits."""
    table = {
        "schema": contents.SCHEMA, "title": "A small model", "created": "2026-11-27", "kit": "0.1.0", **head,
        "files": entry.sealed(files), "claims": {**dict.fromkeys(contents.CLAIMS), **(claims or {})},
    }  # fmt: skip
    return {"entry.json": dumped(table), **files}


def folder_of(files: Files) -> str:
    head = json.loads(files["entry.json"])
    return f"{head['handle']}-{head['name']}"


def lay(files: Files, home: Path, name: str = "") -> Path:
    place = home / (name or folder_of(files))
    place.mkdir(parents=True)
    for file, data in files.items():
        (place / file).write_bytes(data)
    return place


# --- changed in one place, and everything else made to fit it --------------------------------------------------

Change = Callable[[Files], Files]


def with_file(name: str, data: bytes) -> Change:
    """The file replaced, its checksum too: only what is in it is wrong."""

    def change(files: Files) -> Files:
        changed = {**files, name: data}
        model = json.loads(files["model.json"]) if name in (entry.WEIGHTS, "tokenizer.json") else {}
        if name in model.get("files", {}):
            model["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            changed = with_file("model.json", dumped(model))(changed)
        head = json.loads(changed["entry.json"])
        if name != "card.md":
            head["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        return {**changed, "entry.json": dumped(head)}

    return change


def with_head(**keys: Any) -> Change:
    return lambda files: {**files, "entry.json": dumped({**json.loads(files["entry.json"]), **keys})}


def with_claim(**claims: Any) -> Change:
    def change(files: Files) -> Files:
        head = json.loads(files["entry.json"])
        return with_head(claims={**head["claims"], **claims})(files)

    return change


def with_config(section: str, key: str, value: Any) -> Change:
    def change(files: Files) -> Files:
        table = json.loads(files["config.json"])
        table["config"][section][key] = value
        return with_file("config.json", dumped(table))(files)

    return change


def with_raw_head(old: bytes, new: bytes) -> Change:
    def change(files: Files) -> Files:
        assert old in files["entry.json"]
        return {**files, "entry.json": files["entry.json"].replace(old, new)}

    return change


def card_with(line: str) -> Change:
    return with_file("card.md", (CARD + line + "\n").encode("utf-8", "surrogatepass"))


def without(name: str) -> Change:
    return lambda files: {key: data for key, data in files.items() if key != name}


def tensor(**facts: Any) -> Change:
    header = {"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **facts}}
    return with_file("model.safetensors", safetensors(header, bytes(8)))


def metrics(*rows: bytes) -> Change:
    return with_file("metrics.jsonl", b"".join(row + b"\n" for row in rows))


def with_config_head(**keys: Any) -> Change:
    return lambda files: with_file("config.json", dumped({**json.loads(files["config.json"]), **keys}))(files)


def alphabet(**keys: Any) -> Change:
    return with_file("tokenizer.json", dumped({"schema": contents.ALPHABET, **keys}))


class Evil:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (Path.touch, ("ran",))  # type: ignore[return-value]


BPE = {
    "model": {"type": "BPE", "vocab": {}, "merges": []},
    "pre_tokenizer": {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
        ],
    },
}


def _long_token() -> str:
    letters = {id: bytes([id]) for id in range(256)}
    return formats.to_huggingface(
        formats.Parts({**letters, 256: b"a" * 1_000_000}, [], ["a" * 1_000_000], None)
    )


DEEP = b"[" * 20_000 + b"]" * 20_000


def forged(width: int, height: int, depth: int = 8) -> bytes:
    """A picture of 3 x 2 pixels that claims to be another."""
    data = png()
    head = b"IHDR" + struct.pack(">IIB", width, height, depth) + data[25:29]
    return data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:]


# name -> (what is changed in the good run's entry, a part of what the refusal says)
HOSTILE: dict[str, tuple[Change, str]] = {
    "another schema": (with_head(schema="cohort.entry/9"), "entry.json: it does not say cohort.entry/1"),
    "unknown key": (with_head(html="<b>"), "unknown key 'html'"),
    "missing key": (with_raw_head(b'"kit"', b'"kid"'), "unknown key 'kid'"),
    "key twice": (with_raw_head(b'"kind": "run"', b'"kind": "run", "kind": "project"'), "a key twice"),
    "prototype": (with_raw_head(b'"kind"', b'"__proto__": {}, "kind"'), "unknown key '__proto__'"),
    "handle with a path": (with_head(handle="../../etc"), "handle is"),
    "handle in Cyrillic": (with_head(handle="\u0430da"), "handle is"),
    "handle for a device": (with_head(handle="CON"), "Windows keeps"),
    "handle that turns the line": (with_head(handle="ada\u202e"), "U+202E"),
    "name with a dot at the end": (with_head(name="small."), "name is"),
    "name with a line break": (with_head(name="small\n"), "name is"),
    "name of a page": (with_head(name="small.MD"), "which ends as a page does"),
    "title that is not seen": (with_head(title="\u200b\u3164"), "nothing to be seen"),
    "title that piles up": (with_head(title="Z" + "\u0351" * 5), "signs that pile up"),
    "title that steers": (with_head(title="x\x1b[2J"), "U+001B"),
    "title too long": (with_head(title="x" * 10_000), "longer than"),
    "no day": (with_head(created="2026-02-31"), "created is no day"),
    "kit is a path": (with_head(kit="../.."), "kit is"),
    "kind unknown": (with_head(kind="script"), "kind is none of"),
    "kind is a list": (with_head(kind=["run"]), "kind is none of"),
    "claim NaN": (with_claim(validation_loss=float("nan")), "NaN"),
    "claim infinity": (with_claim(bits_per_byte=float("inf")), "Infinity"),
    "claim 1e400": (with_raw_head(b'"validation_loss": 4.5', b'"validation_loss": 1e400'), "too large"),
    "claim below 0": (with_claim(validation_loss=-1.0), "below 0"),
    "claim true": (with_claim(steps=True), "steps is no whole number"),
    "claim never measured": (with_claim(validation_loss=0.01), "stands in no row"),
    "huge whole number": (with_claim(parameters=10**4000), "more than 20 digits"),
    "another sha256": (with_raw_head(b'"sha256": "', b'"sha256": "0'), "sha256"),
    "file changed": (lambda files: {**files, "samples.jsonl": b""}, "samples.jsonl: it is not as entry.json says"),
    "file not named": (
        lambda files: with_head(files={})(files),
        "files does not name exactly the files that are there",
    ),
    "nested too deeply": (lambda files: {**files, "entry.json": DEEP}, "entry.json: it is nested too deeply"),
    "not UTF-8": (with_file("card.md", b"# \xff\xfe"), "card.md: it is not UTF-8"),
    "UTF-16": (with_file("config.json", json.dumps({}).encode("utf-16")), "config.json: it is not UTF-8"),
    "pickle as JSON": (with_file("config.json", pickle.dumps(Evil())), "config.json: it is a pickle"),
    "pickle of protocol 0": (with_file("config.json", pickle.dumps(Evil(), 0)), "config.json: it is no JSON"),
    "pickle as weights": (with_file("model.safetensors", pickle.dumps(Evil())), "no header of safetensors"),
    "torch.save as weights": (with_file("model.safetensors", b"PK\x03\x04" + bytes(60)), "no header of safetensors"),
    "archive as JSON": (with_file("samples.jsonl", b"PK\x03\x04\xff"), "samples.jsonl: it is an archive"),
    "program as JSON": (with_file("verdicts.json", b"\x7fELF\xff"), "verdicts.json: it is a program"),
    "header of 2^40": (with_file("model.safetensors", safetensors({}, length=1 << 40)), "no header of safetensors"),
    "header behind the end": (with_file("model.safetensors", safetensors(HEADER, length=4000)), "no header"),
    "header is no JSON": (with_file("model.safetensors", safetensors(b"{{", DATA)), "model.safetensors: it is no JSON"),
    "header is a list": (with_file("model.safetensors", safetensors([], DATA)), "its header is no object"),
    "bytes behind the data": (with_file("model.safetensors", safetensors(HEADER, DATA + b"#!")), "longer or shorter"),
    "data cut off": (with_file("model.safetensors", safetensors(HEADER, DATA[:-4])), "longer or shorter"),
    "offsets overlap": (
        with_file("model.safetensors", safetensors({
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        }, bytes(8))),
        "do not lie one behind the other",
    ),
    "offsets with a gap": (tensor(shape=[1], data_offsets=[4, 8]), "do not lie one behind the other"),
    "offset below 0": (tensor(data_offsets=[-8, 0]), "a tensor's offset"),
    "offset as a float": (tensor(data_offsets=[0.0, 8.0]), "a tensor's offset"),
    "shape does not fit": (tensor(shape=[3]), "each as large as its shape"),
    "shape of 2^100": (tensor(shape=[1 << 30, 1 << 30, 1 << 30, 1 << 10]), "each as large as its shape"),
    "dtype unknown": (tensor(dtype="F4096"), "a dtype that is not known"),
    "dtype is a list": (tensor(dtype=["F32"]), "a dtype that is not known"),
    "tensor with a path": (
        with_file("model.safetensors", safetensors({"../a": HEADER["wte.weight"]}, bytes(6))), "a tensor's name",
    ),
    "weights that are no numbers": (
        with_file("model.safetensors", safetensors(HEADER, bytes(6) + struct.pack("<3f", 1, float("nan"), 3))),
        "no number",
    ),
    "address in the card": (card_with("<[mailto:a@b.c>"), "card.md: it has an address"),
    "address over two lines": (card_with("<[mailto:a\n@b.c>"), "card.md: it has an address"),
    "script in the card": (card_with("<script>alert(1)</script>"), "card.md: line 25 has HTML"),
    "script in code of the card": (card_with("`<img src=x onerror=alert(1)>`"), "has HTML"),
    "HTML that ends elsewhere": (card_with("</div>"), "has HTML"),
    "comment in the card": (card_with("<!-- x -->"), "has HTML"),
    "javascript link": (card_with("[x](javascript:alert(1))"), "the link 'javascript:alert"),
    "javascript link in disguise": (card_with("[x](java&#115;cript:alert(1))"), "the link"),
    "link by reference": (card_with("[x][y]\n\n[y]: data:text/html,x"), "the link 'data:"),
    "link to a file": (card_with("[x](file:///etc/passwd)"), "the link"),
    "link upwards": (card_with("[x](../../index.html)"), "the link"),
    "link without a scheme": (card_with("[x](//evil.example)"), "the link"),
    "image from elsewhere": (card_with("![x](https://evil.example/pixel.png)"), "has an image"),
    "image by reference": (card_with("![x][y]\n\n[y]: https://evil.example/pixel.png"), "has an image"),
    "snippet": (card_with('--8<-- "mkdocs.yml"'), "a snippet"),
    "template": (card_with("{{ config.extra }}"), "a template"),
    "attributes": (card_with("# x { onclick=alert(1) }"), "attributes"),
    "card that turns the line": (card_with("x \u202e y"), "U+202E"),
    "card that steers": (card_with("x \x1b[2J"), "U+001B"),
    "card too large": (card_with("x " * 40_000), "card.md: it is larger than 64 KiB"),
    "metrics NaN": (metrics(b'{"step": 1, "loss": NaN}'), "metrics.jsonl: it has NaN"),
    "metrics with text": (metrics(b'{"step": 1, "loss": "<b>"}'), "no number that could have been measured"),
    "metrics of another kind": (metrics(b'{"step": 1, "evil": 1}'), "unknown key 'evil'"),
    "metrics that go back": (metrics(b'{"step": 2, "loss": 1}', b'{"step": 1, "loss": 1}'), "steps go back"),
    "metrics without end": (metrics(*[b'{"step": 1, "loss": 1}'] * 2001), "2,000 are allowed"),
    "metrics cut off": (with_file("metrics.jsonl", b'{"step": 1, "loss": 1}'), "its last line is cut off"),
    "samples without end": (
        with_file("samples.jsonl", (dumped({"step": 1, "prompt": "", "text": "x" * 30_000}) + b"\n")), "longer than",
    ),
    "sample with half a character": (
        with_file("samples.jsonl", b'{"step": 1, "prompt": "", "text": "\\ud800"}\n'), "U+D800",
    ),
    "config with a path": (with_config("data", "source", "/home/ada/secret.txt"), "data.source is"),
    "config with a path of Windows": (with_config("data", "source", "C:\\Users\\ada"), "data.source is"),
    "config with a number as text": (with_config("model", "n_heads", "2"), "model.n_heads is of the wrong type"),
    "config that does not fit": (with_config("model", "n_heads", 0), "its numbers do not fit"),
    "config with an unknown key": (with_config("model", "code", "import os"), "unknown key 'code'"),
    "state unknown": (
        with_file("verdicts.json", dumped({"schema": contents.VERDICTS, "projects": {
            "project1": {"checks": {"sum": "great"}, "code": {}}}})),
        "sum has a state that there is not",
    ),
    "regex of somebody's own": (with_file("tokenizer.json", dumped(BPE)), "a pattern that is not GPT-2's"),
    "token of a million bytes": (
        with_file("tokenizer.json", _long_token().encode()),
        "a token of 1,000,000 bytes",
    ),
    "tokenizer of another kind": (with_file("tokenizer.json", dumped({"model": {"type": "Unigram"}})), "no byte-level"),
    "tokenizer is a list": (with_file("tokenizer.json", b"[]"), "tokenizer.json: it is no byte-level BPE"),
    "model card that lies about a size": (
        with_file(
            "model.json",
            dumped({"schema": contents.MODEL, "files": {"model.safetensors": {"bytes": 1, "sha256": "0" * 64}}}),
        ),
        "what it says of model.safetensors is not so",
    ),
    "model card that names another file": (
        with_file("model.json", dumped({"schema": contents.MODEL, "files": {"more.json": {}}})),
        "what it says of more.json is not so",
    ),
    "model card of another kind": (with_file("model.json", dumped({"schema": "x"})), "does not say cohort.browser"),
    "model card with HTML keys": (
        with_file("model.json", dumped({"schema": contents.MODEL, "<b>": 1})), "a key is",
    ),
    "nested a little too deeply": (with_head(files=json.loads("[" * 20 + "]" * 20)), "nested too deeply"),
    "head is a list": (lambda files: {**files, "entry.json": b"[]"}, "does not say"),
    "claims is a list": (with_head(claims=[]), "where an object belongs"),
    "claim missing": (with_head(claims={}), "the key 'validation_loss' is missing"),
    "title is a number": (with_head(title=1), "title is no text"),
    "title of two lines": (with_head(title="a\nb"), "not one line"),
    "files is a list": (with_head(files=[]), "files is no object"),
    "notes of the header": (
        with_file("model.safetensors", safetensors({**HEADER, "__metadata__": []}, DATA)), "__metadata__ is no small",
    ),
    "no tensor at all": (with_file("model.safetensors", safetensors({})), "it has 0 tensors"),
    "shape is a text": (tensor(shape="2"), "no lists"),
    "source unknown": (with_config_head(source="stolen"), "source is neither"),
    "config of another kind": (
        with_config_head(config=dict.fromkeys(("schema", "preset", "title", "task", *SECTIONS))),
        "config does not say",
    ),
    "code is a list": (with_config_head(code=[]), "code is no small object"),
    "projects is a list": (
        with_file("verdicts.json", dumped({"schema": contents.VERDICTS, "projects": []})), "projects is no small object",
    ),
    "checks is a list": (
        with_file("verdicts.json", dumped({"schema": contents.VERDICTS, "projects": {"p": {"checks": [], "code": {}}}})),
        "checks is no small object",
    ),
    "results is an object": (
        with_file("evaluation.json", dumped({"schema": contents.EVALUATION, "results": {}})), "results is no short list",
    ),
    "alphabet unknown": (alphabet(kind="emoji"), "of a kind that is not known"),
    "alphabet of GPT-2": (alphabet(kind="gpt2", alphabet="ab"), "GPT-2's tokenizer has no alphabet"),
    "alphabet out of order": (alphabet(kind="characters", alphabet="ba"), "in their order"),
    "alphabet with half a character": (alphabet(kind="characters", alphabet="a\ud800"), "in their order"),
    "long line": (card_with("x" * 5000), "longer than 4,000"),
    "image that leads to a heading": (card_with("![x](#y)"), "has an image"),
    "program beside": (lambda files: {**files, "run.py": b"import os"}, "run.py: an entry has no such file"),
    "page beside": (lambda files: {**files, "index.html": b"<script>"}, "an entry has no such file"),
    "capital letters": (lambda files: {**files, "Entry.json": b"{}"}, "only in capital letters"),
    "look-alike": (lambda files: {**files, "c\u0430rd.md": b"x"}, "letters beyond a to z"),
    "device": (lambda files: {**files, "nul.json": b"{}"}, "Windows keeps"),
    "figure that is a page": (with_file(FIGURE, b"<!doctype html><script>x</script>"), "loss.png: it is no PNG"),
    "figure as SVG": (with_file(FIGURE, b"<svg onload='alert(1)'/>"), "it is no PNG"),
    "figure and page": (with_file(FIGURE, png() + b"<script>alert(1)</script>"), "bytes behind its end"),
    "figure with a second picture": (with_file(FIGURE, png() + png()), "bytes behind its end"),
    "figure with a text": (with_file(FIGURE, png((b"tEXt", b"Comment\0<script>"))), "it has a part 'tEXt'"),
    "figure that was photographed": (with_file(FIGURE, png((b"eXIf", b"MM\0*"))), "it has a part 'eXIf'"),
    "figure that moves": (with_file(FIGURE, png((b"acTL", bytes(8)))), "it has a part 'acTL'"),
    "figure cut off": (with_file(FIGURE, png()[:-3]), "cut off, or damaged"),
    "figure of nothing": (with_file(FIGURE, png()[:8]), "cut off, or damaged"),
    "figure with a wrong sum": (with_file(FIGURE, png()[:-1] + b"x"), "cut off, or damaged"),
    "figure too wide": (with_file(FIGURE, png(size=(4097, 1))), "4097 x 1 pixels"),
    "figure that is a bomb": (with_file(FIGURE, forged(1 << 31, 1 << 31)), "pixels; 4096 x 4096"),
    "figure with more pixels than it says": (with_file(FIGURE, forged(1, 1)), "more or fewer pixels"),
    "figure with fewer pixels than it says": (with_file(FIGURE, forged(4096, 4096)), "more or fewer pixels"),
    "figure with two heads": (with_file(FIGURE, png((b"IHDR", bytes(13)))), "it has a part twice"),
    "figure with colours it does not need": (with_file(FIGURE, png((b"PLTE", bytes(3)))), "list of its colours"),
    "figure out of order": (with_file(FIGURE, png((b"tRNS", b""), (b"PLTE", bytes(3)))), "not in their order"),
    "figure of another kind": (with_file(FIGURE, forged(3, 2, depth=16)), "colours are of another kind"),
    "figure too large": (with_file(FIGURE, bytes(1 << 21)), "figure-loss.png: it is larger than 1,024 KiB"),
    "figure without words": (with_head(figures={FIGURE: " "}), "not one line of text"),
    "figure of two lines": (with_head(figures={FIGURE: "a\nb"}), "not one line of text"),
    "figure that turns the line": (with_head(figures={FIGURE: "a\u202eb"}), "U+202E"),
    "figure not named": (with_head(figures={}), "figures does not name exactly"),
    "figure that is not there": (with_head(figures={FIGURE: "a", "figure-b.png": "b"}), "figures does not name exactly"),
    "figure with a path": (with_head(figures={"../figure-a.png": "a"}), "a figure is"),
    "figures without end": (with_head(figures={f"figure-{n}.png": "a" for n in range(9)}), "no object of at most 8"),
    "figures is a list": (with_head(figures=[]), "no object of at most 8"),
    "figure in capital letters": (lambda files: {**files, "Figure-loss.png": png()}, "only in capital letters"),
    "no card": (without("card.md"), "card.md is missing"),
    "model without its card": (without("model.json"), "go together"),
}  # fmt: skip


# --- archives --------------------------------------------------------------------------------------------------


def zipped(path: Path, *entries: Files, more: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for files in entries:
            for name, data in files.items():
                archive.writestr(f"{folder_of(files)}/{name}", data)
        for name, data in (more or {}).items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, *entries: Files, more: list[tuple[tarfile.TarInfo, bytes]] | None = None) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for files in entries:
            for name, data in files.items():
                archive.addfile(member(f"{folder_of(files)}/{name}", size=len(data)), io.BytesIO(data))
        for info, data in more or []:
            archive.addfile(info, io.BytesIO(data))
    return path


def member(name: str, **facts: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    for key, value in facts.items():
        setattr(info, key, value)
    return info
