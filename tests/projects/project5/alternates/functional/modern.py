"""Functions and bare matrices, used as x @ W; all is float32 where Llama's own code has it so."""

import math
from dataclasses import dataclass

import torch
from torch import nn

EPS = 1e-5


@dataclass(frozen=True)
class Switches:
    rms_norm: bool = False
    rotary: bool = False
    swiglu: bool = False
    n_kv_heads: int | None = None
    bias: bool = True


def rms_norm(x, gain, eps=EPS):
    y = x.float()
    y = y / (y.square().mean(-1, keepdim=True) + eps) ** 0.5
    return y.type_as(x) * gain


def rotate(x, positions, base=10_000.0):
    half, odd = divmod(x.size(-1), 2)
    if odd:
        raise ValueError(f"odd: {x.size(-1)}")
    out = torch.empty_like(x)
    for i in range(half):
        angle = positions.double() * math.exp(-math.log(base) * i / half)
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        out[..., i] = x[..., i] * cos - x[..., i + half] * sin
        out[..., i + half] = x[..., i] * sin + x[..., i + half] * cos
    return out


def gated_width(d_model):
    low = 8 * d_model // 24 * 8
    return max(8, low if 8 * d_model - 3 * low <= 3 * (low + 8) - 8 * d_model else low + 8)


def swiglu(x, w_gate, w_up, w_down):
    return torch.einsum("cf,...f->...c", w_down, nn.SiLU()(x @ w_gate.mT) * (x @ w_up.mT))


def repeat_kv(x, n_heads):
    if n_heads % x.size(1) != 0:
        raise ValueError("heads")
    return torch.cat([x[:, g : g + 1].expand(-1, n_heads // x.size(1), -1, -1) for g in range(x.size(1))], dim=1)


def cache_bytes(n_layers, n_kv_heads, head_dim, length, bytes_per_number=2):
    return math.prod((2, n_layers, n_kv_heads, head_dim, length, bytes_per_number))


def matrix(inputs, outputs):
    return nn.Parameter(torch.randn(inputs, outputs) / inputs**0.5)


class Block(nn.Module):
    def __init__(self, d_model, n_heads, switches):
        super().__init__()
        shared = n_heads if switches.n_kv_heads is None else switches.n_kv_heads
        if d_model % n_heads or shared < 1 or n_heads % shared:
            raise ValueError("these heads cannot be")
        head = d_model // n_heads
        if switches.rotary and head % 2:
            raise ValueError("odd heads")
        self.switches, self.heads, self.head = switches, n_heads, head
        inner = gated_width(d_model) if switches.swiglu else 4 * d_model
        sizes = {"q": (d_model, d_model), "k": (d_model, shared * head), "v": (d_model, shared * head)}
        sizes |= {"o": (d_model, d_model)}
        self.attn = nn.ParameterDict({f"w_{name}": matrix(*size) for name, size in sizes.items()})
        self.mlp = nn.ParameterDict({"w_up": matrix(d_model, inner), "w_down": matrix(inner, d_model)})
        if switches.swiglu:
            self.mlp["w_gate"] = matrix(d_model, inner)
        self.gain_1, self.gain_2 = nn.Parameter(torch.ones(d_model)), nn.Parameter(torch.ones(d_model))
        if switches.bias:
            for name, (_, size) in sizes.items():
                self.attn[f"b_{name}"] = nn.Parameter(torch.zeros(size))
            for name in list(self.mlp):
                self.mlp[name.replace("w_", "bias_")] = nn.Parameter(torch.zeros(self.mlp[name].size(1)))
            if not switches.rms_norm:
                self.offset_1 = nn.Parameter(torch.zeros(d_model))
                self.offset_2 = nn.Parameter(torch.zeros(d_model))

    def norm(self, x, number):
        gain, offset = getattr(self, f"gain_{number}"), getattr(self, f"offset_{number}", 0)
        if self.switches.rms_norm:
            return rms_norm(x, gain)
        x = x - x.mean(-1, keepdim=True)
        return x / (x.square().mean(-1, keepdim=True) + EPS).sqrt() * gain + offset

    def linear(self, x, part, name, bias):
        part = getattr(self, part)
        return x @ part[name] + (part[bias] if self.switches.bias else 0)

    def attend(self, x):
        parts = [self.linear(x, "attn", f"w_{name}", f"b_{name}") for name in "qkv"]
        q, k, v = (part.unflatten(-1, (-1, self.head)).transpose(1, 2) for part in parts)
        if self.switches.rotary:
            q, k = (rotate(t, torch.arange(x.size(1))) for t in (q, k))
        k, v = repeat_kv(k, self.heads), repeat_kv(v, self.heads)
        weights = (q @ k.mT / self.head**0.5).exp().tril()
        y = weights / weights.sum(-1, keepdim=True) @ v
        return self.linear(y.transpose(1, 2).flatten(2), "attn", "w_o", "b_o")

    def think(self, x):
        up = self.linear(x, "mlp", "w_up", "bias_up")
        if self.switches.swiglu:
            gate = self.linear(x, "mlp", "w_gate", "bias_gate")
            up = gate * gate.sigmoid() * up
        else:
            up = nn.functional.gelu(up, approximate="tanh")
        return self.linear(up, "mlp", "w_down", "bias_down")

    def forward(self, x):
        x = x + self.attend(self.norm(x, 1))
        return x + self.think(self.norm(x, 2))
