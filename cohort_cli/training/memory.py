"""How much memory one training step takes, part by part. No torch here.

d = d_model, ff = d_ff, L = n_layers, H = n_heads, T tokens per sequence, V = vocab_size; all sizes in bytes.

The sizes of weights, gradients and what the optimizer remembers are exact. The bytes of activations were measured with
torch.autograd.graph.saved_tensors_hooks on the engine's own model; tests/training/test_plan.py measures them again.
What a process needs besides was measured on Linux; another system's allocator may differ.
"""

from __future__ import annotations

from typing import NamedTuple

from cohort_cli.training.config import Config
from cohort_cli.training.counting import (
    count_parameters,
    learning_layers,
    parameters,
    sequences_per_step,
    trained,
)
from cohort_cli.training.machines import Machine

MUON_SLICE, MUON_COPIES = (
    1 << 23,
    5,
)  # optim.SLICE; the gradient ahead, their stack, and three in the iteration
ROWS = 256  # tokens whose logits exist at one time (models/loss.py)
# On a GPU: the CUDA context with its libraries, then buffers for talking to others, then what the allocator cannot use.
# Assumed, not measured: no number here was taken on a GPU.
CONTEXT_BYTES, NCCL_BYTES, FRAGMENTED = 1.0e9, 0.5e9, 0.05


class Part(NamedTuple):
    name: str
    bytes: float
    note: str = ""


def parts(config: Config, vocab_size: int, machine: Machine) -> tuple[Part, ...]:
    """What lies in one device's memory when a step is at its fullest; of all processes together on a CPU."""
    if machine.gpu is None:
        return _on_cpu(config, vocab_size, machine)
    state = _state(config, vocab_size, machine)
    tokens = micro_tokens(config, machine)
    step = [
        Part("activations", activation_bytes(config, machine.bfloat16, machine.parallel) * tokens),
        Part("logits", logits_bytes(config, vocab_size, machine), _chunks(config)),
    ]
    used = sum(part.bytes for part in (*state, *step))
    overhead = CONTEXT_BYTES + (NCCL_BYTES if machine.devices > 1 else 0) + FRAGMENTED * used
    return (*state, *step, Part("CUDA and allocator", overhead, "assumed"))


def total(config: Config, vocab_size: int, machine: Machine) -> float:
    return sum(part.bytes for part in parts(config, vocab_size, machine))


def micro_tokens(config: Config, machine: Machine) -> int:
    """Tokens of one forward pass."""
    share = config.batch.sequences // machine.devices
    pair = sequences_per_step(config) // config.batch.sequences
    return min(config.batch.micro_sequences, share) * config.batch.length * pair


def accumulates(config: Config, machine: Machine) -> bool:
    """Whether a step has several micro-batches, so that gradients exist during a forward pass."""
    return config.batch.micro_sequences * machine.devices < config.batch.sequences


# --- weights, gradients, optimizer -----------------------------------------------------------------------------


def _state(config: Config, vocab_size: int, machine: Machine) -> list[Part]:
    """What stays from step to step, and the copies of weights that a pass makes."""
    count, learned = count_parameters(config.model, vocab_size), trained(config, vocab_size)
    fsdp = machine.parallel == "fsdp"
    share = machine.devices if fsdp else 1
    of = SHARES.get(share, f"one part in {share}")
    found = []
    found.append(Part("weights", 4.0 * count / share, f"float32{of and ', '}{of}"))
    if config.lora.r:
        found.append(Part("adapters", 4.0 * learned / share, f"rank {config.lora.r}"))
    if config.task == "dpo":
        found.append(Part("reference model", 4.0 * count, "float32, whole in each process"))
    found.append(Part("gradients", 4.0 * learned / share, of))
    found.append(Part("optimizer", optimizer_bytes(config, vocab_size) / share, config.optimizer.name))
    if config.optimizer.name == "muon":
        found.append(Part("Muon's update", muon_bytes(config), "copies of some matrices"))
    if fsdp:
        found.append(
            Part("gathered weights", _gathered(config, vocab_size, machine), "two blocks and the ends")
        )
    elif machine.bfloat16:
        found.append(Part("bfloat16 copy", 2.0 * count, "of the weights"))
    return found


SHARES = {1: "", 2: "a half", 4: "a quarter", 8: "an eighth"}  # of what FSDP shards


def _gathered(config: Config, vocab_size: int, machine: Machine) -> float:
    """FSDP2 gathers the block at work and the next one, and sums the gradients of two in float32."""
    sizes = parameters(config.model, vocab_size)
    block = sizes.blocks / config.model.n_layers
    ends = sizes.total - sizes.blocks
    return (ends + 2 * block) * (2 if machine.bfloat16 else 4) + 2 * block * 4


def optimizer_bytes(config: Config, vocab_size: int) -> float:
    """AdamW keeps two averages of each number, Muon one of each number of a matrix inside a block; in float32."""
    learned = trained(config, vocab_size)
    if config.optimizer.name != "muon":
        return 8.0 * learned
    matrices = learned if config.lora.r else matrices_in_blocks(config)
    return 8.0 * learned - 4.0 * matrices


def muon_bytes(config: Config) -> float:
    """What a step copies: the matrices of one shape, or as many of them as have SLICE numbers together."""
    model = config.model
    largest = model.d_model * max(3 * model.d_model, model.d_ff)
    return 4.0 * MUON_COPIES * min(model.n_layers * largest, max(largest, MUON_SLICE))


def matrices_in_blocks(config: Config) -> int:
    model = config.model
    return model.n_layers * (4 * model.d_model**2 + 2 * model.d_model * model.d_ff)


# --- activations and logits ------------------------------------------------------------------------------------


def activation_bytes(config: Config, bfloat16: bool, parallel: str) -> float:
    """Bytes per token that the forward pass keeps for the backward pass, of all layers.

    Per layer and d, with ff = 4 d: 64 in float32, 36 under bf16 autocast, 32 with bf16 weights (FSDP2).
    """
    model = config.model
    layer = layer_bytes(config, bfloat16, parallel)
    ends = model.d_model * 8.0
    if config.hardware.activation_checkpointing:
        kept = model.d_model * (2.0 if bfloat16 and parallel == "fsdp" else 4.0)  # each block's input
        return model.n_layers * kept + layer + ends
    return learning_layers(config) * layer + ends


def layer_bytes(config: Config, bfloat16: bool, parallel: str) -> float:
    """The same of one layer. `parallel` is "cpu" on a CPU, whose attention with dropout keeps more."""
    model = config.model
    if not bfloat16:
        per = PerLayer(32, 8, 8, 8, 8)
    elif parallel == "fsdp":
        per = PerLayer(16, 4, 12, 12, 4)
    else:
        per = PerLayer(20, 4, 8, 12, 4)
    found = per.d * model.d_model + per.ff * model.d_ff + 4.0 * model.n_heads + 16.0
    if model.norm == "rmsnorm":
        found += per.rms_norm * model.d_model
    if model.qk_norm == "yes":
        found += per.qk_norm * model.d_model
    elif model.positions == "rope":
        found += per.rope * model.d_model
    if model.dropout:
        # A CPU has no attention with dropout that avoids the (T, T) matrices; a GPU keeps one byte per number dropped.
        masks = 8.0 * model.d_model + 12.0 * model.n_heads * config.batch.length
        found += masks if parallel == "cpu" else 2.0 * model.d_model
    return found


class PerLayer(NamedTuple):
    """Bytes per token that one layer keeps."""

    d: float  # times d_model
    ff: float  # times d_ff
    rms_norm: float  # times d_model, more than with LayerNorm; a GPU's fused kernel keeps less
    qk_norm: float  # times d_model; what RoPE keeps is among it
    rope: float  # times d_model, without qk_norm


def logits_bytes(config: Config, vocab_size: int, machine: Machine) -> float:
    """A chunk of logits, and the second gradient that a tied matrix gets before the two are added."""
    if config.task == "classify":
        return 0.0
    if config.task == "dpo":  # scores of the policy, their softmax, and the reference's: whole
        return 12.0 * vocab_size * micro_tokens(config, machine)
    rows = min(ROWS, micro_tokens(config, machine))
    chunk = float(rows * vocab_size * (4 + (4 if machine.bfloat16 else 0)))
    if trained(config, vocab_size) < count_parameters(config.model, vocab_size):
        return chunk  # the matrix is frozen
    extra = int(config.model.tied) + int(accumulates(config, machine))
    return chunk + 4.0 * vocab_size * config.model.d_model * extra


def _chunks(config: Config) -> str:
    return "" if config.task in ("classify", "dpo") else f"{ROWS} tokens at a time"


def unchunked_logits_bytes(config: Config, vocab_size: int, machine: Machine) -> float:
    """What they would take whole, as in a member's own model: logits, their softmax and their gradient."""
    return 10.0 * vocab_size * micro_tokens(config, machine)


# --- a CPU -----------------------------------------------------------------------------------------------------

# Measured on Linux with torch 2.13, as the highest resident memory of real runs; `pytest -m slow` measures again.
PROCESS_BYTES = 358e6  # Python with torch, the engine and its data, before there is a model
SCATTERED = 1.15  # what activations take of the heap, for each byte of theirs
# Chunks of logits in the heap where there are several: the old one, the new one, and a copy in a product; and one more
# where micro-batches scatter it.
CHUNKS = 3


def _on_cpu(config: Config, vocab_size: int, machine: Machine) -> tuple[Part, ...]:
    tokens = micro_tokens(config, machine)
    one_layer = layer_bytes(config, machine.bfloat16, "cpu")
    activations = activation_bytes(config, machine.bfloat16, "cpu") + one_layer / 2  # half a layer in passing
    logits = logits_bytes(config, vocab_size, machine)
    if config.task in ("pretrain", "instruct") and tokens > ROWS:
        logits += (CHUNKS - 1 + accumulates(config, machine)) * ROWS * vocab_size * 4.0
    found = [
        Part("the process", PROCESS_BYTES, "Python, torch"),
        *_state(config, vocab_size, machine),
        Part("copy for saving", checkpoint_bytes(config, vocab_size), "of weights and optimizer"),
        Part("activations", SCATTERED * activations * tokens),
        Part("logits", logits, _chunks(config)),
    ]
    return tuple(part._replace(bytes=part.bytes * machine.devices) for part in found)


def checkpoint_bytes(config: Config, vocab_size: int) -> float:
    """The weights that learn and what the optimizer remembers, in float32. Frozen ones are where they came from."""
    return 4.0 * trained(config, vocab_size) + optimizer_bytes(config, vocab_size)
