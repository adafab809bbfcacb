"""Becomes somebody else, or leaves for another root."""
import os

for number, way in enumerate((
    lambda: os.chroot("."), lambda: os.setuid(65534 if os.getuid() == 0 else 0), lambda: os.setgroups([]),
    lambda: os.unshare(0x10000000) if hasattr(os, "unshare") else (_ for _ in ()).throw(PermissionError("none")),
)):
    try:
        way()
    except PermissionError as error:
        last = error
    else:
        raise RuntimeError(f"BREACH: way {number}")
raise last
