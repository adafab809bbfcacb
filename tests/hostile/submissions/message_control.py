"""An error message that clears the screen, says something nice, and cannot be encoded."""

def softmax(x, dim):
    raise ValueError("\x1b[2J\x1b[32mok   softmax\x1b[0m \ud800 \x00 \u202e")
