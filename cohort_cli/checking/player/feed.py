"""An iterable that a check hands to the member's code, and that remembers how it was used."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any


class Feed:
    """`items`, over and over, `times` times; one pass.

    pulled: how many items were taken. seen: how many files lay in `folder` each time that one was taken.
    """

    def __init__(self, items: Iterable[Any], times: int = 1, folder: str | None = None) -> None:
        self.items = list(items)
        self.left = len(self.items) * times
        self.folder = folder
        self.pulled = 0
        self.seen: list[int] = []

    def __iter__(self) -> Feed:
        return self

    def __next__(self) -> Any:
        if self.left == 0:
            raise StopIteration
        if self.folder is not None:
            self.seen.append(len(os.listdir(self.folder)) if os.path.isdir(self.folder) else 0)
        item = self.items[self.pulled % len(self.items)]
        self.left -= 1
        self.pulled += 1
        return item
