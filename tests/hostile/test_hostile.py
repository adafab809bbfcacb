"""Hostile submissions: none may pass, hang, leak, tamper, or leave a process behind.

Each is a file of `submissions/`, whose first line says what it tries. "rlimits" is the level of systems without
Landlock; what gets through there is named in the table and said in the documentation, and a test fails when it changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from arena import LIMITS, OTHER_CHECK, SECRET_TEXT, SUBMISSIONS, TOKEN

from cohort_cli.checking.report import check_lines

# Seconds on the wall. Only a guard against hanging: limits are on CPU time, and this machine may be busy.
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Attack:
    """What may become of a submission."""

    states: str  # any of these words
    says: str = ""  # a part of the sentence that the member reads
    check: str = "softmax-by-hand"
    rule: bool = False  # the values are right, and a broken rule is reported beside them
    gets_through: str = ""  # levels at which it is known not to be stopped
    pending: str = ""  # why the judge does not stand it yet
    safe: bool = True  # whether it may run while it is pending


FAIL, ERROR, CRASH, TIME, MEM = (Attack(state) for state in ("fail", "error", "crash", "time", "mem"))
REFUSED = Attack("error", "a check may")
NETWORK, PROCESS = Attack("error", "network"), Attack("error", "another process")
SOLUTIONS = Attack("error", "solutions")
SCRATCH = Attack("error", "only in its own scratch folder")
FRAMES = Attack("crash", "answer")
RULE = Attack("ok", rule=True)

ATTACKS = {
    # ways to end
    "exit_sys": Attack("error", "SystemExit"),
    "exit_os": Attack("crash", "exit code 0"),
    "exit_atexit": FAIL,
    "exit_at_import": Attack("error", "SystemExit"),
    "exit_keyboard": Attack("error", "KeyboardInterrupt"),
    "exit_base_exception": Attack("error", "Leave"),
    "exit_generator_exit": Attack("error", "GeneratorExit"),
    "exit_abort": Attack("crash", "SIGABRT"),
    # forged verdicts
    "forged_stdout": Attack("crash", "exit code 0"),
    "forged_descriptors": CRASH,
    "forged_files": FAIL,
    "forged_files_in_work": SCRATCH,
    # patched tools, and files in the workspace
    "patched_torch": Attack("fail error"),
    "patched_pytest": Attack("fail error"),
    "patched_player": Attack("fail error crash"),
    "patched_clocks": TIME,
    "patched_imports": FAIL,
    "workspace_conftest": FAIL,
    "workspace_pytest_ini": FAIL,
    "workspace_sitecustomize": FAIL,
    "workspace_shadows": FAIL,
    "workspace_unparseable": Attack("ok"),
    "workspace_huge_source": Attack("ok"),
    "workspace_pipe": Attack("ok"),
    "workspace_endless_link": Attack("ok"),
    # objects that lie
    "liar_subclass": Attack("fail error"),
    "liar_object": Attack("fail error"),
    "liar_shape": Attack("fail error crash"),
    "liar_exploding": Attack("fail error"),
    "liar_dict": Attack("fail error time mem"),
    "input_mutated": FAIL,
    "input_identity": FAIL,
    # looking for the answer
    "peek_frames": Attack("error", "nothing was found"),
    "peek_caller": FAIL,
    "hard_coded": Attack("fail error", check="softmax-dim"),
    "memo_table": Attack("fail", check="softmax-dim"),
    "seed_guessing": Attack("wait fail", check="softmax-dim"),
    "reference_by_path": SOLUTIONS,
    "reference_by_name": ERROR,
    "reference_by_symlink": Attack("error"),
    "reference_by_new_symlink": Attack("error", "links"),
    "reference_by_open": SOLUTIONS,
    "reference_by_cplusplus": Attack("error", gets_through="rlimits"),
    "acceptance_read": SOLUTIONS,
    "acceptance_rewritten": SCRATCH,
    "guard_taken_apart": Attack("error", gets_through="rlimits"),
    # torch's own answer
    "oracle_plain": RULE,
    "oracle_alias": RULE,
    "oracle_hidden": RULE,
    "oracle_attention": Attack("ok", check="attention-average", rule=True),
    "oracle_thread": RULE,
    "oracle_library": Attack("error", "may not be used here"),
    # time
    "loop_python": TIME,
    "loop_regex": TIME,
    "loop_power": Attack("time mem"),
    "loop_torch": Attack("time mem"),
    "loop_at_import": TIME,
    "loop_swallows": TIME,
    "loop_deaf": TIME,
    "loop_forks_work": TIME,
    "loop_in_backward": Attack("time", check="softmax-gradient"),
    "wait_lock": TIME,
    "wait_sleep": TIME,
    "wait_stopped": TIME,
    "wait_thread": FAIL,
    "wait_drip": TIME,
    # memory, disk, output
    "memory_torch": MEM,
    "memory_bytes": MEM,
    "memory_grows": MEM,
    "memory_swallows": MEM,
    "disk_one_file": Attack("error crash"),
    # How fast the disk is decides which limit these two meet first: that of files, or that of time.
    "disk_many_files": Attack("error crash time"),
    "disk_empty_files": Attack("error crash time"),
    "disk_unlinked": Attack("error time"),  # 64 open files at most, of 64 MiB at most
    "disk_deep_folders": Attack("crash fail error"),
    "disk_closed_folder": Attack("error", "readable"),
    "memory_shared": ERROR,
    "output_flood": Attack("error crash"),
    "output_flood_raw": Attack("error crash time"),
    # processes
    "fork_bomb": PROCESS,
    "daemon": PROCESS,
    "spawn_all_ways": PROCESS,
    "exec_shell": PROCESS,
    "thread_outlives": FAIL,
    "kill_self": Attack("crash", "SIGKILL"),
    "segfault_ctypes": Attack("error crash"),
    "segfault_python": Attack("crash", "SIGSEGV"),
    "recursion_python": Attack("error", "RecursionError"),
    "recursion_c": Attack("crash mem time error"),
    # spying
    "spy_secret": REFUSED,
    "spy_home": REFUSED,
    "spy_environment": REFUSED,
    "spy_tcp": NETWORK,
    "spy_udp": NETWORK,
    "spy_libraries": NETWORK,
    # tampering
    "tamper_kill_parent": Attack("error", "signals"),
    "tamper_kill_group": Attack("error", "signals"),
    "tamper_kill_pidfd": Attack("error", "signals"),
    "tamper_slow_parent": Attack("error", "limits"),
    "tamper_memory_file": SCRATCH,
    "tamper_memory_call": Attack("error", "ctypes"),
    "tamper_canary": REFUSED,
    "tamper_torch_save": SCRATCH,
    "tamper_symlink_out": Attack("error", "links"),
    "tamper_work": SCRATCH,
    "tamper_scratch_of_others": SCRATCH,
    "tamper_kit": SCRATCH,
    "tamper_privileges": ERROR,
    # frames that lie to the judge
    "frames_garbage": FRAMES,
    "frames_huge_claim": FRAMES,
    "frames_silent_claim": TIME,
    "frames_wrong_number": FRAMES,
    "frames_deep": FRAMES,
    "frames_wrong_shape": CRASH,
    "frames_wrong_types": Attack("crash fail error"),
    "frames_wrong_error": Attack("crash error"),
    "frames_drip": TIME,
    "frames_forged_answer": Attack("fail crash"),
    "frames_in_advance": FRAMES,
    "frames_flood": Attack("fail crash"),
    "frames_large": Attack("fail crash mem error"),
    "frames_pickle": CRASH,
    "frames_closed": CRASH,
    "descriptors_closed": CRASH,
    # results of the wrong kind
    "result_generator": FAIL,
    "result_sparse": Attack("error", "sparse"),
    "result_meta": Attack("error", "meta"),
    "result_complex": FAIL,
    "result_nan": FAIL,
    "result_inf": FAIL,
    "result_bool": FAIL,
    "result_quantized": Attack("error fail"),
    "result_empty": FAIL,
    "result_none": FAIL,
    "result_none_for_a_mask": Attack("fail error", check="mask-values"),
    "parameters_huge": Attack("fail error crash mem", check="norm-parameters"),
    "result_nested": Attack("error fail"),
    "result_huge_text": Attack("error fail crash"),
    "result_huge_number": Attack("error fail crash"),
    "result_huge_view": Attack("error fail mem"),
    # words that lie to the reader
    "message_control": ERROR,
    "message_names": ERROR,
    "message_todo": Attack("todo"),
    "message_skip": Attack("error", "Skipped"),
}


def test_every_submission_has_its_line():
    assert {path.stem for path in SUBMISSIONS.glob("*.py")} == set(ATTACKS)
    assert len(ATTACKS) >= 100


def _case(name):
    attack = ATTACKS[name]
    marks = [pytest.mark.xfail(reason=attack.pending, run=attack.safe)] if attack.pending else []
    return pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", [_case(name) for name in ATTACKS])
def test_hostile(place, name):
    attack = ATTACKS[name]
    judge = place.judge.pid
    outcome = place.attack(name, attack.check)

    found = outcome.hostile
    breached = "BREACH" in outcome.text
    assert breached is (place.level in attack.gets_through.split()), found
    assert found.state.value in attack.states.split(), found
    assert bool(found.rule) is attack.rule, found
    assert attack.says in found.message, found
    assert outcome.report.exit == (0 if attack.states == "ok" and not attack.rule else 1)

    assert outcome.other.state.value == "ok", outcome.other
    assert outcome.seconds < PATIENCE_SECONDS
    assert place.judge.pid == judge, "the judge had to be replaced"
    assert place.strays() == []
    assert not place.heard()
    assert place.scratch_bytes() < LIMITS.scratch_mib << 20
    assert SECRET_TEXT not in outcome.text
    assert TOKEN not in outcome.text


def test_honest(place):
    """The control: without a hostile file the same judge says ok, and finds no broken rule."""
    report = place.judge.check(place.project, place.project.reference, ["attention", "mask", OTHER_CHECK])
    assert report.summary == {"ok": len(report.checks)}
    assert [check.rule for check in report.checks] == [None] * len(report.checks)
    assert report.isolation.startswith(place.level)
    assert place.strays() == []


@pytest.mark.parametrize("name", ["message_control", "message_names"])
def test_words_are_harmless_to_a_terminal(place, name):
    """What a member's code says is shown, but it cannot move the cursor, and it can always be written to a file."""
    found = place.attack(name, "softmax-by-hand").hostile
    assert found.message
    text = "\n".join(text for _, text in check_lines(found))
    text.encode()
    assert [c for c in text if not (c.isprintable() or c == "\n")] == []
