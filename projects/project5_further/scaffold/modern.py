"""From GPT-2's block to Llama's, in five differences that can be switched one by one.    Step: modern

B batch, T time (tokens), C = d_model, H = n_heads, D = C / H, G = n_kv_heads (heads that have keys and values of their
own), F = numbers inside the MLP, L = n_layers.

Sources: Zhang and Sennrich 2019 (RMSNorm), https://arxiv.org/abs/1910.07467; Su et al. 2021 (rotary positions),
https://arxiv.org/abs/2104.09864; Shazeer 2020 (SwiGLU), https://arxiv.org/abs/2002.05202; Ainslie et al. 2023
(grouped-query attention), https://arxiv.org/abs/2305.13245; Touvron et al. 2023 (Llama), section 2.2,
https://arxiv.org/abs/2302.13971.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-5  # of every norm


@dataclass(frozen=True)
class Switches:
    """What differs from GPT-2's block. Given complete; the defaults are GPT-2's."""

    rms_norm: bool = False  # else LayerNorm
    rotary: bool = False  # else the block knows no positions: the model has added learned ones before it
    swiglu: bool = False  # else GELU
    n_kv_heads: int | None = None  # None: as many as heads
    bias: bool = True  # in linear layers and in LayerNorm; RMSNorm never has one


def rms_norm(x: Tensor, gain: Tensor, eps: float = EPS) -> Tensor:
    """gain * x / sqrt(mean(x^2) + eps), the mean over the last dimension. x (..., C), gain (C,) -> (..., C).

    No mean is subtracted. The result has the data type of x.
    """
    raise NotImplementedError("modern: rms_norm")


def rotate(x: Tensor, positions: Tensor, base: float = 10_000.0) -> Tensor:
    """Turn pairs of numbers by an angle that grows with the position. x (B, H, T, D), positions (T,) -> (B, H, T, D).

    The pairs are halves: number i goes with number i + D/2, for i = 0 … D/2 - 1, as in the public Llama weights on the
    hub. At position p pair i is turned by the angle p * base^(-2i/D), counter-clockwise: (a, b) becomes
    (a cos - b sin, a sin + b cos). Positions are whole numbers, in any order; they need not begin at 0.
    The result has the data type of x. Raises ValueError if D is odd.
    """
    raise NotImplementedError("modern: rotate")


def gated_width(d_model: int) -> int:
    """F of an MLP with a gate: the multiple of 8 that is nearest to 8/3 C, and at least 8.

    Three matrices of 8/3 C^2 numbers are then about as many numbers as GELU's two of 4 C^2.
    """
    raise NotImplementedError("modern: gated_width")


def swiglu(x: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor) -> Tensor:
    """down(silu(gate(x)) * up(x)), with silu(z) = z * sigmoid(z). x (..., C) -> (..., C).

    The matrices are laid out as nn.Linear's, (out, in): w_gate (F, C), w_up (F, C), w_down (C, F).
    """
    raise NotImplementedError("modern: swiglu")


def repeat_kv(x: Tensor, n_heads: int) -> Tensor:
    """Keys or values for all heads. x (B, G, T, D) -> (B, H, T, D); head h gets number h // (H / G).

    Raises ValueError if G does not divide n_heads.
    """
    raise NotImplementedError("modern: repeat_kv")


def cache_bytes(n_layers: int, n_kv_heads: int, head_dim: int, length: int, bytes_per_number: int = 2) -> int:
    """Bytes of the keys and values of one sequence of `length` tokens, in all layers."""
    raise NotImplementedError("modern: cache_bytes")


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), each with its own norm. (B, T, C) -> (B, T, C), always.

    Attention: query (C -> C), key and value (C -> G D each), causal softmax(q k^T / sqrt(D)) v, proj (C -> C). With
    rotary, queries and keys are turned, token t of x at position t. Head h of H uses key and value h // (H / G).
    MLP: up (C -> 4 C), GELU in its tanh form, down (4 C -> C); with swiglu: gate and up (C -> F each), down (F -> C),
    F = gated_width(C). Every norm has eps = EPS. With bias=False no linear layer and no LayerNorm has a bias.
    You may name and fuse the parameters as you like. The checks know these names, and many others: norm_1, norm_2,
    query, key, value, proj, gate, up, down. What is fused comes in this order: query, key, value.
    Raises ValueError if n_heads does not divide d_model, if n_kv_heads does not divide n_heads or is below 1, and for
    an odd D with rotary.
    """

    def __init__(self, d_model: int, n_heads: int, switches: Switches) -> None:
        raise NotImplementedError("modern: Block.__init__")

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) -> (B, T, C). Token t sees the tokens 0 … t."""
        raise NotImplementedError("modern: Block.forward")


# --- the lab: given complete. In your folder: python modern.py ------------------------------------------------

LAB = {"n_layers": 2, "n_heads": 4, "d_model": 64, "length": 64, "batch": 8, "steps": 400}
RATE = 3e-3
ROWS = {
    "GPT-2's block": Switches(),
    "RMSNorm": Switches(rms_norm=True),
    "rotary": Switches(rotary=True),
    "SwiGLU": Switches(swiglu=True),
    "2 of 4 kv heads": Switches(n_kv_heads=2),
    "no bias": Switches(bias=False),
    "all five": Switches(rms_norm=True, rotary=True, swiglu=True, n_kv_heads=2, bias=False),
}


class _Bytes(nn.Module):
    """A model of bytes from your blocks. ids (B, T) -> logits (B, T, 256). Learned positions unless rotary."""

    def __init__(self, switches: Switches) -> None:
        super().__init__()
        width = LAB["d_model"]
        self.embedding = nn.Embedding(256, width)
        self.positions = None if switches.rotary else nn.Embedding(LAB["length"], width)
        self.blocks = nn.ModuleList(Block(width, LAB["n_heads"], switches) for _ in range(LAB["n_layers"]))
        self.norm = nn.RMSNorm(width) if switches.rms_norm else nn.LayerNorm(width, bias=switches.bias)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)
            elif not bool((parameter == 1).all()):
                nn.init.zeros_(parameter)  # a bias; gains stay 1

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids)
        if self.positions is not None:
            x = x + self.positions(torch.arange(ids.size(1)))
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.embedding.weight.T


def _texts() -> tuple[Tensor, Tensor]:
    """The topics of Python's own help(), as bytes: nine tenths to train on, the rest held out."""
    from pydoc_data.topics import topics

    whole = "\n".join(topics[name] for name in sorted(topics)).encode()
    data = torch.tensor(list(whole))
    cut = len(data) * 9 // 10
    return data[:cut], data[cut:]


def _windows(data: Tensor, count: int, generator: torch.Generator) -> Tensor:
    starts = torch.randint(len(data) - LAB["length"], (count,), generator=generator)
    return torch.stack([data[start : start + LAB["length"] + 1] for start in starts.tolist()])


def _bits(model: nn.Module, windows: Tensor) -> Tensor:
    """Mean cross-entropy per byte, in bits."""
    logits = model(windows[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()) / math.log(2)


def _train(switches: Switches, seed: int, train: Tensor, held_out: Tensor) -> tuple[int, float]:
    """Parameters, and bits per byte on the held-out text. The same seed gives each variant the same batches."""
    torch.manual_seed(seed)
    model = _Bytes(switches)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.1)
    generator = torch.Generator().manual_seed(seed)
    for step in range(LAB["steps"]):
        left = 1 - step / LAB["steps"]
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / 20, 0.1 + left)
        optimizer.zero_grad()
        _bits(model, _windows(train, LAB["batch"], generator)).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        bits = float(_bits(model, _windows(held_out, 256, torch.Generator().manual_seed(1))))
    return sum(parameter.numel() for parameter in model.parameters()), bits


def main(seeds: int = 3) -> None:
    """Train GPT-2's block, each difference alone and all five, and print one table.

    The last columns compare each run with GPT-2's block on the same batches: mean, lowest and highest of the seeds.
    """
    torch.set_num_threads(1)  # tensors this small would only wait for one another
    train, held_out = _texts()
    print(
        f"{LAB['steps']} steps, {seeds} seeds; cache of {LAB['length']} tokens in float32; bits per byte, held out"
    )
    print(
        f"{'block':<16}{'parameters':>12}{'cache bytes':>13}{'bits':>8}{'spread':>8}{'change':>9}   lowest, highest"
    )
    first: list[float] = []
    for name, switches in ROWS.items():
        runs = [_train(switches, seed, train, held_out) for seed in range(seeds)]
        bits = [found for _, found in runs]
        first = first or bits
        kept = switches.n_kv_heads or LAB["n_heads"]
        cache = cache_bytes(LAB["n_layers"], kept, LAB["d_model"] // LAB["n_heads"], LAB["length"], 4)
        change = [b - a for a, b in zip(first, bits, strict=True)]
        mean, moved = sum(bits) / seeds, sum(change) / seeds
        row = f"{name:<16}{runs[0][0]:>12,}{cache:>13,}{mean:>8.3f}{max(bits) - min(bits):>8.3f}"
        print(f"{row}{moved:>+9.3f}   {min(change):+.3f}, {max(change):+.3f}", flush=True)


if __name__ == "__main__":
    main()
