"""A job for Hugging Face: what the program `hf` sends to an endpoint on this machine, and what its shell does."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from rented import ended, linux, new_run, program, python_stub, shell

from cohort_cli.errors import UsageError
from cohort_cli.launching import carried, hf
from cohort_cli.launching import job as jobs
from cohort_cli.launching.job import Job, Limits, Resources
from cohort_cli.launching.place import Handle
from cohort_cli.launching.settings import HuggingFace as Settings
from cohort_cli.training.runs import RunFolder

PLACE = hf.Hf(Settings(bucket="ada/runs", kit="cohort-kit==0.1.0"))
JOB = Job(
    "/home/ada/runs/first",
    "project3",
    "smoke",
    Resources(gpus=1, gpu_types=("h100", "L4")),
    Limits(walltime=7200),
    (("NOTE", "one two"),),
    ("A_SECRET",),
)
NUMBER = "687fb701029421ae5549d998"
ANSWER = {
    "id": NUMBER, "createdAt": "2026-11-27T00:00:00.000Z", "dockerImage": "python:3.12", "spaceId": None,
    "command": [], "arguments": [], "environment": {}, "secrets": {}, "flavor": "l4x1", "type": "job",
    "status": {"stage": "RUNNING", "message": None}, "owner": {"id": "1", "name": "ada", "type": "user"},
}  # fmt: skip
HARDWARE = [
    {
        "name": "l4x1", "prettyName": "1x L4", "cpu": "8 vCPU", "ram": "30 GB", "ephemeralStorage": "400 GB",
        "accelerator": None, "unitCostMicroUSD": 13333, "unitCostUSD": 0.013333, "unitLabel": "minute",
    }
]  # fmt: skip


class Endpoint(BaseHTTPRequestHandler):
    """As much of the hub as `hf jobs` asks for. It keeps every request."""

    asked: list[tuple[str, str, Any]]

    def log_message(self, *words: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.asked.append(("GET", self.path, None))
        if self.path == "/api/whoami-v2":
            return self._say({"name": "ada", "type": "user", "orgs": []})
        if self.path == "/api/jobs/hardware":
            return self._say(HARDWARE)
        return self._say(ANSWER) if self.path.startswith("/api/jobs/ada/") else self._say({}, 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}")
        self.asked.append(("POST", self.path, body))
        self._say(ANSWER)

    def _say(self, table: Any, code: int = 200) -> None:
        data = json.dumps(table).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, Any]]]:
    """The real program hf, with a dummy token, and a hub that is on this machine."""
    if not (Path(sys.executable).parent / "hf").is_file():
        pytest.skip("the program hf (huggingface_hub) is not installed")
    asked: list[tuple[str, str, Any]] = []
    handler = type("Handler", (Endpoint,), {"asked": asked})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for name, value in {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_TOKEN": "hf_dummy_token",
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "0",
        "A_SECRET": "hush-hush-hush",
    }.items():
        monkeypatch.setenv(name, value)
    yield asked
    server.shutdown()
    server.server_close()


def test_the_request_is_the_job(endpoint: list[tuple[str, str, Any]], tmp_path: Path) -> None:
    run = new_run(tmp_path / "first").root
    (run / ".hf.env").write_text("of a try that was killed")
    handle = PLACE.submit(JOB._replace(run=str(run)), PLACE.render(JOB), run)
    assert handle.id == NUMBER
    [(_, path, body)] = [one for one in endpoint if one[0] == "POST"]
    assert path == "/api/jobs/ada"
    given = body["environment"].pop("COHORT_GIVEN")
    assert body == {
        "command": ["bash", "-c", hf.UNPACK + "hf.sh"],
        "arguments": [],
        "environment": {"NOTE": "one two"},
        "secrets": {"A_SECRET": "hush-hush-hush"},  # encrypted there; here it is in no file
        "flavor": "l4x1",
        "timeoutSeconds": 7200,
        "labels": {"name": "first"},
        "volumes": [{"type": "bucket", "source": "ada/runs", "mountPath": "/cohort"}],
        "dockerImage": "python:3.12",
    }
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(given))) as packed:
        assert sorted(packed.getnames()) == ["config.json", "hf.sh", "status.json"]
    assert not (run / ".hf.env").exists()
    assert not any(b"hush" in path.read_bytes() for path in run.rglob("*") if path.is_file())
    found = PLACE.status(handle)
    assert (found.state, found.says) == ("running", "RUNNING")


def test_token_and_price_are_checked(endpoint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PLACE.check(JOB) == []
    cheap, dear = (JOB._replace(limits=Limits(7200, max_usd_per_hour=cap)) for cap in (0.5, 1.0))
    assert [problem.what for problem in PLACE.check(cheap)] == [
        "l4x1 costs 0.80 USD per hour, more than 0.50."
    ]
    assert PLACE.check(dear) == []
    monkeypatch.delenv("HF_TOKEN")
    assert [problem.repair for problem in PLACE.check(JOB)] == ["hf auth login"]
    monkeypatch.setenv("HF_TOKEN", "hf_dummy_token")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")  # nobody is there
    [problem] = PLACE.check(JOB)
    assert "could not ask" in problem.what


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("A_SECRET", raising=False)
    says = " ".join(" ".join(one) for one in hf.Hf(Settings()).check(JOB._replace(limits=Limits())))
    for words in ("kit =", "hf buckets create", "--walltime", "A_SECRET is not set", "huggingface_hub"):
        assert words in says


@pytest.mark.parametrize(
    ("resources", "says"),
    [
        (Resources(nodes=2), "has one machine"),
        (Resources(gpus=3, gpu_types=("L4",)), "no machine with 3 x L4"),
        (Resources(gpus=1), "no machine with 1 x GPU of any kind"),
    ],
)
def test_what_no_flavor_is_is_refused(resources: Resources, says: str) -> None:
    for act in (PLACE.render, PLACE.check):
        with pytest.raises(UsageError, match=says):
            act(JOB._replace(resources=resources))


@linux
def test_the_command_unpacks_and_trains_in_the_bucket(tmp_path: Path) -> None:
    run, job = new_run(tmp_path / "first"), JOB._replace(resources=Resources(gpus=4, gpu_types=("L4",)))
    rendered = PLACE.render(job)
    bucket, given = tmp_path / "bucket", tmp_path / "given"
    (run.root / "hf.sh").write_text(rendered.files["hf.sh"].replace("RUN=/cohort/", f"RUN={bucket}/"))
    command = rendered.command[-1].replace("/given", str(given))
    environment = {
        "COHORT_GIVEN": carried.packed(run.root, "hf"),
        "COHORT_PYTHON": str(python_stub(tmp_path / "bin")),
        "HF_TOKEN": "hf_dummy_token",
    }
    code, said = ended(shell(command, tmp_path, **environment))
    assert (code, said) == (0, "pip install --quiet --root-user-action=ignore cohort-kit==0.1.0\n")
    words = json.loads((bucket / "first" / "argv.0.json").read_text())
    assert {"--standalone", "--nproc-per-node=4"} <= set(words)
    assert json.loads((bucket / "first" / "status.json").read_text()) == {"state": "done", "secret": True}


@linux
def test_a_job_is_asked_to_save_before_it_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
import json, os, pathlib, sys
words = sys.argv[1:]
log = pathlib.Path(os.environ["HF_LOG"])
with log.open("a") as file:
    print(" ".join(words), file=file)
stage = "COMPLETED" if os.environ.get("HF_STOPS") and "STOP" in log.read_text() else "RUNNING"
if words[1] == "inspect":
    print(json.dumps([{"id": words[2], "status": {"stage": stage, "message": "m"}}]))
"""
    program(tmp_path / "bin", "hf", text)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HF_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(hf, "POLL_SECONDS", 0.01)
    run = new_run(tmp_path / "first").root
    jobs.keep(JOB._replace(limits=Limits(walltime=60, grace=1)), run)
    PLACE.cancel(Handle("hf", "1"), run)
    said = (tmp_path / "log").read_text()
    assert 0 < said.index("hf://buckets/ada/runs/first/STOP") < said.index("jobs cancel 1")
    monkeypatch.setenv("HF_STOPS", "1")
    (tmp_path / "log").unlink()
    PLACE.cancel(Handle("hf", "1"), run)  # it saved and ended: nothing is left to cancel
    assert "jobs cancel" not in (tmp_path / "log").read_text()
    assert PLACE.status(Handle("hf", "1")).state == "gone"


@linux
def test_a_run_comes_back_from_the_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
import pathlib, sys
verb, source, target, *words = sys.argv[2:]
assert source == "hf://buckets/ada/runs/first"
assert words[:4] == ["--include", "*.json", "--exclude", "job.json"], words
pathlib.Path(target, "status.json").touch()
"""
    program(tmp_path / "bin", "hf", text)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    into = tmp_path / "first"
    into.mkdir()
    assert PLACE.fetch(Handle("hf", "1"), JOB._replace(outputs=("*.json",)), into) == ["status.json"]


# --- what is carried along -------------------------------------------------------------------------------------


def test_the_members_code_goes_along(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    for name in ("gpt.py", "deep/more.py", "notes.txt", ".venv/x.py"):
        path = mine / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    run = new_run(tmp_path / "first", parts={"model": str(mine), "optimizer": str(mine)})
    carried.require_portable(run.root)
    carried.require_portable(run.root)  # sent a second time
    moved = RunFolder.open(run.root.rename(tmp_path / "elsewhere"))
    for part in ("model", "optimizer"):
        assert moved.parts()[part].startswith(str(moved.root))
    folder = Path(moved.parts()["model"])
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.py")) == [
        "deep/more.py",
        "gpt.py",
    ]
    assert moved.changed_parts() == []
    (mine / "gpt.py").write_text("# changed later\n")
    assert moved.changed_parts() == []


@pytest.mark.parametrize("what", ["source", "tokenizer"])
def test_a_file_of_this_machine_is_refused(what: str, tmp_path: Path) -> None:
    text = tmp_path / "mine.txt"
    text.write_text("x")
    run = new_run(tmp_path / "first", f"data.{what}={json.dumps(str(text))}")
    with pytest.raises(UsageError, match="other machine does not have"):
        carried.require_portable(run.root)


def test_a_large_run_is_refused_and_its_own_checkpoints_stay(tmp_path: Path) -> None:
    from cohort_cli.launching.place import keep_handle

    run = new_run(tmp_path / "first").root
    before = carried.packed(run, "hf")
    assert before == carried.packed(run, "hf")
    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "weights").write_bytes(os.urandom(carried.LIMIT + 1))
    with pytest.raises(UsageError, match="too large"):
        carried.packed(run, "hf")
    keep_handle(Handle("hf", "1"), run)  # its bucket has them
    assert len(carried.packed(run, "hf")) < carried.LIMIT


@pytest.mark.parametrize(
    ("kit", "fine"),
    [
        ("cohort-kit==0.1.0", True),
        ("cohort-kit[train] @ git+https://git.example.org/g/kit@v0.1.0", True),
        ("https://example.org/cohort_kit-0.1.0-py3-none-any.whl", True),
        ("cohort-kit", False),
        ("cohort-kit>=0.1", False),
        ("git+ssh://git@git.example.org/g/kit", False),
        ("", False),
    ],
)
def test_the_kit_must_be_one_version(kit: str, fine: bool) -> None:
    assert (carried.install_problem(kit, "hf") == []) is fine
