"""Closures, comprehensions; nothing is changed in place."""

from itertools import islice

import torch
from torch.nn.functional import one_hot

TASK = "Below is an instruction that describes a task"


def alpaca(question, given):
    first = TASK + (", paired with an input that provides further context" if given else "")
    parts = [
        first + ". Write a response that appropriately completes the request.",
        "### Instruction:\n" + question,
        *(["### Input:\n" + given] if given else []),
        "### Response:\n",
    ]
    return "\n\n".join(parts)


def phi3(question, given):
    return f"<|user|>\n{question}{given and chr(10) + given}<|end|>\n<|assistant|>\n"


TEMPLATES = {"alpaca": alpaca, "phi3": phi3}


def format_example(entry, template="alpaca"):
    if template not in TEMPLATES:
        raise ValueError(f"one of {list(TEMPLATES)}")
    return TEMPLATES[template](entry["instruction"], entry.get("input", "")), entry.get("output", "")


def sft_collate(batch, *, pad_id, ignore_index=-100, max_length=None, end_id):
    def ended(response):
        return response if response and response[-1] == end_id else response + [end_id]

    def pairs(prompt, response):
        tokens = prompt + ended(response)
        labels = [ignore_index] * len(prompt) + ended(response)
        return list(islice(zip(tokens, labels[1:]), max_length))

    rows = [pairs(list(prompt), list(response)) for prompt, response in batch]
    if any(not prompt or len(row) < len(prompt) for row, (prompt, _) in zip(rows, batch)):
        raise ValueError("a row without a target")
    width = max(map(len, rows))
    full = torch.tensor([row + [(pad_id, ignore_index)] * (width - len(row)) for row in rows])
    return full[..., 0].contiguous(), full[..., 1].contiguous()


def sft_loss(model, inputs, targets, ignore_index=-100):
    counts = targets != ignore_index
    total = counts.sum()
    if total.item() == 0:
        raise ValueError("no targets")
    logits = model(inputs)[0]
    logp = logits - torch.logsumexp(logits, -1, keepdim=True)
    hot = one_hot(torch.where(counts, targets, 0), logits.size(-1)) * counts.unsqueeze(-1)
    return -torch.einsum("btv,btv->", logp, hot.to(logp.dtype)) / total


def generate_response(model, prompt_ids, *, end_id, max_new_tokens, max_length=None):
    def following(ids):
        seen = ids if max_length is None else ids[-max_length:]
        return model(torch.tensor([seen]))[0][0, -1].max(0).indices.item()

    def stream(ids):
        while (new := following(ids)) != end_id:
            yield new
            ids = (*ids, new)

    before = model.training
    with torch.no_grad():
        try:
            model.train(False)
            return list(islice(stream(tuple(prompt_ids)), max_new_tokens))
        finally:
            model.train(before)
