"""A loop in C that never gives the interpreter back: a regular expression that tries 2^40 ways."""
import re

def softmax(x, dim):
    re.match(r"(a+)+$", "a" * 40 + "b")
