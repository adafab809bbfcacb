"""Fills the scratch folder of the next check with files of its own."""
import os

parent = os.path.dirname(os.getcwd())
for number in range(10_000):
    path = f"{parent}/scratch-{number}"
    if os.path.isdir(path) and path != os.getcwd():
        open(path + "/layers.py", "w").write("raise SystemExit(0)")
        raise RuntimeError("BREACH: written")
open(parent + "/planted.txt", "w")
raise RuntimeError("BREACH: written")
