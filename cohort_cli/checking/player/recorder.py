"""Which forbidden torch operators ran: for steps that ask a member to write something themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class OperatorRecorder(TorchDispatchMode):
    """Writes into `seen` which of the operators in `forbidden` ran while it was entered."""

    def __init__(self, forbidden: Sequence[str], seen: list[str]) -> None:
        super().__init__()
        self.forbidden = forbidden
        self.seen = seen

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No compiler here: torch would otherwise import all of it (about a second) at the first operator."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().split(".")[0]  # "aten::_softmax.out" is the operator "aten::_softmax"
        if name in self.forbidden and name not in self.seen:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))
