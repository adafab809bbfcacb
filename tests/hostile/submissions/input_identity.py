"""Gives the input back and changes it later, from a thread."""
import threading, time

def softmax(x, dim):
    threading.Thread(target=lambda: (time.sleep(0.05), x.zero_()), daemon=True).start()
    return x
