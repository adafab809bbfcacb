"""A daemon: forks twice and starts a session of its own. It would end after 20 seconds."""
import os, time

def softmax(x, dim):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(20)
        os._exit(0)
    raise RuntimeError("BREACH: forked")
