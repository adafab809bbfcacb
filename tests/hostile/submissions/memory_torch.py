"""64 GB at once, from torch."""

def softmax(x, dim):
    return torch.ones(16 << 30)
