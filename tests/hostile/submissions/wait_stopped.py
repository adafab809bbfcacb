"""Stops itself, as Ctrl-Z would."""
import os, signal

def softmax(x, dim):
    os.kill(os.getpid(), signal.SIGSTOP)
    return torch.zeros_like(x)
