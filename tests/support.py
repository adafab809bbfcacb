"""Names that several test files share. (Fixtures are in conftest.py.)"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent


@dataclass
class Ended:
    """How one command ended."""

    code: int
    out: str
    err: str


Cohort = Callable[..., Ended]
