"""GPT-2's Conv1D layers; several heads as one batched head; a stable softmax without amax."""

import torch
from conv1d import Conv1D
from torch import nn


def softmax(x, dim):
    last = x.transpose(dim, -1)
    highest = last.sort(dim=-1).values[..., -1:]
    e = (last - highest).exp()
    return (e / (e @ torch.ones(e.size(-1), 1, dtype=e.dtype))).transpose(dim, -1) if x.ndim > 1 else e / e.sum()


def attend(scores, hidden):
    """Softmax over the keys that are not hidden."""
    if hidden is None:
        return softmax(scores, -1)
    scores = torch.where(hidden, torch.tensor(float("-inf"), dtype=scores.dtype), scores)
    everything_hidden = hidden.all(-1, keepdim=True).expand(scores.shape[:-1] + (1,))
    scores = torch.where(everything_hidden, torch.zeros_like(scores), scores)
    return torch.where(everything_hidden, torch.zeros_like(scores), softmax(scores, -1))


def scaled_dot_product_attention(q, k, v, mask=None, dropout_p=0.0, training=False):
    scores = (q.unsqueeze(-2) * k.unsqueeze(-3)).sum(-1) / q.size(-1) ** 0.5
    weights = attend(scores, None if mask is None else mask == False)  # noqa: E712
    weights = nn.Dropout(dropout_p).train(training)(weights)
    return (weights.unsqueeze(-1) * v.unsqueeze(-3)).sum(-2)


def causal_mask(T, device=None):
    mask = torch.zeros(T, T, dtype=torch.bool, device=device)
    for query in range(T):
        mask[query, : query + 1] = True
    return mask


class SelfAttentionHead(nn.Module):
    def __init__(self, d_model, d_head, causal=True):
        super().__init__()
        self.to_q = Conv1D(d_model, d_head, bias=False)
        self.to_k = Conv1D(d_model, d_head, bias=False)
        self.to_v = Conv1D(d_model, d_head, bias=False)
        self.causal = causal

    def forward(self, x):
        mask = causal_mask(x.size(1), x.device) if self.causal else None
        return scaled_dot_product_attention(self.to_q(x), self.to_k(x), self.to_v(x), mask)


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_heads, causal=True):
        super().__init__()
        if d_model // n_heads * n_heads != d_model:
            raise ValueError("n_heads must divide d_model")
        self.heads = nn.ModuleList([SelfAttentionHead(d_model, d_model // n_heads, causal) for _ in range(n_heads)])
        self.to_out = nn.Linear(d_model, d_model)

    def forward(self, x):
        return self.to_out(torch.stack([head(x) for head in self.heads], 2).flatten(2))


class CausalSelfAttention(nn.Module):
    def __init__(self, d_model, n_heads, max_seq_len, dropout=0.0, bias=True):
        super().__init__()
        if d_model // n_heads * n_heads != d_model:
            raise ValueError("n_heads must divide d_model")
        self.n_heads, self.max_seq_len = n_heads, max_seq_len
        self.c_attn = Conv1D(d_model, 3 * d_model, bias)
        self.c_proj = nn.Sequential(Conv1D(d_model, d_model, bias), nn.Dropout(dropout))
        self.attn_dropout = nn.Dropout(dropout)

    def forward(self, x):
        B, T, C = x.size()
        if T > self.max_seq_len:
            raise ValueError(f"at most {self.max_seq_len} tokens")
        D = C // self.n_heads
        # (B, T, 3C) -> (3, H * B, T, D): the heads stand beside the batch, and bmm does the rest
        q, k, v = self.c_attn(x).view(B, T, 3, self.n_heads, D).permute(2, 3, 0, 1, 4).reshape(3, -1, T, D)
        weights = attend(torch.bmm(q, k.transpose(1, 2)) * D**-0.5, ~causal_mask(T, x.device))
        y = torch.bmm(self.attn_dropout(weights), v)
        return self.c_proj(y.view(self.n_heads, B, T, D).permute(1, 2, 0, 3).reshape(B, T, C))
