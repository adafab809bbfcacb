"""Runs that one judge makes: read a request, run the tests, write the verdicts."""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cohort_cli.catalog import kit_root, read_project
from cohort_cli.checking import sandbox, tensors
from cohort_cli.checking.judge.players import Players, Terms
from cohort_cli.checking.judge.plugin import Verdicts, arguments
from cohort_cli.checking.results import CheckResult, to_dict


def serve(requests: int, events: int, players: Players) -> None:
    """One run per line, until the command closes our input or asks us to end (SIGTERM)."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        with os.fdopen(requests, encoding="utf-8") as lines, os.fdopen(events, "w", encoding="utf-8") as out:

            def tell(event: dict[str, Any]) -> None:
                out.write(json.dumps(event) + "\n")
                out.flush()

            for line in lines:
                run(json.loads(line), players, tell)
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    finally:
        players.close()


def _stop(number: int, frame: Any) -> None:
    raise KeyboardInterrupt  # the only exception that pytest lets through at once


def run(request: dict[str, Any], players: Players, tell: Any) -> None:
    """One run. The request's fields are those that client.py writes."""
    project = read_project(Path(request["project"]))
    started = time.monotonic()
    limits = sandbox.Limits(**request["limits"])
    level = request["isolation"] or sandbox.best_level()
    hidden = tuple({kit_root() / "projects", project.folder, kit_root() / "tests"} - {Path(request["work"])})
    rules = {rule.target: list(rule.ops) for rule in project.rules}

    terms = Terms(
        Path(request["work"]), hidden, project.blocked_imports, rules, level, request["seed"], limits
    )

    shown = set(request["ids"])
    already_ok = set(request["already_ok"])
    order = [id for id in project.with_needs(request["ids"]) if id in shown or id not in already_ok]

    def tell_result(result: CheckResult) -> None:
        if result.id in shown:
            tell({"event": "result", "result": to_dict(result)})

    if str(project.acceptance) not in sys.path:
        sys.path.insert(0, str(project.acceptance))  # tests of one project may share a module
    plugin = Verdicts(project, terms, players, request["seed"], order, already_ok, tell_result)
    infos = [info for info in project.checks if info.id in order]
    code = pytest.main(arguments(project, infos), plugins=[plugin])
    tell(
        {
            "event": "done",
            "seconds": time.monotonic() - started,
            "isolation": plugin.level or level,
            "pytest": int(code),
            "env": {
                "python": platform.python_version(),
                **({"torch": torch.__version__} if (torch := tensors.loaded()) else {}),
                "device": "cpu",
                "os": f"{platform.system()} {platform.release()}",
                "machine": platform.machine(),
            },
        }
    )
    sys.stderr.flush()
