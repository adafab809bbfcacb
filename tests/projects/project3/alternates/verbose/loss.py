"""Long names, explicit steps, everything that is added up in float64."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor


def cross_entropy(logits: Tensor, targets: Tensor, ignore_index: int = -100) -> Tensor:
    result_dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    vocab_size = logits.shape[-1]
    rows_of_logits = logits.reshape(-1, vocab_size).to(torch.float64)
    list_of_targets = targets.reshape(-1).tolist()
    sum_of_losses = 0.0 * rows_of_logits.sum()  # keeps the graph, also when nothing counts
    number_that_count = 0
    for row, target in zip(rows_of_logits, list_of_targets):
        if target == ignore_index:
            continue
        largest = row.max()
        sum_of_exponentials = torch.exp(row - largest).sum()
        log_of_the_sum = largest + torch.log(sum_of_exponentials)
        sum_of_losses = sum_of_losses + (log_of_the_sum - row[target])
        number_that_count = number_that_count + 1
    if number_that_count == 0:
        return sum_of_losses.to(result_dtype)
    return (sum_of_losses / number_that_count).to(result_dtype)


def perplexity(nats: float) -> float:
    if nats > 700.0:
        return float("inf")
    return math.e**nats


def bits_per_byte(nats_per_token: float, tokens: int, n_bytes: int) -> float:
    if n_bytes <= 0:
        raise ValueError("n_bytes must be positive")
    nats_of_the_text = nats_per_token * tokens
    bits_of_the_text = nats_of_the_text / math.log(2.0)
    return bits_of_the_text / n_bytes


def expected_initial_loss(vocab_size: int) -> float:
    return math.log(float(vocab_size))


def initial_loss_is_plausible(loss: float, vocab_size: int, tolerance: float = 0.3) -> bool:
    if math.isnan(loss):
        return False
    lowest = expected_initial_loss(vocab_size) - tolerance
    highest = expected_initial_loss(vocab_size) + tolerance
    return lowest <= loss and loss <= highest


def estimate_loss(model, batches: Iterable, steps: int) -> dict[str, float]:
    mode_before = model.training
    sum_of_nats = 0.0
    number_of_tokens = 0
    number_of_batches = 0
    iterator = iter(batches)
    model.eval()
    try:
        while number_of_batches < steps:
            try:
                x, y = next(iterator)
            except StopIteration:
                break
            number_of_batches += 1
            tokens_that_count = 0
            for row in y.tolist():
                for target in row:
                    if target >= 0:
                        tokens_that_count += 1
            if tokens_that_count == 0:
                continue
            with torch.no_grad():
                _, loss = model(x, y)
            sum_of_nats += loss.item() * tokens_that_count
            number_of_tokens += tokens_that_count
    finally:
        if mode_before:
            model.train()
        else:
            model.eval()
    if number_of_tokens == 0:
        raise ValueError("no tokens were measured")
    loss_per_token = sum_of_nats / number_of_tokens
    return {"loss": loss_per_token, "perplexity": perplexity(loss_per_token), "tokens": number_of_tokens}
