"""Loops and long names."""

import random

import torch
from torch import nn


class SequenceClassifier(nn.Module):
    def __init__(self, backbone, d_model, num_classes, *, pad_id):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(d_model, num_classes, bias=True)
        self.pad_id = pad_id

    def forward(self, ids):
        positions_to_read = []
        for row in ids.tolist():
            position = len(row) - 1
            while position >= 0 and row[position] == self.pad_id:
                position -= 1
            if position < 0:
                raise ValueError("this row holds nothing but padding")
            positions_to_read.append(position)
        hidden_states = self.backbone(ids)
        chosen_states = []
        for row_number, position in enumerate(positions_to_read):
            chosen_states.append(hidden_states[row_number, position, :])
        return self.head(torch.stack(chosen_states, dim=0))


def name_fits(parameter_name, wanted_name):
    parameter_parts = parameter_name.split(".")
    wanted_parts = wanted_name.split(".")
    return parameter_parts[: len(wanted_parts)] == wanted_parts


def freeze_all_but(model, names):
    all_names = [name for name, _ in model.named_parameters()]
    for wanted_name in names:
        found = False
        for parameter_name in all_names:
            if name_fits(parameter_name, wanted_name):
                found = True
        if not found:
            raise ValueError(f"{wanted_name} is not in this model")
    number_of_trainable = 0
    for parameter_name, parameter in model.named_parameters():
        parameter.requires_grad = False
        for wanted_name in names:
            if name_fits(parameter_name, wanted_name):
                parameter.requires_grad = True
        if parameter.requires_grad:
            number_of_trainable += parameter.numel()
    return number_of_trainable


def balance(examples, seed):
    numbers_by_label = {}
    for number, (_, label) in enumerate(examples):
        if label not in numbers_by_label:
            numbers_by_label[label] = []
        numbers_by_label[label].append(number)
    smallest_count = min(len(numbers) for numbers in numbers_by_label.values())
    own_generator = random.Random(seed)
    kept_numbers = set()
    for label in sorted(numbers_by_label):
        waiting = list(numbers_by_label[label])
        for _ in range(smallest_count):
            place = own_generator.randrange(len(waiting))
            kept_numbers.add(waiting.pop(place))
    return [example for number, example in enumerate(examples) if number in kept_numbers]  # in the old order


def pad_batch(examples, *, pad_id, max_length):
    longest = 0
    for token_ids, _ in examples:
        longest = max(longest, min(len(token_ids), max_length))
    ids = torch.empty((len(examples), longest), dtype=torch.long)
    labels = torch.empty((len(examples),), dtype=torch.long)
    for row_number, (token_ids, label) in enumerate(examples):
        for position in range(longest):
            ids[row_number, position] = token_ids[position] if position < len(token_ids) else pad_id
        labels[row_number] = label
    return ids, labels


def accuracy(model, batches):
    mode_before = model.training
    model.eval()
    try:
        number_right = 0
        number_seen = 0
        with torch.no_grad():
            for ids, labels in batches:
                logits = model(ids)
                for row_number in range(labels.shape[0]):
                    guess = int(torch.argmax(logits[row_number]))
                    if guess == int(labels[row_number]):
                        number_right += 1
                    number_seen += 1
    finally:
        model.train(mode_before)
    if number_seen == 0:
        raise ValueError("not a single example")
    return number_right / number_seen
