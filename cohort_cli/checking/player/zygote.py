"""The fork server: imports torch once, then forks one player for each check.

It is forked off the judge before any test or reference is loaded, so its memory holds nothing to find. The judge
talks to it over a Unix socket:

    {"op": "fork", …} with the player's end of a socket attached   ->   {"pid": N}
        "preload": a module of the member's to import before the judge asks for it; "" for none
    {"op": "reap", "pid": N}                                       ->   {"status": exit code, or minus the signal}
    {"op": "bury", "pid": N}     as "reap", for a player that was killed; without an answer, when there is time
"""

from __future__ import annotations

import array
import gc
import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

from cohort_cli.checking import sandbox
from cohort_cli.checking.player.serve import redirect_output, serve, set_up, warm_up
from cohort_cli.checking.player.stage import Stage
from cohort_cli.checking.wire import Channel

MAX_REQUEST = 1 << 16


def run(control: socket.socket, kit_root: Path) -> None:
    """Serve until the judge goes away. Never returns."""
    close_all_but(control.fileno())
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is the command's business; it ends the judge, and so us
    prepared: dict[str, Any] = {}
    warm_up()
    gc.collect()
    gc.freeze()  # what is here now is never collected, so the forks share its pages
    buried: set[int] = set()
    while True:
        request, descriptors = _receive(control)
        buried = {pid for pid in buried if os.waitpid(pid, os.WNOHANG)[0] == 0}
        if request["op"] == "fork":
            level = request["level"]
            if level not in prepared:
                prepared[level] = sandbox.prepare(level, kit_root)
            pid = os.fork()
            if pid == 0:
                _play(request, control, descriptors[0], prepared[level])
            os.close(descriptors[0])
            _send(control, {"pid": pid})
        elif request["op"] == "reap":
            _, status = os.waitpid(request["pid"], 0)
            _send(control, {"status": os.waitstatus_to_exitcode(status)})
        elif request["op"] == "bury":
            buried.add(request["pid"])


def close_all_but(*keep: int) -> None:
    """Close every descriptor but the standard three, now empty, and those in `keep`."""
    empty = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(empty, fd)
    start = 3
    for fd in sorted(keep):
        os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, 65536)


def _play(request: dict[str, Any], control: socket.socket, fd: int, prepared: Any) -> None:
    """Become the player of one check. Never returns."""
    code = 1
    try:
        os.setsid()  # a group of its own, so that everything it starts can be killed together
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        control.close()  # a player has no way to speak to the fork server
        connection = socket.socket(fileno=fd)
        redirect_output(request["output"])
        channel = Channel(connection)
        limits = sandbox.Limits(**request["limits"])
        room = sandbox.Room(
            Path(request["work"]),
            Path(request["scratch"]),
            tuple(Path(folder) for folder in request["hidden"]),
        )
        level = sandbox.enter(prepared, room, limits)
        channel.send({"ready": level})
        set_up(request["work"], request["blocked"], request["seed"])
        stage = Stage(request["work"], request["rules"])
        stage.preload(request["preload"])
        serve(channel, stage)
        code = 0
    finally:
        os._exit(code)  # no atexit handler and no finaliser of the member's code runs


def _receive(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    size = array.array("i").itemsize
    data, ancillary, _, _ = control.recvmsg(MAX_REQUEST, socket.CMSG_SPACE(size))
    if not data:
        os._exit(0)
    descriptors = array.array("i")
    for level, kind, raw in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(raw[: len(raw) - len(raw) % size])
    return json.loads(data), list(descriptors)


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    control.send(json.dumps(message).encode())
