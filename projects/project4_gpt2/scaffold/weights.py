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

    Names in the file may begin with "transformer." or not, and old files carry causal masks along, h.N.attn.bias and
    h.N.attn.masked_bias, which are no weights. lm_head.weight, if there, is wte.weight once more.

    Raises ValueError that names the tensor (with or without "transformer.") for one that is missing, left over or of
    another shape, and ValueError that names the key of config.json for a kind of GPT-2 that our GPT would compute
    wrongly: activation_function, layer_norm_epsilon, n_inner, scale_attn_weights, scale_attn_by_inverse_layer_idx or
    tie_word_embeddings, where it is there and is not GPT-2's own. FileNotFoundError if the folder has no weights in
    safetensors.
    """
    raise NotImplementedError("load: from_hf")


def to_hf(model: GPT, out_dir: str | Path, tokenizer: GPT2Tokenizer | None = None) -> Path:
    """Write a folder that transformers' GPT2LMHeadModel.from_pretrained opens, with the same logits. Returns it.

    config.json: model_type "gpt2", and what differs from GPT2Config's own defaults, the five sizes above all;
    eos_token_id is the tokenizer's eos_id. model.safetensors: every tensor contiguous and laid out as from_hf finds it,
    the tied matrix once (as wte.weight), metadata {"format": "pt"}. And the tokenizer's files, if one is given. A model
    without biases gets biases of 0, since GPT2LMHeadModel always has them. The model itself stays as it is.
    """
    raise NotImplementedError("export: to_hf")
