"""GPT-2's weights in Hugging Face's format: into our model, and out of it.    Steps: load, export

OpenAI wrote GPT-2 with "Conv1D" layers, which keep their matrices as (in, out), where nn.Linear has (out, in). So four
matrices of each block are the other way round. One of them is square: a forgotten transpose there is silent.

A folder in this format has config.json and either model.safetensors, or several safetensors files whose index,
model.safetensors.index.json, says which has what. safetensors only: a pickle can run any program when it is loaded.

Source: https://huggingface.co/openai-community/gpt2; https://huggingface.co/docs/safetensors.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

from pathlib import Path

from gpt import GPT
from tokens import GPT2Tokenizer


def from_hf(source: str | Path) -> GPT:
    """The model of a folder, or of a name on the hub such as "openai-community/gpt2", in float32 and eval mode.

    Raises ValueError that names the tensor for one that is missing, left over or of another shape, and that names the
    key of config.json for a kind of GPT-2 that our GPT would compute wrongly. FileNotFoundError without weights.
    """
    raise NotImplementedError("load: from_hf")


def to_hf(model: GPT, out_dir: str | Path, tokenizer: GPT2Tokenizer | None = None) -> Path:
    """Write a folder that transformers' GPT2LMHeadModel.from_pretrained opens, with the same logits. Returns it.

    config.json, model.safetensors (every tensor contiguous, the tied matrix once), and the tokenizer's files if one is
    given. A model without biases gets biases of 0, since GPT2LMHeadModel always has them.
    """
    raise NotImplementedError("export: to_hf")
