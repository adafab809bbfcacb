"""A generator that never ends, in the place of a tensor."""

def softmax(x, dim):
    while True:
        yield 1
