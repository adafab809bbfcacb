"""Calls itself without end."""

def softmax(x, dim):
    return softmax(x, dim)
