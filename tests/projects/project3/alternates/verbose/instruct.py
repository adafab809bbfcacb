"""Loops, explicit float64 and long names."""

import torch


def format_example(entry, template="alpaca"):
    if template not in ("alpaca", "phi3"):
        raise ValueError("unknown template")
    has_input = "input" in entry and entry["input"] != ""
    response = entry["output"] if "output" in entry else ""
    if template == "phi3":
        prompt = "<|user|>\n"
        prompt += entry["instruction"]
        if has_input:
            prompt += "\n" + entry["input"]
        prompt += "<|end|>\n"
        prompt += "<|assistant|>\n"
        return (prompt, response)
    prompt = "Below is an instruction that describes a task"
    if has_input:
        prompt += ", paired with an input that provides further context"
    prompt += ". Write a response that appropriately completes the request.\n"
    prompt += "\n"
    prompt += "### Instruction:\n"
    prompt += entry["instruction"] + "\n"
    prompt += "\n"
    if has_input:
        prompt += "### Input:\n"
        prompt += entry["input"] + "\n"
        prompt += "\n"
    prompt += "### Response:\n"
    return (prompt, response)


def sft_collate(batch, *, pad_id, ignore_index=-100, max_length=None, end_id):
    all_inputs = []
    all_targets = []
    for prompt, response in batch:
        if len(prompt) == 0:
            raise ValueError("an empty prompt")
        tokens = list(prompt) + list(response)
        if len(response) == 0 or response[-1] != end_id:
            tokens.append(end_id)
        row_inputs = []
        row_targets = []
        how_many_count = 0
        for position in range(len(tokens) - 1):
            if max_length is not None and position == max_length:
                break
            row_inputs.append(tokens[position])
            target_is_in_the_answer = position + 1 >= len(prompt)
            if target_is_in_the_answer:
                row_targets.append(tokens[position + 1])
                how_many_count += 1
            else:
                row_targets.append(ignore_index)
        if how_many_count == 0:
            raise ValueError("this row teaches nothing")
        all_inputs.append(row_inputs)
        all_targets.append(row_targets)
    width = 0
    for row_inputs in all_inputs:
        width = max(width, len(row_inputs))
    for row_inputs, row_targets in zip(all_inputs, all_targets):
        while len(row_inputs) < width:
            row_inputs.append(pad_id)
            row_targets.append(ignore_index)
    return torch.LongTensor(all_inputs), torch.LongTensor(all_targets)


def sft_loss(model, inputs, targets, ignore_index=-100):
    logits, _ = model(inputs)
    total = torch.zeros((), dtype=torch.float64)
    count = 0
    for row in range(targets.shape[0]):
        for position in range(targets.shape[1]):
            target = int(targets[row, position])
            if target == ignore_index:
                continue
            scores = logits[row, position].to(torch.float64)
            total = total + torch.logsumexp(scores, dim=0) - scores[target]
            count += 1
    if count == 0:
        raise ValueError("no token counts")
    return (total / count).to(logits.dtype)


def generate_response(model, prompt_ids, *, end_id, max_new_tokens, max_length=None):
    was_training = model.training
    model.eval()
    try:
        answer = []
        with torch.no_grad():
            while len(answer) < max_new_tokens:
                everything = list(prompt_ids) + answer
                if max_length is not None and len(everything) > max_length:
                    everything = everything[len(everything) - max_length :]
                logits, _ = model(torch.tensor([everything], dtype=torch.long))
                scores = logits[0, len(everything) - 1].tolist()
                best = scores.index(max(scores))
                if best == end_id:
                    return answer
                answer.append(best)
        return answer
    finally:
        model.train(was_training)
