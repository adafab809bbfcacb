"""Writes through a null pointer with ctypes."""
import ctypes

def softmax(x, dim):
    ctypes.memset(0, 1, 1)
