"""Leans on what torch and the standard library bring."""

from string import Template

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

REQUEST = "Write a response that appropriately completes the request."
TEMPLATES = {
    ("alpaca", True): Template(
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        f"{REQUEST}\n\n### Instruction:\n$instruction\n\n### Input:\n$input\n\n### Response:\n"
    ),
    ("alpaca", False): Template(
        "Below is an instruction that describes a task. "
        f"{REQUEST}\n\n### Instruction:\n$instruction\n\n### Response:\n"
    ),
    ("phi3", True): Template("<|user|>\n$instruction\n$input<|end|>\n<|assistant|>\n"),
    ("phi3", False): Template("<|user|>\n$instruction<|end|>\n<|assistant|>\n"),
}


def format_example(entry, template="alpaca"):
    try:
        text = TEMPLATES[template, bool(entry.get("input"))]
    except KeyError:
        raise ValueError(f"no template {template}") from None
    return text.substitute(entry), entry.get("output", "")


def sft_collate(batch, *, pad_id, ignore_index=-100, max_length=None, end_id):
    inputs, targets = [], []
    for prompt, response in batch:
        answer = list(response)
        if answer[-1:] != [end_id]:
            answer.append(end_id)
        tokens = torch.tensor(list(prompt) + answer)
        learned = torch.arange(len(tokens)) >= len(prompt)
        labels = tokens.masked_fill(~learned, ignore_index)
        if not prompt or not learned[1:][:max_length].any():
            raise ValueError("a row in which nothing counts")
        inputs.append(tokens[:-1][:max_length])
        targets.append(labels[1:][:max_length])
    return (
        pad_sequence(inputs, batch_first=True, padding_value=pad_id),
        pad_sequence(targets, batch_first=True, padding_value=ignore_index),
    )


def sft_loss(model, inputs, targets, ignore_index=-100):
    if not torch.any(targets != ignore_index):
        raise ValueError("empty")
    logits = model(inputs)[0]
    return nn.NLLLoss(ignore_index=ignore_index)(nn.LogSoftmax(1)(logits.transpose(1, 2)), targets)


@torch.inference_mode()
def generate_response(model, prompt_ids, *, end_id, max_new_tokens, max_length=None):
    mode = model.training
    model.eval()
    text, limit = list(prompt_ids), len(prompt_ids) + max_new_tokens
    while len(text) < limit:
        context = torch.tensor(text)[None]
        if max_length is not None:
            context = context[:, -max_length:]
        (token,) = model(context)[0][0, -1].topk(1).indices.tolist()
        if token == end_id:
            break
        text += [token]
    model.train(mode)
    return text[len(prompt_ids) :]
