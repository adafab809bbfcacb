"""str.translate and latin-1 do the bytes, heapq finds the next merge, regex splits."""

import heapq
import itertools
import json
import pathlib

import regex

END_OF_TEXT = "<|endoftext|>"
WORD = regex.compile(r"'(?:s|t|re|ve|m|ll|d)| ?\p{Letter}+| ?\p{Number}+| ?[^\s\p{Letter}\p{Number}]+|\s+(?!\S)|\s+")
hidden = [code for code in range(256) if code == 32 or not chr(code).isprintable()]
TO_PRINTABLE = dict(zip(hidden, range(256, 512), strict=False))
TO_BYTE = {printable: byte for byte, printable in TO_PRINTABLE.items()}


def printable(data):
    return data.decode("latin-1").translate(TO_PRINTABLE)


def plain(token):
    return token.translate(TO_BYTE).encode("latin-1")


class GPT2Tokenizer:
    def __init__(self, vocab, merges):
        self.vocab, self.merges = vocab, tuple(map(tuple, merges))
        needed = itertools.chain(printable(bytes(range(256))), map("".join, self.merges))
        if missing := set(needed).difference(vocab):
            raise ValueError(f"no id for {sorted(missing)}")
        self.bytes_of = {id: plain(token) for token, id in vocab.items() if token != END_OF_TEXT}
        if END_OF_TEXT in vocab:
            self.bytes_of[vocab[END_OF_TEXT]] = END_OF_TEXT.encode()
        if len(self.bytes_of) != len(vocab):
            raise ValueError("ids are not unique")
        self.rank = dict(zip(self.merges, itertools.count(), strict=False))

    @property
    def eos_id(self):
        return self.vocab.get(END_OF_TEXT)

    @classmethod
    def from_folder(cls, folder):
        vocab_file, merges_file = (pathlib.Path(folder) / name for name in ("vocab.json", "merges.txt"))
        try:
            vocab = json.loads(vocab_file.read_text(encoding="utf-8"))
            if type(vocab) is not dict or not all(map(int.__instancecheck__, vocab.values())):
                raise ValueError("not token -> id")
        except ValueError as error:
            raise ValueError(f"{vocab_file}: {error}") from error
        try:
            _, *lines = merges_file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
            merges = [(left, right) for left, right in (line.split(" ") for line in lines)]
            return cls(vocab, merges)
        except ValueError as error:
            raise ValueError(f"{merges_file}: {error}") from error

    def save(self, folder):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "vocab.json").open("w", encoding="utf-8") as file:
            json.dump(self.vocab, file)
        with (folder / "merges.txt").open("w", encoding="utf-8", newline="") as file:
            print("#version: 0.2", *map(" ".join, self.merges), sep="\n", file=file)

    def encode(self, text, *, allow_end_of_text=False):
        if allow_end_of_text and self.eos_id is not None:
            parts = regex.split(f"({regex.escape(END_OF_TEXT)})", text)
        else:
            parts = [text]
        ids = []
        for number, part in enumerate(parts):
            if number % 2:
                ids.append(self.eos_id)
            else:
                for word in WORD.finditer(part):
                    ids.extend(map(self.vocab.__getitem__, self.split(printable(word[0].encode()))))
        return ids

    def split(self, word):
        """A heap of (rank, place); `end[place]` is where the piece that begins there ends."""
        end = {place: place + 1 for place in range(len(word))}
        begin = {place + 1: place for place in range(len(word))}
        heap = []

        def offer(left):
            middle = end.get(left)
            if middle in end:
                right = end[middle]
                pair = word[left:middle], word[middle:right]
                if pair in self.rank:
                    heapq.heappush(heap, (self.rank[pair], left, middle, right))

        for place in range(len(word) - 1):
            offer(place)
        while heap:
            _, left, middle, right = heapq.heappop(heap)
            if end.get(left) != middle or end.get(middle) != right:
                continue
            end[left], begin[right] = right, left
            del end[middle], begin[middle]
            offer(left)
            if left in begin:
                offer(begin[left])
        return [word[place : end[place]] for place in sorted(end)]

    def decode(self, ids):
        pieces = []
        for id in ids:
            if id not in self.bytes_of:
                raise ValueError(id)
            pieces.append(self.bytes_of[id])
        return str(b"".join(pieces), "utf-8", "replace")
