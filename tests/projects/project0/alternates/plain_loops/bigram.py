import torch
from measure import softmax


def one_hot(ids, vocab_size):
    rows = []
    for i in ids:
        row = [0.0] * vocab_size
        row[i] = 1.0
        rows.append(row)
    return torch.tensor(rows)


def logits_of(W, ids):
    return torch.stack([W[i] for i in ids])


def train(ids, vocab_size, steps, lr):
    """The gradient on paper, without autograd: softmax minus one-hot, row by row."""
    W = torch.zeros(vocab_size, vocab_size)
    ids = ids.tolist()
    pairs = len(ids) - 1
    times = [0] * vocab_size
    followed = [[0] * vocab_size for _ in range(vocab_size)]
    for a, b in zip(ids, ids[1:]):
        times[a] += 1
        followed[a][b] += 1
    for step in range(steps):
        for a in range(vocab_size):
            if times[a] > 0:
                gradient = (times[a] * softmax(W[a]) - torch.tensor(followed[a])) / pairs
                W[a] = W[a] - lr * gradient
    return W
