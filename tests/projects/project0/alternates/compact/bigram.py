import torch
from measure import nll


def one_hot(ids, vocab_size):
    return torch.eye(vocab_size)[ids]


def logits_of(W, ids):
    return one_hot(ids, len(W)).to(W.dtype) @ W


def train(ids, vocab_size, steps, lr):
    W = torch.zeros(vocab_size, vocab_size)
    for _ in range(steps):
        W.requires_grad_()
        W = W.detach() - lr * torch.autograd.grad(nll(W[ids[:-1]], ids[1:]), W)[0]
    return W
