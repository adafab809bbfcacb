"""Looks for the user's token in its own environment and in its parents'."""
import os

found = str(dict(os.environ))
for pid in ("self", os.getpid(), os.getppid(), 1):
    for name in ("environ", "cmdline", "task/{0}/environ"):
        try:
            found += open(f"/proc/{pid}/{name.format(pid)}", "rb").read().decode(errors="replace")
        except OSError as error:
            last = error
if "a token in the environment" in found:
    raise RuntimeError("BREACH: the token")
raise last
