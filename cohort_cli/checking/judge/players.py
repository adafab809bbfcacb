"""Players as the judge sees them: start one, ask it something, watch its limits, stop it.

CPU time decides, not wall time: on a busy machine an honest answer may wait long for a core, and its CPU time does
not grow while it waits. The clock on the wall counts only while the judge waits, and at ten times the CPU limit.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

from cohort_cli.checking import sandbox
from cohort_cli.checking.judge.scratch import MAX_DEPTH, MAX_FILES, measure, new_scratch, remove
from cohort_cli.checking.judge.stopped import Stopped
from cohort_cli.checking.states import State
from cohort_cli.checking.wire import Channel, Closed, Message, WireError

START_SECONDS = 60.0
KEPT_OUTPUT = 1 << 20


@dataclass(frozen=True)
class Terms:
    """What every player of one run is given."""

    work: Path
    hidden: tuple[Path, ...]
    blocked: tuple[str, ...]
    rules: dict[str, list[str]]
    level: str
    seed: int
    limits: sandbox.Limits


@dataclass
class Player:
    """One check's player. Every method but `stop` may raise Stopped."""

    pid: int
    channel: Channel
    scratch: Path
    output: Path
    limits: sandbox.Limits
    process: psutil.Process
    cpu_before: float = 0.0
    level: str = ""
    waiting_since: float | None = None
    requests: int = 0
    closed: bool = False  # the other side closed the connection
    stopped: bool = False

    @property
    def may_have_children(self) -> bool:
        """The kernel's sandbox lets no player start a process; looking for its children takes milliseconds."""
        return not self.level.startswith("landlock")

    def request(self, message: Message, data: bytes = b"") -> tuple[Message, bytes]:
        """Send one request and wait for its answer."""
        self.requests += 1
        self.waiting_since = time.monotonic()
        self.channel.poll = self.watch
        try:
            self.channel.send({**message, "id": self.requests}, data)
            reply, raw = self.channel.receive()
        except Closed:
            self.closed = self.stopped = True
            raise Stopped(State.CRASH, "") from None  # the reason is known once the process is reaped
        except Stopped:
            self.stopped = True
            raise
        except WireError as error:
            self.stopped = True
            raise Stopped(State.CRASH, f"Its answer was not one: {error}.") from None
        finally:
            self.waiting_since = None
        if reply.get("id") != self.requests:
            self.stopped = True
            raise Stopped(State.CRASH, "It answered a question that was not asked.")
        return reply, raw

    def watch(self) -> None:
        """Look at every limit. Called about every 50 ms while the judge waits."""
        limits = self.limits
        try:
            used, resident = self._use()
        except psutil.Error:
            return  # gone already; the channel will say so
        if resident > limits.memory_mib << 20:
            raise Stopped(
                State.MEM, f"It held {resident >> 20:,} MiB of memory; the limit is {limits.memory_mib:,}."
            )
        if used > limits.cpu_seconds:
            raise Stopped(
                State.TIME, f"It used {used:.1f} s of CPU time; the limit is {limits.cpu_seconds:g} s."
            )
        waited = time.monotonic() - (self.waiting_since or time.monotonic())
        patience = limits.cpu_seconds * limits.stall_factor
        if waited > patience or (waited > 2 * limits.cpu_seconds and self._idle(used, waited)):
            raise Stopped(
                State.TIME, f"It waited {waited:.0f} s for something that never came ({used:.1f} s of work)."
            )
        if _size(self.output) > limits.output_mib << 20:
            raise Stopped(State.CRASH, f"It printed more than {limits.output_mib} MiB.")
        written, files = measure(self.scratch)
        if written > limits.scratch_mib << 20 or files > MAX_FILES:
            raise Stopped(
                State.CRASH,
                f"It wrote {written >> 20} MiB in {files} files and folders; {limits.scratch_mib} MiB in {MAX_FILES} "
                f"is allowed, at most {MAX_DEPTH} folders deep.",
            )

    def cpu_seconds(self) -> float:
        """CPU time that the player and whatever it started have used for this check."""
        try:
            return self._use()[0]
        except psutil.Error:
            return 0.0  # gone; the next request says so

    def printed(self) -> str:
        """What the member's code printed, as text."""
        with contextlib.suppress(OSError), self.output.open("rb") as file:
            return file.read(KEPT_OUTPUT).decode("utf-8", errors="replace")
        return ""

    def _use(self) -> tuple[float, int]:
        """CPU seconds and resident bytes of the player and of whatever it started."""
        cpu, resident = _cpu_and_memory(self.process)
        for child in self.process.children(recursive=True) if self.may_have_children else ():
            with contextlib.suppress(psutil.Error):
                child_cpu, child_resident = _cpu_and_memory(child)
                cpu, resident = cpu + child_cpu, resident + child_resident
        return cpu - self.cpu_before, resident

    def _idle(self, used: float, waited: float) -> bool:
        """Asleep or stopped, and without work to speak of: a lock that nobody opens, `sleep`, a stopped process."""
        sleeping = self.process.status() in (psutil.STATUS_SLEEPING, psutil.STATUS_STOPPED)
        return sleeping and used < 0.1 * waited


class Players(Protocol):
    """Where players come from."""

    def take(self, terms: Terms, module: str = "", following: str = "") -> Player:
        """A fresh player for a check that begins with this module of the member's.

        following: the module of the check that will probably come next; its player may import it in the meantime.
        """

    def finish(self, player: Player) -> int | None:
        """Stop the player and all it started. Its exit code, or minus the signal, if it had ended by itself."""

    def close(self) -> None: ...


@dataclass
class _Ordered:
    terms: Terms
    module: str  # what it was told to import already; "" for nothing
    ours: socket.socket
    scratch: Path
    output: Path
    pid: int | None = None  # not known before the fork server has answered


class Forked:
    """Players forked off the fork server (`player/zygote.py`), the next one always ordered ahead of its use."""

    def __init__(self, control: socket.socket, server: int) -> None:
        self.control = control
        self.server = server
        self.folder = Path(tempfile.mkdtemp(prefix="cohort-"))
        self.count = 0
        self.ahead: _Ordered | None = None

    def take(self, terms: Terms, module: str = "", following: str = "") -> Player:
        if self.ahead is not None and (self.ahead.terms != terms or self.ahead.module not in ("", module)):
            self._drop_ahead()
        ordered = self.ahead or self._order(terms, "")
        self.ahead = None
        pid = self._pid(ordered)
        player = Player(
            pid, Channel(ordered.ours), ordered.scratch, ordered.output, terms.limits, psutil.Process(pid)
        )
        player.level = await_ready(player)
        self.ahead = self._order(terms, following)
        return player

    def finish(self, player: Player) -> int | None:
        ended = _wait_for_end(player) if player.closed else False
        _kill_group(player.pid)
        if player.may_have_children:
            keep = {self._pid(self.ahead)} if self.ahead is not None else set()
            _sweep(self.server, keep | {player.pid})
        status = self._reap(player.pid) if ended else None
        if not ended:
            self._send({"op": "bury", "pid": player.pid})
        player.channel.close()
        remove(player.scratch)
        player.output.unlink(missing_ok=True)
        return status

    def close(self) -> None:
        self.control.close()
        _sweep(self.server, set())
        with contextlib.suppress(psutil.Error):
            psutil.Process(self.server).kill()
        remove(self.folder)

    def _order(self, terms: Terms, module: str) -> _Ordered:
        self.count += 1
        scratch, output = new_scratch(self.folder, self.count)
        ours, theirs = socket.socketpair()
        message = json.dumps({"op": "fork", "preload": module, **describe(terms, scratch, output)}).encode()
        try:
            socket.send_fds(self.control, [message], [theirs.fileno()])
        except OSError as error:
            raise Stopped(State.CRASH, "The fork server was killed.") from error
        finally:
            theirs.close()
        return _Ordered(terms, module, ours, scratch, output)

    def _pid(self, ordered: _Ordered) -> int:
        if ordered.pid is None:
            ordered.pid = int(self._answer()["pid"])
        return ordered.pid

    def _reap(self, pid: int) -> int:
        if self.ahead is not None:
            self._pid(self.ahead)  # answers come in the order of the questions
        self._send({"op": "reap", "pid": pid})
        return int(self._answer()["status"])

    def _drop_ahead(self) -> None:
        ordered, self.ahead = self.ahead, None
        if ordered is not None:
            pid = self._pid(ordered)
            _kill_group(pid)
            self._send({"op": "bury", "pid": pid})
            ordered.ours.close()
            remove(ordered.scratch)

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self.control.send(json.dumps(message).encode())
        except OSError as error:
            raise Stopped(State.CRASH, "The fork server was killed.") from error

    def _answer(self) -> dict[str, Any]:
        data = self.control.recv(1 << 16)
        if not data:
            raise Stopped(State.CRASH, "The fork server was killed.")
        answer: dict[str, Any] = json.loads(data)
        return answer


Place = tuple[
    Path, tuple[str, ...]
]  # what a worker was set up for: the folder, and the libraries that it refuses


class Reused:
    """One worker that serves check after check (`player/worker.py`), where the system cannot fork safely."""

    def __init__(self, libraries: list[str]) -> None:
        self.libraries = libraries
        self.folder = Path(tempfile.mkdtemp(prefix="cohort-"))
        self.count = 0
        self.worker: tuple[subprocess.Popen[bytes], socket.socket, Place] | None = None

    def take(self, terms: Terms, module: str = "", following: str = "") -> Player:
        place = (terms.work, terms.blocked)
        if self.worker is not None and (self.worker[2] != place or self.worker[0].poll() is not None):
            self._stop()
        if self.worker is None:
            self.worker = self._start(terms)
        process, connection, _ = self.worker
        self.count += 1
        scratch, output = new_scratch(self.folder, self.count)
        watched = psutil.Process(process.pid)
        player = Player(process.pid, Channel(connection), scratch, output, terms.limits, watched)
        player.cpu_before = _cpu_and_memory(watched)[0]
        player.channel.send(describe(terms, scratch, output))
        player.level = await_ready(player)
        return player

    def finish(self, player: Player) -> int | None:
        assert self.worker is not None
        process, _, _ = self.worker
        status = None
        if player.closed or not self._ended(player):
            if player.closed and _wait_for_end(player):
                status = process.wait()
            self._stop()
        remove(player.scratch)
        return status

    def close(self) -> None:
        self._stop()
        remove(self.folder)

    def _ended(self, player: Player) -> bool:
        """Ask the worker to end this check. False when it does not answer as it should."""
        if player.stopped:
            return False
        player.waiting_since = time.monotonic()
        try:
            player.channel.send({"op": "end"})
            return player.channel.receive()[0].get("ended") is True
        except (WireError, Stopped):
            return False

    def _start(self, terms: Terms) -> tuple[subprocess.Popen[bytes], socket.socket, Place]:
        token = secrets.token_hex(16)
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(START_SECONDS)
            command = [sys.executable, "-E", "-P", "-B", "-m", "cohort_cli.checking.player.worker"]
            process = subprocess.Popen(
                [*command, str(server.getsockname()[1]), token, *self.libraries],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                connection, _ = server.accept()
            except TimeoutError:
                process.kill()
                raise Stopped(State.KIT, "The player did not start.") from None
        hello, _ = Channel(connection, _deadline(START_SECONDS)).receive()
        if hello.get("token") != token:
            process.kill()
            raise Stopped(State.KIT, "Something else answered in the player's place.")
        return process, connection, (terms.work, terms.blocked)

    def _stop(self) -> None:
        if self.worker is not None:
            process, connection, _ = self.worker
            self.worker = None
            connection.close()
            _kill_tree(process.pid)
            process.wait()


class Either:
    """Players from one of two places: a step that forbids a preloaded library gets one in which none was loaded."""

    def __init__(self, full: Players, bare: Players, libraries: Sequence[str]) -> None:
        self.full = full
        self.bare = bare
        self.libraries = frozenset(libraries)
        self.latest = full

    def take(self, terms: Terms, module: str = "", following: str = "") -> Player:
        self.latest = self.full if self.libraries.isdisjoint(terms.blocked) else self.bare
        return self.latest.take(terms, module, following)

    def finish(self, player: Player) -> int | None:
        return self.latest.finish(player)  # there is one player at a time

    def close(self) -> None:
        self.full.close()
        self.bare.close()


# --- what both need -----------------------------------------------------------------------------------------------


def describe(terms: Terms, scratch: Path, output: Path) -> dict[str, Any]:
    """What a player must know before it begins, as JSON."""
    return {
        "level": terms.level,
        "work": str(terms.work),
        "scratch": str(scratch),
        "output": str(output),
        "hidden": [str(folder) for folder in terms.hidden],
        "blocked": list(terms.blocked),
        "rules": terms.rules,
        "seed": terms.seed,
        "limits": asdict(terms.limits),
    }


def await_ready(player: Player) -> str:
    """Wait until the player is inside its sandbox; the level it reached."""
    player.channel.poll = _deadline(START_SECONDS)
    try:
        level = player.channel.receive()[0].get("ready")
    except WireError:
        raise Stopped(State.KIT, f"The player could not start. {player.printed()[-1000:]}") from None
    return str(level)


def _deadline(seconds: float) -> Callable[[], None]:
    end = time.monotonic() + seconds

    def poll() -> None:
        if time.monotonic() > end:
            raise Stopped(State.KIT, f"The player did not start within {seconds:.0f} s.")

    return poll


def _cpu_and_memory(process: psutil.Process) -> tuple[float, int]:
    with process.oneshot():
        times = process.cpu_times()
        return times.user + times.system, process.memory_info().rss


def _wait_for_end(player: Player, seconds: float = 1.0) -> bool:
    """Whether the process ends by itself now that it has closed its connection."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if player.process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.005)
    return False


def _kill_group(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):  # it may not have made its group yet
        os.kill(pid, signal.SIGKILL)


def _kill_tree(pid: int) -> None:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for child in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.Error):
                child.kill()


def _sweep(server: int, keep: set[int]) -> None:
    """Kill whatever descends from the fork server and is not a player that we know, until nothing is left."""
    for _ in range(50):
        try:
            strays = [
                child for child in psutil.Process(server).children(recursive=True) if child.pid not in keep
            ]
        except psutil.Error:
            return
        strays = [stray for stray in strays if _alive(stray)]
        if not strays:
            return
        for stray in strays:  # first hold them still, so that none can make another while we kill
            with contextlib.suppress(psutil.Error):
                stray.suspend()
        for stray in strays:
            with contextlib.suppress(psutil.Error):
                stray.kill()


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
