"""What a check may not do, and the sentence for it. Used through `audit.install` only.

Python reports what it is about to do as an "event" with arguments, such as ("open", path, mode, flags). The
guard looks the event up and raises PermissionError when it is against the rules.

This is a fence, not a wall. Code below Python (ctypes before it was refused, an extension module) is not
reported, and whoever searches the interpreter's memory for the hook can find it. It stops what one would try
first, at every level, and tells people with an honest mistake what happened. The wall is Landlock and
seccomp.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from typing import Any

Check = Callable[[tuple[Any, ...]], None]
Hook = Callable[[str, tuple[Any, ...]], None]

NETWORK = "a check may not open a network connection"
PROCESS = "a check may not start another process or program"
SIGNAL = "a check may not send signals to other processes"
FOREIGN = "a check may not use ctypes"
LINK = "a check may not make links"
LIMITS = "a check may not change its own limits"
REGISTRY = "a check may not change the registry"
HOOK = "a check may not watch or change the checker itself"

# Events that are refused whatever their arguments are. An entry that ends with "." means all that begin with
# it.
NEVER = {
    "socket.": NETWORK, "urllib.": NETWORK, "http.client.": NETWORK, "ftplib.": NETWORK, "smtplib.": NETWORK,
    "imaplib.": NETWORK, "poplib.": NETWORK, "telnetlib.": NETWORK, "nntplib.": NETWORK,
    "subprocess.Popen": PROCESS, "os.system": PROCESS, "os.exec": PROCESS, "os.fork": PROCESS,
    "os.forkpty": PROCESS, "os.posix_spawn": PROCESS, "os.spawn": PROCESS, "os.startfile": PROCESS,
    "os.startfile/2": PROCESS, "pty.spawn": PROCESS, "webbrowser.open": PROCESS,
    "_winapi.CreateProcess": PROCESS,
    "os.killpg": SIGNAL, "_winapi.OpenProcess": SIGNAL, "_winapi.TerminateProcess": SIGNAL,
    "fcntl.ioctl": "a check may not use ioctl",
    "ctypes.": FOREIGN, "os.symlink": LINK, "os.link": LINK, "_winapi.CreateJunction": LINK,
    "resource.setrlimit": LIMITS, "resource.prlimit": LIMITS, "sys.addaudithook": HOOK,
    "sqlite3.enable_load_extension": FOREIGN, "sqlite3.load_extension": FOREIGN,
    "winreg.CreateKey": REGISTRY, "winreg.DeleteKey": REGISTRY, "winreg.DeleteValue": REGISTRY,
    "winreg.SetValue": REGISTRY,
}  # fmt: skip

# Events that change files: which of their arguments are paths, and which are the folders that these are
# relative to.
CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.remove": ((0, 1),), "os.rmdir": ((0, 1),), "os.mkdir": ((0, 2),), "os.rename": ((0, 2), (1, 3)),
    "os.chmod": ((0, 2),), "os.chown": ((0, 3),), "os.utime": ((0, 3),), "os.truncate": ((0, None),),
    "os.setxattr": ((0, None),), "os.removexattr": ((0, None),), "os.chflags": ((0, None),),
    "_winapi.CreateFile": ((0, None),), "shutil.rmtree": ((0, None),), "sqlite3.connect": ((0, None),),
}  # fmt: skip

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
OWN_SECRETS = ("environ", "mem", "auxv")  # of /proc/self

# Once the hook is in place it uses only what member code cannot replace: functions written in C, and this module,
# for which `audit.install` puts a private copy.
path_tools: Any = os.path


def make_hook(
    *,
    work: str,
    scratch: str,
    hidden: tuple[str, ...],
    readable: tuple[str, ...],
    listable: tuple[str, ...],
    private: tuple[str, ...],
    strict: bool,
) -> tuple[Hook, Callable[[Any], None]]:
    """The function for `sys.addaudithook`, and its question about writing to a path.

    The arguments are those of `audit.Allowed` and `Places`.
    """
    own_proc = f"/proc/{os.getpid()}"
    fine = _beginnings((work, *readable))
    in_scratch, in_work, in_proc = _beginnings((scratch,)), _beginnings((work,)), _beginnings((own_proc,))
    in_hidden = _beginnings(folder for folder in hidden if not _inside(work, folder))
    in_private, exactly = _beginnings(private), frozenset(listable)
    devices = frozenset((os.devnull, os.path.realpath(os.devnull)))
    encoding, errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()

    def text_of(path: Any) -> str:
        """The path as the kernel will see it, whatever methods a subclass of str or bytes has."""
        path = os.fspath(path)
        return bytes.decode(path, encoding, errors) if isinstance(path, bytes) else str.__str__(path)

    def place(path: Any, folder: Any = None) -> str | None:
        """The path, all links followed, with a separator at its end; None for a descriptor: that is open."""
        if isinstance(path, int):
            return None
        text = text_of(path)
        if folder not in (None, -1) and not path_tools.isabs(text):
            if ".." in text.replace(os.sep, "/").split("/"):
                raise PermissionError("a check may not use '..' with dir_fd; give the whole path")
            return None  # only folders of scratch can be open
        return str(path_tools.normcase(path_tools.realpath(text)) + os.sep)

    def may_read(path: Any) -> None:
        at = place(path)
        if at is None or at.startswith(in_scratch):
            return
        if at.startswith(in_hidden):
            raise PermissionError(
                f"a check may not read {at[:-1]}: it belongs to the kit's own solutions and tests"
            )
        if at.startswith("/proc/") and at[6:7].isdigit():
            if at.startswith(in_proc) and at.split(os.sep)[-2] not in OWN_SECRETS:
                return
            raise PermissionError(
                "a check may not look into other processes or into the environment it started in"
            )
        if at.startswith(fine) or at[:-1] in exactly or at[:-1] in devices:
            return
        # Where the kernel decides, a path that does not exist may say so itself.
        if (strict and path_tools.lexists(at[:-1])) or (not strict and at.startswith(in_private)):
            raise PermissionError(
                f"a check may read your project's files, Python and its libraries, not {at[:-1]}"
            )

    def may_write(path: Any, folder: Any = None) -> None:
        at = place(path, folder)
        if at is not None and not at.startswith(in_scratch) and at[:-1] not in devices:
            raise PermissionError(
                f"a check may write only in its own scratch folder ({scratch}), not to {at[:-1]}"
            )

    def on_open(args: tuple[Any, ...]) -> None:
        path, mode, flags = args[0], args[1], args[2]
        if mode is None and not isinstance(path, int):
            by_descriptor(text_of(path))
        if isinstance(flags, int) and flags & WRITING:
            may_write(path)
        else:
            may_read(path)

    def by_descriptor(path: str) -> None:
        """os.open: the path may be relative to an open folder, which the event does not name."""
        if not path_tools.isabs(path) and ".." in path.replace(os.sep, "/").split("/"):
            raise PermissionError("a check may not use '..' with os.open; give the whole path")
        try:
            folder = stat.S_ISDIR(os.stat(path).st_mode)
        except (OSError, ValueError):
            return
        if folder and not str(place(path)).startswith(in_scratch):
            raise PermissionError("a check may not hold other folders open; use os.listdir or os.scandir")

    def on_list(args: tuple[Any, ...]) -> None:
        may_read(args[0] if args and args[0] is not None else os.curdir)

    def on_chdir(args: tuple[Any, ...]) -> None:
        at = place(args[0])
        if at is not None and not at.startswith((*in_scratch, *in_work)):
            raise PermissionError("a check may not leave its scratch folder")

    def on_kill(args: tuple[Any, ...]) -> None:
        if args[0] != own_pid:
            raise PermissionError(SIGNAL)

    def on_change(event: str) -> Check:
        paths = CHANGES[event]

        def check(args: tuple[Any, ...]) -> None:
            for path, folder in paths:
                if event == "sqlite3.connect" and args[0] in (":memory:", ""):
                    return
                may_write(args[path], args[folder] if folder is not None and folder < len(args) else None)

        return check

    def on_mode(event: str, checked: Check) -> Check:
        """The judge counts what lies in scratch, so every folder in it must stay readable."""

        needed = 0o700 if event == "os.mkdir" else 0o600

        def check(args: tuple[Any, ...]) -> None:
            if args[1] & needed != needed:
                raise PermissionError("a check's own files and folders must stay readable")
            checked(args)

        return check

    def on_fcntl(args: tuple[Any, ...]) -> None:
        if args[1] in (8, 15):  # F_SETOWN, F_SETOWN_EX: who gets the signals of a descriptor
            raise PermissionError(SIGNAL)

    own_pid = os.getpid()
    checks: dict[str, Check] = {event: on_change(event) for event in CHANGES}
    checks |= {
        "open": on_open,
        "os.listdir": on_list,
        "os.scandir": on_list,
        "os.chdir": on_chdir,
        "os.kill": on_kill,
    }
    checks |= {event: on_mode(event, checks[event]) for event in ("os.mkdir", "os.chmod")}
    checks |= {"fcntl.fcntl": on_fcntl}
    checks |= {event: _never(says) for event, says in NEVER.items() if not event.endswith(".")}
    families = {event: _never(says) for event, says in NEVER.items() if event.endswith(".")}
    known, family = checks.get, families.get

    def hook(event: str, args: tuple[Any, ...]) -> None:
        check = known(event) or family(event.partition(".")[0] + ".")
        if check is not None:
            check(args)

    return hook, may_write


def _never(says: str) -> Check:
    def check(args: tuple[Any, ...]) -> None:
        raise PermissionError(says)

    return check


def _beginnings(folders: Any) -> tuple[str, ...]:
    """For `str.startswith`, against paths that end with a separator."""
    return tuple(os.path.join(os.path.normcase(folder), "") for folder in folders)


def _inside(path: str, folder: str) -> bool:
    return os.path.join(path, "").startswith(os.path.join(folder, ""))
