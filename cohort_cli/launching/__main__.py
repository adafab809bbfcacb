"""Looks after one run's job in the background:  python -m cohort_cli.launching RUN

`cohort train --on here --detach` starts it. What it says goes into the run's here.log.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cohort_cli.errors import BrokenManifest, CohortError
from cohort_cli.launching import foreground, job
from cohort_cli.prose import clean
from cohort_cli.training.runs import RunFolder


def main() -> int:
    try:
        folder = RunFolder.open(Path(sys.argv[1]))
        wanted = job.read(folder.root)
        if wanted is None:
            raise BrokenManifest(f"{folder.root} has no {job.FILE}.", "Send the run again.")
        os.environ.update(wanted.env)
        return foreground.train(folder, wanted.resources.processes_per_node, wanted.limits)
    except CohortError as trouble:
        print(f"cohort: {clean(trouble.message)}\n  {clean(trouble.repair)}", file=sys.stderr)
        return trouble.exit_code


if __name__ == "__main__":
    sys.exit(main())
