import regex
from pairs import get_pair_counts, merge

GPT2_SPLIT_PATTERN = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def pretokenize(text, pattern=GPT2_SPLIT_PATTERN):
    # A list: it is short enough.
    if text == "":
        return []
    if pattern is None:
        return [text]
    words = []
    for match in regex.finditer(pattern, text):
        words.append(match.group())
    return words


def count_words(texts, pattern=GPT2_SPLIT_PATTERN):
    counts = {}
    for text in texts:
        for word in pretokenize(text, pattern):
            word = word.encode("utf-8")
            if word not in counts:
                counts[word] = 0
            counts[word] += 1
    return counts


def learn_merges(words, n_merges):
    all_ids = []
    all_counts = []
    for word in words:
        all_ids.append(list(word))
        all_counts.append(words[word])
    vocab = [bytes([i]) for i in range(256)]
    merges = []
    while len(merges) < n_merges:
        counts = {}
        for i in range(len(all_ids)):
            in_word = get_pair_counts(all_ids[i])
            for pair in in_word:
                counts[pair] = counts.get(pair, 0) + in_word[pair] * all_counts[i]
        if counts == {}:
            break
        candidates = []
        for pair in counts:
            candidates.append([counts[pair], vocab[pair[0]], vocab[pair[1]], pair[0], pair[1]])
        candidates.sort()
        left = candidates[-1][3]
        right = candidates[-1][4]
        merges.append((vocab[left], vocab[right]))
        vocab.append(vocab[left] + vocab[right])
        for i in range(len(all_ids)):
            all_ids[i] = merge(all_ids[i], (left, right), len(vocab) - 1)
    return merges


def split_special(text, special_tokens):
    parts = []
    ordinary = ""
    i = 0
    while i < len(text):
        longest = ""
        for token in special_tokens:
            if text.startswith(token, i) and len(token) > len(longest):
                longest = token
        if longest != "":
            if ordinary != "":
                parts.append((ordinary, False))
            parts.append((longest, True))
            ordinary = ""
            i = i + len(longest)
        else:
            ordinary = ordinary + text[i]
            i = i + 1
    if ordinary != "":
        parts.append((ordinary, False))
    return parts
