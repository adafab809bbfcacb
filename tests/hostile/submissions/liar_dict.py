"""Subclasses of list, dict and str with methods of their own."""

class D(dict):
    def items(self):
        while True:
            yield "a", self

class L(list):
    def __iter__(self):
        return iter([D(a=1)])

def softmax(x, dim):
    return [D(a=L([1])), L([2])]
