# My solution of the first three steps.


def text_to_bytes(text):
    result = []
    for character in text:
        for byte in character.encode("utf-8"):
            result.append(byte)
    return result


def bytes_to_text(ids, errors="replace"):
    return bytes(list(ids)).decode("utf8", errors)


def get_pair_counts(ids, counts=None):
    if counts is None:
        counts = {}
    i = 0
    while i < len(ids) - 1:
        pair = (ids[i], ids[i + 1])
        if pair in counts:
            counts[pair] = counts[pair] + 1
        else:
            counts[pair] = 1
        i = i + 1
    return counts


def merge(ids, pair, new_id):
    new_ids = []
    i = 0
    while i < len(ids):
        if i < len(ids) - 1 and ids[i] == pair[0] and ids[i + 1] == pair[1]:
            new_ids.append(new_id)
            i = i + 2
        else:
            new_ids.append(ids[i])
            i = i + 1
    return new_ids


def learn_merges(text, n_merges):
    print("learning", n_merges, "merges")
    ids = text_to_bytes(text)
    vocab = {}
    for i in range(256):
        vocab[i] = bytes([i])
    merges = []
    next_id = 256
    for step in range(n_merges):
        counts = get_pair_counts(ids)
        if len(counts) == 0:
            print("nothing left")
            break
        best = None
        best_count = 0
        for pair in counts:
            count = counts[pair]
            as_bytes = (vocab[pair[0]], vocab[pair[1]])
            if best is None or count > best_count:
                best = pair
                best_count = count
            elif count == best_count:
                if as_bytes > (vocab[best[0]], vocab[best[1]]):
                    best = pair
        vocab[next_id] = vocab[best[0]] + vocab[best[1]]
        merges.append((vocab[best[0]], vocab[best[1]]))
        ids = merge(ids, best, next_id)
        next_id = next_id + 1
    return merges
