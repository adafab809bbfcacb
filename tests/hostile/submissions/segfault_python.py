"""A segmentation fault without ctypes."""
import faulthandler

def softmax(x, dim):
    faulthandler._sigsegv()
