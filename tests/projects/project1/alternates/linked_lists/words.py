from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import regex
from chain import Chain

GPT2_SPLIT_PATTERN = r"""(?x)           # spaces and comments in here mean nothing
      ['] (?: s | t | re | ve | m | ll | d )    # contraction
    | [ ]? \p{L}+                               # letters
    | [ ]? \p{N}+                               # digits
    | [ ]? [^\s\p{L}\p{N}]+                     # other signs
    | \s+ (?! \S )                              # white space, but not the last of it
    | \s+                                       # white space
"""


class Words:
    """An iterator over the words of a text."""

    def __init__(self, text: str, pattern: str | None) -> None:
        self.text, self.place = text, 0
        self.pattern = None if pattern is None else regex.compile(pattern)

    def __iter__(self) -> Words:
        return self

    def __next__(self) -> str:
        while self.place < len(self.text):
            start = self.place
            if self.pattern is None:
                self.place = len(self.text)
                return self.text
            found = self.pattern.search(self.text, start)
            if found is None:
                break
            self.place = max(found.end(), start + 1)
            if found.group():
                return found.group()
        raise StopIteration


def pretokenize(text: str, pattern: str | None = GPT2_SPLIT_PATTERN) -> Iterator[str]:
    return Words(text, pattern)


class Counts(dict[bytes, int]):
    def __missing__(self, word: bytes) -> int:
        return 0


def count_words(texts: Iterable[str], pattern: str | None = GPT2_SPLIT_PATTERN) -> dict[bytes, int]:
    counts = Counts()
    for text in texts:
        for word in pretokenize(text, pattern):
            counts[word.encode("utf-8")] += 1
    return counts


def learn_merges(words: Mapping[bytes, int], n_merges: int) -> list[tuple[bytes, bytes]]:
    return Chain(words).learn(n_merges)


def special_at(text: str, place: int, special_tokens: Sequence[str]) -> str:
    """The longest special token that stands at a place; "" if none does."""
    best = ""
    for name in special_tokens:
        if len(name) > len(best) and text[place : place + len(name)] == name:
            best = name
    return best


def split_special(text: str, special_tokens: Sequence[str]) -> Iterator[tuple[str, bool]]:
    firsts = {name[0] for name in special_tokens if name}
    begin = place = 0
    while place < len(text):
        name = special_at(text, place, special_tokens) if text[place] in firsts else ""
        if not name:
            place += 1
            continue
        if begin < place:
            yield (text[begin:place], False)
        yield (name, True)
        place += len(name)
        begin = place
    if begin < len(text):
        yield (text[begin:], False)
