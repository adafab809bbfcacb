"""A whole number of 100,000 digits."""

def softmax(x, dim):
    return 1 << 330_000
