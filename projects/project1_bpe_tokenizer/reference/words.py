"""From a text to words, and merges that never cross a word.    Steps: words, special

A "word" is what the pattern finds: " the", "'ll", " 2024", "!?", or white space. Its space comes before it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import regex
from pairs import merge

# --- step: words --------------------------------------------------------------------------------------------

# Contractions; letters, digits or other signs, each with the one space before it; white space, of which the last is
# left for the word that follows; what white space is left then, such as a line feed right before a word.
GPT2_SPLIT_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

# The same for texts of ASCII only. Python's own `re` finds it in half the time that `regex` needs for the one above.
_ASCII = r" ?[A-Za-z]+|'(?:[sdmt]|ll|ve|re)| ?[0-9]+| ?[^\t-\r A-Za-z0-9]+|[\t-\r ]+(?![^\t-\r ])|[\t-\r ]+"


def pretokenize(text: str, pattern: str | None = GPT2_SPLIT_PATTERN) -> Iterator[str]:
    """The words of a text, in order; joined again they are the text. Without a pattern the text is one word.

    A word is the whole of what the pattern finds, also if there are groups in it.
    """
    return iter(find_words(text, pattern))


def find_words(text: str, pattern: str | None) -> list[str]:
    """The words as a list. What a pattern leaves out between two words is a word too, so that nothing is lost."""
    if pattern is None:
        return [text] if text else []
    if pattern == GPT2_SPLIT_PATTERN:  # it leaves nothing out and has no groups
        return re.findall(_ASCII, text) if text.isascii() else regex.findall(pattern, text)
    found, end = [], 0
    for match in regex.finditer(pattern, text):
        found += [text[end : match.start()], match.group()]
        end = match.end()
    return [word for word in (*found, text[end:]) if word]


def count_words(texts: Iterable[str], pattern: str | None = GPT2_SPLIT_PATTERN) -> dict[bytes, int]:
    """How often each word occurs in the texts. A word is its UTF-8 bytes; no word crosses from text to text."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(find_words(text, pattern))
    return {word.encode("utf-8"): count for word, count in counts.items()}


def learn_merges(words: Mapping[bytes, int], n_merges: int) -> list[tuple[bytes, bytes]]:
    """As `pairs.learn_merges`, but within words: a pair counts as often as the words that it occurs in.

    words: word -> how often it occurs. It counts every pair anew for each merge; `fast.learn_merges` does not.
    """
    vocab = {id: bytes([id]) for id in range(256)}
    split = {word: list(word) for word in words}
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < n_merges:
        counts: Counter[tuple[int, int]] = Counter()
        for word, ids in split.items():
            for pair in zip(ids, ids[1:]):  # noqa: B905, RUF007
                counts[pair] += words[word]
        if not counts:
            break
        best = max(counts, key=lambda pair: (counts[pair], vocab[pair[0]], vocab[pair[1]]))
        new_id = 256 + len(merges)
        vocab[new_id] = vocab[best[0]] + vocab[best[1]]
        split = {word: merge(ids, best, new_id) for word, ids in split.items()}
        merges.append((vocab[best[0]], vocab[best[1]]))
    return merges


# --- step: special ------------------------------------------------------------------------------------------


def split_special(text: str, special_tokens: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Cut a text at special tokens: (part, whether it is a special token), in order, without empty parts.

    From left to right; where several special tokens begin at the same place, the longest counts.
    """
    start = 0
    if special_tokens:
        longest_first = sorted(special_tokens, key=len, reverse=True)
        for match in regex.finditer("|".join(map(regex.escape, longest_first)), text):
            if match.start() > start:
                yield text[start : match.start()], False
            yield match.group(), True
            start = match.end()
    if start < len(text):
        yield text[start:], False
