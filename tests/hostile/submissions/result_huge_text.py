"""A text of 30 million characters."""

def softmax(x, dim):
    return "x" * 30_000_000
