"""One single operation on one huge number."""

def softmax(x, dim):
    return 7 ** (7 ** 12)
