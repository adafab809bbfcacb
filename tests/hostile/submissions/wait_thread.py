"""Leaves a thread behind that never ends and is no daemon, and waits in it."""
import threading, time

def softmax(x, dim):
    threading.Thread(target=time.sleep, args=(10**6,)).start()
    return torch.zeros_like(x)
