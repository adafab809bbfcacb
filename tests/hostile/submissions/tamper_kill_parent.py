"""Kills its parent, the fork server."""
import os, signal

def softmax(x, dim):
    os.kill(os.getppid(), signal.SIGKILL)
    raise RuntimeError("BREACH: killed")
