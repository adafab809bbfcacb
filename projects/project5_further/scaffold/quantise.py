"""Weights in eight bits: one scale for each row, and whole numbers from -127 to 127.    Step: quantise

B batch, T time, O = out_features (rows of a weight), I = in_features, n = bits of a code, Q = 2^(n-1) - 1, the largest
code: 127 for eight bits.

Sources: Dettmers et al. 2022 (LLM.int8(): absmax scaling, row by row, and outliers), sections 2 and 3,
https://arxiv.org/abs/2208.07339; Jacob et al. 2018 (whole numbers for a trained network),
https://arxiv.org/abs/1712.05877.

You may add helper functions, files and attributes as you like.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def quantise(weight: Tensor, *, bits: int = 8, per_row: bool = True) -> tuple[Tensor, Tensor]:
    """weight (O, I) -> (codes (O, I) int8, scales (O, 1) of the weight's data type): weight is about codes * scales.

    The scale of a row is its largest absolute value divided by Q; each code is the whole number nearest to
    weight / scale, and lies in -Q … Q. With per_row=False there is one scale for all, (1, 1). A row of zeros has codes
    of 0 and a scale that is finite and not 0. Codes of fewer than 8 bits are int8 too.
    Raises ValueError for a weight that has not two dimensions, and for bits outside 2 … 8.
    """
    raise NotImplementedError("quantise: quantise")


def dequantise(codes: Tensor, scales: Tensor) -> Tensor:
    """codes (O, I) int8, scales (O, 1) or (1, 1) -> weights (O, I) of the scales' data type."""
    raise NotImplementedError("quantise: dequantise")


class QuantLinear(nn.Module):
    """An nn.Linear whose weight is codes and scales. They are buffers, as the bias is: nothing here is trained.

    Buffers are in the state_dict, and are never written to by forward.
    """

    def __init__(self, codes: Tensor, scales: Tensor, bias: Tensor | None = None) -> None:
        """codes (O, I) int8, scales (O, 1) or (1, 1), bias (O,) or None. The bias stays as it is."""
        raise NotImplementedError("quantise: QuantLinear.__init__")

    def forward(self, x: Tensor) -> Tensor:
        """x (..., I) -> (..., O): what an nn.Linear with the dequantised weight gives."""
        raise NotImplementedError("quantise: QuantLinear.forward")


class QuantEmbedding(nn.Module):
    """An nn.Embedding whose table is codes and scales, in buffers. It dequantises the rows that are asked for."""

    def __init__(self, codes: Tensor, scales: Tensor) -> None:
        """codes (V, C) int8, scales (V, 1) or (1, 1)."""
        raise NotImplementedError("quantise: QuantEmbedding.__init__")

    def forward(self, ids: Tensor) -> Tensor:
        """ids (...) int64 -> (..., C)."""
        raise NotImplementedError("quantise: QuantEmbedding.forward")


def quantise_model(
    model: nn.Module, *, bits: int = 8, per_row: bool = True, tied: bool = False, inplace: bool = True
) -> nn.Module:
    """Put a QuantLinear in the place of every nn.Linear below `model`, at any depth, and return the model.

    inplace=False: the model that was given is untouched, and a copy comes back that shares nothing with it.
    A linear layer whose weight belongs to another module too (a tied head) stays as it is, and so do all embeddings.
    tied=True: those are quantised as well, and the nn.Embedding that is tied to such a layer becomes a QuantEmbedding.
    Both then hold the same two tensors, so that they stay tied. An embedding that is tied to nothing stays as it is.
    One layer that stands in two places is replaced by one QuantLinear in both.
    """
    raise NotImplementedError("quantise: quantise_model")


def size_bytes(model: nn.Module, *, code_bits: int = 8) -> int:
    """Bytes of all parameters and buffers, each tensor once, however often it is used.

    An int8 tensor is counted as if its codes were packed, code_bits for each, rounded up to whole bytes per tensor.
    """
    raise NotImplementedError("quantise: size_bytes")


def bits_per_byte(nats_per_token: float, bytes_per_token: float) -> float:
    """A mean loss in nats per token as bits per byte of text, which no tokenizer changes.

    Raises ValueError unless bytes_per_token is above 0.
    """
    raise NotImplementedError("quantise: bits_per_byte")


# --- the lab: given complete. In your folder: python quantise.py ----------------------------------------------

LAB = {"n_layers": 2, "n_heads": 4, "d_model": 96, "length": 64, "batch": 8, "steps": 1500}
RATE = 3e-3


class _Block(nn.Module):
    """GPT-2's block without biases. (B, T, C) -> (B, T, C)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.proj = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.shape
        inside = self.norm_1(x)
        parts = (layer(inside).view(B, T, LAB["n_heads"], -1) for layer in (self.query, self.key, self.value))
        q, k, v = (part.transpose(1, 2) for part in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(B, T, C))
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


class _Model(nn.Module):
    """A model of bytes with a tied head. ids (B, T) -> logits (B, T, 256)."""

    def __init__(self) -> None:
        super().__init__()
        width = LAB["d_model"]
        self.embedding, self.positions = nn.Embedding(256, width), nn.Embedding(LAB["length"], width)
        self.blocks = nn.Sequential(*[_Block(width) for _ in range(LAB["n_layers"])])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 256, bias=False)
        self.head.weight = self.embedding.weight
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids) + self.positions(torch.arange(ids.size(1)))
        return self.head(self.norm(self.blocks(x)))


def _texts() -> tuple[Tensor, Tensor]:
    """The topics of Python's own help(), as bytes: nine tenths to train on, the rest held out."""
    from pydoc_data.topics import topics

    data = torch.tensor(list("\n".join(topics[name] for name in sorted(topics)).encode()))
    cut = len(data) * 9 // 10
    return data[:cut], data[cut:]


def _nats(model: nn.Module, data: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Mean cross-entropy per token of `count` random windows."""
    starts = torch.randint(len(data) - LAB["length"], (count,), generator=generator).tolist()
    windows = torch.stack([data[start : start + LAB["length"] + 1] for start in starts])
    return F.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())


def _train(data: Tensor) -> _Model:
    torch.manual_seed(0)
    model, generator = _Model(), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95), weight_decay=0.1)
    for step in range(LAB["steps"]):
        optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / 50, 1.02 - step / LAB["steps"])
        optimizer.zero_grad()
        _nats(model, data, LAB["batch"], generator).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.eval()


def _with_an_outlier(model: _Model) -> _Model:
    """The same function: in each block one row of `query` times 50, and the same row of `key` divided by 50."""
    model = copy.deepcopy(model)
    for block in model.modules():
        if isinstance(block, _Block):
            block.query.weight.data[3] *= 50.0
            block.key.weight.data[3] /= 50.0
    return model


@torch.no_grad()
def main() -> None:
    """Train a small model of bytes, then print what its weights cost, and what coarser ones lose."""
    torch.set_num_threads(1)  # tensors this small would only wait for one another
    train, held_out = _texts()
    with torch.enable_grad():
        model = _train(train)
    outlier = _with_an_outlier(model)
    print(f"{LAB['steps']} steps; bits per byte on held-out text")
    print(f"{'weights':<34}{'bytes':>11}{'of float32':>12}{'bits per byte':>15}{'change':>10}")
    whole, first = size_bytes(model), 0.0
    for name, start, bits, per_row, tied in (
        ("float32", model, 32, True, False),
        ("int8 per row", model, 8, True, False),
        ("int8 per row, embedding too", model, 8, True, True),
        ("int8 per tensor", model, 8, False, False),
        ("int4 per row", model, 4, True, False),
        ("int4 per row, embedding too", model, 4, True, True),
        ("int4 per tensor", model, 4, False, False),
        ("float32, one outlier per block", outlier, 32, True, False),
        ("int8 per row, with outliers", outlier, 8, True, False),
        ("int8 per tensor, with outliers", outlier, 8, False, False),
    ):
        coarse = bits < 32
        tried = (
            quantise_model(start, bits=bits, per_row=per_row, tied=tied, inplace=False) if coarse else start
        )
        size = size_bytes(tried, code_bits=bits if coarse else 8)
        nats = float(_nats(tried, held_out, 400, torch.Generator().manual_seed(1)))
        found = bits_per_byte(nats, 1.0)  # a token is a byte here
        first = first or found
        print(f"{name:<34}{size:>11,}{size / whole:>12.1%}{found:>15.4f}{found - first:>+10.4f}", flush=True)


if __name__ == "__main__":
    main()
