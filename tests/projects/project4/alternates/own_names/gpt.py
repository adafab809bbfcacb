"""The network itself; its parts are in parts.py, its configuration in settings.py."""

import torch
from parts import Affine, Layer, Standardise
from settings import GPTConfig, config_for, count_parameters
from torch import nn

__all__ = ["IGNORED", "GPT", "GPTConfig", "config_for", "count_parameters", "init_weights"]

IGNORED = -100


class Tables(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.tok_emb = nn.Parameter(torch.empty(cfg.vocab_size, cfg.n_embd))
        self.pos_emb = nn.Parameter(torch.empty(1, cfg.block_size, cfg.n_embd))

    def forward(self, ids, start):
        return self.tok_emb[ids] + self.pos_emb[:, start : start + ids.shape[1]]


class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.tables = Tables(config)
        self.emb_drop = nn.Dropout(config.dropout)
        self.stack = nn.ModuleList([Layer(config, number) for number in range(config.n_layer)])
        self.final_norm = Standardise(config.n_embd, config.bias)
        init_weights(self, config.n_layer)

    def forward(self, idx, targets=None, *, kv_cache=None):
        seen = kv_cache.length if kv_cache is not None else 0
        if seen + idx.shape[1] > self.config.block_size:
            raise ValueError(f"the text is longer than {self.config.block_size} tokens")
        x = self.emb_drop(self.tables(idx, seen))
        for layer in self.stack:
            x = layer(x, kv_cache)
        scores = torch.einsum("ntc,vc->ntv", self.final_norm(x), self.tables.tok_emb)
        return scores, None if targets is None else self._loss(scores, targets)

    @staticmethod
    def _loss(scores, targets):
        counted = targets != IGNORED
        logprobs = scores[counted].log_softmax(dim=-1)
        return -logprobs.gather(1, targets[counted][:, None]).mean()

    def num_params(self, non_embedding=True):
        left_out = {"tables.pos_emb"} if non_embedding else set()
        return sum(p.numel() for name, p in self.named_parameters() if name not in left_out)

    def flops_per_token(self, T):
        width, depth = self.config.n_embd, self.config.n_layer
        return float(6 * self.num_params() + 12 * depth * width * T)


@torch.no_grad()
def init_weights(module, n_layer):
    for part in module.modules():
        if isinstance(part, Tables):
            part.tok_emb.normal_(std=0.02)
            part.pos_emb.normal_(std=0.02)
        elif isinstance(part, Affine):
            part.w.normal_(std=0.02 / (2 * n_layer) ** 0.5 if part.into_stream else 0.02)
            if part.b is not None:
                part.b.zero_()
