"""torchrun, which ends with the process that started it:  python -m cohort_cli.training.torchrun --standalone …

torchrun's own processes are asked to save and stop when torchrun ends (stop.py); this asks the same of torchrun itself.
"""

from __future__ import annotations

import os
import runpy

from cohort_cli.training.stop import PARENT, die_with_parent


def main() -> None:
    die_with_parent()
    os.environ[PARENT] = str(os.getpid())  # for the processes that it will start
    runpy.run_module("torch.distributed.run", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
