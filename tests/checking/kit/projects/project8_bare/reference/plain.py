import sys


def add(a, b):
    return a + b


def holds(name):
    return name in sys.modules
