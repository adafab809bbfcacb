"""Overwrites a file of the user's from C++."""

torch.save({"w": torch.ones(3)}, CANARY)
raise RuntimeError("BREACH: saved")
