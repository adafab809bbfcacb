"""A real Slurm of two nodes on this machine, for tests: Debian's packages, a private folder, loopback, free ports.

    cluster = Cluster(folder);  cluster.start();  …;  cluster.stop()

/etc is not touched, and no service manager is needed. Each node is a slurmd of its own (`slurmd -N`). GPUs are fake:
null devices that Slurm hands out like real ones. What was started is stopped by its pid file.

Some lines that are not obvious:
    config_overrides   a node may promise more CPUs than this machine has
    cred_expire        a job that is put back waits for its credential to expire: 2 minutes, unless this says less
    SlurmdTimeout      after so many seconds without an answer a node counts as dead
    PreemptType        jobs in the partition `high` push out those in `main`, which get 10 seconds to save
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil

PROGRAMS = (
    "munged",
    "munge",
    "slurmctld",
    "slurmd",
    "sbatch",
    "squeue",
    "scontrol",
    "scancel",
    "sinfo",
    "srun",
)
PACKAGES = "slurmctld slurmd slurm-client munge"
NODES, CPUS, MEMORY, GPUS, GPU = 2, 64, 64_000, 8, "h100"

CONF = """\
ClusterName=cohorttest
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={root}/run/munge.sock,cred_expire=5
StateSaveLocation={root}/ctld
SlurmdSpoolDir={root}/spool.%n
SlurmctldPidFile={root}/run/slurmctld.pid
SlurmdPidFile={root}/run/slurmd.%n.pid
SlurmctldLogFile={root}/log/slurmctld.log
SlurmdLogFile={root}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=500
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,requeue_delay=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
ReturnToService=2
JobRequeue=1
KillWait=10
MinJobAge=600
SlurmctldTimeout=30
SlurmdTimeout=15
MessageTimeout=10
PropagateResourceLimits=NONE
SlurmdParameters=config_overrides
{nodes}
PartitionName=main Nodes=n[1-{count}] Default=YES MaxTime=10:00:00 PriorityTier=1 GraceTime=10 State=UP
PartitionName=high Nodes=n[1-{count}] MaxTime=INFINITE PriorityTier=10 PreemptMode=OFF State=UP
"""


class NotHere(Exception):
    """Why there can be no Slurm on this machine: it is not installed."""


class Broken(Exception):
    """It is installed, and does not come up: that is no reason to pass over its tests."""


class Cluster:
    def __init__(self, root: Path) -> None:
        """root: a short path, for munge's socket."""
        self.root, self.conf = root, root / "slurm.conf"
        self.env = {**os.environ, "SLURM_CONF": str(self.conf)}

    def start(self) -> None:
        """Raises NotHere if a program is missing, Broken if the nodes do not come up."""
        if os.name != "posix":
            raise NotHere("Slurm runs on Linux only")
        path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        if missing := [name for name in PROGRAMS if shutil.which(name, path=path) is None]:
            raise NotHere(f"no {missing[0]} on the PATH: apt-get install {PACKAGES}")
        self.env["PATH"] = path
        for name in ("ctld", "log", "run", "dev", *(f"spool.n{i + 1}" for i in range(NODES))):
            (self.root / name).mkdir()
        for folder in (self.root, self.root / "run"):
            folder.chmod(0o755)
        self._munge()
        self._write()
        self.call("slurmctld", "-c")
        for name in self.nodes:
            self.start_node(name)
        self.wait_idle()

    @property
    def nodes(self) -> list[str]:
        return [f"n{i + 1}" for i in range(NODES)]

    def start_node(self, name: str) -> None:
        self.call("slurmd", "-c", "-N", name)

    def wait_idle(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while True:
            found = self.call("sinfo", "-h", "-N", "-p", "main", "-t", "idle", "-o", "%N", check=False)
            if len(set(found.split())) == NODES:
                return
            if time.monotonic() > end:
                logs = "\n".join(path.read_text()[-600:] for path in (self.root / "log").glob("*.log"))
                raise Broken(f"the nodes did not come up: {self.call('sinfo', '-R', check=False)}\n{logs}")
            time.sleep(0.1)

    def call(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, timeout=60, check=False)
        if check and done.returncode:
            raise Broken(f"{' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def queue(self) -> list[str]:
        """The jobs that wait or run, or have not quite ended."""
        return self.call("squeue", "-h", "-o", "%i").split()

    def empty(self) -> None:
        """End every job, and wait for it."""
        self.call("scancel", f"--user={_user()}", check=False)
        end = time.monotonic() + 30
        while self.call("squeue", "-h", check=False).strip() and time.monotonic() < end:
            time.sleep(0.1)

    def kill_node(self, name: str) -> None:
        """The node's daemon and everything it started, at once, as if its power were cut."""
        pid = int((self.root / "run" / f"slurmd.{name}.pid").read_text())
        spool, doomed = f"[{name}]", [psutil.Process(pid)]
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                # A job's own keeper leaves the daemon's family, but keeps its node's name
                if process.name() == "slurmstepd" and self._is_ours(process, name, spool):
                    doomed += [*process.children(recursive=True), process]
        for process in doomed:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)

    def _is_ours(self, process: psutil.Process, name: str, spool: str) -> bool:
        families = [process, *process.children(recursive=True)]
        for member in families:
            with contextlib.suppress(psutil.Error):
                env = member.environ()
                if env.get("SLURM_CONF") == str(self.conf) and env.get("SLURMD_NODENAME") == name:
                    return True
        return False

    def stop(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired, OSError):
            self.empty()
        names = [*(f"slurmd.{name}" for name in self.nodes), "slurmctld", "munged"]
        for name in names:
            _end(self.root / "run" / f"{name}.pid")
        shutil.rmtree(self.root, ignore_errors=True)

    def _munge(self) -> None:
        key, run = self.root / "munge.key", self.root / "run"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        self.call(  # --force: the folder above ours may be written to by everybody
            "munged", "--force", f"--key-file={key}", f"--socket={run}/munge.sock", f"--pid-file={run}/munged.pid",
            f"--log-file={self.root}/log/munged.log", f"--seed-file={run}/munge.seed",
        )  # fmt: skip

    def _write(self) -> None:
        ports, host = _free_ports(NODES + 1), socket.gethostname().partition(".")[0]
        devices, lines, gres = self._devices(), [], []
        for i, name in enumerate(self.nodes):
            gres.append(f"NodeName={name} Name=gpu Type={GPU} {devices}")
            lines.append(
                f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[i + 1]} CPUs={CPUS} "
                f"RealMemory={MEMORY} Gres=gpu:{GPU}:{GPUS} State=UNKNOWN"
            )
        (self.root / "gres.conf").write_text("\n".join(gres) + "\n")
        self.conf.write_text(
            CONF.format(root=self.root, ports=ports, user=_user(), nodes="\n".join(lines), count=NODES)
        )

    def _devices(self) -> str:
        """Fake GPUs must be character devices. Only root can make them; else they are counted, not named."""
        try:
            for number in range(GPUS):
                os.mknod(self.root / "dev" / f"fakegpu{number}", 0o20666, os.makedev(1, 3))
        except OSError:
            return f"Count={GPUS}"
        return f"File={self.root}/dev/fakegpu[0-{GPUS - 1}]"


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [server.getsockname()[1] for server in sockets]
    finally:
        for server in sockets:
            server.close()


def _end(pid_file: Path) -> None:
    """End the daemon of this pid file, if it still lives."""
    try:
        process = psutil.Process(int(pid_file.read_text()))
        process.terminate()
        end = time.monotonic() + 10
        while process.status() != psutil.STATUS_ZOMBIE:  # where nobody collects the dead, one stays
            if time.monotonic() > end:
                process.kill()
                return
            time.sleep(0.05)
    except (OSError, ValueError, psutil.Error):
        return
