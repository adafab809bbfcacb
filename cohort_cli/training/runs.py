"""A run's folder: everything that a run leaves behind, and its one reader and writer.

    runs/NAME/
      config.json        what was asked for, and whose parts; with it the run can go on on any machine
      environment.json   versions, device and threads of the process that trains
      tokenizer.json     what turns text into the ids of this model, and back
      data.json          which data it learns from, by its checksum
      status.json        state, step, message; replaced whole
      metrics.jsonl      a row per logged step, a row per evaluation; only ever appended to
      samples.jsonl      {"step", "prompt", "text", "seed"}
      checkpoints/       see checkpoint.py
      start/             the checkpoint of another run that this one starts from, if it does
      evaluations/       what its checkpoints scored; see evaluating/record.py
      log.txt  error.RANK.json  report.html
      lock.json          who trains here now; supervisor.json: who starts it again
      job.json  submitted.json   where it was sent, if it was; see launching/
      STOP               somebody asks to save and stop

    folder = RunFolder.create(path, config, project="project3", parts={...})
    folder = RunFolder.open(path);   all_runs(home);   find_run(home, name)
    with folder.lock(): folder.write_status("running", step, steps); folder.append_metrics({"step": 1, "loss": 4.2})

Readers never see half a file. A line that a killed writer tore is passed over. No torch: `cohort runs` reads this.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import shutil
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from cohort_cli import __version__
from cohort_cli.errors import BrokenManifest, DataTrouble, UsageError
from cohort_cli.fingerprint import code_sha256
from cohort_cli.manifest import did_you_mean
from cohort_cli.training import disk, guards
from cohort_cli.training import lock as locks
from cohort_cli.training.config import Config, from_dict, to_dict

SCHEMA = "cohort.run/1"
RECORD = {"created": str, "project": str, "parts": dict, "code": dict, "config": dict}  # of config.json
START = "start"  # the folder of a run's starting point, and how its config.json names it
STATES = ("new", "running", "stopped", "done", "failed", "killed")
# another one of these, and bits may differ
MATTERS = ("kit", "torch", "device", "precision", "threads", "processes", "system", "machine")


class Status(NamedTuple):
    state: str  # one of STATES; "killed" is never written: it says running, and nobody is there
    step: int
    steps: int
    message: str
    exit: int | None
    updated: str  # UTC, ISO 8601


class RunFolder:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkpoints = root / "checkpoints"
        self.stop_path = root / "STOP"
        self.log_path = root / "log.txt"
        self.report_path = root / "report.html"
        self.tokenizer_path = root / "tokenizer.json"
        self._metrics, self._samples = root / "metrics.jsonl", root / "samples.jsonl"
        self._lock: locks.Lock | None = None

    # --- made and found ----------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        root: Path,
        config: Config,
        *,
        project: str = "",
        parts: dict[str, str] | None = None,
        start_at: Path | None = None,
    ) -> RunFolder:
        """A new folder. `parts`: part -> folder of the member's code. Raises UsageError if there is one already.

        start_at: the checkpoint of another run whose weights this one starts from. It is kept in the new folder, by hard
        links where the disk can: what becomes of that run later changes nothing here.
        """
        folder = cls(root.absolute())
        if start_at is not None:
            config = with_start(config, f"{START}/{start_at.name}")
        record = {
            "schema": SCHEMA,
            "kit": __version__,
            "created": _now(),
            "project": project,
            "source": "mine" if parts else "reference",
            "parts": parts or {},
            "code": {part: code_sha256(Path(place)) for part, place in (parts or {}).items()},
            "config": to_dict(config),
        }
        try:
            disk.make_folders(root.parent)
            disk.make_folder(root)
            disk.sync_folder(root.parent)
            if start_at is not None:
                _keep_start(start_at, folder)
            folder._replace("config.json", record)
        except FileExistsError:
            raise UsageError(f"{root} exists already.", "Give the run another name: --name …") from None
        except OSError as error:
            raise guards.disk_trouble(error, str(root)) from None
        folder.write_status("new", 0, config.schedule.steps)
        return folder

    @classmethod
    def open(cls, root: Path) -> RunFolder:
        """An existing folder. Raises UsageError if it is none, BrokenManifest if it cannot be read."""
        if not (root / "config.json").is_file():
            raise UsageError(f"{root} is no run folder: it has no config.json.", "See: cohort runs list")
        folder = cls(root.absolute())
        folder._record()
        return folder

    def config(self) -> Config:
        config = from_dict(self._record()["config"], self.root / "config.json")
        if config.model.start_from.startswith(f"{START}/"):
            return with_start(config, str(self.root / config.model.start_from))
        return config

    def parts(self) -> dict[str, str]:
        """part -> folder of the member's code."""
        return dict(self._record()["parts"])

    def code(self) -> dict[str, str]:
        """part -> hash of the member's code when the run was started."""
        return dict(self._record()["code"])

    def project(self) -> str:
        return str(self._record()["project"])

    def created(self) -> str:
        return str(self._record()["created"])

    def change(self, config: Config) -> None:
        """Go on with other numbers. What they were before stays in the record, under "before"."""
        record = self._record()
        record["before"] = [*record.get("before", []), record["config"]]
        record["config"] = {**to_dict(config), "model": record["config"]["model"]}  # the network stays
        self._replace("config.json", record)

    def changed_parts(self) -> list[str]:
        """Parts whose code is no longer what the run was started with."""
        code = self._record()["code"]
        return [part for part, place in self.parts().items() if code.get(part) != code_sha256(Path(place))]

    # --- state -------------------------------------------------------------------------------------------

    def lock(self) -> locks.Lock:
        """with folder.lock(): ...  Raises RunIsTaken if a living process trains here."""
        self._lock = locks.Lock(self.root / "lock.json")
        return self._lock

    def is_running(self) -> bool:
        """Whether a living process trains here. A killed one does not count."""
        return locks.is_held(self.root / "lock.json")

    def write_status(
        self, state: str, step: int, steps: int, *, message: str = "", exit: int | None = None
    ) -> None:
        status = Status(state, step, steps, message, exit, _now())
        self._replace("status.json", {"schema": SCHEMA, **status._asdict()})

    def read_status(self) -> Status:
        try:
            table = _object(self.root / "status.json")
            status = Status(str(table["state"]), int(table["step"]), int(table["steps"]), str(table["message"]),
                            table["exit"], str(table["updated"]))  # fmt: skip
        except FileNotFoundError:  # killed between config.json and here
            return Status("new", 0, self.config().schedule.steps, "", None, self.created())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BrokenManifest(
                f"{self.root / 'status.json'} cannot be read: {error!r}.",
                "Delete that file: the run goes on from its newest checkpoint.",
            ) from None
        if status.state == "running" and not self.is_running():
            return status._replace(state="killed")
        return status

    def keep_data(self, source: str, identity: str, tokenizer: str, *, learned: bool) -> None:
        """Write down which data this run learns from, and the tokenizer that goes with its weights.

        learned: whether it has a checkpoint. Then neither may be another one. Raises DataTrouble if it is.
        """
        facts = {"identity": identity, "tokenizer": hashlib.sha256(tokenizer.encode()).hexdigest()}
        path = self.root / "data.json"
        if learned and path.is_file():
            try:
                before = _object(path)
            except (OSError, ValueError):
                raise BrokenManifest(
                    f"{path} cannot be read.", "Delete it, if the data is still the same."
                ) from None
            if any(before.get(key) != value for key, value in facts.items()):
                raise DataTrouble(
                    f"{source} is no longer the text that this run learned from.",
                    "Put that text back, or start a new run.",
                )
            if self.tokenizer_path.is_file():
                return
        self._replace_text(self.tokenizer_path, tokenizer)
        self._replace("data.json", {"schema": SCHEMA, "source": source, **facts})

    def write_environment(self, **facts: Any) -> list[str]:
        """Keep what this process runs on, with `facts` such as device and threads. Returns a note for each that
        was another one when the run was last started: it then goes on, but not bit for bit."""
        now = {
            "schema": SCHEMA,
            "kit": __version__,
            "python": platform.python_version(),
            "torch": metadata.version("torch"),
            "numpy": metadata.version("numpy"),
            "system": platform.system(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "processes": int(os.environ.get("WORLD_SIZE", "1")),
            **facts,
        }
        torch = sys.modules.get("torch")  # never loaded for this
        if torch is not None:
            now.setdefault("threads", torch.get_num_threads())
        before = self.read_environment()
        self._replace("environment.json", now)
        return [
            f"{key} was {before[key]} and is {now[key]} now: the run goes on, but not bit for bit as without a break"
            for key in MATTERS
            if key in before and key in now and before[key] != now[key]
        ]

    def read_environment(self) -> dict[str, Any]:
        try:
            return _object(self.root / "environment.json")
        except (FileNotFoundError, ValueError):
            return {}

    def write_error(self, rank: int, error: BaseException, step: int) -> None:
        table = {"error": type(error).__name__, "message": str(error), "step": step, "time": _now()}
        self._replace(f"error.{rank}.json", table)

    def read_errors(self) -> list[dict[str, Any]]:
        return [_object(path) for path in sorted(self.root.glob("error.*.json"))]

    def request_stop(self) -> None:
        self.stop_path.touch()

    def forget_trouble(self, before: float) -> None:
        """Before a new try: no errors of the last one, no files that a kill left half written, and no request to stop
        that is older than this process, which began at `before` (seconds since 1970)."""
        with contextlib.suppress(FileNotFoundError):
            if self.stop_path.stat().st_mtime < before:
                self.stop_path.unlink()
        for path in (*self.root.glob("error.*.json"), *self.root.glob(".*.tmp")):
            path.unlink(missing_ok=True)

    # --- rows --------------------------------------------------------------------------------------------

    def append_metrics(self, row: dict[str, Any]) -> None:
        """One row, which has a "step". Numbers that are not finite become null."""
        self._append(self._metrics, row)

    def read_metrics(self) -> list[dict[str, Any]]:
        """All rows, oldest first."""
        return [row for _, row in _rows(self._metrics)]

    def append_sample(self, row: dict[str, Any]) -> None:
        self._append(self._samples, row)

    def read_samples(self) -> list[dict[str, Any]]:
        return [row for _, row in _rows(self._samples)]

    def keep_metrics_until(self, step: int) -> None:
        """Drop rows and samples of later steps, and torn lines: the run goes on from `step`, and writes them again."""
        for path in (self._metrics, self._samples):
            try:
                kept = b"".join(line + b"\n" for line, row in _rows(path) if row["step"] <= step)
                if path.exists() and kept != path.read_bytes():
                    disk.replace_bytes(path, kept)
            except OSError as error:
                raise guards.disk_trouble(error, str(path)) from None

    def sync_metrics(self) -> None:
        """Make the rows as safe as the checkpoint that is about to be written."""
        for path in (self._metrics, self._samples):
            if path.exists():
                disk.sync(path)

    def best(self) -> dict[str, Any] | None:
        """The evaluation with the lowest validation loss, the first of equals."""
        scored = [row for row in self.read_metrics() if isinstance(row.get("validation_loss"), float)]
        return min(scored, key=lambda row: row["validation_loss"], default=None)

    def log(self, text: str) -> None:
        with self.log_path.open("a", encoding="utf-8") as file:
            file.write(f"{_now()} {text}\n")

    # --- inside ------------------------------------------------------------------------------------------

    def _record(self) -> dict[str, Any]:
        path = self.root / "config.json"
        try:
            record = _object(path)
            if record["schema"] != SCHEMA:
                raise ValueError(f"its schema is {record['schema']!r}, not {SCHEMA!r}")
            for key, kind in RECORD.items():
                if not isinstance(record[key], kind):
                    raise ValueError(f"{key} is no {kind.__name__}")
            return record
        except (ValueError, KeyError, OSError) as error:
            raise BrokenManifest(f"{path} cannot be read: {error}.", "Start a new run.") from None

    def require_ours(self) -> None:
        """Raises RunIsTaken if another process went on with this run while ours slept."""
        if self._lock is not None and self._lock.lost:
            raise locks.RunIsTaken(
                f"{self.root} was taken over by another process while this machine slept.",
                "Let that one go on. To go on here, stop it first.",
            )

    def _replace(self, name: str, table: dict[str, Any]) -> None:
        self._replace_text(self.root / name, json.dumps(_finite(table), indent=1))

    def _replace_text(self, path: Path, text: str) -> None:
        self.require_ours()
        try:
            disk.replace_bytes(path, text.encode("utf-8"))
        except OSError as error:
            raise guards.disk_trouble(error, str(path)) from None

    def _append(self, path: Path, row: dict[str, Any]) -> None:
        self.require_ours()
        try:
            disk.append_line(path, json.dumps(_finite(row), allow_nan=False).encode())
        except OSError as error:
            raise guards.disk_trouble(error, str(path)) from None


def with_start(config: Config, start_from: str) -> Config:
    return config._replace(model=config.model._replace(start_from=start_from))


def _keep_start(checkpoint: Path, folder: RunFolder) -> None:
    """The checkpoint's files and its run's tokenizer, in the folder of a run that starts from it."""
    place = folder.root / START / checkpoint.name
    place.mkdir(parents=True)
    for path in checkpoint.iterdir():
        try:
            os.link(path, place / path.name)
        except OSError:  # another disk, or one without links
            shutil.copyfile(path, place / path.name)
            disk.sync(place / path.name)
    disk.sync_folder(place)
    shutil.copyfile(checkpoint.parent.parent / folder.tokenizer_path.name, folder.tokenizer_path)


def all_runs(home: Path) -> list[RunFolder]:
    """Every run folder that can be read, newest first."""
    found = []
    for path in home.iterdir() if home.is_dir() else ():
        try:
            found.append(RunFolder.open(path))
        except (UsageError, BrokenManifest):
            continue  # something else, or half of one
    return sorted(found, key=lambda run: (run.created(), run.root.name), reverse=True)


def find_run(home: Path, name: str) -> RunFolder:
    """The run of this name, or of this path. Raises UsageError, with names that are close."""
    for path in (home / name, Path(name)):
        if (path / "config.json").is_file():
            return RunFolder.open(path)
    names = [run.root.name for run in all_runs(home)]
    raise UsageError(f"There is no run {name!r} in {home}.", did_you_mean(name, names))


def _rows(path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    """(line, row) of each line that can be read."""
    rows = []
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    for line in lines[:-1]:  # what follows the last line break was cut off
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append((line, row))
    return rows


def _object(path: Path) -> dict[str, Any]:
    table = json.loads(path.read_bytes())
    if not isinstance(table, dict):
        raise ValueError("it is no JSON object")
    return table


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, list | tuple) else value


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
