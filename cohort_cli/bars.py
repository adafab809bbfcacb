"""How far a long work has come, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much; "" hides the bar


@contextmanager
def bar() -> Iterator[Progress]:
    """A bar on standard error; without a terminal a line now and then."""
    if not sys.stderr.isatty():
        yield _line
        return
    import rich.progress
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with rich.progress.Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task("", total=None, visible=False)
        now = ""

        def tell(what: str, done: int, of: int) -> None:
            nonlocal now
            if what != now:
                drawn.reset(task, description=what, total=of or None)
                now = what
            drawn.update(task, completed=done, total=of or None, visible=bool(what))

        yield tell


def _line(what: str, done: int, of: int) -> None:
    if what:
        print(f"{what:<11} {done:,} of {of:,}", file=sys.stderr, flush=True)
