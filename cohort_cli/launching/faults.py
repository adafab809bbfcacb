"""What the error of a training process says: may it only have lost another one, or will the same happen again?

An error is a row of RUN/error.RANK.json: {"error": its kind, "message": ...}. No torch here.
"""

from __future__ import annotations

import re
from typing import Any

# What torch or the system raises in a process whose peer is gone: these kinds, with these words in them.
_LOST_KINDS = re.compile(
    r"RuntimeError|Dist\w*Error|OtherProcessFailed|OSError|EOFError|TimeoutError|Connection\w*Error|BrokenPipeError"
)
_LOST_WORDS = re.compile(
    r"connect|peer|gloo|nccl|socket|tcpstore|timed? ?out|broken pipe|process ?group|another process",
    re.IGNORECASE,
)


def may_be_lost(error: dict[str, Any]) -> bool:
    """Of a kind that a process may die of when another one is gone. A ValueError is none of them."""
    return bool(_LOST_KINDS.fullmatch(str(error.get("error"))))


def speaks_of_a_peer(error: dict[str, Any]) -> bool:
    return str(error.get("error")).startswith("Dist") or bool(_LOST_WORDS.search(str(error.get("message"))))
