"""A tensor that takes 8 bytes here and 64 GB when it is written out."""

def softmax(x, dim):
    return torch.zeros(1, dtype=torch.float64).expand(1 << 33)
