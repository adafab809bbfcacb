"""A tensor without values."""

def softmax(x, dim):
    return torch.empty(3, dtype=torch.float64, device="meta")
