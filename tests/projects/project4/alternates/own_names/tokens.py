"""Inside, tokens are bytes and merges are pairs of ids, as in Project 1; the printable form is for the files only."""

import json
from pathlib import Path

import regex
from printables import PRINTABLES

END_OF_TEXT = "<|endoftext|>"
CHUNK = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s", regex.V1)


class GPT2Tokenizer:
    def __init__(self, vocab, merges):
        self.printable_vocab, self.printable_merges = vocab, merges
        lookup = {}
        self.meaning = {}
        for token, number in vocab.items():
            if number in self.meaning:
                raise ValueError(f"{number} is given to two tokens")
            data = token.encode() if token == END_OF_TEXT else PRINTABLES.to_bytes(token)
            self.meaning[number] = data
            if token != END_OF_TEXT:
                lookup[data] = number
        try:
            self.single = [lookup[bytes([byte])] for byte in range(256)]
            self.glue = {}
            for order, (a, b) in enumerate(merges):
                a, b = PRINTABLES.to_bytes(a), PRINTABLES.to_bytes(b)
                self.glue[lookup[a], lookup[b]] = (order, lookup[a + b])
        except KeyError as missing:
            raise ValueError(f"not in the vocabulary: {missing}") from missing

    @property
    def eos_id(self):
        return self.printable_vocab[END_OF_TEXT] if END_OF_TEXT in self.printable_vocab else None

    @classmethod
    def from_folder(cls, folder):
        folder = Path(folder)
        files = {name: (folder / name).read_bytes() for name in ("vocab.json", "merges.txt")}
        current = "vocab.json"
        try:
            vocab = json.loads(files[current].decode("utf-8"))
            for number in vocab.values():
                if not isinstance(number, int) or isinstance(number, bool):
                    raise TypeError("an id that is no number")
            current = "merges.txt"
            rows = [row.split(" ") for row in files[current].decode("utf-8").split("\n")]
            if rows[0][0] != "#version:":
                raise TypeError("no version")
            pairs = []
            for row in rows[1:]:
                if row != [""]:
                    left, right = row
                    pairs.append((left, right))
            return cls(vocab, pairs)
        except (ValueError, TypeError, AttributeError) as cause:
            raise ValueError(f"{current} in {folder}: {cause}") from cause

    def save(self, folder):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "vocab.json").write_bytes(json.dumps(self.printable_vocab).encode("ascii"))
        rows = [b"#version: 0.2"] + [f"{left} {right}".encode() for left, right in self.printable_merges]
        (folder / "merges.txt").write_bytes(b"\n".join(rows) + b"\n")

    def encode(self, text, *, allow_end_of_text=False):
        numbers, at = [], 0
        if allow_end_of_text and self.eos_id is not None:
            for found in regex.finditer(r"<\|endoftext\|>", text):
                numbers += [*self._ordinary(text[at : found.start()]), self.eos_id]
                at = found.end()
        return numbers + self._ordinary(text[at:])

    def _ordinary(self, text):
        numbers = []
        for chunk in CHUNK.findall(text):
            piece = [self.single[byte] for byte in chunk.encode()]
            while len(piece) > 1:
                pairs = list(zip(piece, piece[1:], strict=False))
                known = [(*self.glue[pair], pair) for pair in pairs if pair in self.glue]
                if not known:
                    break
                _, whole, pair = min(known)
                new = []
                for number in piece:
                    if new and (new[-1], number) == pair:
                        new[-1] = whole
                    else:
                        new.append(number)
                piece = new
            numbers += piece
        return numbers

    def decode(self, ids):
        def data(number):
            if number not in self.meaning:
                raise ValueError(f"what is {number}?")
            return self.meaning[number]

        return b"".join(data(number) for number in ids).decode("utf-8", "replace")
