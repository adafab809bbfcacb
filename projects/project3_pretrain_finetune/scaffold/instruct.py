"""Instruction tuning: a template, labels for the answer alone, and a greedy answer.    Step: instruct

B batch, T time (tokens), V = vocabulary size.

Sources: Ouyang et al. 2022, section 3, https://arxiv.org/abs/2203.02155; Taori et al. 2023 (the Alpaca template),
https://github.com/tatsu-lab/stanford_alpaca.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


def format_example(entry: dict[str, str], template: str = "alpaca") -> tuple[str, str]:
    """The text that the model reads, and the text that it should write: (prompt, response).

    entry: "instruction", "input" and "output". An "input" that is missing or empty means: no input. The response is the
    output as it is; "" if there is none, so that the same function serves training and use. Raises ValueError for
    an unknown template.

    "alpaca", each part on lines of its own, with one empty line between the parts. With an input:

        Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.

        ### Instruction:
        <instruction>

        ### Input:
        <input>

        ### Response:

    The first part is a single line. Without an input it is

        Below is an instruction that describes a task. Write a response that appropriately completes the request.

    and the part "### Input:" is left out. The prompt ends with "### Response:" and one newline.

    "phi3": "<|user|>", newline, the instruction, then newline and input if there is one, "<|end|>", newline, "<|assistant|>",
    newline.
    """  # noqa: E501
    raise NotImplementedError("instruct: format_example")


def sft_collate(
    batch: Sequence[tuple[list[int], list[int]]],
    *,
    pad_id: int,
    ignore_index: int = -100,
    max_length: int | None = None,
    end_id: int,
) -> tuple[Tensor, Tensor]:
    """(prompt ids, response ids) pairs -> inputs (B, T) and targets (B, T), both int64.

    A row is prompt + response + end_id; a response that already ends with end_id gets no second one. inputs are all but
    the last token, targets all but the first: targets[b, t] is what follows inputs[b, t], shifted already. Only the
    response and its end count, also where one of their ids equals pad_id. The other targets are ignore_index:
    those that are tokens of the prompt, and padding. So the first target that counts stands at the prompt's last token.

    Rows are padded on the right to the longest one, inputs with pad_id. With max_length a row keeps its first
    max_length positions; what is cut off is lost, its end too. The batch stays as it is.
    Raises ValueError if a prompt is empty, or if a row has no target that counts after the cut: its loss would be 0/0.
    """
    raise NotImplementedError("instruct: sft_collate")


def sft_loss(model: nn.Module, inputs: Tensor, targets: Tensor, ignore_index: int = -100) -> Tensor:
    """The mean cross-entropy in nats over all targets that count, of all rows together. A tensor with no dimensions.

    model(inputs) gives (logits (B, T, V), None). targets (B, T) are shifted already; ignore_index does not count. Each
    token counts alike, so a row with a long answer counts more than one with a short one.
    Raises ValueError if nothing counts.
    """
    raise NotImplementedError("instruct: sft_loss")


def generate_response(
    model: nn.Module,
    prompt_ids: list[int],
    *,
    end_id: int,
    max_new_tokens: int,
    max_length: int | None = None,
) -> list[int]:
    """The model's answer: at each step the most likely next token, until end_id or max_new_tokens tokens.

    model(ids (1, T)) gives (logits (1, T, V), None). Returns the new tokens alone, without the prompt and without
    end_id. With max_length the model sees the last max_length tokens, no more. The model is in eval mode
    meanwhile, and afterwards in the mode in which it came. No gradients.
    """
    raise NotImplementedError("instruct: generate_response")
