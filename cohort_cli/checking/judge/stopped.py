"""What can end a check early, as exceptions inside the judge."""

from __future__ import annotations

from typing import Any

from cohort_cli.checking.results import Where
from cohort_cli.checking.states import State


class MemberRaised(Exception):
    """The member's code raised. `type` and `message` are its own; `where` is the line in the member's files.

    kinds: the names of the error's class and of those that it derives from.
    """

    def __init__(self, type: str, message: str, where: Where | None, kinds: tuple[str, ...] = ()) -> None:
        super().__init__(f"{type}: {message}" if message else type)
        self.type = type
        self.message = message
        self.where = where
        self.kinds = kinds

    @property
    def todo(self) -> bool:
        return self.type == "NotImplementedError"

    @property
    def out_of_memory(self) -> bool:
        return self.type == "MemoryError" or "can't allocate memory" in self.message


class Stopped(Exception):
    """The player was stopped by a limit, or died: the check's state, and one sentence for the member."""

    def __init__(self, state: State, message: str) -> None:
        super().__init__(message)
        self.state = state
        self.message = message


def where_from(data: Any) -> Where | None:
    """A place as the player reports it, made safe: it is only ever printed."""
    if not isinstance(data, dict):
        return None
    file, line, name = data.get("file"), data.get("line"), data.get("name")
    if not isinstance(file, str) or type(line) is not int or not isinstance(name, str):
        return None
    return Where(file[:300], line, name[:200])
