"""Changes its own files after they were hashed: another attention.py would run next time."""

open(WORK + "/attention.py", "a").write("# changed")
raise RuntimeError("BREACH: written")
