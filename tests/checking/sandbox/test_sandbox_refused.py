"""What a check may not do is refused, and in words, at every level."""

from __future__ import annotations

import textwrap

import pytest

# What is tried -> a part of the sentence that the member reads.
REFUSED = {
    "import socket; socket.socket()": "network",
    "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))": "network",
    "import socket; socket.socketpair()": "network",
    "import socket; socket.getaddrinfo('localhost', 80)": "network",
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')": "network",
    "import subprocess; subprocess.run(['true'])": "process",
    "import os; os.system('true')": "process",
    "import os; os.execv('/bin/true', ['true'])": "process",
    "import os; os.posix_spawn('/bin/true', ['true'], {})": "process",
    "import os; os.fork()": "process",
    "import os; os.forkpty()": "process",
    "import multiprocessing; multiprocessing.Process(target=print).start()": "process",
    "import multiprocessing; multiprocessing.get_context('spawn').Queue()": "num_workers=0",
    "import torch.utils.data as d; next(iter(d.DataLoader([1, 2], num_workers=1)))": "num_workers=0",
    "import _posixsubprocess; _posixsubprocess.fork_exec()": "process",
    "import os; os.kill(os.getppid(), 0)": "signals",
    "import os; os.killpg(os.getpgid(os.getppid()), 0)": "signals",
    "import ctypes; ctypes.CDLL(None)": "ctypes",
    "import ctypes; ctypes.pythonapi.Py_GetVersion": "ctypes",
    "import ctypes; ctypes.string_at(0)": "ctypes",
    "open(secret, 'w')": "scratch",
    "open(secret, 'a')": "scratch",
    "open(secret, 'r+')": "scratch",
    "import os; os.open(secret, os.O_RDWR)": "scratch",
    "import os; os.open(secret, os.O_RDONLY | os.O_TRUNC)": "scratch",
    "open(work + '/attention.py', 'w')": "scratch",
    "open(work + '/conftest.py', 'w')": "scratch",
    "open('../secret.txt', 'w')": "scratch",
    "import os; os.chmod(secret, 0o777)": "scratch",
    "import os; os.remove(secret)": "scratch",
    "import os; os.rename(secret, 'mine')": "scratch",
    "import os; open('mine', 'w').close(); os.replace('mine', secret)": "scratch",
    "import os; os.truncate(secret, 0)": "scratch",
    "import os; os.mkdir(work + '/new')": "scratch",
    "import os; os.rmdir(work)": "scratch",
    "import os; os.utime(secret)": "scratch",
    "import shutil; shutil.rmtree(work)": "scratch",
    "import sqlite3; sqlite3.connect(work + '/x.db').execute('create table t(x)')": "scratch",
    "import os; os.symlink(secret, 'link')": "links",
    "import os; os.link(secret, 'link')": "links",
    "open(reference + '/attention.py')": "solutions",
    "open(bytes(reference + '/attention.py', 'utf8'), 'rb')": "solutions",
    "import pathlib; pathlib.Path(reference, 'attention.py').read_text()": "solutions",
    "import os; os.listdir(reference)": "solutions",
    "import os; list(os.scandir(reference))": "solutions",
    "import pathlib; list(pathlib.Path(reference).iterdir())": "solutions",
    "open(work + '/../kit/reference/attention.py')": "solutions",
    "import runpy; runpy.run_path(reference + '/attention.py')": "solutions",
    """
    import importlib.util
    spec = importlib.util.spec_from_file_location("r", reference + "/attention.py")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))""": "solutions",
    """
    class Sly(str):
        def startswith(self, *a): return False
        def __str__(self): return "/dev/null"
    open(Sly(reference + "/attention.py"))""": "solutions",
    """
    import os, posixpath, builtins, cohort_cli.checking.sandbox.guard as guard
    innocent = lambda *a, **k: "/dev/null"
    os.path.realpath = posixpath.realpath = posixpath._joinrealpath = guard.path_tools = innocent
    os.lstat = os.readlink = os.fspath = os.fsdecode = innocent
    guard.make_hook = guard.CHANGES = guard.NEVER = None
    read = open
    builtins.isinstance = builtins.any = lambda *a: False
    read(reference + "/attention.py")""": "solutions",
    "import os; os.open('kit/reference/attention.py', 0, dir_fd=os.open('/usr/lib', 0))": "folders open",
    "import os; os.open('../kit/reference/attention.py', 0, dir_fd=os.open('.', 0))": "..",
    "import os; os.remove('../secret.txt', dir_fd=os.open('.', os.O_RDONLY))": "dir_fd",
    "import os; os.chdir(reference)": "scratch",
    "import os, signal; signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0)": "signals",
    "import fcntl, os; fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())": "signals",
    "import os; os.mkdir('closed', 0o300)": "readable",
    "import os; os.mkdir('d'); os.chmod('d', 0o300)": "readable",
    "import multiprocessing.shared_memory as m; m.SharedMemory(create=True, size=1)": "plain files",
    "import os; os.sched_setaffinity(os.getppid(), {0})": "limits",
    "import os; os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)": "limits",
    "import os; os.mkfifo('pipe')": "plain files",
    "import torch; torch.save({}, secret)": "scratch",
    "import torch, pathlib; torch.save({}, pathlib.Path(secret))": "scratch",
    "open(secret)": "not",
    "import os; open(os.path.dirname(secret) + '/secret.txt')": "not",
    "import os; open(f'/proc/{os.getppid()}/environ')": "other processes",
    "import os; open(f'/proc/{os.getppid()}/mem', 'rb')": "other processes",
    "import os; os.listdir(f'/proc/{os.getppid()}/fd')": "other processes",
    "open('/proc/self/environ')": "environment",
    "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 1))": "limits",
}


@pytest.mark.parametrize("script", REFUSED, ids=lambda script: script.strip().replace("\n", ";")[:60])
def test_refused_in_words(cell, script):
    before = cell.secret.read_text()
    outcome = cell.run(textwrap.dedent(script))
    assert outcome.error == "PermissionError", (outcome.answer, outcome.message)
    assert REFUSED[script] in outcome.message
    assert outcome.errno is None, "a bare error number, no sentence"
    assert cell.secret.read_text() == before
    assert sorted(path.name for path in cell.work.iterdir()) == ["attention.py"]


def test_a_link_in_the_work_folder_leads_nowhere(cell):
    (cell.work / "harmless").symlink_to(cell.reference)
    outcome = cell.run("open(work + '/harmless/attention.py')")
    assert outcome.error == "PermissionError"
    assert "solutions" in outcome.message


def test_no_second_hook_is_added(cell):
    """A hook of the member's own would see every question that the guard answers."""
    script = (
        "import sys; seen = []; sys.addaudithook(lambda *a: seen.append(a)); open('x', 'w'); answer = seen"
    )
    assert cell.run(script).answer == []
