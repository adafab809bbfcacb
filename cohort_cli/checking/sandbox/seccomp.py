"""seccomp: a small program that the kernel runs before each system call of this process, to allow or refuse
it.

The program is a list of simple instructions: load a number, compare it, jump, return a verdict. It cannot be
taken back. Landlock looks after files; this refuses what Landlock does not know: new processes, programs,
sockets, signals to others, and calls into rarely used corners of the kernel.

A call that is not named here is allowed, because torch and the C library need many and differ from version to
version. Calls newer than this list do "not exist" (ENOSYS), to which the C library always has an older
answer.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterator

from cohort_cli.checking.sandbox import linux

# Name: its number on x86_64, and on aarch64 (None where that processor has no such call).
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # processes and programs
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "setpgid": (109, 154), "setsid": (112, 157), "unshare": (272, 97), "setns": (308, 268),
    # sockets
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200),
    "listen": (50, 201),
    # other processes' memory, files and events
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "migrate_pages": (256, 238),
    "move_pages": (279, 239), "ioprio_set": (251, 30), "perf_event_open": (298, 241), "bpf": (321, 280),
    # memory that outlives the process, or that no limit counts
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196),
    "shmctl": (31, 195), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # ways around a filter like this one, and large parts of the kernel that nothing here needs
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "userfaultfd": (323, 282), "personality": (135, 92), "modify_ldt": (154, None), "iopl": (172, None),
    "ioperm": (173, None), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # the machine
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    "reboot": (169, 142), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "swapon": (167, 224), "swapoff": (168, 225),
    "acct": (163, 89), "syslog": (103, 116), "sethostname": (170, 161), "setdomainname": (171, 162),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "vhangup": (153, 58),
    # changes to files by path, which Landlock does not refuse
    "truncate": (76, 45), "chown": (92, None), "fchown": (93, 55), "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
    "mknod": (133, None), "mknodat": (259, 33),
}  # fmt: skip

# These do nothing and report success, so that `shutil.copy` works: modes and times mean nothing in a scratch
# folder.
IDLE: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
}  # fmt: skip

# The first argument names a process: only this one is meant (or 0, "myself", where `zero` is true).
OWN_ONLY: dict[str, tuple[int, int, bool]] = {
    "kill": (62, 129, False), "tkill": (200, 130, False), "tgkill": (234, 131, False),
    "rt_sigqueueinfo": (129, 138, False), "rt_tgsigqueueinfo": (297, 240, False),
    "prlimit64": (302, 261, True), "sched_setaffinity": (203, 122, True), "sched_setparam": (142, 118, True),
    "sched_setscheduler": (144, 119, True), "sched_setattr": (314, 274, True),
}  # fmt: skip

CLONE, CLONE3, PRCTL, SETPRIORITY = ((56, 220), (435, 435), (157, 167), (141, 140))
CLONE_THREAD = 0x10000
REFUSED_PRCTL = (
    1,
    4,
    35,
    0x59616D61,
)  # outlive the parent, become readable for others, move memory, allow a tracer
# Who gets a descriptor's signals (F_SETOWN, F_SETOWN_EX; FIOSETOWN, SIOCSPGRP), and typing into a terminal.
FCNTL, REFUSED_FCNTL = (72, 25), (8, 15)
IOCTL, REFUSED_IOCTL = (16, 29), (0x8901, 0x8902, 0x5412, 0x541C)
NEWEST = 462  # mseal, the last call of Linux 6.10; the numbers above 424 are the same on both processors

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
SET_MODE_FILTER, GET_ACTION_AVAIL = 1, 2
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
NR, ARCH, ARG0, ARG1 = 0, 4, 16, 24  # offsets in the kernel's struct seccomp_data
LOAD, EQUAL, ABOVE, ANY_BIT, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06  # instructions

Instruction = tuple[int, int, int, int]  # what, how many to skip if true, how many if false, number


def available() -> bool:
    """Whether this kernel has seccomp filters."""
    try:
        linux.call(linux.SECCOMP, GET_ACTION_AVAIL, 0, ctypes.byref(ctypes.c_uint32(ERRNO)))
    except OSError:
        return False
    return True


def enter(pid: int) -> None:
    """Refuse the calls above from now on, in all threads to come. Raises OSError if the kernel will not."""
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions(linux.MACHINE, pid))
    code = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(
        struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code)), 16
    )
    linux.call(linux.SECCOMP, SET_MODE_FILTER, 0, header)


def instructions(machine: str, pid: int) -> list[Instruction]:
    """The whole program for one processor and one process."""
    column = 0 if machine == "x86_64" else 1
    refuse = (RETURN, 0, 0, ERRNO | errno.EPERM)
    unknown = (RETURN, 0, 0, ERRNO | errno.ENOSYS)
    program: list[Instruction] = [
        (LOAD, 0, 0, ARCH),
        (EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (RETURN, 0, 0, KILL_PROCESS),  # 32-bit calls have other numbers
        (LOAD, 0, 0, NR),
        (ABOVE, 0, 1, NEWEST),  # the x32 calls of x86_64 lie there too
        unknown,
        (EQUAL, 0, 1, CLONE3[column]),
        unknown,  # its arguments lie in memory, where a filter cannot look; the C library then uses clone
        (EQUAL, 0, 4, CLONE[column]),
        (LOAD, 0, 0, ARG0),
        (ANY_BIT, 0, 1, CLONE_THREAD),
        (RETURN, 0, 0, ALLOW),
        refuse,
        (EQUAL, 0, 4, SETPRIORITY[column]),
        (LOAD, 0, 0, ARG1),
        (EQUAL, 0, 1, 0),
        (RETURN, 0, 0, ALLOW),
        refuse,
        *_not_with(PRCTL[column], ARG0, REFUSED_PRCTL),
        *_not_with(FCNTL[column], ARG1, REFUSED_FCNTL),
        *_not_with(IOCTL[column], ARG1, REFUSED_IOCTL),
    ]
    for x86, arm, zero in OWN_ONLY.values():
        program += _own_only((x86, arm)[column], pid, zero)
    refused = list(_numbers(REFUSED, column))
    idle = list(_numbers(IDLE, column))
    for place, number in enumerate(refused + idle):  # jump to the last two lines
        after = len(refused) + len(idle) - place - 1
        program.append((EQUAL, after + (1 if place < len(refused) else 2), 0, number))
    return [*program, (RETURN, 0, 0, ALLOW), refuse, (RETURN, 0, 0, ERRNO)]


def _not_with(number: int, argument: int, refused: tuple[int, ...]) -> list[Instruction]:
    """Allow one call, but with none of these values of one of its arguments."""
    return [
        (EQUAL, 0, 3 + len(refused), number),
        (LOAD, 0, 0, argument),
        *[(EQUAL, len(refused) - n, 0, value) for n, value in enumerate(refused)],
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
    ]


def _own_only(number: int, pid: int, zero: bool) -> list[Instruction]:
    refuse = (RETURN, 0, 0, ERRNO | errno.EPERM)
    allowed: list[Instruction] = [(EQUAL, 1, 0, 0), (EQUAL, 0, 1, pid)] if zero else [(EQUAL, 0, 1, pid)]
    lines: list[Instruction] = [(LOAD, 0, 0, ARG0), *allowed, (RETURN, 0, 0, ALLOW), refuse]
    return [(EQUAL, 0, len(lines), number), *lines]


def _numbers(calls: dict[str, tuple[int | None, int | None]], column: int) -> Iterator[int]:
    return (numbers[column] for numbers in calls.values() if numbers[column] is not None)  # type: ignore[misc]
