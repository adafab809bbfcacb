"""Lifts Python's limit, and overflows the stack of C."""
import sys

def softmax(x, dim):
    sys.setrecursionlimit(10**9)
    def deeper(_):
        return max([1], key=deeper)
    return deeper(1)
