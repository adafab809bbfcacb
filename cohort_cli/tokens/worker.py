"""Runs a folder's `tokenizer.py` in a process of its own, so that its names and its crashes stay there.

    python -m cohort_cli.tokens.worker FOLDER

Requests come on standard input and answers go to standard output, one JSON object per line. Bytes travel as text of the
same code points (Latin-1). What the folder's code prints goes to standard error. The process ends when its input ends.

    {"do": "open", "from": "saved", "path": …}           -> {"parts": …}
    {"do": "open", "from": "gpt2", "paths": [… , …]}     -> {"parts": …}
    {"do": "open", "from": "parts", "parts": …}          -> {"parts": …}
    {"do": "encode", "text": …, "special": bool}         -> {"ids": […], "pieces": {id: bytes}}
    {"do": "train", "vocab_size": …, "options": {…}}, then {"texts": […]} …, {"end": true}  -> {"parts": …}
    {"do": "save", "path": …}                            -> {}
Any of them may be answered by {"trouble": {"type": …, "message": …, "file": …, "line": …}}.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

AHEAD = 4  # requests that are read before they are asked for


class Requests:
    """Requests in their order. Where the other side is gone nobody waits for an answer, so the process ends."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._queue: queue.Queue[dict[str, Any]] = queue.Queue(AHEAD)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for line in self._stream:
                if line.endswith(b"\n"):  # or the other side was killed while it wrote
                    self._queue.put(json.loads(line))
        finally:
            os._exit(0)

    def next(self) -> dict[str, Any]:
        return self._queue.get()

    def texts(self) -> Iterator[str]:
        """The documents of a training, up to the one that says that it was the last."""
        while "end" not in (request := self.next()):
            yield from request["texts"]


class Room:
    """The folder's class, and the tokenizer that was opened or trained last."""

    def __init__(self, requests: Requests) -> None:
        self.requests = requests
        self.tokenizer: Any = None

    def open(self, request: dict[str, Any]) -> dict[str, Any]:
        cls = importlib.import_module("tokenizer").BPETokenizer
        if request["from"] == "saved":
            self.tokenizer = cls.load(Path(request["path"]))
        elif request["from"] == "gpt2":
            self.tokenizer = cls.from_gpt2(*map(Path, request["paths"]))
        else:
            parts = request["parts"]
            self.tokenizer = cls(
                {id: _bytes(piece) for id, piece in parts["vocab"]},
                [(_bytes(left), _bytes(right)) for left, right in parts["merges"]],
                parts["special_tokens"],
                parts["pattern"],
            )
        return {"parts": self._parts()}

    def encode(self, request: dict[str, Any]) -> dict[str, Any]:
        allowed = "all" if request["special"] else "none"
        ids = [_whole(id) for id in self.tokenizer.encode(request["text"], allowed_special=allowed)]
        unknown = next((id for id in ids if id not in self.tokenizer.vocab), None)
        if unknown is not None:
            raise ValueError(f"encode gave the id {unknown}, which is not in vocab")
        return {"ids": ids, "pieces": {id: _text(self.tokenizer.vocab[id]) for id in set(ids)}}

    def train(self, request: dict[str, Any]) -> dict[str, Any]:
        texts = self.requests.texts()
        cls = importlib.import_module("tokenizer").BPETokenizer
        self.tokenizer = cls.train(texts, request["vocab_size"], **request["options"])
        for _ in texts:  # what the code did not want to read
            pass
        return {"parts": self._parts()}

    def save(self, request: dict[str, Any]) -> dict[str, Any]:
        self.tokenizer.save(Path(request["path"]))
        return {}

    def _parts(self) -> dict[str, Any]:
        tokenizer = self.tokenizer
        return {
            "vocab": [(_whole(id), _text(piece)) for id, piece in tokenizer.vocab.items()],
            "merges": [(_text(left), _text(right)) for left, right in tokenizer.merges],
            "special_tokens": [str(token) for token in tokenizer.special_tokens],
            "pattern": tokenizer.pattern,
        }


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Windows, Ctrl-C reaches this process too
    folder = Path(sys.argv[1]).resolve()
    requests = Requests(os.fdopen(os.dup(0), "rb"))
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    sys.path.insert(0, str(folder))
    for path in folder.glob("*.py"):  # a helper file may be called like a module that is in use here
        if path.stem != "__main__":
            sys.modules.pop(path.stem, None)
    room = Room(requests)
    while True:
        request = requests.next()
        try:
            answer = getattr(room, request["do"])(request)
        except BaseException as error:  # SystemExit too: the folder's code decides nothing here
            answer = {"trouble": describe(error, folder)}
        sys.stdout.flush()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        if "trouble" in answer:
            os._exit(1)


def describe(error: BaseException, folder: Path) -> dict[str, Any]:
    """What was raised, and the innermost line in the folder that had to do with it."""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
    inside = [place for place in places if folder in Path(place[0]).resolve().parents]
    file, line = inside[-1] if inside else (None, None)
    try:
        message = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception as worse:
        message = f"(its message cannot be shown: {type(worse).__name__})"
    name = Path(file).resolve().relative_to(folder).as_posix() if file else None
    return {"type": type(error).__name__, "message": message, "file": name, "line": line}


def _whole(id: Any) -> int:
    if isinstance(id, bool) or not isinstance(id, int):
        raise TypeError(f"an id is a whole number, not {id!r}")
    return id


def _text(piece: Any) -> str:
    if not isinstance(piece, bytes):
        raise TypeError(f"vocab and merges hold bytes, not {piece!r}")
    return piece.decode("latin-1")


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


if __name__ == "__main__":
    main()
