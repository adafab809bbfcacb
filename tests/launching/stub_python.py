"""Stands in for `python` on a rented machine: it takes the command line of the trainer, alone or below torchrun, and
honours the run folder's contract. The processes of several machines meet at the head's address, as torchrun's do.

STUB_WAITS=1: it trains until it is asked to stop, by a signal or by the file STOP.
"""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path


def main() -> int:
    words = sys.argv[1:]
    if words[:2] == ["-m", "pip"]:
        print("pip", *words[2:])
        return 0
    options = dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)
    assert words[-3:-1] == ["-m", "cohort_cli.training"], words
    run, rank = Path(words[-1]), int(options.get("node-rank", "0"))
    (run / f"argv.{rank}.json").write_text(json.dumps(words))
    assert (run / "config.json").is_file()
    if int(options.get("nnodes", "1")) > 1:
        meet(options["master-addr"], int(options["master-port"]), rank)
    state = wait(run) if os.environ.get("STUB_WAITS") else "done"
    if rank == 0:
        (run / "status.json").write_text(
            json.dumps({"state": state, "secret": bool(os.environ.get("HF_TOKEN"))})
        )
    return 75 if state == "stopped" else 0


def meet(address: str, port: int, rank: int) -> None:
    if rank == 0:
        with socket.create_server((address, port)) as server:
            server.settimeout(30)
            server.accept()[0].sendall(b"here")
        return
    for _ in range(300):
        try:
            with socket.create_connection((address, port), 30) as peer:
                assert peer.recv(4) == b"here"
                return
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise SystemExit("nobody at the head's address")


def wait(run: Path) -> str:
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    (run / "started").touch()
    for _ in range(600):
        if asked or (run / "STOP").exists():
            return "stopped"
        time.sleep(0.05)
    return "running"


sys.exit(main())
