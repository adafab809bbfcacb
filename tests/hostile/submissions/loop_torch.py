"""One single call of torch's that takes hours, and releases Python's lock."""

def softmax(x, dim):
    a = torch.ones(4000, 4000)
    return torch.linalg.matrix_power(a, 2**30 - 1)
