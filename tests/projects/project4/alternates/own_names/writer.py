"""A writer holds a model, its texts, and who has finished."""

import torch
from cache import KVCache
from chances import rules_for


class Borrowed:
    """A model that is given back as it was."""

    def __init__(self, network):
        self.network = network

    def __enter__(self):
        self.before = self.network.training
        self.grad = torch.is_grad_enabled()
        self.network.train(False)
        torch.set_grad_enabled(False)
        return self.network

    def __exit__(self, kind, error, trace):
        torch.set_grad_enabled(self.grad)
        self.network.train(self.before)
        return False


class Dice:
    """Gumbel's trick: the largest of log-probability plus noise is a fair draw."""

    def __init__(self, rules, generator):
        self.rules, self.generator = rules, generator

    def odds(self, scores):
        for rule in self.rules:
            scores = rule(scores)
        return scores.softmax(dim=-1)

    def throw(self, scores):
        odds = self.odds(scores)
        noise = torch.empty_like(odds).exponential_(generator=self.generator)
        return (odds / noise).argmax(dim=-1)


class Writer:
    def __init__(self, network, dice, last_word, remember=False):
        self.network, self.dice, self.last_word, self.remember = network, dice, last_word, remember
        self.memory = None

    def ask(self, texts):
        room = self.network.config.block_size
        if not self.remember or texts.shape[1] > room:
            return self.network(texts[:, -room:])[0][:, -1]
        if self.memory is None:
            kind = next(self.network.parameters()).dtype
            self.memory = KVCache(self.network.config, texts.shape[0], dtype=kind)
        return self.network(texts[:, self.memory.length :], kv_cache=self.memory)[0][:, -1]

    def write(self, texts, how_many):
        finished = torch.zeros(len(texts), dtype=torch.bool)
        for _ in range(how_many):
            words = self.dice.throw(self.ask(texts))
            if self.last_word is not None:
                words = torch.where(finished, torch.full_like(words, self.last_word), words)
                finished = finished | (words == self.last_word)
            texts = torch.hstack([texts, words.unsqueeze(1)])
            if self.last_word is not None and bool(finished.all()):
                break
        return texts

    def write_ragged(self, prompts, how_many):
        sheets = [prompt.clone() for prompt in prompts]
        open_ones = list(range(len(sheets)))
        for _ in range(how_many):
            if not open_ones:
                break
            widest = max(len(sheets[i]) for i in open_ones)
            table = torch.stack([torch.cat([sheets[i], sheets[i].new_full((widest - len(sheets[i]),), 3)]) for i in open_ones])
            scores = self.network(table)[0]
            own = torch.stack([scores[row, len(sheets[i]) - 1] for row, i in enumerate(open_ones)])
            words = self.dice.throw(own)
            for row, i in enumerate(open_ones):
                sheets[i] = torch.cat([sheets[i], words[row : row + 1]])
            open_ones = [i for i in open_ones if self.last_word is None or int(sheets[i][-1]) != self.last_word]
        return sheets


def dice_for(temperature, top_k, top_p, generator):
    return Dice(rules_for(temperature, top_k, top_p), generator)
