"""The same with a system call."""
import ctypes, os

def softmax(x, dim):
    ctypes.CDLL(None).process_vm_writev(os.getppid(), None, 0, None, 0, 0)
    raise RuntimeError("BREACH: written")
