import json
import os

import words
from words import GPT2_SPLIT_PATTERN, pretokenize, split_special


class BPETokenizer:
    def __init__(self, vocab, merges, special_tokens=None, pattern=GPT2_SPLIT_PATTERN):
        print("a tokenizer with", len(vocab), "tokens and", len(merges), "merges")
        self.vocab = vocab
        self.merges = merges
        self.special_tokens = special_tokens
        self.pattern = pattern
        self.reverse_vocab = {}
        for id in vocab:
            self.reverse_vocab[vocab[id]] = id
        for byte in range(256):
            if bytes([byte]) not in self.reverse_vocab:
                raise ValueError("byte " + str(byte) + " is missing")
        self.ranks = {}
        for rank in range(len(merges)):
            left, right = merges[rank]
            if left + right not in self.reverse_vocab:
                raise ValueError("result of merge " + str(rank) + " is missing")
            if (left, right) not in self.ranks:
                self.ranks[(left, right)] = rank
        if special_tokens is not None:
            for token in special_tokens:
                token_bytes = token.encode("utf-8")
                if token_bytes not in self.reverse_vocab:
                    new_id = max(self.vocab.keys()) + 1
                    self.vocab[new_id] = token_bytes
                    self.reverse_vocab[token_bytes] = new_id

    def special_list(self, allowed_special):
        mine = []
        if self.special_tokens is not None:
            mine = list(self.special_tokens)
        if allowed_special == "none":
            return []
        elif allowed_special == "all":
            return mine
        elif isinstance(allowed_special, str):
            raise ValueError("allowed_special must be a set, all or none")
        else:
            for token in allowed_special:
                if token not in mine:
                    raise ValueError("not a special token: " + token)
            return list(allowed_special)

    def encode_word(self, word):
        pieces = []
        for byte in word.encode("utf-8"):
            pieces.append(bytes([byte]))
        while True:
            # look for the best pair
            best_rank = None
            for i in range(len(pieces) - 1):
                pair = (pieces[i], pieces[i + 1])
                if pair in self.ranks:
                    if best_rank is None or self.ranks[pair] < best_rank:
                        best_rank = self.ranks[pair]
            if best_rank is None:
                break
            left, right = self.merges[best_rank]
            new_pieces = []
            i = 0
            while i < len(pieces):
                if i + 1 < len(pieces) and pieces[i] == left and pieces[i + 1] == right:
                    new_pieces.append(left + right)
                    i = i + 2
                else:
                    new_pieces.append(pieces[i])
                    i = i + 1
            pieces = new_pieces
        ids = []
        for piece in pieces:
            ids.append(self.reverse_vocab[piece])
        return ids

    def encode(self, text, *, allowed_special="none"):
        ids = []
        for part, is_special in split_special(text, self.special_list(allowed_special)):
            if is_special:
                ids.append(self.reverse_vocab[part.encode("utf-8")])
            else:
                for word in pretokenize(part, self.pattern):
                    ids = ids + self.encode_word(word)
        return ids

    def decode(self, ids, errors="replace"):
        all_bytes = b""
        for id in ids:
            if id not in self.vocab:
                raise ValueError("there is no token " + str(id))
            all_bytes = all_bytes + self.vocab[id]
        return all_bytes.decode("utf-8", errors=errors)

    @classmethod
    def train(cls, texts, vocab_size, *, special_tokens=("<|endoftext|>",), pattern=GPT2_SPLIT_PATTERN):
        if type(texts) == str:
            raise TypeError("texts must be a list of strings")
        number_of_merges = vocab_size - 256 - len(special_tokens)
        if number_of_merges < 0:
            raise ValueError("vocab_size is too small")
        parts = []
        for text in texts:
            for part, is_special in split_special(text, special_tokens):
                if not is_special:
                    parts.append(part)
        # I wrote this in the step "special" and it is fast enough for me.
        merges = words.learn_merges(words.count_words(parts, pattern), number_of_merges)
        vocab = {}
        for byte in range(256):
            vocab[byte] = bytes([byte])
        for left, right in merges:
            vocab[len(vocab)] = left + right
        return cls(vocab, merges, special_tokens, pattern)

    def save(self, path):
        content = {}
        content["vocab"] = {}
        for id in self.vocab:
            content["vocab"][str(id)] = self.vocab[id].hex()
        content["merges"] = []
        for left, right in self.merges:
            content["merges"].append(left.hex() + "+" + right.hex())
        content["special_tokens"] = self.special_tokens
        content["pattern"] = self.pattern
        text = json.dumps(content, indent=4)
        temporary = str(path) + ".tmp"
        f = open(temporary, "w", encoding="utf-8")
        f.write(text)
        f.close()
        os.replace(temporary, path)
        print("saved", path)

    @classmethod
    def load(cls, path):
        f = open(path, encoding="utf-8")
        try:
            content = json.load(f)
            vocab = {}
            for id in content["vocab"]:
                vocab[int(id)] = bytes.fromhex(content["vocab"][id])
            merges = []
            for line in content["merges"]:
                left, right = line.split("+")
                merges.append((bytes.fromhex(left), bytes.fromhex(right)))
            special_tokens = content["special_tokens"]
            if special_tokens is not None:
                if type(special_tokens) != list:
                    raise ValueError("special_tokens is no list")
                for token in special_tokens:
                    if type(token) != str:
                        raise ValueError("a special token is no string")
            if content["pattern"] is not None and type(content["pattern"]) != str:
                raise ValueError("the pattern is no string")
            return cls(vocab, merges, special_tokens, content["pattern"])
        except Exception as error:
            raise ValueError("The file " + str(path) + " is broken: " + repr(error))
        finally:
            f.close()

    @classmethod
    def from_gpt2(cls, encoder_json, vocab_bpe):
        back = {}
        for byte, character in byte_characters().items():
            back[character] = byte
        try:
            with open(encoder_json, encoding="utf-8") as f:
                encoder = json.load(f)
            vocab = {}
            for token in encoder:
                if type(encoder[token]) != int:
                    raise ValueError("not an id: " + str(encoder[token]))
                vocab[encoder[token]] = bytes([back[c] for c in token])
        except OSError:
            raise
        except Exception as error:
            raise ValueError("The file " + str(encoder_json) + " is broken: " + repr(error))
        try:
            with open(vocab_bpe, encoding="utf-8") as f:
                lines = f.read().splitlines()
            merges = []
            for line in lines[1:]:
                if line == "":
                    continue
                parts = line.split(" ")
                if len(parts) != 2:
                    raise ValueError("not a merge: " + line)
                merges.append((bytes([back[c] for c in parts[0]]), bytes([back[c] for c in parts[1]])))
            return cls(vocab, merges, ["<|endoftext|>"])
        except OSError:
            raise
        except Exception as error:
            raise ValueError("The file " + str(vocab_bpe) + " is broken: " + repr(error))

    def encode_iterable(self, texts, *, allowed_special="none"):
        return Stream(self, texts, allowed_special)


class Stream:
    """Gives one id after another."""

    def __init__(self, tokenizer, texts, allowed_special):
        self.tokenizer = tokenizer
        self.special = tokenizer.special_list(allowed_special)
        self.longest = 1
        for token in self.special:
            self.longest = max(self.longest, len(token))
        self.texts = iter(texts)
        self.rest = ""
        self.ready = []
        self.finished = False

    def __iter__(self):
        return self

    def __next__(self):
        while len(self.ready) == 0:
            if self.finished:
                raise StopIteration
            try:
                self.rest = self.rest + next(self.texts)
            except StopIteration:
                self.finished = True
                self.ready = self.tokenizer.encode(self.rest, allowed_special=set(self.special))
                self.rest = ""
                continue
            self.work()
        return self.ready.pop(0)

    def work(self):
        """Encode what no later piece can change. Whether a special token begins at a place is known when the longest
        one would fit between that place and the end."""
        parts = split_special(self.rest, self.special)
        limit = len(self.rest) - self.longest + 1
        start = 0
        i = 0
        while i < len(parts):
            part, is_special = parts[i]
            end = start + len(part)
            if start >= limit:
                break
            if is_special:
                self.ready += self.tokenizer.encode(part, allowed_special={part})
                start = end
            elif i + 1 < len(parts) and end < limit:
                self.ready += self.tokenizer.encode(part)
                start = end
            else:
                if self.tokenizer.pattern == GPT2_SPLIT_PATTERN:
                    word_list = pretokenize(self.rest[start : min(end, limit)], GPT2_SPLIT_PATTERN)
                    for word in word_list[:-2]:
                        self.ready += self.tokenizer.encode_word(word)
                        start = start + len(word)
                break
            i = i + 1
        self.rest = self.rest[start:]


def compression(tok, text):
    if text == "":
        raise ValueError("the text is empty")
    return len(text.encode("utf-8")) / len(tok.encode(text))


def byte_characters():
    printable = []
    for i in range(33, 127):
        printable.append(i)
    for i in range(161, 173):
        printable.append(i)
    for i in range(174, 256):
        printable.append(i)
    result = {}
    n = 0
    for byte in range(256):
        if byte in printable:
            result[byte] = chr(byte)
        else:
            result[byte] = chr(256 + n)
            n = n + 1
    return result
