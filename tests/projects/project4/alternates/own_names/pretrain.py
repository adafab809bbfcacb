"""Training in a class of its own."""

import math
from collections import defaultdict

import torch
from batches import Deck
from torch.nn import functional


def accumulation_steps(batch_tokens, sequences, context, processes=1):
    if batch_tokens % (sequences * context * processes) != 0 or batch_tokens <= 0:
        raise ValueError("the batch cannot be shared out evenly")
    return batch_tokens // sequences // context // processes


def bits_per_byte(loss, tokens, n_bytes):
    return math.log2(math.exp(loss)) / (n_bytes / tokens)


class Pairs:
    def __init__(self, text, alpha, words):
        self.alpha, self.words = alpha, words
        self.after = defaultdict(lambda: defaultdict(int))
        for left, right in zip(text[:-1].tolist(), text[1:].tolist()):
            self.after[left][right] += 1

    def surprise(self, left, right):
        row = self.after[left]
        return -math.log((row[right] + self.alpha) / (sum(row.values()) + self.alpha * self.words))


def bigram_loss(train, held_out, vocab_size, *, alpha=0.1):
    pairs = Pairs(train, alpha, vocab_size)
    all_of_them = [pairs.surprise(int(held_out[i - 1]), int(held_out[i])) for i in range(1, len(held_out))]
    return math.fsum(all_of_them) / len(all_of_them)


def validation_loss(model, ids, *, context=None, batch_size=8):
    span = model.config.block_size if context is None else context
    modes = {part: part.training for part in model.modules()}
    model.eval()
    edges = list(range(0, len(ids) - 1, span)) + [len(ids) - 1]
    by_length = defaultdict(list)
    for begin, end in zip(edges, edges[1:]):
        by_length[end - begin].append(ids[begin : end + 1])
    total = 0.0
    with torch.no_grad():
        for rows in by_length.values():
            for some in torch.stack(rows).split(batch_size):
                scores = model(some[:, :-1])[0]
                total += functional.cross_entropy(
                    scores.reshape(-1, scores.shape[-1]).double(), some[:, 1:].reshape(-1), reduction="sum"
                ).item()
    for part, mode in modes.items():
        part.training = mode
    return total / (len(ids) - 1)


class Pace:
    def __init__(self, top, rise, whole):
        self.top, self.rise, self.fall = top, rise, max(whole - rise - 1, 1)

    def at(self, moment):
        if moment < self.rise:
            return self.top / self.rise * (moment + 1)
        angle = math.pi * (moment - self.rise) / self.fall
        return self.top * (1 - 0.9 * math.sin(angle / 2) ** 2)


class Trainer:
    def __init__(self, network, text, micro, tokens, decay, clip, pace, rng):
        self.network, self.pace, self.clip, self.micro = network, pace, clip, micro
        self.deck = Deck(text, network.config.block_size, rng)
        self.times = accumulation_steps(tokens, micro, self.deck.span)
        self.adam = torch.optim.AdamW(
            [
                {"params": [weight], "weight_decay": decay if weight.ndim >= 2 else 0}
                for weight in network.parameters()
                if weight.requires_grad
            ],
            betas=(0.9, 0.95),
        )

    def once(self, moment):
        for group in self.adam.param_groups:
            group["lr"] = self.pace.at(moment)
        self.network.zero_grad()
        seen = [self.micro_batch() for _ in range(self.times)]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        self.adam.step()
        return sum(seen) / len(seen)

    def micro_batch(self):
        rows = self.deck.deal(self.micro)
        scores, _ = self.network(rows[:, :-1])
        loss = functional.cross_entropy(scores.flatten(0, 1), rows[:, 1:].flatten())
        (loss / self.times).backward()
        return loss.item()


def pretrain(
    model,
    ids,
    *,
    steps,
    batch_tokens,
    micro_sequences,
    learning_rate,
    warmup_steps,
    weight_decay=0.1,
    clip_norm=1.0,
    generator=None,
):
    pace = Pace(learning_rate, warmup_steps, steps)
    trainer = Trainer(model, ids, micro_sequences, batch_tokens, weight_decay, clip_norm, pace, generator)
    model.train()
    return [trainer.once(moment) for moment in range(steps)]
