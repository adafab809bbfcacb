"""The run's folder to a cluster behind ssh, and back: one tar through one connection each way.

A member's own parts go along, in RUN/parts, and config.json there names that place. What comes back are files and
folders only, below the run's folder; the folder's config.json here stays, for the parts here are the member's.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cohort_cli.errors import CohortError, UsageError
from cohort_cli.launching.job import Job
from cohort_cli.launching.slurm_script import FILE as SCRIPT

if TYPE_CHECKING:
    from cohort_cli.launching.slurm import Slurm

STAYS = (
    "STOP",
    "lock.json",
    "submitted.json",
    "config.json",
    "job.json",
)  # never overwritten by what comes back
LEFT_OUT = {
    ".git",
    "__pycache__",
    ".venv",
    "runs",
    "data",
    ".cohort",
    ".pytest_cache",
}  # of a member's folder
COPY_SECONDS = 3600.0

# $0 is the run's folder. Standard input: a line for each secret, then a tar. A folder that was not there before goes
# away again if Slurm does not take the job.
_SUBMIT = """\
set -e
{secrets}
new=yes; [ -e "$0" ] && new=no
mkdir -p "$0"
if tar -xf - -C "$0" && rm -f "$0/STOP" "$0/restarts.json" && sbatch --parsable "$0/{script}"; then exit 0; fi
[ $new = no ] || rm -rf "$0"
exit 1
"""


def submit(place: Slurm, job: Job, run: Path) -> subprocess.CompletedProcess[str]:
    """Copy the folder there and send its job, in one connection. Values of secrets go through it and nowhere else."""
    there = place.folder(run)
    secrets = [os.environ.get(name, "") for name in job.secrets]
    if any("\n" in value for value in secrets):
        raise UsageError("A secret with a line break cannot be sent over ssh.", "Put it into a file there.")
    lines = "\n".join(f"IFS= read -r {name}; export {name}" for name in job.secrets)
    words = place.there(("sh", "-c", _SUBMIT.format(secrets=lines, script=SCRIPT), there))
    with tempfile.TemporaryFile() as packed:
        packed.write("".join(f"{value}\n" for value in secrets).encode())
        pack(run, there, packed)
        packed.seek(0)
        done = subprocess.run(words, stdin=packed, capture_output=True, timeout=COPY_SECONDS, check=False)
    texts = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(words, done.returncode, *texts)


def pack(run: Path, there: str, into: Any) -> None:
    """The run's folder as a tar, with the member's parts, whose places are named as they are `there`."""
    record = json.loads((run / "config.json").read_bytes())
    places = {
        folder: f"parts/{number}" for number, folder in enumerate(sorted(set(record["parts"].values())))
    }
    record["parts"] = {part: f"{there}/{places[folder]}" for part, folder in record["parts"].items()}
    with tarfile.open(fileobj=into, mode="w") as tar:
        for path in sorted(run.iterdir()):
            if (
                path.name not in ("config.json", "STOP", "lock.json", "submitted.json")
                and path.name[0] != "."
            ):
                tar.add(path, path.name, filter=_plain)
        for folder, place in places.items():
            tar.add(folder, place, filter=_plain)
        text = json.dumps(record, indent=1).encode()
        entry = tarfile.TarInfo("config.json")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))


def fetch(place: Slurm, into: Path, wanted: Callable[[str], bool]) -> list[str]:
    """The run's folder from there. Each file is whole or not there: it is written aside first."""
    words = place.there(("tar", "-cf", "-", "-C", place.folder(into), "."))
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=into.parent) as aside:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
                for entry in tar:
                    place_in, data = PurePosixPath(entry.name), tar.extractfile(entry)
                    if data is None or not entry.isfile() or not wanted(str(place_in)):
                        continue
                    if place_in.is_absolute() or ".." in place_in.parts:
                        continue  # nothing of ours is called so
                    target = Path(aside, place_in)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with target.open("wb") as file:
                        shutil.copyfileobj(data, file)
        except tarfile.TarError as error:
            said = process.stderr.read().decode("utf-8", "replace").strip()
            trouble = CohortError(
                f"{into.name} cannot be fetched: {said or error}", "Run the same command again."
            )
            trouble.exit_code = 8
            raise trouble from None
        finally:
            process.stdout.close()
            process.stderr.close()
            process.wait()
        return copy(Path(aside), into, wanted)


def copy(source: Path, into: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Files of one folder into another. Nothing happens if it is the same one."""
    if source.resolve() == into.resolve():
        return []
    names = []
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source).as_posix()
        if (
            not path.is_file()
            or path.is_symlink()
            or name in STAYS
            or name.startswith(("parts/", "."))
            or not wanted(name)
        ):
            continue
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target.with_name(f".{target.name}.tmp"))
        target.with_name(f".{target.name}.tmp").replace(target)
        names.append(name)
    return names


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Files and folders, of nobody in particular; not what can be made again."""
    if not (entry.isfile() or entry.isdir()) or LEFT_OUT & set(PurePosixPath(entry.name).parts):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
