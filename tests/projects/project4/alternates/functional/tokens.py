"""A word is reduced by itself: cut at the best merge, until there is none."""

import json
from functools import reduce
from itertools import chain, pairwise
from operator import add
from pathlib import Path

import regex

END_OF_TEXT = "<|endoftext|>"
PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def alphabet():
    def shows(byte):
        return chr(byte).isprintable() and byte != 32

    rest = list(filter(lambda byte: not shows(byte), range(256)))
    return tuple(chr(byte) if shows(byte) else chr(256 + rest.index(byte)) for byte in range(256))


ALPHABET = alphabet()
POSITION = {character: byte for byte, character in enumerate(ALPHABET)}


def step(parts, pair):
    """(parts so far, next part) -> parts; the pair becomes one. From left to right."""
    return reduce(lambda done, part: (*done[:-1], done[-1] + part) if done[-1:] + (part,) == pair else (*done, part), parts, ())


def merged(parts, rank):
    known = [pair for pair in pairwise(parts) if pair in rank]
    return merged(step(parts, min(known, key=rank.__getitem__)), rank) if known else parts


def checked(vocab, merges):
    needed = set(ALPHABET) | {left + right for left, right in merges}
    if needed - vocab.keys() or len(set(vocab.values())) != len(vocab):
        raise ValueError("the vocabulary does not fit its merges")
    return dict(vocab), tuple((left, right) for left, right in merges)


def parsed(path, parse):
    try:
        return parse(path.read_bytes().decode("utf-8"))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error})") from error


def parse_vocab(text):
    return {token: id if isinstance(id, int) else int("not a number") for token, id in json.loads(text).items()}


def parse_merges(text):
    version, *lines = text.rstrip("\n").split("\n")
    if "#version" not in version:
        raise ValueError(version)
    return [(left, right) for left, right in map(str.split, lines)]


class GPT2Tokenizer:
    def __init__(self, vocab, merges):
        self.vocab, self.merges = checked(vocab, merges)
        self.rank = {pair: number for number, pair in enumerate(self.merges)}
        self.token = {id: token for token, id in self.vocab.items()}

    @property
    def eos_id(self):
        return self.vocab.get(END_OF_TEXT, None)

    @classmethod
    def from_folder(cls, folder):
        vocab = parsed(Path(folder, "vocab.json"), parse_vocab)
        return parsed(Path(folder, "merges.txt"), lambda text: cls(vocab, parse_merges(text)))

    def save(self, folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        rows = ("#version: 0.2", *map(" ".join, self.merges), "")
        contents = {"vocab.json": json.dumps(self.vocab), "merges.txt": "\n".join(rows)}
        for name, text in contents.items():
            Path(folder, name).write_bytes(text.encode("utf-8"))

    def _word(self, word):
        return [self.vocab[part] for part in merged(tuple(ALPHABET[byte] for byte in word.encode("utf-8")), self.rank)]

    def encode(self, text, *, allow_end_of_text=False):
        cut = [text] if self.eos_id is None or not allow_end_of_text else text.split(END_OF_TEXT)
        parts = [list(chain.from_iterable(map(self._word, regex.findall(PATTERN, part)))) for part in cut]
        return reduce(lambda left, right: [*left, self.eos_id, *right], parts)

    def decode(self, ids):
        tokens = [self.token.get(id) for id in ids]
        if None in tokens:
            raise ValueError("an id that is not in the vocabulary")
        return bytes(reduce(add, ([POSITION[c] for c in token] for token in tokens), [])).decode("utf-8", "replace")
