"""The run that the commands' tests train once is the one that is packed here, too."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def _of_commands() -> ModuleType:
    path = Path(__file__).parent.parent / "commands" / "conftest.py"
    spec = importlib.util.spec_from_file_location("conftest_of_commands", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# crashing.py: a disk that stops at each operation
sys.path.append(str(Path(__file__).parent.parent / "training"))
_commands = _of_commands()
trained_once, runs, evil = _commands.trained_once, _commands.runs, _commands.evil
