"""Kills itself, as the system does when memory runs out."""
import os, signal

def softmax(x, dim):
    os.kill(os.getpid(), signal.SIGKILL)
