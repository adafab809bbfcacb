"""Writes into the memory of the fork server."""
import os

def softmax(x, dim):
    open(f"/proc/{os.getppid()}/mem", "r+b").write(b"x")
    raise RuntimeError("BREACH: written")
