"""64 GB at once, from Python."""

def softmax(x, dim):
    return len(bytearray(64 << 30))
