"""Waits for a lock that it holds itself."""
import threading

lock = threading.Lock()

def softmax(x, dim):
    lock.acquire()
    lock.acquire()
