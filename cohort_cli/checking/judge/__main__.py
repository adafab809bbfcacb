"""The judge's process: `python -m cohort_cli.checking.judge LIBRARY… [--bare]`, started by client.py.

It imports the libraries once, for itself and for every player: torch for most projects, and nothing of it for others.
With --bare there are also players without any library, for steps that forbid one of them.

It reads one JSON object per line on standard input, each a run to make, and writes one per line on standard output:
{"event": "result", …} for each check, then {"event": "done", …}.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys

BARE = "--bare"


def main() -> None:
    requests, events = _take_streams()
    kit_root = _kit_root()
    libraries = [word for word in sys.argv[1:] if word != BARE]
    # Players come from before any test, reference or seed is in this process; the bare ones, from before any library.
    bare = _players(kit_root, []) if BARE in sys.argv[1:] else None
    _preload(libraries)
    players = _players(kit_root, libraries)

    from cohort_cli.checking.judge.players import Either
    from cohort_cli.checking.judge.sessions import serve

    serve(requests, events, players if bare is None else Either(players, bare, libraries))
    sys.stderr.flush()
    os._exit(0)  # everything is written and closed; taking torch apart would take 0.3 s


def _preload(libraries: list[str]) -> None:
    gc.disable()  # an import leaves little to collect; looking for it takes a tenth of the time that torch needs
    for name in libraries:
        importlib.import_module(name)
    gc.freeze()
    gc.enable()
    if "torch" in libraries:
        import torch

        torch.set_num_threads(1)


def _take_streams() -> tuple[int, int]:
    """Keep the two pipes to ourselves: nothing else may read requests, or write results."""
    requests, events = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDWR)
    os.dup2(empty, 0)
    os.dup2(empty, 1)
    os.close(empty)
    return requests, events


def _kit_root():  # type: ignore[no-untyped-def]
    from cohort_cli.catalog import kit_root

    return kit_root()


def _players(kit_root, libraries):  # type: ignore[no-untyped-def]
    from cohort_cli.checking.judge.players import Forked, Reused

    if not sys.platform.startswith("linux") or os.environ.get("COHORT_PLAYER") == "worker":
        return Reused(libraries)
    import socket

    from cohort_cli.checking.judge.protect import protect
    from cohort_cli.checking.player import zygote

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = os.fork()
    if server == 0:
        ours.close()
        protect()
        zygote.run(theirs, kit_root)
    theirs.close()
    protect()
    return Forked(ours, server)


if __name__ == "__main__":
    main()
