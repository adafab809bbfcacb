"""Writes to a link in scratch that leads out."""
import os

os.symlink(CANARY, "innocent.txt")
open("innocent.txt", "w").write("overwritten")
raise RuntimeError("BREACH: written")
