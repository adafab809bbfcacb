"""Trains a run's folder in the foreground: shows what the processes say, and passes requests to stop on to them.

    code = train(folder, processes)               once; what `cohort train` does
    code = train(folder, processes, limits)       what is killed is started again: supervise.py

Returns the exit code, or raises the CohortError that carries it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cohort_cli.errors import CohortError
from cohort_cli.launching import job
from cohort_cli.launching.here import handle_of
from cohort_cli.launching.job import Limits
from cohort_cli.launching.place import keep_handle
from cohort_cli.launching.supervise import go_on, supervised
from cohort_cli.training import launch
from cohort_cli.training.live import View, summary
from cohort_cli.training.report import write_report
from cohort_cli.training.runs import RunFolder

STOPS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGBREAK")


def train_here(folder: RunFolder, wanted: job.Job) -> int:
    """`--on here` in front: this process is the job's supervisor."""
    job.keep(wanted, folder.root)
    keep_handle(handle_of(os.getpid()), folder.root)
    folder.stop_path.unlink(missing_ok=True)  # of an earlier stop
    os.environ.update(wanted.env)
    return train(folder, wanted.resources.processes_per_node, wanted.limits)


def train(folder: RunFolder, processes: int, limits: Limits | None = None) -> int:
    config = folder.config()
    count, threads = launch.processes_for(config, processes), config.hardware.threads
    tell("run", str(folder.root))
    if limits is None:
        with launch.started(folder, count, threads) as (process, events):
            end = _shown(folder, events, lambda why: None if why == "SIGINT" else folder.request_stop())
            process.wait()
            code = process.returncode
    else:
        with supervised(folder, count, threads, limits) as (training, events):
            end, code = _shown(folder, events, training.stop), 0
    try:
        write_report(folder)
    except OSError as trouble:  # a full disk; how the run ended is still to be told
        tell("note", f"the report page could not be written: {trouble.strerror}")
    return _close(folder, end, code)


def _shown(folder: RunFolder, events: Iterator[dict[str, Any]], ask: Callable[[str], None]) -> dict[str, Any]:
    """Show the events; the last one, if it says how it ended. ask: with the name of a signal that asks to stop."""
    end: dict[str, Any] = {}
    with View() as view, _signals_are_theirs(view, ask):
        for event in events:
            view.show(event)
            end = event if event["event"] == "end" else end
    return end


@contextmanager
def _signals_are_theirs(view: View, ask: Callable[[str], None]) -> Iterator[None]:
    """A request to stop is the training processes' business: they save and end, and we go on listening.

    Ctrl-C reaches them too; the third one is ours. Another signal may have been meant for us alone, so it is passed on.
    """
    times = 0

    def heard(number: int, frame: Any) -> None:
        nonlocal times
        name = signal.Signals(number).name
        ask(name)
        if number != signal.SIGINT:
            view.note(f"stopping after {name}: the step is finished and saved")
            return
        times += 1
        if times == 1:
            view.note("stopping: the step is finished and saved. Ctrl-C again leaves at once")
        if times > 2:
            raise KeyboardInterrupt

    before = {}
    for name in STOPS:
        number = getattr(signal, name, None)  # Windows has few of them
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            before[number] = signal.signal(number, heard)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _close(folder: RunFolder, end: dict[str, Any], code: int) -> int:
    """The last words, and the exit code: what the run says of itself, or else what the process ended with."""
    if not end and code == -signal.SIGINT:
        tell("stopped", "before training began")
        return 130
    if not end:
        trouble = CohortError(
            f"The training process ended without a word (code {code}). Its last checkpoint is kept.",
            f"Read {folder.log_path}    then: {go_on(folder)}",
        )
        trouble.exit_code = 7
        raise trouble
    if end["state"] != "refused":  # else the folder is another process's
        for line in summary(folder):
            print(line)
    if end["state"] == "done":
        print(f"next: cohort runs show {folder.root.name}")
    elif end["state"] == "stopped":
        print(f"next: {go_on(folder)}")
    else:
        trouble = CohortError(end["message"], end["repair"])
        trouble.exit_code = int(end["exit"])
        raise trouble
    return int(end["exit"])


def tell(what: str, text: str) -> None:
    print(f"{what:<11} {text}", file=sys.stderr)
