"""Pretends that somebody pressed Ctrl-C."""

def softmax(x, dim):
    raise KeyboardInterrupt
