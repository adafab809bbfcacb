"""A list in a list in a list, ten thousand deep, that also contains itself."""

def softmax(x, dim):
    value = []
    value.append(value)
    for _ in range(10_000):
        value = [value]
    return value
