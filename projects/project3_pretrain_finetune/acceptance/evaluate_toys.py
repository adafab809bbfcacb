"""Brought to the member's code by the checks of `evaluate`: a tokenizer, a model and a judge whose answers are known."""

import re
import zlib

import torch
from torch import nn

V = 23  # vocab_size


class Words:
    """A tokenizer: a token for each word with the space before it, and for each sign. Different words may share one."""

    def encode(self, text):
        return [zlib.crc32(word.encode()) % V for word in re.findall(r" ?\w+|[^\w ]| +", text)]


class Reader(nn.Module):
    """ids (B, T) -> (logits (B, T, V), None). A position knows all tokens up to itself, later ones weigh more."""

    def __init__(self, embedding, head, dropout=0.0):
        super().__init__()
        self.embedding, self.head = nn.Parameter(embedding), nn.Parameter(head)
        self.drop = nn.Dropout(dropout)
        self.modes, self.lengths, self.with_gradient = [], [], []

    def forward(self, ids):
        state, states = torch.zeros_like(self.embedding[0]), []
        for t in range(ids.size(1)):
            state = 0.6 * state + self.embedding[ids[:, t]]
            states.append(state)
        logits = self.drop(torch.stack(states, 1)) @ self.head
        self.modes.append(self.training)
        self.lengths.append(ids.size(1))
        self.with_gradient.append(logits.requires_grad)
        return logits, None


class Judge:
    """A client. It finds the answers in the prompt by their text, and likes what stands first.

    likes: answer -> points. first_bonus: points more for the first answer. replies: prompt number -> another reply.
    """

    def __init__(self, likes, first_bonus=0.0, replies=None):
        self.likes, self.first_bonus, self.replies = dict(likes), first_bonus, dict(replies or {})
        self.prompts = []

    def __call__(self, prompt):
        self.prompts.append(prompt)
        number = len(self.prompts) - 1
        if number in self.replies:
            return self.replies[number]
        there = sorted((prompt.index(answer), answer) for answer in self.likes if answer in prompt)
        first, second = (self.likes[answer] for _, answer in there)
        return f"Both have merits.\nA: {first + self.first_bonus}\nB: {second}\n"


def as_dict(result):
    return dict(vars(result))
