"""A fork bomb; bounded here, in case nothing stops it: 50 processes, which end after 20 seconds."""
import os, time

def softmax(x, dim):
    end = time.time() + 20
    for _ in range(50):
        if os.fork() == 0:
            while time.time() < end:
                time.sleep(0.1)
            os._exit(0)
    raise RuntimeError("BREACH: forked")
