"""Llama's own names (w1 is the gate, w3 goes up, w2 down), small classes, a table of angles as a buffer."""

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
    square = torch.einsum("...c,...c->...", x, x) / x.shape[-1]
    return x / torch.sqrt(square + eps)[..., None] * gain


def rates(head_dim, base):
    return torch.tensor([1.0 / base ** (2 * i / head_dim) for i in range(head_dim // 2)])  # float32


def turn(x, cos, sin):
    """x cos + (the halves changed, the new first one negative) sin."""
    half = x.shape[-1] // 2
    other = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
    return (x * torch.cat((cos, cos), -1) + other * torch.cat((sin, sin), -1)).to(x.dtype)


def rotate(x, positions, base=10_000.0):
    if x.shape[-1] % 2 == 1:
        raise ValueError("pairs need an even number")
    angle = torch.einsum("t,i->ti", positions.float(), rates(x.shape[-1], base))
    return turn(x, torch.cos(angle), torch.sin(angle))


def gated_width(d_model):
    candidates = range(8, 3 * d_model + 16, 8)
    return min(candidates, key=lambda width: abs(3 * width - 8 * d_model))


def swiglu(x, w_gate, w_up, w_down):
    gate = nn.functional.linear(x, w_gate)
    swish = gate / (1 + torch.exp(-gate))
    return nn.functional.linear(swish * nn.functional.linear(x, w_up), w_down)


def repeat_kv(x, n_heads):
    share, rest = divmod(n_heads, x.shape[1])
    if rest:
        raise ValueError("the heads cannot be shared evenly")
    return x[:, torch.arange(n_heads) // share]


def cache_bytes(n_layers, n_kv_heads, head_dim, length, bytes_per_number=2):
    per_token = sum(2 * n_kv_heads * head_dim for _ in range(n_layers))
    return per_token * length * bytes_per_number


class Scale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return rms_norm(x, self.gain)


class SelfAttention(nn.Module):
    def __init__(self, width, heads, options):
        super().__init__()
        shared = options.n_kv_heads
        shared = heads if shared is None else shared
        if width % heads != 0:
            raise ValueError("width")
        if shared <= 0 or heads % shared != 0:
            raise ValueError("shared")
        self.size = width // heads
        if options.rotary and self.size % 2 == 1:
            raise ValueError("rotary")
        self.heads, self.turned = heads, options.rotary
        self.wq = nn.Linear(width, width, options.bias)
        self.wkv = nn.Linear(width, 2 * shared * self.size, options.bias)
        self.wo = nn.Linear(width, width, options.bias)
        self.register_buffer("rates", rates(self.size, 10_000.0), persistent=False)

    def forward(self, x):
        length = x.shape[1]
        q = self.wq(x).unflatten(-1, (self.heads, self.size)).permute(0, 2, 1, 3)
        k, v = self.wkv(x).unflatten(-1, (2, -1, self.size)).permute(2, 0, 3, 1, 4)
        if self.turned:
            angle = torch.arange(length)[:, None] * self.rates
            q, k = turn(q, angle.cos(), angle.sin()), turn(k, angle.cos(), angle.sin())
        rows = []
        for head in range(self.heads):  # one head after the other
            shared = head * k.shape[1] // self.heads
            score = q[:, head] @ k[:, shared].transpose(1, 2) / math.sqrt(self.size)
            later = torch.arange(length)[None, :] > torch.arange(length)[:, None]
            rows.append(score.masked_fill(later, -math.inf).softmax(dim=-1) @ v[:, shared])
        return self.wo(torch.cat(rows, dim=2))


class FeedForward(nn.Module):
    def __init__(self, width, options):
        super().__init__()
        inner = gated_width(width) if options.swiglu else width * 4
        self.w1 = nn.Linear(width, inner, options.bias)
        self.w2 = nn.Linear(inner, width, options.bias)
        self.w3 = nn.Linear(width, inner, options.bias) if options.swiglu else None

    def forward(self, x):
        if self.w3 is not None:
            return self.w2(nn.functional.silu(self.w1(x)) * self.w3(x))
        h = self.w1(x)
        return self.w2(0.5 * h * (1 + torch.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3))))


class Block(nn.Module):
    def __init__(self, d_model, n_heads, switches):
        super().__init__()
        norms = [Scale(d_model) if switches.rms_norm else nn.LayerNorm(d_model, bias=switches.bias) for _ in range(2)]
        self.attention_norm, self.ffn_norm = norms
        self.attention = SelfAttention(d_model, n_heads, switches)
        self.feed_forward = FeedForward(d_model, switches)

    def forward(self, x):
        h = x + self.attention(self.attention_norm(x))
        return h + self.feed_forward(self.ffn_norm(h))
