"""Step by step, with a class for every file and a loop for every thought."""

import json
import os

import regex

END_OF_TEXT = "<|endoftext|>"

CONTRACTION = r"'s|'t|'re|'ve|'m|'ll|'d"
LETTERS = r" ?\p{L}+"
NUMBERS = r" ?\p{N}+"
SIGNS = r" ?[^\s\p{L}\p{N}]+"
SPACES_BUT_THE_LAST = r"\s+(?!\S)"
SPACES = r"\s+"
PATTERN = regex.compile("|".join([CONTRACTION, LETTERS, NUMBERS, SIGNS, SPACES_BUT_THE_LAST, SPACES]))


def can_be_printed(byte):
    if byte >= ord("!") and byte <= ord("~"):
        return True
    if byte >= 0xA1 and byte <= 0xAC:
        return True
    if byte >= 0xAE and byte <= 0xFF:
        return True
    return False


def tables():
    character_of_byte = {}
    byte_of_character = {}
    next_code = 256
    for byte in range(256):
        if can_be_printed(byte):
            character = chr(byte)
        else:
            character = chr(next_code)
            next_code += 1
        character_of_byte[byte] = character
        byte_of_character[character] = byte
    return character_of_byte, byte_of_character


CHARACTER_OF_BYTE, BYTE_OF_CHARACTER = tables()


def check_vocab(vocab, merges):
    for character in BYTE_OF_CHARACTER:
        if character not in vocab:
            raise ValueError("a byte has no id: " + repr(character))
    for left, right in merges:
        if left + right not in vocab:
            raise ValueError("what a merge makes has no id: " + repr(left + right))
    seen = set()
    for id in vocab.values():
        if id in seen:
            raise ValueError("two tokens have the id " + str(id))
        seen.add(id)


def read_vocab(path):
    with open(path, encoding="utf-8") as file:
        try:
            vocab = json.load(file)
        except ValueError as error:
            raise ValueError(path + " is no JSON: " + str(error)) from error
    if not isinstance(vocab, dict):
        raise ValueError(path + " has no table")
    for token, id in vocab.items():
        if not isinstance(id, int):
            raise ValueError(path + ": the id of " + token + " is no number")
    return vocab


def read_merges(path):
    merges = []
    with open(path, encoding="utf-8") as file:
        try:
            lines = file.readlines()
        except ValueError as error:
            raise ValueError(path + " is no text: " + str(error)) from error
    for number, line in enumerate(lines):
        line = line.rstrip("\n")
        if number == 0:
            if not line.startswith("#version"):
                raise ValueError(path + " does not begin with its version")
            continue
        if line == "":
            continue
        pair = line.split(" ")
        if len(pair) != 2 or pair[0] == "" or pair[1] == "":
            raise ValueError(path + ", line " + str(number + 1) + ": two tokens are needed")
        merges.append((pair[0], pair[1]))
    return merges


class GPT2Tokenizer:
    def __init__(self, vocab, merges):
        check_vocab(vocab, merges)
        self.vocab = vocab
        self.merges = merges
        self.token_of_id = {}
        for token in vocab:
            self.token_of_id[vocab[token]] = token
        self.rank_of_pair = {}
        for rank in range(len(merges)):
            left, right = merges[rank]
            self.rank_of_pair[(left, right)] = rank

    @property
    def eos_id(self):
        if END_OF_TEXT in self.vocab:
            return self.vocab[END_OF_TEXT]
        return None

    @classmethod
    def from_folder(cls, folder):
        vocab_path = os.path.join(str(folder), "vocab.json")
        merges_path = os.path.join(str(folder), "merges.txt")
        vocab = read_vocab(vocab_path)
        merges = read_merges(merges_path)
        try:
            return cls(vocab, merges)
        except ValueError as error:
            raise ValueError(vocab_path + " and " + merges_path + " do not fit: " + str(error)) from error

    def save(self, folder):
        os.makedirs(str(folder), exist_ok=True)
        with open(os.path.join(str(folder), "vocab.json"), "w", encoding="utf-8") as file:
            json.dump(self.vocab, file, ensure_ascii=False, indent=1)
        with open(os.path.join(str(folder), "merges.txt"), "w", encoding="utf-8", newline="\n") as file:
            file.write("#version: 0.2\n")
            for left, right in self.merges:
                file.write(left + " " + right + "\n")

    def encode(self, text, *, allow_end_of_text=False):
        ids = []
        while allow_end_of_text and self.eos_id is not None:
            place = text.find(END_OF_TEXT)
            if place == -1:
                break
            ids.extend(self.encode_ordinary(text[:place]))
            ids.append(self.eos_id)
            text = text[place + len(END_OF_TEXT) :]
        ids.extend(self.encode_ordinary(text))
        return ids

    def encode_ordinary(self, text):
        ids = []
        for match in PATTERN.finditer(text):
            parts = []
            for byte in match.group().encode("utf-8"):
                parts.append(CHARACTER_OF_BYTE[byte])
            for part in self.merged(parts):
                ids.append(self.vocab[part])
        return ids

    def merged(self, parts):
        """One merge at a time: the leftmost of those with the lowest rank."""
        while True:
            best_place = None
            best_rank = None
            for place in range(len(parts) - 1):
                rank = self.rank_of_pair.get((parts[place], parts[place + 1]))
                if rank is None:
                    continue
                if best_rank is None or rank < best_rank:
                    best_rank = rank
                    best_place = place
            if best_place is None:
                return parts
            joined = parts[best_place] + parts[best_place + 1]
            parts = parts[:best_place] + [joined] + parts[best_place + 2 :]

    def decode(self, ids):
        values = []
        for id in ids:
            if id not in self.token_of_id:
                raise ValueError("unknown id " + str(id))
            for character in self.token_of_id[id]:
                values.append(BYTE_OF_CHARACTER[character])
        return bytes(values).decode("utf-8", errors="replace")
