"""A fuzzer that follows coverage finds nothing in the loader. A minute here, five by night; see fuzz/fuzz_entry.py."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import REPO

SECONDS = 300 if os.environ.get("HYPOTHESIS_PROFILE") == "night" else 60
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("atheris") is None, reason="needs atheris: pip install -e '.[fuzz]'"
    ),
]


SCRIPT = REPO / "tests" / "showcase" / "fuzz" / "fuzz_entry.py"


def fuzzed(script: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    command = [sys.executable, str(script), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_the_fuzzer_finds_nothing_in_the_loader() -> None:
    ended = fuzzed(SCRIPT, str(SECONDS))
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-1000:]
    runs = re.search(r"Done (\d+) runs", ended.stderr)
    first, *_, last = re.findall(r"cov: (\d+)", ended.stderr)
    assert runs is not None
    assert int(runs[1]) > 1000, "it did not get far"
    assert int(last) > int(first) > 100, "it does not see what is covered"


def test_the_fuzzer_would_say_so(tmp_path: Path) -> None:
    """A loader that raises anything but Refused ends the fuzzer, with a traceback and the input."""
    start = tmp_path / "start.py"
    start.write_text(
        "import runpy\nfrom cohort_cli.showcase import strict\nstrict.text = None\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n",
        encoding="utf-8",
    )
    ended = fuzzed(start, "20", f"-artifact_prefix={tmp_path}{os.sep}")
    assert ended.returncode != 0
    assert "TypeError" in ended.stdout
    assert list(tmp_path.glob("crash-*"))
