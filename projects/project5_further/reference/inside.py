"""Looking into a model: what its heads attend to, what its layers know, and what breaks without a head.    Step: inside

L layers, B batch, H heads, T time (tokens), D = C / H numbers per head, C channels, V = vocabulary size, P period.

attention[l, b, h, t, s] is how much head h of layer l, at token t, takes from token s: each row adds up to 1.
hidden[0] is the residual stream after the embedding, hidden[n] the one after n layers; so it has L + 1 entries.
Arguments stay as they are.

Source: Olsson et al. 2022 (induction heads), https://arxiv.org/abs/2209.11895; Elhage et al. 2021,
https://transformer-circuits.pub/2021/framework/index.html; nostalgebraist 2020 (the logit lens),
https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens.

`python inside.py` trains two small models and looks into them with your functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Edit = Callable[[int, Tensor], Tensor]  # (layer, heads' outputs (B, H, T, D)) -> what goes on instead


def repeated_tokens(
    batch: int, period: int, vocab_size: int, generator: torch.Generator | None = None
) -> Tensor:
    """(B, 2P) int64: each row is P random tokens, all V equally likely, and then the same P tokens once more.

    Only memory of the text itself helps with the second copy: nothing about these tokens can be known beforehand.
    """
    copy = torch.randint(vocab_size, (batch, period), generator=generator)
    return torch.cat([copy, copy], dim=1)


def previous_token_score(attention: Tensor) -> Tensor:
    """attention (L, B, H, T, T) -> (L, H): the attention from a token to the one before it, on average.

    The mean over all tokens that have one before them, and over the batch.
    """
    return attention.diagonal(-1, dim1=-2, dim2=-1).mean(dim=(1, -1))  # (L, B, H, T - 1) -> (L, H)


def induction_score(attention: Tensor, period: int) -> Tensor:
    """attention (L, B, H, 2P, 2P) -> (L, H): from a token of the second copy to what came *after* it in the first.

    Token t of the second copy (t = P … 2P - 1) stood at t - P before; the token after that is at t - P + 1. The mean
    over these P tokens, and over the batch. (Olsson et al. call it the prefix matching score.)
    """
    looks = attention.diagonal(1 - period, dim1=-2, dim2=-1)  # entry s is query s + P - 1, key s
    return looks[..., 1:].mean(dim=(1, -1))  # the first query, P - 1, still belongs to the first copy


def copy_losses(logits: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """logits (B, 2P, V), ids (B, 2P) -> mean loss in nats on the first copy, and on the second: no dimensions.

    logits[:, t] predict ids[:, t + 1]. The first token of either copy is left out: it follows something that never
    stood before it. So both are means over the same P - 1 tokens, seen for the first and for the second time.
    """
    period = ids.size(1) // 2
    losses = F.cross_entropy(logits[:, :-1].mT, ids[:, 1:], reduction="none")  # (B, 2P - 1)
    return losses[:, : period - 1].mean(), losses[:, period:].mean()


def ablate_heads(z: Tensor, heads: Iterable[int], mode: str = "zero") -> Tensor:
    """The outputs z (B, H, T, D) of one layer's heads, without what the chosen ones say. -> (B, H, T, D)

    "zero" puts 0 in their place; "mean" each head's own mean over batch and positions, a vector of D numbers, which
    takes away what depends on the text and leaves what does not. The other heads are as they were.
    Raises ValueError for another mode.
    """
    if mode not in ("zero", "mean"):
        raise ValueError(f"mode is {mode!r}; it must be 'zero' or 'mean'")
    result = z.clone()
    for head in heads:
        result[:, head] = 0.0 if mode == "zero" else z[:, head].mean(dim=(0, 1))
    return result


def knock_out(model: nn.Module, ids: Tensor, heads: Sequence[tuple[int, int]], mode: str = "zero") -> Tensor:
    """The logits (B, T, V) of the model for ids (B, T) when some heads, pairs of (layer, head), are ablated.

    model(ids, edit) -> (logits, attention, hidden). It calls edit(layer, z) once for each layer, with the heads'
    outputs z (B, H, T, D) before the output projection, and goes on with what edit returns.
    """

    def edit(layer: int, z: Tensor) -> Tensor:
        return ablate_heads(z, [head for its, head in heads if its == layer], mode)

    logits: Tensor = model(ids, edit)[0]
    return logits


def logit_lens(hidden: Tensor, norm: Callable[[Tensor], Tensor], head: Callable[[Tensor], Tensor]) -> Tensor:
    """hidden (L + 1, B, T, C) -> (L + 1, B, T, V): the logits if the network ended after each layer.

    The model's own final norm and then its own head, as if the layers that follow were not there. The last entry
    is therefore what the model says itself.
    """
    return head(norm(hidden))


def rank_of_next(lens: Tensor, ids: Tensor) -> Tensor:
    """lens (L + 1, B, T, V), ids (B, T) -> (L + 1, B, T - 1) int64: how many tokens have a higher logit.

    The right one for position t is ids[:, t + 1]; 0 means that the layer would say it. The last position has none.
    """
    scores = lens[:, :, :-1]  # (L + 1, B, T - 1, V)
    right = ids[:, 1:].expand(len(lens), -1, -1).unsqueeze(-1)
    return (scores > scores.gather(-1, right)).sum(dim=-1)


# --- given: a small model to look into, and the experiment ----------------------------------------------------


class TinyAttention(nn.Module):
    """A transformer with attention only: no MLP, so that all it can do is in its heads.

    Positions are added to what queries and keys see, not to the residual stream (Press et al. 2021,
    https://arxiv.org/abs/2012.15832; also in Elhage et al.). Values therefore carry words and no places.
    """

    def __init__(self, n_layers: int, n_heads: int = 2, d_model: int = 32, vocab_size: int = 64) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.embed = nn.Embedding(vocab_size, d_model)
        self.query, self.key, self.value, self.out = (
            nn.ModuleList(nn.Linear(d_model, d_model, bias=False) for _ in range(n_layers)) for _ in range(4)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(n_layers))
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, vocab_size, bias=False)

    def forward(self, ids: Tensor, edit: Edit | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """ids (B, T) -> logits (B, T, V), attention (L, B, H, T, T), hidden (L + 1, B, T, C)."""
        B, T = ids.shape
        x = self.embed(ids)
        C = x.size(-1)
        angles = torch.arange(T)[:, None] * 10_000.0 ** (-torch.arange(0, C, 2) / C)
        places = torch.stack([angles.sin(), angles.cos()], dim=-1).view(T, C)
        future = torch.ones(T, T).triu(1).bool()
        hidden, maps = [x], []
        for layer, norm in enumerate(self.norms):
            words = norm(x)
            q, k, v = (
                part[layer](seen).view(B, T, self.n_heads, -1).transpose(1, 2)  # (B, H, T, D)
                for part, seen in (
                    (self.query, words + places),
                    (self.key, words + places),
                    (self.value, words),
                )
            )
            scores = (q @ k.mT / math.sqrt(q.size(-1))).masked_fill(future, -math.inf)
            maps.append(scores.softmax(dim=-1))
            z = maps[-1] @ v  # (B, H, T, D)
            if edit is not None:
                z = edit(layer, z)
            x = x + self.out[layer](z.transpose(1, 2).reshape(B, T, C))
            hidden.append(x)
        return self.head(self.norm(x)), torch.stack(maps), torch.stack(hidden)


def train_copier(n_layers: int, steps: int = 1500, seed: int = 0) -> TinyAttention:
    """A model that has seen repeated random tokens only. The period changes, so no fixed distance is worth learning."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = TinyAttention(n_layers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, betas=(0.9, 0.98))
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.01 * min(1.0, (step + 1) / 50, 2 * (1 - step / steps))
        period = int(torch.randint(5, 17, (), generator=generator))
        copy = torch.randint(64, (32, period), generator=generator)
        ids = torch.cat([copy, copy], dim=1)
        loss = F.cross_entropy(model(ids)[0][:, :-1].mT, ids[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval().requires_grad_(False)


def main() -> None:
    torch.set_num_threads(1)  # tensors this small are slower on several
    period = 16
    ids = repeated_tokens(256, period, 64, torch.Generator().manual_seed(1))
    print(
        f"ln 64 = {math.log(64):.2f} nats: nothing known.  ln {period} = {math.log(period):.2f}: one of the tokens seen."
    )
    for n_layers in (1, 2):
        model = train_copier(n_layers)
        logits, attention, hidden = model(ids)
        first, second = copy_losses(logits, ids)
        print(
            f"\n{n_layers} layer{'s' * (n_layers > 1)}: loss {first:.2f} on the first copy, {second:.2f} on the second"
        )
        before, induction = previous_token_score(attention), induction_score(attention, period)
        print("  layer.head   previous token   induction")
        for layer in range(n_layers):
            for head in range(model.n_heads):
                print(
                    f"  {layer}.{head}          {before[layer, head]:14.2f}   {induction[layer, head]:9.2f}"
                )
    print("\nThe model of 2 layers without some of its heads: loss on the second copy")
    best = divmod(int(induction.argmax()), model.n_heads)
    helper = divmod(int(before.argmax()), model.n_heads)
    rest = [(layer, head) for layer in range(2) for head in range(model.n_heads)]
    cases = {
        "none": [],
        "best induction head": [best],
        "all heads of its layer": [pair for pair in rest if pair[0] == best[0]],
        "best previous-token head": [helper],
    }
    print("  without                              zero   mean")
    for what, heads in cases.items():
        losses = [float(copy_losses(knock_out(model, ids, heads, mode), ids)[1]) for mode in ("zero", "mean")]
        names = " ".join(f"{layer}.{head}" for layer, head in heads)
        print(f"  {what:25} {names:8} {losses[0]:7.2f} {losses[1]:6.2f}")
    print("\nLogit lens, one row: the rank of the right next token (0: it would be said)")
    ranks = rank_of_next(logit_lens(hidden[:, :1], model.norm, model.head), ids[:1])[:, 0]
    for layer, row in enumerate(ranks.tolist()):
        name = "embedding" if layer == 0 else f"layer {layer - 1}"
        print(f"  {name:9}  second copy: {' '.join(f'{rank:2}' for rank in row[period:])}")


if __name__ == "__main__":
    main()
