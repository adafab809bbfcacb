"""What a member sees while a job runs."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

from cohort_cli.training.runs import RunFolder


class View:
    def __enter__(self) -> View:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def show(self, event: dict[str, Any]) -> None:
        print(event, file=sys.stderr)

    def note(self, text: str) -> None:
        print(text, file=sys.stderr)


def summary(folder: RunFolder) -> list[str]:
    return []
