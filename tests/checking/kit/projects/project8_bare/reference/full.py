import sys


def holds(name):
    return name in sys.modules
