"""Finds the audit hook's own tables through the traceback of a refusal, and replaces them."""

path = REFERENCE + "/attention.py"
try:
    open(path)
except OSError as error:
    trace = error.__traceback__
    while trace is not None:
        tools = trace.tb_frame.f_globals.get("path_tools")
        if tools is not None:
            tools.realpath = lambda path: "/dev/null"
        trace = trace.tb_next
open(path).read()
raise RuntimeError("BREACH: the guard was taken apart")
