"""`cohort doctor --hello`: the smallest training there is, so that a new member has seen one on their own machine.

A line, y = w x + b, is fitted to 32 points of y = 3 x + 2 by gradient descent. The two numbers it ends with are known
beforehand, so a machine that comes to others computes wrongly.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import cohort_cli
from cohort_cli.errors import EnvironmentTrouble
from cohort_cli.prose import clean

STEPS = 200
GOOD = 1e-3  # mean squared error; the untrained line has about 7
SECONDS = 180

# Runs in a process of its own, because a broken torch may end the process. Prints one JSON object.
SCRIPT = """
import json, platform, sys, time
import torch
device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
torch.manual_seed(0)
x = torch.linspace(-1, 1, 32, device=device)
y = 3 * x + 2
w = torch.zeros(1, device=device, requires_grad=True)
b = torch.zeros(1, device=device, requires_grad=True)
start, first = time.perf_counter(), None
for _ in range(int(sys.argv[1])):
    loss = ((w * x + b - y) ** 2).mean()
    first = loss.item() if first is None else first
    loss.backward()
    with torch.no_grad():
        for parameter in (w, b):
            parameter -= 0.1 * parameter.grad
            parameter.grad = None
with torch.no_grad():
    loss = ((w * x + b - y) ** 2).mean()
name = torch.cuda.get_device_name(0) if device == "cuda" else device
print(json.dumps({"w": w.item(), "b": b.item(), "first_loss": first, "loss": loss.item(), "device": name,
                  "seconds": time.perf_counter() - start, "torch": torch.__version__,
                  "python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}"}))
"""


def hello(steps: int = STEPS) -> dict[str, Any]:
    """Train the line. Raises EnvironmentTrouble where torch does not start, or computes something else."""
    try:
        run = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(steps)],
            env={**os.environ, "PYTHONUTF8": "1"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
        found: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        raise EnvironmentTrouble(f"The training did not end within {SECONDS} s.", "cohort doctor") from None
    except (ValueError, IndexError):
        last = (run.stderr.strip().splitlines() or [f"it ended with exit code {run.returncode}"])[-1]
        raise EnvironmentTrouble(f"torch does not start: {clean(last)}", "cohort doctor") from None
    found["steps"] = steps
    if not found["loss"] < GOOD:  # not a number is not good either
        raise EnvironmentTrouble(
            f"After {steps} steps the loss is {found['loss']:g}; it should be below {GOOD:g}. "
            f"The line is y = {found['w']:.2f} x + {found['b']:.2f} and should be y = 3.00 x + 2.00.",
            "cohort doctor",
        )
    return found


def line(found: dict[str, Any]) -> str:
    """One line for the group's chat. No name, no path: nothing of the person."""
    return (
        f"hello from cohort {cohort_cli.__version__}: learned y = {found['w']:.2f} x + {found['b']:.2f} in "
        f"{found['steps']} steps, loss {found['first_loss']:.2f} -> {found['loss']:.0e} "
        f"({found['device']}, torch {found['torch']}, Python {found['python']}, {found['system']})"
    )
