"""GeneratorExit is the third BaseException that frameworks forget."""

def softmax(x, dim):
    raise GeneratorExit
