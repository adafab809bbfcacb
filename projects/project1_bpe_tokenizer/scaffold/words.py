"""From a text to words, and merges that never cross a word.    Steps: words, special

A "word" is what the pattern finds: " the", "'ll", " 2024", "!?", or white space. Its space comes before it.
You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import regex  # like `re`, and it knows classes of Unicode: \p{L} is a letter, \p{N} a digit

# --- step: words --------------------------------------------------------------------------------------------

# Contractions ('s 't 're 've 'm 'll 'd); letters, digits or other signs, each with the one space before it; white
# space, of which the last is left for the word that follows; what white space is left then, such as a line feed
# right before a word.
GPT2_SPLIT_PATTERN = r""


def pretokenize(text: str, pattern: str | None = GPT2_SPLIT_PATTERN) -> Iterator[str]:
    """The words of a text, in order; joined again they are the text. Without a pattern the text is one word.

    A word is the whole of what the pattern finds, also if there are groups in it.
    """
    raise NotImplementedError("words: pretokenize")


def count_words(texts: Iterable[str], pattern: str | None = GPT2_SPLIT_PATTERN) -> dict[bytes, int]:
    """How often each word occurs in the texts. A word is its UTF-8 bytes; no word crosses from text to text."""
    raise NotImplementedError("words: count_words")


def learn_merges(words: Mapping[bytes, int], n_merges: int) -> list[tuple[bytes, bytes]]:
    """As `pairs.learn_merges`, but within words: a pair counts as often as the words that it occurs in.

    words: word -> how often it occurs. It counts every pair anew for each merge; `fast.learn_merges` does not.
    """
    raise NotImplementedError("words: learn_merges")


# --- step: special ------------------------------------------------------------------------------------------


def split_special(text: str, special_tokens: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Cut a text at special tokens: (part, whether it is a special token), in order, without empty parts.

    From left to right; where several special tokens begin at the same place, the longest counts.
    """
    raise NotImplementedError("special: split_special")
