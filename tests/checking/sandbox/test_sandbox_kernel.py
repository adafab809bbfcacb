"""What the kernel refuses when nothing in Python stands before it: the audit hook is left out here."""

from __future__ import annotations

import textwrap

import pytest

# The member has found a way around the hook: `calls` gives it what it would have at best.
CALLS = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def refused(name, *arguments):
    '''What a C function or a system call came to: "EPERM", or its result.'''
    result = (libc.syscall if isinstance(name, int) else getattr(libc, name))(
        *([ctypes.c_long(name)] if isinstance(name, int) else []), *arguments)
    return errno.errorcode[ctypes.get_errno()] if result < 0 else result
"""

REFUSED = {
    "fork": ("refused('fork')", "EPERM"),
    "vfork by number": ("refused(58)", "EPERM"),
    "clone without a thread": ("refused(56, ctypes.c_long(17), None, None, None, None)", "EPERM"),
    "clone3": ("refused(435, None, 0)", "ENOSYS"),
    "exec": ("refused('execv', b'/bin/true', (ctypes.c_char_p * 2)(b'true', None))", "EPERM"),
    "execveat": (
        "refused('fexecve', 0, (ctypes.c_char_p * 2)(b'x', None), (ctypes.c_char_p * 1)(None))",
        "EPERM",
    ),
    "tcp": ("refused('socket', 2, 1, 0)", "EPERM"),
    "udp": ("refused('socket', 2, 2, 0)", "EPERM"),
    "raw": ("refused('socket', 2, 3, 255)", "EPERM"),
    "unix": ("refused('socket', 1, 1, 0)", "EPERM"),
    "netlink": ("refused('socket', 16, 3, 0)", "EPERM"),
    "kill the parent": ("refused('kill', os.getppid(), 0)", "EPERM"),
    "kill the group of the parent": ("refused('kill', -os.getpgid(os.getppid()), 0)", "EPERM"),
    "tkill": ("refused(200, os.getppid(), 0)", "EPERM"),
    "tgkill": ("refused('tgkill', os.getppid(), os.getppid(), 0)", "EPERM"),
    "sigqueue": ("refused('sigqueue', os.getppid(), 0, None)", "EPERM"),
    "rt_tgsigqueueinfo": ("refused(297, os.getppid(), os.getppid(), 0, None)", "EPERM"),
    "pidfd": ("refused(434, os.getppid(), 0)", "EPERM"),
    "ptrace": ("refused('ptrace', 16, os.getppid(), None, None)", "EPERM"),
    "read the parent's memory": ("refused('process_vm_readv', os.getppid(), None, 0, None, 0, 0)", "EPERM"),
    "write the parent's memory": ("refused('process_vm_writev', os.getppid(), None, 0, None, 0, 0)", "EPERM"),
    "the parent's limits": ("refused('prlimit', os.getppid(), 0, None, None)", "EPERM"),
    "the parent's cores": ("refused('sched_setaffinity', os.getppid(), 8, (ctypes.c_ulong * 1)(1))", "EPERM"),
    "the parent's priority": ("refused('setpriority', 0, os.getppid(), 19)", "EPERM"),
    "signals of a descriptor to the parent": ("refused('fcntl', 0, 8, os.getppid())", "EPERM"),
    "the same by ioctl": ("refused('ioctl', 0, 0x8901, (ctypes.c_int * 1)(os.getppid()))", "EPERM"),
    "memfd": ("refused('memfd_create', b'x', 0)", "EPERM"),
    "shared memory": ("refused('shmget', 0, 4096, 0o1600)", "EPERM"),
    "semaphores": ("refused('semget', 0, 1, 0o1600)", "EPERM"),
    "message queues": ("refused('msgget', 0, 0o1600)", "EPERM"),
    "posix message queues": ("refused(240, b'x', 0o102, 0o600, None)", "EPERM"),
    "io_uring": ("refused(425, 1, None)", "EPERM"),
    "bpf": ("refused(321, 0, None, 0)", "EPERM"),
    "perf": ("refused(298, None, 0, -1, -1, 0)", "EPERM"),
    "userfaultfd": ("refused(323, 0)", "EPERM"),
    "mount": ("refused('mount', None, b'/', None, 0, None)", "EPERM"),
    "user namespace": ("refused('unshare', 0x10000000)", "EPERM"),
    "keys": ("refused(250, 0, -1, 0)", "EPERM"),
    "open by handle": ("refused('open_by_handle_at', -100, None, 0)", "EPERM"),
    "reboot": ("refused(169, 0, 0, 0, None)", "EPERM"),
    "module": ("refused(175, None, 0, b'')", "EPERM"),
    "a call that is newer than the list": ("refused(470, 0, 0)", "ENOSYS"),
    "a call of the x32 kind": ("refused(0x40000000 + 57)", "ENOSYS"),
    "outlive the parent": ("refused('prctl', 1, 0, 0, 0, 0)", "EPERM"),
    "become readable for others": ("refused('prctl', 4, 1, 0, 0, 0)", "EPERM"),
    "leave the group": ("refused('setsid')", "EPERM"),
    "owner of a file outside": ("refused('chown', secret.encode(), 1, 1)", "EPERM"),
    "truncate outside": ("refused('truncate', secret.encode(), 0)", "EPERM"),
    "extended attribute outside": ("refused('setxattr', secret.encode(), b'user.x', b'x', 1, 0)", "EPERM"),
    "read outside": ("refused('open', secret.encode(), 0)", "EACCES"),
    "write outside": ("refused('open', secret.encode(), 1)", "EACCES"),
    "append to the work": ("refused('open', (work + '/attention.py').encode(), 0o2001)", "EACCES"),
    "new file in the work": ("refused('open', (work + '/new.py').encode(), 0o101, 0o600)", "EACCES"),
    "remove outside": ("refused('unlink', secret.encode())", "EACCES"),
    "rename out of scratch": ("refused('rename', secret.encode(), b'mine')", "EXDEV,EACCES"),
    "hard link into scratch": ("refused('link', secret.encode(), b'mine')", "EXDEV,EACCES"),
    "symbolic link in scratch": ("refused('symlink', secret.encode(), b'mine')", "EACCES"),
    "named pipe in scratch": ("refused('mkfifo', b'pipe', 0o600)", "EPERM"),
    "list outside": ("refused('open', os.path.dirname(secret).encode(), 0o200000)", "EACCES"),
    "the reference": ("refused('open', (reference + '/attention.py').encode(), 0)", "EACCES"),
    "the parent's environment": ("refused('open', f'/proc/{os.getppid()}/environ'.encode(), 0)", "EACCES"),
    "the parent's memory file": ("refused('open', f'/proc/{os.getppid()}/mem'.encode(), 2)", "EACCES"),
    "own environment at the start": ("refused('open', b'/proc/self/environ', 0)", "EACCES"),
    "the parent's descriptors": ("refused('open', f'/proc/{os.getppid()}/fd/0'.encode(), 0)", "EACCES"),
}


@pytest.fixture
def bare(locked, monkeypatch):
    """A cell whose script runs without the audit hook, and with `refused` at hand."""
    run = locked.run
    monkeypatch.setattr(
        locked, "run", lambda script, **names: run(CALLS + textwrap.dedent(script), hook=False, **names)
    )
    return locked


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_the_kernel(bare, name):
    from cohort_cli.checking.sandbox.linux import MACHINE

    call, wanted = REFUSED[name]
    if MACHINE != "x86_64" and call.removeprefix("refused(")[:1].isdigit():
        pytest.skip("this number means something else on this processor")
    outcome = bare.run(f"answer = {call}")
    assert outcome.error == ""
    assert outcome.answer in wanted.split(",")
    assert bare.secret.read_text() == "a secret of the user's\n"


def test_changes_of_mode_do_nothing(bare):
    """chmod reports success, for `shutil.copy`; the file stays as it was."""
    before = bare.secret.stat()
    outcome = bare.run(
        "answer = [refused('chmod', secret.encode(), 0o777), refused('utimes', secret.encode(), None)]"
    )
    assert outcome.answer == [0, 0]
    assert bare.secret.stat() == before


def test_no_capabilities_are_left(bare):
    outcome = bare.run(
        "answer = [line.split()[1] for line in open('/proc/self/status') if line[:4] == 'Cap' + line[3]]"
    )
    inherited, permitted, effective, _, ambient = outcome.answer
    assert int(inherited, 16) == int(permitted, 16) == int(effective, 16) == int(ambient, 16) == 0


def test_threads_are_bound_by_the_same_rules(bare):
    outcome = bare.run(
        """
        import threading
        found = []
        thread = threading.Thread(target=lambda: found.append(refused('socket', 2, 1, 0)))
        thread.start()
        thread.join()
        answer = found
        """
    )
    assert outcome.answer == ["EPERM"]
