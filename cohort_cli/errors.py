"""What can go wrong for a user, each with the exit code that `cohort` ends with.

    CohortError
    ├── UsageError           2   a word on the command line is wrong
    ├── NoWorkspace          3   there is no workspace here
    ├── NoCohort             3   there is no group's folder here, and none is named
    ├── BrokenManifest       3   a project.toml, cohort.toml or results log cannot be read
    ├── EnvironmentTrouble   4   something that the command needs is missing on this machine
    ├── NothingRan           5   the selection matched no check
    ├── DataTrouble          8   data cannot be fetched, or is not what was once written
    └── KitBug              70   our own fault

Only `app.py` catches these. It prints `message`, then `repair`, on stderr and exits with `exit_code`.
"""

from __future__ import annotations


class CohortError(Exception):
    """A trouble that the user can understand and repair. `repair` is one line: what to do."""

    exit_code = 1

    def __init__(self, message: str, repair: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.repair = repair


class UsageError(CohortError):
    exit_code = 2


class NoWorkspace(CohortError):
    exit_code = 3


class NoCohort(CohortError):
    exit_code = 3


class BrokenManifest(CohortError):
    exit_code = 3


class EnvironmentTrouble(CohortError):
    exit_code = 4


class NothingRan(CohortError):
    exit_code = 5


class DataTrouble(CohortError):
    exit_code = 8


class KitBug(CohortError):
    exit_code = 70
