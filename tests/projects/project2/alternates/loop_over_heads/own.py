"""A sliding window of three tokens, as in Mistral."""

import torch
from attention import CausalSelfAttention, softmax
from layers import MLP, LayerNorm
from torch import nn


class WindowAttention(CausalSelfAttention):
    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.c_attn(x).view(B, T, 3, self.n_heads, C // self.n_heads).permute(2, 0, 3, 1, 4)
        distance = torch.arange(T)[:, None] - torch.arange(T)[None]
        scores = q @ k.mT / (C // self.n_heads) ** 0.5
        weights = softmax(scores.masked_fill((distance < 0) | (distance > 2), -torch.inf), -1)
        return self.drop(self.c_proj((weights @ v).transpose(1, 2).reshape(B, T, C)))


class OwnBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attn = WindowAttention(config.d_model, config.n_heads, config.max_seq_len, config.dropout)
        self.mlp = MLP(config.d_model, config.d_ff, dropout=config.dropout)
        self.ln_1, self.ln_2 = LayerNorm(config.d_model), LayerNorm(config.d_model)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))
