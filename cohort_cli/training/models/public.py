"""GPT-2's public weights, or anybody's in the same format, as our GPT.

OpenAI wrote GPT-2 with "Conv1D" layers, which keep their matrices the other way round than nn.Linear: (in, out). So four
matrices of each block are transposed; all other names and shapes are the same.

Source of the weights: Radford et al. 2019, https://huggingface.co/openai-community/gpt2.
"""

from __future__ import annotations

from typing import Any

import torch

from cohort_cli.errors import DataTrouble, EnvironmentTrouble, UsageError
from cohort_cli.training.config import Model
from cohort_cli.training.models.attention import EPS
from cohort_cli.training.models.gpt import GPT, build

TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
TANH_GELU = ("gelu_new", "gelu_pytorch_tanh")  # two names of one function


def load_public(source: str) -> GPT:
    """The model of `source`: "hf:gpt2-xl", "hf:OWNER/NAME", or a folder that save_pretrained wrote. In float32.

    It comes from the Hugging Face cache, or over the network once. Only safetensors files are read, never a pickle.
    Raises EnvironmentTrouble without `transformers`, DataTrouble if the weights cannot be had, UsageError if they are
    of another kind of model.
    """
    try:
        from transformers import AutoConfig, GPT2LMHeadModel
    except ImportError:
        raise EnvironmentTrouble(
            f"Public weights such as {source} are read with transformers, which is not installed.",
            'pip install "cohort-kit[train]"',
        ) from None
    name = source.removeprefix("hf:")
    try:
        theirs = AutoConfig.from_pretrained(name)
        shape = shape_of(theirs, source)
        loaded: Any = GPT2LMHeadModel.from_pretrained(
            name, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError) as trouble:
        raise DataTrouble(
            f"The weights {source} cannot be had: {str(trouble).strip().splitlines()[0]}",
            "Check the name and the network, or give a folder with config.json and model.safetensors.",
        ) from trouble
    found, told = loaded
    if told["missing_keys"]:  # transformers would fill them with random numbers
        raise DataTrouble(
            f"{source} has no {sorted(told['missing_keys'])[0]} among its weights.",
            "Fetch the weights again: the file is not whole, or it is of another model.",
        )
    tensors = {key.removeprefix("transformer."): value for key, value in found.state_dict().items()}
    del found, loaded
    for key in tensors:
        if key.endswith(TRANSPOSED):
            tensors[key] = tensors[key].T.contiguous()  # one at a time: the model is never there twice
    with torch.device("meta"):  # shapes only: the weights come from elsewhere
        model = build(shape, theirs.vocab_size)
    model.load_state_dict(tensors, assign=True)
    if shape.tied:
        model.lm_head.weight = model.wte.weight
    return model


def shape_of(theirs: Any, source: str) -> Model:
    """Our shape for a GPT2Config. Raises UsageError where our GPT would compute something else."""
    expected = {
        "model_type": ("gpt2",), "activation_function": TANH_GELU, "layer_norm_epsilon": (EPS,),
        "scale_attn_weights": (True,), "scale_attn_by_inverse_layer_idx": (False,),
    }  # fmt: skip
    for key, values in expected.items():
        if (value := getattr(theirs, key, None)) not in values:
            raise UsageError(
                f"{source} has {key} = {value!r}; a GPT-2 that can be loaded has {values[0]!r}.",
                "Use hf:gpt2, hf:gpt2-medium, hf:gpt2-large, hf:gpt2-xl, or a model trained from one of them.",
            )
    return Model(
        theirs.n_layer,
        theirs.n_embd,
        theirs.n_head,
        theirs.n_positions,
        d_ff=theirs.n_inner or 0,
        tied=theirs.tie_word_embeddings,
    )
