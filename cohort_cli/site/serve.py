"""Shows the site on this machine, and builds it again when a guide or an entry changes."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cohort_cli.errors import CohortError, EnvironmentTrouble

HOST = "127.0.0.1"  # never another address: a draft is for the person who writes it


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing about each."""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")  # a page built again must be seen
        super().end_headers()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle of a file is no trouble of ours."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def start_server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """Serve `folder` in a thread of its own. Port 0 takes a free one; `server.server_port` tells which.

    Stop it with `server.shutdown()` and `server.server_close()`.
    """
    try:
        server = _Server((HOST, port), partial(_Quiet, directory=str(folder)))
    except OSError as trouble:
        raise EnvironmentTrouble(
            f"Port {port} on {HOST} cannot be used: {trouble.strerror or trouble}.",
            "Choose another: cohort site serve --port 8001",
        ) from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def rebuild_on_change(
    kit: Path,
    build: Callable[[], object],
    say: Callable[[str], None],
    ready: Callable[[], None],
    also: Sequence[Path] = (),
) -> None:
    """Build again after each change, until Ctrl-C. A broken guide is told, and the last site stays.

    `ready` is called once, when the watch is on: a change made after it is not missed. also: what else is watched.
    """
    from watchfiles import watch

    logging.getLogger("watchfiles").setLevel(logging.ERROR)  # Ctrl-C is the normal end, not a warning
    folders = [*(kit / name for name in ("docs", "projects", "meetings", "mkdocs.yml")), *also]
    watched = [path for path in folders if path.exists()]
    announced = False
    for changes in watch(*watched, raise_interrupt=False, yield_on_timeout=True, rust_timeout=200):
        if not announced:
            ready()
            announced = True
        if not changes:
            continue
        names = sorted({Path(name).name for _, name in changes})
        try:
            build()
            say(f"built again: {', '.join(names)}")
        except CohortError as trouble:
            say(f"not built: {trouble.message}")
