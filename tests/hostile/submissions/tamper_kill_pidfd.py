"""Kills its parent through a descriptor, which Python's audit events do not report."""
import os, signal

def softmax(x, dim):
    signal.pidfd_send_signal(os.pidfd_open(os.getppid()), signal.SIGKILL)
    raise RuntimeError("BREACH: killed")
