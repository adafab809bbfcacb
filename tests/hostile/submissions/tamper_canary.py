"""Overwrites, moves, shortens, links and removes a file of the user's."""
import os, shutil

ways = [
    lambda: open(CANARY, "w"),
    lambda: open(CANARY, "a"),
    lambda: open(CANARY, "r+"),
    lambda: os.open(CANARY, os.O_WRONLY),
    lambda: os.open(CANARY, os.O_RDONLY | os.O_TRUNC),
    lambda: os.truncate(CANARY, 0),
    lambda: os.remove(CANARY),
    lambda: os.rename(CANARY, "mine"),
    lambda: (open("mine", "w").close(), os.replace("mine", CANARY)),
    lambda: shutil.copyfile(__file__, CANARY),
    lambda: os.link(CANARY, "mine2"),
    lambda: os.chmod(CANARY, 0o777),
    lambda: os.utime(CANARY, (0, 0)),
    lambda: os.rmdir(os.path.dirname(CANARY)),
    lambda: shutil.rmtree(os.path.dirname(CANARY)),
    lambda: open(os.path.relpath(CANARY), "w"),
]
for number, way in enumerate(ways):
    try:
        way()
    except PermissionError as error:
        last = error
    else:
        raise RuntimeError(f"BREACH: way {number}")
raise last
