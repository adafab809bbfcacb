"""Linear attention: a running sum instead of softmax, with elu + 1 as feature map."""

from layers import MLP, LayerNorm
from torch import einsum, nn
from torch.nn import functional as F


class OwnBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        C = config.d_model
        self.q, self.k, self.v, self.o = (nn.Linear(C, C, bias=False) for _ in range(4))
        self.norm1, self.norm2, self.ffn = LayerNorm(C), LayerNorm(C), MLP(C, config.d_ff, dropout=config.dropout)

    def forward(self, x):
        y = self.norm1(x)
        q, k, v = F.elu(self.q(y)) + 1, F.elu(self.k(y)) + 1, self.v(y)
        memory = einsum("btd,bte->btde", k, v).cumsum(1)
        norm = einsum("btd,btd->bt", q, k.cumsum(1)).unsqueeze(-1)
        x = x + self.o(einsum("btd,btde->bte", q, memory) / norm)
        return x + self.ffn(self.norm2(x))
