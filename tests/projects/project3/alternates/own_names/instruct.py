"""Other names, and helpers in a file of their own."""

import torch
from padding import Quietly, rectangle
from torch.nn.functional import cross_entropy


class UnknownTemplate(ValueError):
    pass


def format_example(record, template="alpaca"):
    question, material = record["instruction"], record.get("input") or None
    if template == "alpaca":
        lines = [
            "Below is an instruction that describes a task{}. Write a response that appropriately completes "
            "the request.".format(", paired with an input that provides further context" if material else ""),
            "",
            "### Instruction:",
            question,
            "",
        ]
        if material:
            lines += ["### Input:", material, ""]
        lines += ["### Response:", ""]
    elif template == "phi3":
        lines = ["<|user|>", question + "<|end|>", "<|assistant|>", ""]
        if material:
            lines[1:2] = [question, material + "<|end|>"]
    else:
        raise UnknownTemplate(template)
    return "\n".join(lines), record.get("output", "")


def sft_collate(pairs, *, pad_id, ignore_index=-100, max_length=None, end_id):
    reads, writes = [], []
    for question, answer in pairs:
        if not question:
            raise ValueError("no question")
        answer = tuple(answer)
        if not answer or answer[-1] != end_id:
            answer += (end_id,)
        read = (*question, *answer[:-1])
        write = (*[ignore_index] * (len(question) - 1), *answer)
        if max_length is not None and max_length < len(question):
            raise ValueError("no room for an answer")
        reads.append(read[:max_length])
        writes.append(write[:max_length])
    return rectangle(reads, pad_id), rectangle(writes, ignore_index)


def sft_loss(net, reads, writes, ignore_index=-100):
    keep = writes != ignore_index
    if keep.sum() == 0:
        raise ValueError("nothing to learn")
    scores, _ = net(reads)
    return cross_entropy(scores[keep], writes[keep])


def generate_response(net, prompt_ids, *, end_id, max_new_tokens, max_length=None):
    said, window = [], list(prompt_ids)
    with Quietly(net):
        for _ in range(max_new_tokens):
            if max_length is not None:
                del window[:-max_length]
            scores, _ = net(torch.tensor(window).unsqueeze(0))
            word = scores.squeeze(0)[-1].argmax().item()
            if word == end_id:
                return said
            said.append(word)
            window.append(word)
    return said
