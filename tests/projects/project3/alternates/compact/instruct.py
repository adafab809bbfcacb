"""Short, idiomatic torch."""

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence

TASK = "Below is an instruction that describes a task"
MORE = ", paired with an input that provides further context"
WRITE = "Write a response that appropriately completes the request."
ALPACA = "{task}\n\n### Instruction:\n{instruction}\n\n{middle}### Response:\n"


def format_example(entry, template="alpaca"):
    question, given = entry["instruction"], entry.get("input") or ""
    match template:
        case "alpaca":
            middle = f"### Input:\n{given}\n\n" if given else ""
            task = f"{TASK}{MORE if given else ''}. {WRITE}"
            prompt = ALPACA.format(task=task, instruction=question, middle=middle)
        case "phi3":
            prompt = "<|user|>\n" + "\n".join(filter(None, [question, given])) + "<|end|>\n<|assistant|>\n"
        case _:
            raise ValueError(template)
    return prompt, entry.get("output", "")


def sft_collate(batch, *, pad_id, ignore_index=-100, max_length=None, end_id):
    xs, ys = [], []
    for prompt, response in batch:
        response = response if response[-1:] == [end_id] else [*response, end_id]
        row = torch.tensor([*prompt, *response])
        x, y = row[:-1], row[1:].clone()
        y[: len(prompt) - 1] = ignore_index
        x, y = x[:max_length], y[:max_length]
        if not prompt or len(x) < len(prompt):
            raise ValueError("nothing to learn in a row")
        xs.append(x)
        ys.append(y)
    return pad_sequence(xs, True, pad_id), pad_sequence(ys, True, ignore_index)


def sft_loss(model, inputs, targets, ignore_index=-100):
    if (targets == ignore_index).all():
        raise ValueError("nothing counts")
    return F.cross_entropy(model(inputs)[0].mT, targets, ignore_index=ignore_index)


@torch.no_grad()
def generate_response(model, prompt_ids, *, end_id, max_new_tokens, max_length=None):
    was, _ = model.training, model.eval()
    ids = torch.tensor([prompt_ids])
    while ids.size(1) < len(prompt_ids) + max_new_tokens:
        new = model(ids[:, -(max_length or 0) :])[0][:, -1:].argmax(-1)
        if new.item() == end_id:
            break
        ids = torch.cat([ids, new], 1)
    model.train(was)
    return ids[0, len(prompt_ids) :].tolist()
