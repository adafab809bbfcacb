"""A task for SkyPilot: what is refused, what its shell does on two machines, and how `sky` is called."""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path

import pytest
from rented import QUICK, ended, linux, new_run, program, python_stub, shell
from support import REPO

from cohort_cli.errors import CohortError, UsageError
from cohort_cli.launching import job as jobs
from cohort_cli.launching.job import Job, Limits, Resources
from cohort_cli.launching.place import Handle
from cohort_cli.launching.settings import Sky as Settings
from cohort_cli.launching.sky import Sky
from cohort_cli.launching.yaml_text import dump
from cohort_cli.training.runs import RunFolder

KIT = "cohort-kit==0.1.0"
JOB = Job("/home/ada/runs/first", "project3", "smoke", limits=Limits(walltime=7200))
PLACE = Sky(Settings(bucket="s3://our-runs", kit=KIT))


def task(place: Sky, job: Job) -> dict:
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load(place.render(job).files["sky.yaml"])


def test_yaml_means_what_was_put_in() -> None:
    yaml = pytest.importorskip("yaml")
    table = {
        "no": "no",
        "a b": ["1e3", "~", "é"],
        "deep": {"true": True, "n": 1.5, "none": {}},
        "run": "a: b\n  c\n\n# d\n",
        "odd": "  begins\nends",
        "tab": "a\tb\n",
    }
    assert yaml.safe_load(dump(table)) == table


def test_the_job_becomes_resources() -> None:
    job = JOB._replace(
        resources=Resources(2, 8, ("a100", "H100"), cpus=16, memory_gb=200, disk_gb=500, spot=True),
        limits=Limits(walltime=3600, grace=60, idle_minutes=5, max_usd_per_hour=50),
        env=(("A", "1"),),
    )
    place = Sky(Settings(infra="k8s", bucket="/mnt/shared/runs", kit=KIT))
    found = task(place, job)
    assert found["num_nodes"] == 2
    assert found["envs"] == {"A": "1"}
    assert found["resources"] == {
        "infra": "k8s",
        "accelerators": ["A100-80GB:8", "H100:8"],
        "cpus": "16+",
        "memory": "200+",
        "disk_size": 500,
        "use_spot": True,
        "max_hourly_cost": 25.0,  # of each machine
        "autostop": {"idle_minutes": 5, "down": True},
    }
    assert "file_mounts" not in found
    assert "RUN=/mnt/shared/runs/first\n" in found["run"]


def test_the_order_of_preference_is_kept_and_a_gpu_needs_its_kind() -> None:
    with pytest.raises(UsageError, match="which GPU"):
        PLACE.render(JOB._replace(resources=Resources(gpus=1)))


def test_what_would_lose_money_or_the_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("A_SECRET", raising=False)
    job = JOB._replace(resources=Resources(nodes=2), limits=Limits(), secrets=("A_SECRET",))
    says = " ".join(" ".join(problem) for problem in Sky(Settings()).check(job))
    for words in ("kit =", "bucket =", "--walltime", "--nodes 1", "A_SECRET is not set", "uv tool install"):
        assert words in says
    unpinned = Sky(Settings(bucket="s3://x", kit="git+https://git.example.org/kit"))
    assert "names no version" in unpinned.check(JOB)[0].what


@linux
@pytest.mark.parametrize(
    ("answer", "says"), [('{"default": {}}', "credentials"), ('{"default": ["AWS"]}', "")]
)
def test_credentials_are_asked_for(
    answer: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "sky", f"print('Starting a server')\nprint('''{answer}''')")
    monkeypatch.setenv("PATH", str(tmp_path))
    problems = PLACE.check(JOB)
    assert [says in problem.what for problem in problems] == ([True] if says else [])


# --- the run block ---------------------------------------------------------------------------------------------


@linux
def test_one_machine_trains_in_the_bucket(tmp_path: Path) -> None:
    sent, home = new_run(tmp_path / "sent").root, tmp_path / "home"
    run = home / "cohort" / "bucket" / "first"
    run.mkdir(parents=True)
    (run / "status.json").write_text('{"of": "before"}')
    (run / "config.json").write_text("{}")
    text = task(PLACE, JOB)["run"]
    # what stood there stays, and only the numbers of the job are new
    code, said = ended(shell(text.replace("timeout ", "true "), sent, HOME=str(home)))
    assert (code, said) == (0, "")
    assert json.loads((run / "status.json").read_text()) == {"of": "before"}
    assert (run / "config.json").read_bytes() == (sent / "config.json").read_bytes()
    environment = {"HOME": str(home), "COHORT_PYTHON": str(python_stub(tmp_path / "bin"))}
    code, said = ended(shell(text, sent, **environment))
    assert (code, said) == (0, "")
    assert json.loads((run / "argv.0.json").read_text()) == ["-m", "cohort_cli.training", str(run)]
    assert json.loads((run / "status.json").read_text())["state"] == "done"


@linux
def test_two_machines_meet_at_the_first_ones_address(tmp_path: Path) -> None:
    sent, shared = new_run(tmp_path / "sent").root, tmp_path / "shared"
    place = Sky(Settings(bucket=str(shared), kit=KIT))
    job = JOB._replace(resources=Resources(2, 4, ("H100",)))
    text = task(place, job)["run"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "SKYPILOT_NODE_IPS": "127.0.0.1\n127.0.0.2",
        "SKYPILOT_NUM_NODES": "2",
        "SKYPILOT_NUM_GPUS_PER_NODE": "4",
        "SKYPILOT_TASK_ID": "sky-1",
        "COHORT_PORT": str(port),
        "COHORT_PYTHON": str(python_stub(tmp_path / "bin")),
    }
    elsewhere = tmp_path / "elsewhere"  # the second machine's copy may be late: it waits for the first one's
    elsewhere.mkdir()
    second = shell(text, elsewhere, SKYPILOT_NODE_RANK="1", **environment)
    time.sleep(1)
    assert second.poll() is None
    first = shell(text, sent, SKYPILOT_NODE_RANK="0", **environment)
    assert ended(first) == (0, "")
    assert ended(second) == (0, "")
    for rank in (0, 1):
        words = json.loads((shared / "first" / f"argv.{rank}.json").read_text())
        assert {"--nnodes=2", f"--node-rank={rank}", "--master-addr=127.0.0.1", "--nproc-per-node=4"} <= set(
            words
        )


@linux
@pytest.mark.slow
def test_two_machines_train_one_model(tmp_path: Path) -> None:
    """The same shell with the real trainer and the real torchrun, on loopback."""
    sent, shared = new_run(tmp_path / "sent", *QUICK).root, tmp_path / "shared"
    text = task(Sky(Settings(bucket=str(shared), kit=KIT)), JOB._replace(resources=Resources(nodes=2)))["run"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    environment = {
        "SKYPILOT_NODE_IPS": "127.0.0.1\n127.0.0.1",
        "SKYPILOT_NUM_NODES": "2",
        "COHORT_PORT": port,
    }
    environment |= {"COHORT_PYTHON": sys.executable, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    both = [shell(text, sent, SKYPILOT_NODE_RANK=rank, **environment) for rank in ("1", "0")]
    for process in both:
        code, said = ended(process, 300)
        assert code == 0, said
    run = RunFolder.open(shared / "first")
    assert run.read_status().state == "done"
    assert run.read_environment()["processes"] == 2


@linux
def test_the_walltime_asks_the_trainer_to_save(tmp_path: Path) -> None:
    sent, home = new_run(tmp_path / "sent").root, tmp_path / "home"
    text = task(PLACE, JOB._replace(limits=Limits(walltime=3, grace=2)))["run"]
    environment = {"HOME": str(home), "COHORT_PYTHON": str(python_stub(tmp_path / "bin")), "STUB_WAITS": "1"}
    ended(shell(text, sent, **environment))
    assert json.loads((home / "cohort/bucket/first/status.json").read_text())["state"] == "stopped"


# --- the program `sky` -----------------------------------------------------------------------------------------

FAKE = """
import json, os, pathlib, sys
words = sys.argv[1:]
log = pathlib.Path(os.environ["SKY_LOG"])
with log.open("a") as file:
    print(json.dumps([words, os.getcwd(), os.environ.get("SKYPILOT_DISABLE_USAGE_COLLECTION")]), file=file)
if words[0] == os.environ.get("SKY_FAILS"):
    sys.exit("ResourcesUnavailableError: no machine")
stopped = "touch" in log.read_text()
if words[0] == "status":
    print("Clusters"); print(json.dumps([{"name": words[1], "status": "UP"}]))
if words[0] == "queue":
    state = "SUCCEEDED" if stopped else "RUNNING"
    print(json.dumps({words[1]: [{"job_name": words[1], "status": state}]}))
if words[0] == "logs":
    print("\\x1b[32mstep 1\\x1b[0m")
"""


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What the program sky was asked, in order."""
    program(tmp_path / "bin", "sky", FAKE)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("SKY_LOG", str(tmp_path / "log"))
    return lambda: [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]


@linux
def test_a_job_is_sent_watched_and_stopped(called, tmp_path: Path) -> None:
    run = new_run(tmp_path / "first").root
    job = JOB._replace(run=str(run))
    jobs.keep(job, run)
    handle = PLACE.submit(job, PLACE.render(job), run)
    assert (handle.place, handle.id) == ("sky", "cohort-first")
    words, cwd, quiet = called()[0]
    assert words[0] == "launch"
    assert (Path(cwd), quiet) == (run, "1")
    assert (run / words[-1]).is_file()
    assert PLACE.status(handle).state == "running"
    assert list(PLACE.logs(handle, run, False)) == ["step 1"]
    PLACE.cancel(handle, run)
    verbs = [words[0] for words, _, _ in called()]
    assert verbs.index("exec") < verbs.index("cancel") < verbs.index("down")
    assert any(word.endswith("/cohort/bucket/first/STOP") for words, _, _ in called() for word in words)
    assert PLACE.status(handle).state == "gone"


@linux
def test_a_machine_that_was_not_quite_rented_is_given_back(
    called, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKY_FAILS", "launch")
    run = new_run(tmp_path / "first").root
    with pytest.raises(CohortError, match="ResourcesUnavailableError") as trouble:
        PLACE.submit(JOB, PLACE.render(JOB), run)
    assert trouble.value.exit_code == 7
    assert called()[-1][0] == ["down", "--yes", "cohort-first"]


@linux
def test_a_run_comes_back_from_the_bucket(called, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    into = tmp_path / "first"
    into.mkdir()
    handle = Handle("sky", "cohort-first")
    with pytest.raises(UsageError, match="read with aws"):
        PLACE.fetch(handle, JOB, into)
    text = """
import pathlib, sys
assert "--exclude=lock.json" in sys.argv
pathlib.Path(sys.argv[-1], sys.argv[-2][-5:]).touch()
"""
    program(tmp_path / "bin", "aws", text)
    with pytest.raises(CohortError, match=r"no status\.json"):
        PLACE.fetch(handle, JOB, into)
    (into / "status.json").touch()
    assert PLACE.fetch(handle, JOB, into) == ["first", "status.json"]
