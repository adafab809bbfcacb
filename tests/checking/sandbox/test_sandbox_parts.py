"""The sandbox's parts that can be tested without entering it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from cohort_cli.checking import sandbox
from cohort_cli.checking.sandbox import landlock, linux, seccomp
from cohort_cli.checking.sandbox.places import contains, python_places, without

ALLOW, REFUSE, ABSENT, IDLE, KILL = 0x7FFF0000, 0x50001, 0x50026, 0x50000, 0x80000000
PID = 4321


def run_filter(program: list[seccomp.Instruction], arch: int, number: int, *arguments: int) -> int:
    """What the kernel would do with the program, written a second time."""
    data = {0: number, 4: arch, 16: 0, 24: 0} | {16 + 8 * n: value for n, value in enumerate(arguments)}
    at = accumulator = 0
    while True:
        what, jump_true, jump_false, operand = program[at]
        at += 1
        if what == seccomp.RETURN:
            return operand
        if what == seccomp.LOAD:
            accumulator = data[operand]
            continue
        true = {
            seccomp.EQUAL: accumulator == operand,
            seccomp.ABOVE: accumulator > operand,
            seccomp.ANY_BIT: bool(accumulator & operand),
        }[what]
        at += jump_true if true else jump_false


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_verdict_of_the_filter(machine):
    program = seccomp.instructions(machine, PID)
    arch, column = seccomp.AUDIT_ARCH[machine], 0 if machine == "x86_64" else 1

    def verdict(number, *arguments):
        return run_filter(program, arch, number, *arguments)

    expected = {number: ALLOW for number in range(seccomp.NEWEST + 1)}
    expected |= {
        numbers[column]: REFUSE for numbers in seccomp.REFUSED.values() if numbers[column] is not None
    }
    expected |= {numbers[column]: IDLE for numbers in seccomp.IDLE.values() if numbers[column] is not None}
    expected |= {numbers[column]: REFUSE for numbers in seccomp.OWN_ONLY.values()}
    expected |= {
        seccomp.CLONE3[column]: ABSENT,
        seccomp.CLONE[column]: REFUSE,
        seccomp.SETPRIORITY[column]: REFUSE,
    }
    got = {number: verdict(number, 99, 99) for number in expected}
    assert got == expected

    for x86, arm, zero in seccomp.OWN_ONLY.values():
        number = (x86, arm)[column]
        assert verdict(number, PID) == ALLOW
        assert verdict(number, 0) == (ALLOW if zero else REFUSE)
        assert verdict(number, 0xFFFFFFFF) == REFUSE
    assert verdict(seccomp.CLONE[column], 0x3D0F00) == ALLOW  # what the C library asks for a thread
    assert verdict(seccomp.CLONE[column], 17) == REFUSE
    assert verdict(seccomp.SETPRIORITY[column], 0, 0) == ALLOW
    assert [verdict(seccomp.PRCTL[column], option) for option in seccomp.REFUSED_PRCTL] == [REFUSE] * 4
    assert verdict(seccomp.PRCTL[column], 15) == ALLOW  # PR_SET_NAME
    assert [verdict(seccomp.FCNTL[column], 0, command) for command in (8, 15, 4)] == [REFUSE, REFUSE, ALLOW]
    assert [verdict(seccomp.IOCTL[column], 0, request) for request in (0x8902, 0x5401)] == [REFUSE, ALLOW]
    assert verdict(463) == verdict(0x40000000) == verdict(0xFFFFFFFF) == ABSENT
    assert run_filter(program, 0x40000003, 1) == KILL  # 32-bit calls


@pytest.mark.parametrize(
    ("header", "column"),
    [("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 0), ("/usr/include/asm-generic/unistd.h", 1)],
)
def test_numbers_are_the_kernels(header, column):
    if not Path(header).exists():
        pytest.skip(f"{header} is not installed")
    text = Path(header).read_text()
    kernel = {
        name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", text)
    }
    ours = {**seccomp.REFUSED, **seccomp.IDLE, **{name: n[:2] for name, n in seccomp.OWN_ONLY.items()}}
    ours |= {"clone": seccomp.CLONE, "clone3": seccomp.CLONE3, "prctl": seccomp.PRCTL}
    ours |= {"fcntl": seccomp.FCNTL, "ioctl": seccomp.IOCTL}
    ours |= {"setpriority": seccomp.SETPRIORITY, "mseal": (462, 462)}
    assert len(kernel) > 250
    wrong = {
        name: (numbers[column], kernel.get(name))
        for name, numbers in ours.items()
        if numbers[column] != kernel.get(name, numbers[column] if (numbers[column] or 0) > 440 else None)
    }
    assert wrong == {}


def test_a_hole_leaves_only_its_neighbours(tmp_path):
    kit = tmp_path / "site-packages" / "cohort_cli" / "_kit"
    for folder in (kit / "projects", tmp_path / "site-packages" / "torch", tmp_path / "other"):
        folder.mkdir(parents=True)
    (tmp_path / "site-packages" / "cohort_cli" / "app.py").touch()
    (tmp_path / "site-packages" / "link").symlink_to(kit)
    pieces = {
        (Path(path).relative_to(tmp_path).as_posix(), whole)
        for path, whole in without(str(tmp_path), [str(kit)])
    }
    assert pieces == {
        (".", False),
        ("other", True),
        ("site-packages", False),
        ("site-packages/torch", True),
        ("site-packages/cohort_cli", False),
        ("site-packages/cohort_cli/app.py", True),
    }


def test_the_kit_is_not_readable_but_its_code_is():
    kit = Path(sandbox.__file__).resolve().parents[3]
    places = python_places(kit)
    readable = [path for path in places.readable if contains(str(kit), path) or contains(path, str(kit))]
    environment = str(Path(sys.prefix).resolve())  # it may lie in the checkout: the README puts it there
    assert [path for path in readable if path != environment] == [str(kit / "cohort_cli")]


def test_an_installed_kit_is_left_out_of_site_packages(tmp_path, monkeypatch):
    kit = tmp_path / "lib" / "cohort_cli" / "_kit"
    kit.mkdir(parents=True)
    (tmp_path / "lib" / "torch").mkdir()
    monkeypatch.setattr("sys.path", [str(tmp_path / "lib")])
    places = python_places(kit)
    assert str(tmp_path / "lib" / "torch") in places.readable
    assert {str(tmp_path / "lib"), str(tmp_path / "lib" / "cohort_cli")} <= set(places.listable)
    assert not any(contains(path, str(kit)) for path in places.readable)


def test_the_current_folder_is_not_a_library(tmp_path, monkeypatch):
    """`python -m cohort_cli` puts the current folder on sys.path; it may hold anything of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", str(tmp_path)])
    assert str(tmp_path) not in python_places(tmp_path / "kit").readable


def test_landlock_asks_for_nothing_that_its_version_lacks():
    bits = {abi: handled.bit_length() for abi, handled in landlock.FILES_BY_ABI.items()}
    assert bits == {1: 13, 2: 14, 3: 15, 5: 16}


@pytest.mark.skipif(not linux.SUPPORTED, reason="Landlock is Linux's own")
def test_best_level_names_the_version():
    assert re.fullmatch(r"landlock-\d+\+seccomp|rlimits", sandbox.best_level())


def test_without_a_kernel_that_can(monkeypatch):
    monkeypatch.setattr(landlock.linux, "SUPPORTED", False)
    monkeypatch.setattr("os.name", "posix")
    assert sandbox.best_level() == "rlimits"
    monkeypatch.setattr("os.name", "nt")
    assert sandbox.best_level() == "none"
