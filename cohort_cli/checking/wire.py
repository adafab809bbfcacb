"""Frames between judge and player, over a socket. No pickle: JSON, and the raw bytes of tensors.

    u32 length of the JSON | u64 length of the bytes | JSON, at most 1 MiB | bytes, at most 256 MiB

The judge reads frames that untrusted code may have written, so every length is checked before anything is
allocated, and everything that is wrong with a frame is a WireError.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

HEADER = struct.Struct(">IQ")
MAX_JSON = 1 << 20
MAX_BYTES = 256 << 20
POLL_SECONDS = 0.05

Message = dict[str, Any]


class WireError(Exception):
    """The bytes are not a frame that this protocol allows."""


class Unsendable(Exception):
    """A value that cannot travel, with the reason in words."""


class Closed(WireError):
    """The other side has gone."""


def pack(message: Message, data: bytes = b"") -> bytes:
    """One frame. Raises WireError when the message is too large to send."""
    try:
        text = json.dumps(message, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise WireError(f"cannot be sent: {error}") from None
    if len(text) > MAX_JSON:
        raise WireError(f"a message of {len(text):,} bytes is too long (limit {MAX_JSON:,})")
    if len(data) > MAX_BYTES:
        raise WireError(f"tensors of {len(data):,} bytes are too large (limit {MAX_BYTES:,})")
    return HEADER.pack(len(text), len(data)) + text + data


def lengths(header: bytes) -> tuple[int, int]:
    """Length of the JSON and of the bytes that follow a header. Raises WireError when they exceed the limits."""
    n_text, n_bytes = HEADER.unpack(header)
    if n_text > MAX_JSON or n_bytes > MAX_BYTES:
        raise WireError(f"a frame claims {n_text:,} + {n_bytes:,} bytes")
    return n_text, n_bytes


def parse(text: bytes) -> Message:
    """The message in a frame: a JSON object, or WireError."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {type(error).__name__}") from None
    if not isinstance(message, dict):
        raise WireError("not a JSON object")
    return message


def _nothing() -> None:
    return None


class Channel:
    """Frames over one connected socket.

    While it waits for the other side it calls `poll` about every 50 ms. The judge's `poll` looks at the player's
    CPU time and memory, and raises when a limit is passed; so no wait can last for ever.
    """

    def __init__(self, sock: socket.socket, poll: Callable[[], None] = _nothing) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.poll = poll
        self.next_poll = time.monotonic() + POLL_SECONDS

    def send(self, message: Message, data: bytes = b"") -> None:
        frame = memoryview(pack(message, data))
        while frame:
            try:
                frame = frame[self.sock.send(frame) :]
            except BlockingIOError:
                self._wait(writing=True)
            except OSError as error:
                raise Closed(str(error)) from None

    def receive(self) -> tuple[Message, bytes]:
        n_text, n_bytes = lengths(self._exactly(HEADER.size))
        text = self._exactly(n_text)
        return parse(text), self._exactly(n_bytes)

    def close(self) -> None:
        self.sock.close()

    def _exactly(self, n: int) -> bytes:
        chunks = []
        while n:
            try:
                chunk = self.sock.recv(min(n, 1 << 20))
            except BlockingIOError:
                self._wait(writing=False)
                continue
            except OSError as error:
                raise Closed(str(error)) from None
            if not chunk:
                raise Closed("the other side closed the connection")
            chunks.append(chunk)
            n -= len(chunk)
        return b"".join(chunks)

    def _wait(self, writing: bool) -> None:
        # By the clock, not by the number of waits: a drip of single bytes must not keep the judge from the limits.
        now = time.monotonic()
        if now >= self.next_poll:
            self.next_poll = now + POLL_SECONDS
            self.poll()
        readers, writers = ([], [self.sock]) if writing else ([self.sock], [])
        select.select(readers, writers, [], POLL_SECONDS)
