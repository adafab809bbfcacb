"""A trainer without torch that keeps the contract of a run's folder, in place of `python -m cohort_cli.training RUN`.

Its weights are a hash: each step adds what every process brings to this step, so that one step left out, done twice, or
done without a peer gives another one. Processes meet over TCP before each step, as in an all-reduce, and a lost peer
shows itself as it does with gloo: as a RuntimeError that speaks of a connection.

    STUB_PAUSE=0.02          seconds per step
    STUB_FAULT=kill:1@25     process 1 is killed as by the kernel before step 25, once; "bug" raises ValueError, "oom"
                             MemoryError, both each time; "die" kills each time; "*" is every process;
                             "call" runs the shell's words in STUB_CALL, once, and waits until it is asked to stop
    STUB_BYTES=100000        of a checkpoint
    STUB_SAVE=2              seconds that the last checkpoint takes
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from cohort_cli.training import disk, guards, kept, seal
from cohort_cli.training.runs import RunFolder
from cohort_cli.training.stop import StopFlag, die_with_parent

BYTES = struct.Struct("!?32s")  # (stop?, what this process brings)


def share(seed: int, step: int, rank: int) -> bytes:
    """What a process learns in a step: a function of the seed, the step, and its number, as the data is."""
    return hashlib.sha256(f"{seed}/{step}/{rank}".encode()).digest()


def learn(weights: str, shares: list[bytes]) -> str:
    return hashlib.sha256(weights.encode() + b"".join(shares)).hexdigest()


def uninterrupted(seed: int, steps: int, world: int) -> str:
    """The weights after so many steps in one go."""
    weights = ""
    for step in range(1, steps + 1):
        weights = learn(weights, [share(seed, step, rank) for rank in range(world)])
    return weights


class Peers:
    """The processes of this job. Process 0 listens, and tells the others what all of them brought."""

    def __init__(self, rank: int, world: int) -> None:
        self.rank, self.world = rank, world
        self.links: list[socket.socket] = []
        if world == 1:
            return
        place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
        if rank == 0:
            with socket.create_server(place, reuse_port=False) as server:
                server.settimeout(60)
                found = {}
                while len(found) < world - 1:
                    link, _ = server.accept()
                    found[link.recv(1)[0]] = link
                self.links = [found[rank] for rank in sorted(found)]
            return
        end = time.monotonic() + 60
        while True:
            try:
                link = socket.create_connection(place, timeout=60)
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        link.sendall(bytes([rank]))
        self.links = [link]

    def meet(self, stop: bool, mine: bytes) -> tuple[bool, list[bytes]]:
        """(whether somebody wants to stop, what each brought in the order of processes)."""
        message = BYTES.pack(stop, mine)
        if self.world == 1:
            return stop, [mine]
        if self.rank > 0:
            self.links[0].sendall(message)
            data = _receive(self.links[0], BYTES.size * self.world)
        else:
            data = message + b"".join(_receive(link, BYTES.size) for link in self.links)
            for link in self.links:
                link.sendall(data)
        rows = list(BYTES.iter_unpack(data))
        return any(row[0] for row in rows), [row[1] for row in rows]


def _receive(link: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        try:
            more = link.recv(count - len(data))
        except OSError as error:
            raise RuntimeError(f"[stub] {error.strerror}: Connection closed by peer") from None
        if not more:
            raise RuntimeError("[stub] Connection closed by peer")
        data += more
    return data


def save(folder: RunFolder, step: int, weights: str) -> None:
    """A whole checkpoint under its name, or none, as checkpoint.py makes it."""
    aside = folder.checkpoints / f".step-{step:08d}.tmp"
    disk.make_folders(folder.checkpoints)
    disk.remove_all(aside)
    disk.make_folder(aside)
    (aside / "state.json").write_text(json.dumps({"step": step, "weights": weights}))
    (aside / "model.bin").write_bytes(bytes(int(os.environ.get("STUB_BYTES", "1000"))))
    seal.close(aside, kept.SCHEMA, {"step": step, "is_best": False})
    target = folder.checkpoints / f"step-{step:08d}"
    disk.remove_all(target)
    disk.rename(aside, target)


def load(folder: RunFolder) -> tuple[int, str]:
    newest = kept.newest(kept.checkpoints(folder, checked=True))
    if newest is None:
        return 0, ""
    state = json.loads((newest.path / "state.json").read_text())
    return state["step"], state["weights"]


def misbehave(folder: RunFolder, rank: int, step: int, stop: StopFlag) -> None:
    fault = os.environ.get("STUB_FAULT", "")
    if not fault:
        return
    what, _, where = fault.partition(":")
    who, _, when = where.partition("@")
    if int(when) != step or who not in ("*", str(rank)):
        return
    if what == "bug":
        raise ValueError("this part is wrong")
    if what == "oom":
        raise MemoryError("CUDA out of memory")
    once = folder.root / "fault-happened"
    if what == "die" or (what == "kill" and not once.exists()):
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "call" and not once.exists():
        once.touch()
        env = {**os.environ, "STUB_RUN": str(folder.root)}
        # What ends the job may end this too, before it has said that all is well
        subprocess.run(os.environ["STUB_CALL"], shell=True, check=False, stdout=sys.stderr, env=env)
        end = time.monotonic() + 60
        while not stop.requested() and time.monotonic() < end:
            time.sleep(0.05)


def main() -> int:
    began = time.time()
    die_with_parent()
    folder = RunFolder.open(Path(sys.argv[1]))
    config = folder.config()
    steps, every, seed = config.schedule.steps, config.run.checkpoint_every, config.run.seed
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    pause, first, step = float(os.environ.get("STUB_PAUSE", "0.02")), rank == 0, 0

    def tell(state: str, **more: Any) -> None:
        if first:
            folder.write_status(state, step, steps, **more)
            print(json.dumps({"event": state, "step": step}), flush=True)

    lock = folder.lock() if first else None
    with StopFlag(folder.stop_path) as stop:
        if lock is not None:
            lock.__enter__()
            folder.forget_trouble(began)
        try:
            peers = Peers(rank, world)
            step, weights = load(folder)
            tell("running")
            while step < steps:
                misbehave(folder, rank, step + 1, stop)
                stopping, shares = peers.meet(stop.requested(), share(seed, step + 1, rank))
                if stopping:
                    break
                weights, step = learn(weights, shares), step + 1
                time.sleep(pause)
                if first and step % every == 0:
                    save(folder, step, weights)
                    tell("running")
            if first:
                time.sleep(float(os.environ.get("STUB_SAVE", "0")))
                save(folder, step, weights)
            peers.meet(False, b"")
            tell("done" if step >= steps else "stopped", exit=0 if step >= steps else 75)
            return 0 if step >= steps else 75
        except BaseException as error:
            error = guards.understand(error, step) or error
            try:
                folder.write_error(rank, error, step)
            finally:
                tell("failed", message=f"{type(error).__name__}: {error}", exit=1)
            return 1
        finally:
            if lock is not None:
                lock.__exit__(None, None, None)


if __name__ == "__main__":
    sys.exit(main())
