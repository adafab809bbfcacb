"""On torch's own parts: nn.Sequential, DataLoader, a sampler, LambdaLR."""

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset, RandomSampler


class Windows(Dataset):
    def __init__(self, ids, context):
        self.ids, self.context = ids, context

    def __len__(self):
        return len(self.ids) - self.context

    def __getitem__(self, i):
        return self.ids[i : i + self.context], self.ids[i + self.context]


class MLP(nn.Module):
    def __init__(self, vocab_size, context, d_embed, d_hidden):
        super().__init__()
        self.context = context
        self.wte = nn.Embedding(vocab_size, d_embed)
        self.mlp = nn.Sequential(
            nn.Linear(context * d_embed, d_hidden), nn.Tanh(), nn.Linear(d_hidden, vocab_size)
        )

    def forward(self, x):
        return self.mlp(self.wte(x).flatten(start_dim=1))


def train(model, ids, steps, batch_size, lr, generator):
    data = Windows(ids, model.context)
    sampler = RandomSampler(data, replacement=True, num_samples=steps * batch_size, generator=generator)
    loader = DataLoader(data, batch_size=batch_size, sampler=sampler)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    scheduler = LambdaLR(optimizer, lambda step: 1 - step / steps)
    criterion = nn.CrossEntropyLoss()
    model.train()
    losses = []
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


@torch.inference_mode()
def evaluate(model, ids):
    training = model.training
    model.eval()
    criterion = nn.CrossEntropyLoss(reduction="sum")
    loader = DataLoader(Windows(ids, model.context), batch_size=512)
    total = sum(criterion(model(x), y).item() for x, y in loader)
    model.train(training)
    return total / len(loader.dataset)
