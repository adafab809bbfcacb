from __future__ import annotations

from collections import defaultdict
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

import regex as re
from pairs import Merge, merge_word

# tiktoken's newer spelling of the same
GPT2_SPLIT_PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s+(?!\S)|\s+"""


def pretokenize(text: str, pattern: Optional[str] = GPT2_SPLIT_PATTERN) -> Iterator[str]:
    if pattern is None:
        yield text
        return
    for match in re.finditer(pattern, text):
        yield match.group(0)


def count_words(texts: Iterable[str], pattern: Optional[str] = GPT2_SPLIT_PATTERN) -> Dict[bytes, int]:
    counts: Dict[bytes, int] = defaultdict(int)
    for text in texts:
        for word in pretokenize(text, pattern):
            counts[word.encode("utf-8")] += 1
    return counts


def learn_merges(words: Mapping[bytes, int], n_merges: int) -> List[Merge]:
    table: Dict[Tuple[bytes, ...], int] = {tuple(bytes([b]) for b in word): n for word, n in words.items()}
    merges: List[Merge] = []
    for _ in range(n_merges):
        counts: Dict[Merge, int] = defaultdict(int)
        for word, n in table.items():
            for pair in zip(word, word[1:]):
                counts[pair] += n
        if not counts:
            break
        best = max(counts.items(), key=lambda item: (item[1], item[0]))[0]
        merges.append(best)
        table = {merge_word(word, best): n for word, n in table.items()}
    return merges


def split_special(text: str, special_tokens: Sequence[str]) -> Iterator[Tuple[str, bool]]:
    tokens = sorted(set(special_tokens) - {""}, key=lambda token: (-len(token), token))
    if not tokens:
        if text:
            yield text, False
        return
    position = 0
    for match in re.finditer("|".join(re.escape(token) for token in tokens), text):
        if match.start() > position:
            yield text[position : match.start()], False
        yield match.group(), True
        position = match.end()
    if position < len(text):
        yield text[position:], False
