"""As short as it gets: one fused matrix per branch, bare tensors, rotation by complex numbers."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
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
    return F.rms_norm(x, x.shape[-1:], gain, eps)


def rotate(x, positions, base=10_000.0):
    D = x.shape[-1]
    if D % 2:
        raise ValueError("odd")
    wide = torch.promote_types(x.dtype, torch.float32)
    angles = torch.outer(positions.double(), base ** -(torch.arange(D // 2).double() * 2 / D)).to(wide)
    z = torch.complex(*x.to(wide).split(D // 2, -1)) * torch.polar(torch.ones_like(angles), angles)
    return torch.cat([z.real, z.imag], -1).to(x.dtype)


def gated_width(d_model):
    return max(int(d_model / 3 + 0.5), 1) * 8


def swiglu(x, w_gate, w_up, w_down):
    gate = x @ w_gate.T
    return (gate * gate.sigmoid() * (x @ w_up.T)) @ w_down.T


def repeat_kv(x, n_heads):
    B, G, T, D = x.shape
    if n_heads % G:
        raise ValueError("heads")
    return x[:, :, None].expand(B, G, n_heads // G, T, D).reshape(B, n_heads, T, D)


def cache_bytes(n_layers, n_kv_heads, head_dim, length, bytes_per_number=2):
    return n_layers * length * (n_kv_heads * head_dim + n_kv_heads * head_dim) * bytes_per_number


class Block(nn.Module):
    def __init__(self, d_model, n_heads, switches):
        super().__init__()
        C, H, G = d_model, n_heads, n_heads if switches.n_kv_heads is None else switches.n_kv_heads
        if C % H or G < 1 or H % G or (switches.rotary and C // H % 2):
            raise ValueError("shape")
        self.s, self.H, self.sizes = switches, H, [C, G * C // H, G * C // H]
        norm = nn.RMSNorm if switches.rms_norm else lambda c, eps: nn.LayerNorm(c, eps, bias=switches.bias)
        self.ln1, self.ln2 = norm(C, eps=EPS), norm(C, eps=EPS)
        inner = gated_width(C) if switches.swiglu else 4 * C
        self.qkv = nn.Linear(C, sum(self.sizes), switches.bias)
        self.o = nn.Linear(C, C, switches.bias)
        self.fc1 = nn.Linear(C, inner * (1 + switches.swiglu), switches.bias)
        self.fc2 = nn.Linear(inner, C, switches.bias)

    def forward(self, x):
        B, T, C = x.shape
        parts = self.qkv(self.ln1(x)).split(self.sizes, -1)
        q, k, v = (part.view(B, T, -1, C // self.H).transpose(1, 2) for part in parts)
        if self.s.rotary:
            q, k = (rotate(t, torch.arange(T)) for t in (q, k))
        scores = q @ repeat_kv(k, self.H).mT / (C // self.H) ** 0.5
        weights = (scores + torch.full((T, T), float("-inf")).triu(1)).softmax(-1)
        x = x + self.o((weights @ repeat_kv(v, self.H)).transpose(1, 2).flatten(2))
        h = self.fc1(self.ln2(x))
        if self.s.swiglu:
            gate, up = h.chunk(2, -1)
            return x + self.fc2(F.silu(gate) * up)
        return x + self.fc2(F.gelu(h, approximate="tanh"))
