"""`cohort share`: one small file for the group, shown before it is written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def share(
    named: Annotated[
        str, typer.Option(metavar="HANDLE", help="Put your handle on it. Without: a random number.")
    ] = "",
    out: Annotated[Path | None, typer.Option(help="Where to write it; default: here.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Write which of your checks stand where, for the group's board. Nothing is sent anywhere.

    Every byte is shown first. There is no code in it, no path, no time of day, and no name unless you
    give one. Hand the file to whoever keeps the board, or put it into the group's repository.

    $ cohort share --named ada
    {
     "schema": "cohort.share/1",
     "id": "5d1f3a90c2b47e68",
     "day": "2026-12-01",
     "handle": "ada",
     …
    Write these 1,480 bytes to cohort-share.json? [y/N] y
    next: give cohort-share.json to whoever keeps the board
    """
    from cohort_cli import sharing
    from cohort_cli.errors import UsageError
    from cohort_cli.training import disk, guards
    from cohort_cli.workspace import find_workspace

    found = sharing.collect(find_workspace(), named)
    if not found.checks:
        raise UsageError("There is nothing to share yet: no project is started.", "cohort start project1")
    text = sharing.to_text(found)
    target = out or Path(sharing.FILE)
    typer.echo(text, nl=False)
    if not yes:
        typer.echo(f"Write these {len(text.encode()):,} bytes to {target}? [y/N] ", nl=False)
        sys.stdout.flush()
        if sys.stdin.readline().strip().casefold() not in ("y", "yes"):
            typer.echo("\nNothing was written.\nnext: cohort share --yes")
            return
    try:
        disk.replace_bytes(target.absolute(), text.encode("ascii"))
    except OSError as trouble:
        raise guards.disk_trouble(trouble, str(target)) from None
    typer.echo(f"next: give {target} to whoever keeps the board")
