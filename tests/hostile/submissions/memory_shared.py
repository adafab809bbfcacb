"""Shared memory outlives the process that made it."""
from multiprocessing.shared_memory import SharedMemory

kept = [SharedMemory(create=True, size=1 << 20)]
kept[0].buf[0] = 1
kept[0].close()
raise RuntimeError("BREACH: /dev/shm/" + kept[0].name)
