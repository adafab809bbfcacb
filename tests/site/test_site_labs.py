"""A lab that is run for its page."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from cohort_cli.site import labs

pytest.importorskip("nbclient")


@pytest.mark.skipif(os.name == "nt", reason="nbclient leaves Ctrl-C alone there")
def test_ctrl_c_in_a_lab_is_ctrl_c_and_no_bug(tmp_path: Path) -> None:
    began, path = tmp_path / "began", tmp_path / "lab.py"
    path.write_text(
        f"# %%\nimport pathlib, time\npathlib.Path({str(began)!r}).touch()\ntime.sleep(60)\n",
        encoding="utf-8",
    )
    done = threading.Event()

    def interrupt() -> None:
        while not began.exists() and not done.wait(0.05):
            pass
        if not done.is_set():
            os.kill(os.getpid(), signal.SIGINT)

    waiting = threading.Thread(target=interrupt)
    waiting.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            labs.run(path, None)
    finally:
        done.set()
        waiting.join()
