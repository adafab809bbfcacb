"""Every formula written out: the norm, GELU, attention head by head, the loss."""

import math
from dataclasses import dataclass

import torch
from torch import nn

IGNORED = -100


@dataclass(frozen=True)
class GPTConfig:
    block_size: int = 1024
    vocab_size: int = 50257
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    dropout: float = 0.0
    bias: bool = True

    def __post_init__(self):
        if self.block_size <= 0:
            raise ValueError("block_size must be positive")
        if self.vocab_size <= 0:
            raise ValueError("vocab_size must be positive")
        if self.n_layer <= 0:
            raise ValueError("n_layer must be positive")
        if self.n_head <= 0:
            raise ValueError("n_head must be positive")
        if self.n_embd <= 0:
            raise ValueError("n_embd must be positive")
        if self.n_embd % self.n_head != 0:
            raise ValueError("n_embd must be a multiple of n_head")
        if self.dropout < 0.0 or self.dropout >= 1.0:
            raise ValueError("dropout must be at least 0 and below 1")


def config_for(name):
    if name == "gpt2":
        return GPTConfig(n_layer=12, n_head=12, n_embd=768)
    if name == "gpt2-medium":
        return GPTConfig(n_layer=24, n_head=16, n_embd=1024)
    if name == "gpt2-large":
        return GPTConfig(n_layer=36, n_head=20, n_embd=1280)
    if name == "gpt2-xl":
        return GPTConfig(n_layer=48, n_head=25, n_embd=1600)
    raise ValueError("there is no GPT-2 called " + repr(name))


def parameters_of_linear(inputs, outputs, bias):
    count = inputs * outputs
    if bias:
        count += outputs
    return count


def parameters_of_norm(width, bias):
    if bias:
        return 2 * width
    return width


def count_parameters(config):
    width = config.n_embd
    count = config.vocab_size * width
    count += config.block_size * width
    for _ in range(config.n_layer):
        count += parameters_of_norm(width, config.bias)
        for _ in ("query", "key", "value", "out"):
            count += parameters_of_linear(width, width, config.bias)
        count += parameters_of_norm(width, config.bias)
        count += parameters_of_linear(width, 4 * width, config.bias)
        count += parameters_of_linear(4 * width, width, config.bias)
    count += parameters_of_norm(width, config.bias)
    return count


class Norm(nn.Module):
    def __init__(self, width, bias):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))
        self.shift = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x):
        mean = x.mean(dim=-1, keepdim=True)
        variance = ((x - mean) ** 2).mean(dim=-1, keepdim=True)
        result = (x - mean) / torch.sqrt(variance + 1e-5)
        result = result * self.gain
        if self.shift is not None:
            result = result + self.shift
        return result


def gelu(x):
    inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)
    return 0.5 * x * (1.0 + torch.tanh(inner))


class Attention(nn.Module):
    def __init__(self, config, layer):
        super().__init__()
        self.layer = layer
        self.number_of_heads = config.n_head
        self.head_size = config.n_embd // config.n_head
        self.query = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.key = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.value = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.out = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.dropout_on_weights = nn.Dropout(config.dropout)
        self.dropout_on_result = nn.Dropout(config.dropout)

    def one_head(self, q, k, v):
        scores = q @ k.transpose(1, 2) / math.sqrt(self.head_size)
        past = k.size(1) - q.size(1)
        allowed = torch.zeros(q.size(1), k.size(1), dtype=torch.bool, device=q.device)
        for t in range(q.size(1)):
            for s in range(past + t + 1):
                allowed[t, s] = True
        scores = scores.masked_fill(~allowed, float("-inf"))
        weights = torch.softmax(scores, dim=-1)
        weights = self.dropout_on_weights(weights)
        return weights @ v

    def forward(self, x, cache):
        q = self.query(x)
        k = self.key(x)
        v = self.value(x)
        if cache is not None:
            cache.append(self.layer, k, v)
            k = cache.all_keys(self.layer)
            v = cache.all_values(self.layer)
        results = []
        for head in range(self.number_of_heads):
            start = head * self.head_size
            end = start + self.head_size
            results.append(self.one_head(q[:, :, start:end], k[:, :, start:end], v[:, :, start:end]))
        joined = torch.cat(results, dim=2)
        return self.dropout_on_result(self.out(joined))


class FeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.expand = nn.Linear(config.n_embd, 4 * config.n_embd, bias=config.bias)
        self.down = nn.Linear(4 * config.n_embd, config.n_embd, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x):
        hidden = self.expand(x)
        hidden = gelu(hidden)
        result = self.down(hidden)
        return self.dropout(result)


class Layer(nn.Module):
    def __init__(self, config, number):
        super().__init__()
        self.attn_norm = Norm(config.n_embd, config.bias)
        self.attention = Attention(config, number)
        self.mlp_norm = Norm(config.n_embd, config.bias)
        self.feed_forward = FeedForward(config)

    def forward(self, x, cache):
        normed = self.attn_norm(x)
        x = x + self.attention(normed, cache)
        normed = self.mlp_norm(x)
        x = x + self.feed_forward(normed)
        return x


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.n_embd)
        self.position_embedding = nn.Embedding(config.block_size, config.n_embd)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList()
        for number in range(config.n_layer):
            self.layers.append(Layer(config, number))
        self.final_norm = Norm(config.n_embd, config.bias)
        init_weights(self, config.n_layer)

    def forward(self, idx, targets=None, *, kv_cache=None):
        number_of_tokens = idx.size(1)
        first = 0
        if kv_cache is not None:
            first = kv_cache.length
        if first + number_of_tokens > self.config.block_size:
            raise ValueError("too many tokens for block_size = " + str(self.config.block_size))
        rows = []
        for t in range(number_of_tokens):
            place = torch.tensor(first + t, device=idx.device)
            rows.append(self.token_embedding(idx[:, t]) + self.position_embedding(place))
        x = torch.stack(rows, dim=1)
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x, kv_cache)
        if kv_cache is not None:
            kv_cache.has_seen(number_of_tokens)
        x = self.final_norm(x)
        logits = x @ self.token_embedding.weight.transpose(0, 1)
        loss = None
        if targets is not None:
            loss = self.loss_of(logits, targets)
        return logits, loss

    def loss_of(self, logits, targets):
        losses = []
        for b in range(targets.size(0)):
            for t in range(targets.size(1)):
                target = int(targets[b, t])
                if target == IGNORED:
                    continue
                scores = logits[b, t]
                losses.append(torch.logsumexp(scores, dim=0) - scores[target])
        return torch.stack(losses).mean()

    def num_params(self, non_embedding=True):
        count = 0
        for parameter in self.parameters():
            count += parameter.numel()
        if non_embedding:
            count -= self.config.block_size * self.config.n_embd
        return count

    def flops_per_token(self, T):
        for_parameters = 6 * self.num_params(non_embedding=True)
        for_attention = 12 * self.config.n_layer * self.config.n_embd * T
        return float(for_parameters + for_attention)


def start_of_linear(linear, std):
    with torch.no_grad():
        linear.weight.copy_(torch.randn_like(linear.weight) * std)
        if linear.bias is not None:
            linear.bias.fill_(0.0)


def init_weights(module, n_layer):
    for part in module.modules():
        if isinstance(part, nn.Embedding):
            with torch.no_grad():
                part.weight.copy_(torch.randn_like(part.weight) * 0.02)
        elif isinstance(part, nn.Linear):
            start_of_linear(part, 0.02)
    for part in module.modules():
        if isinstance(part, Attention):
            start_of_linear(part.out, 0.02 / math.sqrt(2 * n_layer))
        elif isinstance(part, FeedForward):
            start_of_linear(part.down, 0.02 / math.sqrt(2 * n_layer))
