from __future__ import annotations

import torch
from measure import nll


def one_hot(numbers, size):
    return (numbers.unsqueeze(1) == torch.arange(size)).to(torch.float32)


def logits_of(table, numbers):
    return torch.matmul(one_hot(numbers, table.shape[0]), table)


class Learner:
    def __init__(self, size, rate):
        self.table = torch.zeros((size, size), requires_grad=True)
        self.rate = rate

    def step(self, inputs, outputs):
        if self.table.grad is not None:
            self.table.grad.zero_()
        nll(logits_of(self.table, inputs), outputs).backward()
        self.table.data.add_(self.table.grad, alpha=-self.rate)


def train(stream, size, rounds, rate):
    learner = Learner(size, rate)
    for _ in range(rounds):
        learner.step(stream[:-1], stream[1:])
    return learner.table
