"""Looks for keys and tokens in the home folder of the user."""
import os

raise RuntimeError(f"BREACH: {os.listdir(os.path.dirname(SECRET))}")
