"""The command's side of `worker.py`: a tokenizer whose code runs in another process.

with Coder(code) as coder:
    coder.open_gpt2(encoder_json, vocab_bpe)
    tokens = coder.encode("text")
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli.errors import CohortError, UsageError
from cohort_cli.prose import clean
from cohort_cli.tokens.formats import Parts

BATCH = 1 << 18  # characters of text in one message, if a document is not longer
# As for the judge: neither PYTHONPATH nor the current folder may slip in modules; -B: no __pycache__ in the folder.
PYTHON = (sys.executable, "-E", "-P", "-B", "-X", "utf8")


class Code(NamedTuple):
    """A folder with tokenizer.py: the member's, or the kit's reference."""

    folder: Path
    mine: bool


class Token(NamedTuple):
    id: int
    piece: bytes


class Coder:
    """One process that runs the code of one folder. It holds the tokenizer that was opened or trained last.

    Raises CohortError, with file and line, for whatever that code raises, and if its process ends.
    """

    def __init__(self, code: Code) -> None:
        self.code = code
        self.parts = Parts({}, [], [], None)
        self._process = subprocess.Popen(
            [*PYTHON, "-m", "cohort_cli.tokens.worker", str(code.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the command, which then ends this process
        )

    def __enter__(self) -> Coder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            try:
                if stream is not None:
                    stream.close()
            except OSError:
                pass  # something that nobody will read was still to be written

    def open_saved(self, path: Path) -> None:
        """Open what the code's `save` wrote."""
        self._open({"from": "saved", "path": str(path)})

    def open_gpt2(self, encoder_json: Path, vocab_bpe: Path) -> None:
        self._open({"from": "gpt2", "paths": [str(encoder_json), str(vocab_bpe)]})

    def open_parts(self, parts: Parts) -> None:
        self._open({"from": "parts", "parts": _to_json(parts)})

    def encode(self, text: str, special: bool = False) -> list[Token]:
        """The tokens of a text. special: whether special tokens in it become their own id."""
        answer = self._ask({"do": "encode", "text": text, "special": special})
        pieces = {int(id): piece.encode("latin-1") for id, piece in answer["pieces"].items()}
        return [Token(id, pieces[id]) for id in answer["ids"]]

    def train(self, documents: Iterable[str], vocab_size: int, **options: Any) -> None:
        """Learn from the documents, which are read as the process takes them, so that few are in memory."""
        self._send({"do": "train", "vocab_size": vocab_size, "options": options})
        for texts in _batches(documents):
            if not self._send({"texts": texts}):
                break  # the process has ended, and has said why
        self._send({"end": True})
        self.parts = _from_json(self._answer()["parts"])

    def save(self, path: Path) -> None:
        self._ask({"do": "save", "path": str(path)})

    def _open(self, request: dict[str, Any]) -> None:
        self.parts = _from_json(self._ask({"do": "open", **request})["parts"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self._send(request)
        return self._answer()

    def _send(self, request: dict[str, Any]) -> bool:
        """Whether the process still listens."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode("ascii") + b"\n")
            self._process.stdin.flush()
        except OSError:  # a broken pipe, which has another name on Windows
            return False
        return True

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise CohortError(f"The process that runs {self._whose()} {_ending(self._process.wait())}.")
        answer: dict[str, Any] = json.loads(line)
        if "trouble" in answer:
            raise self._trouble(**answer["trouble"])
        return answer

    def _trouble(self, type: str, message: str, file: str | None, line: int | None) -> CohortError:
        message = clean(message).strip()
        if not self.code.mine and type == "ValueError":
            return UsageError(f"{message.removesuffix('.')}.")
        place = f"{self.code.folder / file}:{line}" if file else str(self.code.folder)
        if type == "NotImplementedError":
            return CohortError(
                f"{place}: not written yet{f': {message}' if message else ''}.",
                "cohort check project1",
            )
        repair = "cohort check project1" if self.code.mine else ""
        return CohortError(f"{place}: {type}{f': {message}' if message else ''}", repair)

    def _whose(self) -> str:
        return f"your code ({self.code.folder})" if self.code.mine else "the kit's tokenizer"


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended without an answer (exit code {code})"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _batches(documents: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in documents:
        batch.append(text)
        size += len(text)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _to_json(parts: Parts) -> dict[str, Any]:
    return {
        "vocab": [(id, piece.decode("latin-1")) for id, piece in parts.vocab.items()],
        "merges": [(left.decode("latin-1"), right.decode("latin-1")) for left, right in parts.merges],
        "special_tokens": parts.special_tokens,
        "pattern": parts.pattern,
    }


def _from_json(table: dict[str, Any]) -> Parts:
    return Parts(
        vocab={id: piece.encode("latin-1") for id, piece in table["vocab"]},
        merges=[(left.encode("latin-1"), right.encode("latin-1")) for left, right in table["merges"]],
        special_tokens=table["special_tokens"],
        pattern=table["pattern"],
    )
