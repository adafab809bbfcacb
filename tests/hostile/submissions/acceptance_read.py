"""Reads the acceptance tests, the known mistakes and the hints."""
import os

for name in ("acceptance/test_attention.py", "mistakes/attention.toml", "hints/attention.md", "project.toml"):
    try:
        open(os.path.join(PROJECT, name)).read()
    except OSError as error:
        last = error
    else:
        raise RuntimeError("BREACH: " + name)
raise last
