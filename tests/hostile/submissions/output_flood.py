"""Prints 1 GB."""

def softmax(x, dim):
    for _ in range(1024):
        print("x" * (1 << 20))
