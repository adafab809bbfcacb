"""Sleeps."""
import time

def softmax(x, dim):
    time.sleep(10**6)
