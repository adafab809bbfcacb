"""Words are cached; a word is a list of printable tokens."""

import json
from functools import cache
from pathlib import Path

import regex

END_OF_TEXT = "<|endoftext|>"
SPLIT = regex.compile(r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""")
OWN = [b for b in range(256) if 33 <= b <= 126 or 161 <= b != 173]
CHARS = {b: chr(b) for b in OWN} | {b: chr(256 + n) for n, b in enumerate(b for b in range(256) if b not in OWN)}
BYTES = {c: b for b, c in CHARS.items()}


class GPT2Tokenizer:
    def __init__(self, vocab, merges):
        self.vocab, self.merges = vocab, [tuple(m) for m in merges]
        self.ranks = {m: r for r, m in enumerate(self.merges)}
        self.names = {i: t for t, i in vocab.items()}
        if len(self.names) < len(vocab) or not {*BYTES, *map("".join, self.merges)} <= vocab.keys():
            raise ValueError("the vocabulary is not whole")
        self.word = cache(self.word)

    eos_id = property(lambda self: self.vocab.get(END_OF_TEXT))

    @classmethod
    def from_folder(cls, folder):
        v, m = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        try:
            vocab = json.loads(v.read_bytes())
            if not isinstance(vocab, dict) or {type(i) for i in vocab.values()} - {int}:
                raise ValueError("no table of ids")
            merges = [line.split() for line in m.read_text("utf-8").splitlines()[1:] if line]
            if any(len(pair) != 2 for pair in merges):
                raise ValueError("no pairs")
            return cls(vocab, merges)
        except ValueError as e:
            raise ValueError(f"{v}, {m}: {e}") from e

    def save(self, folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, "vocab.json").write_text(json.dumps(self.vocab))
        text = "".join(" ".join(m) + "\n" for m in self.merges)
        Path(folder, "merges.txt").write_bytes(f"#version: 0.2\n{text}".encode())

    def word(self, w):
        parts = [CHARS[b] for b in w.encode()]
        while (pairs := [p for p in zip(parts, parts[1:], strict=False) if p in self.ranks]):
            a, b = min(pairs, key=self.ranks.get)
            i = 0
            while i < len(parts) - 1:
                if parts[i] == a and parts[i + 1] == b:
                    parts[i : i + 2] = [a + b]
                i += 1
        return [self.vocab[p] for p in parts]

    def encode(self, text, *, allow_end_of_text=False):
        if not allow_end_of_text or self.eos_id is None:
            return sum(map(self.word, SPLIT.findall(text)), [])
        first, *others = (self.encode(part) for part in text.split(END_OF_TEXT))
        return first + sum(([self.eos_id, *ids] for ids in others), [])

    def decode(self, ids):
        try:
            text = "".join(map(self.names.__getitem__, ids))
        except KeyError as e:
            raise ValueError(f"no such id: {e}") from None
        return bytes(BYTES[c] for c in text).decode(errors="replace")
