"""A loop that never ends."""

def softmax(x, dim):
    while True:
        pass
