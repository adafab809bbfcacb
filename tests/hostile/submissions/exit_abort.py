"""Aborts in C."""
import os

def softmax(x, dim):
    os.abort()
