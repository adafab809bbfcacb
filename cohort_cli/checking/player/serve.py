"""The player's loop: read a request, let the stage carry it out, answer. Runs inside the sandbox."""

from __future__ import annotations

import importlib.abc
import os
import sys
from collections.abc import Sequence
from typing import Any

from cohort_cli.checking import tensors
from cohort_cli.checking.player.stage import Stage
from cohort_cli.checking.wire import Channel, Closed, WireError


class BlockedImports(importlib.abc.MetaPathFinder):
    """Refuses libraries that would do the exercise for the member."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = frozenset(names)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname.partition(".")[0] in self.names:
            raise ImportError(f"{fullname} may not be used here: it would do the exercise for you")


def redirect_output(path: str) -> None:
    """Standard input is empty; what the member's code prints goes to a file that the judge reads afterwards."""
    sys.stdout.flush()
    sys.stderr.flush()
    output = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.close(empty)


def warm_up() -> None:
    """Load what torch loads only at first use, once, so that no check pays for it."""
    torch = tensors.loaded()
    if torch is None:
        return
    from cohort_cli.checking.player.recorder import OperatorRecorder

    layer = torch.nn.Linear(2, 2, dtype=torch.float64)
    x = torch.ones(2, 2, dtype=torch.float64, requires_grad=True)
    with OperatorRecorder(["aten::addmm"], []):
        y = layer(x)
    torch.autograd.grad(y.sum(), [x, layer.weight], allow_unused=True)
    torch.manual_seed(0)


def set_up(work: str, blocked: Sequence[str], seed: int) -> None:
    """The member's folder is importable, blocked libraries are not, and random numbers start at `seed`."""
    sys.path.insert(0, work)
    sys.meta_path.insert(0, BlockedImports(blocked))
    sys.dont_write_bytecode = True
    tensors.seed(seed)


def serve(channel: Channel, stage: Stage) -> None:
    """Answer requests until the judge says "end" or goes away. Returns after "end"."""
    while True:
        try:
            request, data = channel.receive()
        except Closed:
            os._exit(0)
        if request.get("op") == "end":
            return
        reply, raw = stage.handle(request, data)
        reply["id"] = request.get("id")
        sys.stdout.flush()
        try:
            channel.send(reply, raw)
        except WireError as error:
            if isinstance(error, Closed):
                os._exit(0)
            channel.send({"id": request.get("id"), "error": {"type": "Unsendable", "message": str(error)}})
