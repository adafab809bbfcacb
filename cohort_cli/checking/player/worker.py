"""Where the system cannot fork safely (macOS, Windows): one player process that serves check after check.

Started as `python -m cohort_cli.checking.player.worker PORT TOKEN LIBRARY…`. It connects back to the judge on
127.0.0.1, and between two checks forgets the member's modules. After a crash, or a check that was stopped, the judge
starts a new one.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
from pathlib import Path

from cohort_cli import catalog
from cohort_cli.checking import sandbox, tensors
from cohort_cli.checking.player.serve import redirect_output, serve, set_up, warm_up
from cohort_cli.checking.player.stage import Stage, forget_modules
from cohort_cli.checking.wire import Channel, Closed


def main() -> None:
    port, token = int(sys.argv[1]), sys.argv[2]
    for library in sys.argv[3:]:
        importlib.import_module(library)
    channel = Channel(socket.create_connection(("127.0.0.1", port)))
    channel.send({"token": token, "pid": os.getpid()})
    level = sandbox.best_level()
    prepared = sandbox.prepare("rlimits" if level != "none" else "none", catalog.kit_root())
    warm_up()
    entered = False
    while True:
        try:
            request, _ = channel.receive()  # what the fork server would get, see zygote.py
        except Closed:
            return
        redirect_output(request["output"])
        if not entered:
            room = sandbox.Room(
                Path(request["work"]),
                Path(request["scratch"]).parent,
                tuple(Path(f) for f in request["hidden"]),
            )
            reached = sandbox.enter(prepared, room, sandbox.Limits(**request["limits"]), reused=True)
            set_up(request["work"], request["blocked"], request["seed"])
            entered = True
        os.chdir(request["scratch"])
        forget_modules(request["work"])
        tensors.seed(request["seed"])
        channel.send({"ready": reached})
        serve(channel, Stage(request["work"], request["rules"]))
        channel.send({"ended": True})


if __name__ == "__main__":
    main()
