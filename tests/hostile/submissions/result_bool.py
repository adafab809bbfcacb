"""Truth values."""

def softmax(x, dim):
    return torch.ones_like(x, dtype=torch.bool)
