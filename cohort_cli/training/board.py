"""TensorBoard's curves beside the run folder's own, for those who like them: `--set run.tensorboard=true`.

Written by TensorBoard's own writer into RUN/tensorboard. Look at them with: tensorboard --logdir runs
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cohort_cli.errors import EnvironmentTrouble

Tell = Callable[[dict[str, Any]], None]
CURVES = ("step", "eval")  # the events that are numbers at a step


def also(tell: Tell, folder: Path) -> Tell:
    """A `tell` that writes the numbers of steps and evaluations down as well.

    Raises EnvironmentTrouble without the library.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise EnvironmentTrouble(
            "run.tensorboard is true, but TensorBoard is not installed.", 'pip install "cohort-kit[train]"'
        ) from None
    writer: Any = None

    def both(event: dict[str, Any]) -> None:
        nonlocal writer
        tell(event)
        if event["event"] == "start":  # what a killed run wrote beyond this step is hidden
            writer = SummaryWriter(str(folder / "tensorboard"), purge_step=event["step"] + 1)
        if event["event"] in CURVES and writer is not None:
            for name, value in event.items():
                if isinstance(value, float) and name != "seconds_left":
                    writer.add_scalar(name, value, event["step"])
        if writer is not None and event["event"] != "step":
            writer.flush()

    return both
