"""A tree of texts: each node knows its parent and its last token."""

import heapq
import itertools

import torch


class Node:
    def __init__(self, parent, word, gain, closed):
        self.parent, self.word, self.closed = parent, word, closed
        self.depth = 0 if parent is None else parent.depth + 1
        self.total = 0.0 if parent is None else parent.total + gain

    def words(self):
        return [] if self.parent is None else [*self.parent.words(), self.word]

    def value(self, alpha):
        return self.total / self.depth**alpha if self.depth else 0.0


def search(network, start, width, depth, alpha, last_word):
    level = [Node(None, None, 0.0, False)]
    for _ in range(depth):
        if all(node.closed for node in level):
            break
        heap, number = [], itertools.count()
        for node in level:
            for child in [node] if node.closed else children(network, start, node, last_word):
                heapq.heappush(heap, (-child.value(alpha), next(number), child))
        level = [heapq.heappop(heap)[2] for _ in range(min(width, len(heap)))]
    return [(torch.tensor(start + node.words()), node.value(alpha)) for node in level]


def children(network, start, node, last_word):
    text = (start + node.words())[-network.config.block_size :]
    scores = network(torch.tensor([text]))[0][0, -1]
    gains = (scores - scores.logsumexp(dim=-1)).tolist()
    return [Node(node, word, gain, word == last_word) for word, gain in enumerate(gains)]
