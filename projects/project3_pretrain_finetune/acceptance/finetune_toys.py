"""Small modules whose answers are known, for the steps classify, instruct, lora and dpo.

A check builds them beside the member's code (`member.bring`) and in its own process, with the same weights.
V vocabulary, B batch, T time, C channels.
"""

import random

import torch
from torch import nn


class Backbone(nn.Module):
    """Causal: position t sees the tokens 0..t. (B, T) -> (B, T, C)."""

    def __init__(self, vocab_size, width, d_model):
        super().__init__()
        self.table = nn.Embedding(vocab_size, width)
        self.mix = nn.Linear(width, d_model)

    def forward(self, ids):
        x = self.table(ids)
        length = torch.arange(1, ids.size(1) + 1, dtype=x.dtype).unsqueeze(-1)
        return torch.tanh(self.mix(x + x.cumsum(1) / length))


class LanguageModel(nn.Module):
    """The same with logits: (B, T) -> (logits (B, T, V), None)."""

    def __init__(self, vocab_size, width, d_model, dropout=0.0):
        super().__init__()
        self.body = Backbone(vocab_size, width, d_model)
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(d_model, vocab_size)

    def forward(self, ids):
        return self.head(self.drop(self.body(ids))), None


class Adder(nn.Module):
    """A language model whose most likely next token is the sum of all tokens that it sees, modulo V.

    It writes down how many tokens it saw, and whether gradients were on. In training mode it answers one more.
    """

    def __init__(self, vocab_size):
        super().__init__()
        self.vocab_size = vocab_size
        self.strength = nn.Parameter(torch.tensor(2.0))
        self.sizes, self.gradients = [], []

    def forward(self, ids):
        self.sizes.append(ids.size(1))
        self.gradients.append(torch.is_grad_enabled())
        answer = (ids.cumsum(1) + self.training) % self.vocab_size
        return self.strength * nn.functional.one_hot(answer, self.vocab_size), None


class Voter(nn.Module):
    """A classifier that answers each row's first token; in training mode the class after it."""

    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes
        self.strength = nn.Parameter(torch.tensor(2.0))
        self.gradients = []

    def forward(self, ids):
        self.gradients.append(torch.is_grad_enabled())
        answer = (ids[:, 0] + self.training) % self.num_classes
        return self.strength * nn.functional.one_hot(answer, self.num_classes)


class Tree(nn.Module):
    """Parameters whose names are easy to mix up: h.1 and h.10; head, head_norm and overhead."""

    def __init__(self):
        super().__init__()
        self.h = nn.ModuleList(nn.Linear(20 + i, 1) for i in range(11))
        self.head = nn.Linear(40, 2)
        self.head_norm = nn.LayerNorm(5)
        self.overhead = nn.Linear(3, 2)


class Attention(nn.Module):
    """Not attention, but with its names. (..., 6) -> (..., 6)."""

    def __init__(self):
        super().__init__()
        self.query = nn.Linear(6, 9)
        self.query_norm = nn.LayerNorm(9)
        self.value = nn.Linear(9, 5, bias=False)
        self.c_proj = nn.Linear(5, 7)
        self.proj = nn.Linear(7, 6)

    def forward(self, x):
        return self.proj(torch.tanh(self.c_proj(self.value(torch.tanh(self.query_norm(self.query(x)))))))


class Network(nn.Module):
    """Two layers, a norm that is called like a layer, and a head tied to the embedding. (B, T) -> (B, T, 11)."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.h = nn.ModuleList(nn.ModuleDict({"attn": Attention()}) for _ in range(2))
        self.proj = nn.LayerNorm(6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.table.weight

    def forward(self, ids):
        x = self.table(ids)
        for layer in self.h:
            x = x + layer["attn"](x)
        return self.head(self.proj(x))


def linear(in_features, out_features, bias=True):
    return nn.Linear(in_features, out_features, bias)


def modes(model):
    """Is it in training mode? For the module and all below it."""
    return [module.training for module in model.modules()]


def kinds(model):
    """Name -> kind of every module."""
    return {name: type(module).__name__ for name, module in model.named_modules()}


def trainable(model):
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def count(model):
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def same(one, other):
    return one is other


def state_is_detached(model):
    """Of the member's lora_state, which must be asked where the gradients are."""
    import lora

    return not any(value.requires_grad for value in lora.lora_state(model).values())


def draw():
    """The next number of Python's own generator."""
    return random.random()


def twins(member, rng, kind, *args, **kwargs):
    """One module beside the member's code and the same one here, in float64 with the same random weights."""
    import finetune_toys

    there, here = (
        getattr(member.bring(finetune_toys), kind)(*args, **kwargs).double(),
        globals()[kind](*args, **kwargs),
    )
    here = here.double()
    values = {
        name: rng.normal(*p.shape, std=max([1, *p.shape[1:]]) ** -0.5) for name, p in here.named_parameters()
    }
    there.assign(values)
    for name, parameter in here.named_parameters():
        parameter.data = values[name]
    return there, here
