"""How many numbers a network learns, and how many FLOPs a token costs. Exact arithmetic; no torch here.

N parameters, L = n_layers, d = d_model, T tokens per sequence, V = vocab_size.

The count of FLOPs is the usual one: 6 N + 12 L d T per token. Each parameter is multiplied and added once in the forward
pass (2 FLOPs) and twice in the backward pass (4); the second term is attention's. Sources: Kaplan et al. 2020, section
2.1, https://arxiv.org/abs/2001.08361, and PaLM's appendix B, https://arxiv.org/abs/2204.02311.
"""

from __future__ import annotations

from typing import NamedTuple

from cohort_cli.training.config import Config, Lora, Model


class Parameters(NamedTuple):
    embedding: int  # V x d
    positions: int  # context x d, where they are learned
    blocks: int  # all of them
    last_norm: int
    head: int  # 0 where the embedding is the head too

    @property
    def total(self) -> int:
        return sum(self)


def parameters(model: Model, vocab_size: int) -> Parameters:
    """The numbers that the engine's GPT learns, exactly. `model` is resolved: no switch is "auto"."""
    d = model.d_model
    bias = 1 if model.bias else 0
    norm = d * (1 + (bias if model.norm == "layernorm" else 0))
    attention = d * 3 * d + d * d + bias * (3 * d + d)
    mlp = 2 * d * model.d_ff + bias * (model.d_ff + d)
    return Parameters(
        embedding=vocab_size * d,
        positions=model.context * d if model.positions == "learned" else 0,
        blocks=model.n_layers * (2 * norm + attention + mlp),
        last_norm=norm,
        head=0 if model.tied else vocab_size * d,
    )


def count_parameters(model: Model, vocab_size: int) -> int:
    return parameters(model, vocab_size).total


def adapters(model: Model, lora: Lora, vocab_size: int) -> int:
    """The numbers that LoRA adds: r x (inputs + outputs) for each linear layer whose name ends in a target."""
    d, ff = model.d_model, model.d_ff
    layers = [("attn.c_attn", d, 3 * d), ("attn.c_proj", d, d), ("mlp.c_fc", d, ff), ("mlp.c_proj", ff, d)]
    of_block = sum(
        inputs + outputs
        for name, inputs, outputs in layers
        if any(f".{name}".endswith(f".{target}") for target in lora.targets)
    )
    return lora.r * model.n_layers * of_block


def learning_layers(config: Config) -> int:
    """Blocks that the backward pass goes through. Fine-tuning may freeze the lower ones (model.train_blocks)."""
    blocks, layers = config.model.train_blocks, config.model.n_layers
    return blocks if config.task != "pretrain" and 0 < blocks < layers and not config.lora.r else layers


def trained(config: Config, vocab_size: int) -> int:
    """The parameters that get a gradient. (A classifier's head adds d for each label, which is left out.)"""
    model = config.model
    if config.lora.r:
        return adapters(model, config.lora, vocab_size)
    sizes = parameters(model, vocab_size)
    layers = learning_layers(config)
    if layers < model.n_layers:
        return sizes.blocks // model.n_layers * layers + sizes.last_norm
    return sizes.total


# --- FLOPs ---------------------------------------------------------------------------------------------------


def flops_per_token(model: Model, vocab_size: int, length: int) -> float:
    """Of one training step, by the usual count. An embedding that is no head is looked up, not multiplied."""
    counted = count_parameters(model, vocab_size) - (0 if model.tied else vocab_size * model.d_model)
    return 6.0 * counted + 12.0 * model.n_layers * model.d_model * length


def step_flops_per_token(config: Config, vocab_size: int) -> float:
    """The same for this job. The forward pass is a third of it. Frozen weights get no gradient of their own."""
    model, length = config.model, config.batch.length
    whole = flops_per_token(model, vocab_size, length)
    forward = whole / 3
    if config.lora.r:
        attention = 12.0 * model.n_layers * model.d_model * length
        own = (whole - attention) * 4 / 6 + attention
    else:
        own = forward + 2 * forward * learning_layers(config) / model.n_layers
    return own + forward if config.task == "dpo" else own  # and the reference model's forward pass


def recomputed_flops_per_token(config: Config, vocab_size: int) -> float:
    """What activation checkpointing adds: the blocks' forward pass once more."""
    if not config.hardware.activation_checkpointing:
        return 0.0
    model = config.model
    return (
        2.0 * parameters(model, vocab_size).blocks
        + 4.0 * model.n_layers * model.d_model * config.batch.length
    )


def sequences_per_step(config: Config) -> int:
    """For preferences a sequence of the batch is a pair: the answer that was chosen and the one that was not."""
    return config.batch.sequences * (2 if config.task == "dpo" else 1)
