from words import GPT2_SPLIT_PATTERN, pretokenize, split_special


def learn_merges(counted, n_merges):
    """Count once. After each merge only the words that have the pair are taken out of the counts and put in again."""
    words = []
    times = []
    for word in counted:
        words.append([word[i : i + 1] for i in range(len(word))])
        times.append(counted[word])
    counts = {}
    where = {}
    for number in range(len(words)):
        add_word(words[number], number, times[number], counts, where)
    merges = []
    while len(merges) < n_merges and len(counts) > 0:
        highest = max(counts.values())
        if highest == 0:
            break
        best = max([pair for pair in counts if counts[pair] == highest])
        merges.append(best)
        for number in sorted(where[best]):
            word = words[number]
            for i in range(len(word) - 1):
                counts[(word[i], word[i + 1])] -= times[number]
                if counts[(word[i], word[i + 1])] == 0:
                    del counts[(word[i], word[i + 1])]
            new_word = []
            i = 0
            while i < len(word):
                if i + 1 < len(word) and (word[i], word[i + 1]) == best:
                    new_word.append(word[i] + word[i + 1])
                    i += 2
                else:
                    new_word.append(word[i])
                    i += 1
            words[number] = new_word
            add_word(new_word, number, times[number], counts, where)
    return merges


def add_word(word, number, times, counts, where):
    for i in range(len(word) - 1):
        pair = (word[i], word[i + 1])
        counts[pair] = counts.get(pair, 0) + times
        if pair not in where:
            where[pair] = set()
        where[pair].add(number)


def count_part(texts, pattern, special_tokens):
    counts = {}
    for text in texts:
        for part in split_special(text, special_tokens):
            if part[1] is True:
                continue
            for word in pretokenize(part[0], pattern):
                word = word.encode("utf-8")
                counts[word] = counts.get(word, 0) + 1
    return counts


def count_words(texts, pattern=GPT2_SPLIT_PATTERN, special_tokens=(), workers=1):
    if workers == 1:
        return count_part(texts, pattern, special_tokens)
    import multiprocessing

    # Give every process every n-th text.
    texts = list(texts)
    jobs = []
    for i in range(workers):
        jobs.append((texts[i::workers], pattern, list(special_tokens)))
    with multiprocessing.Pool(workers) as pool:
        results = pool.starmap(count_part, jobs)
    total = {}
    for result in results:
        for word in result:
            total[word] = total.get(word, 0) + result[word]
    return total
