"""Asks the caller's frame which check this is, and looks for `want`, `expect` and the seed."""
import sys

def softmax(x, dim):
    frame = sys._getframe(1)
    while frame is not None:
        for name in ("want", "expect", "expected", "oracle", "rng"):
            if name in frame.f_locals:
                raise RuntimeError(f"BREACH: found {name}")
        frame = frame.f_back
    return torch.zeros_like(x)
