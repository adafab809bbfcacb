import sys


def add(a, b):
    raise NotImplementedError


def holds(name):
    return name in sys.modules
