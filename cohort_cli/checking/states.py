"""What can become of a check: one list of words for terminal, JSON, results log and site."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What became of one check. Words carry the meaning; colour only repeats it."""

    OK = "ok"
    FAIL = "fail"  # wrong answer
    ERROR = "error"  # the member's code raised
    TIME = "time"  # stopped: CPU time, or waiting without end
    MEM = "mem"  # stopped: memory
    CRASH = "crash"  # the player died, or wrote too much
    TODO = "todo"  # NotImplementedError; neutral
    WAIT = "wait"  # needs another check first
    SKIP = "skip"  # needs a GPU or data that is not here
    STALE = "stale"  # `status` only: the file changed since
    KIT = "kit"  # our own bug
