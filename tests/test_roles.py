"""The lots: fair for every group, the same for everybody, and what has been stays."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import date
from itertools import combinations, pairwise, product

import pytest
from fake_group import group_of, meetings_of, members_of, with_meeting
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort_cli import roles
from cohort_cli.group import JOBS, Meeting, Member
from cohort_cli.roles import HELPING, Roles

ALL = meetings_of(7)
BEGIN = date(2026, 11, 1)


def presenters(planned: dict[int, Roles]) -> list[str]:
    return [jobs["presenter"] for jobs in planned.values()]


def assert_in_turn(names: Sequence[str], volunteers: set[str]) -> None:
    """Nobody a second time before everybody once, nobody a third time before everybody twice, and so on."""
    count: Counter[str] = Counter(dict.fromkeys(volunteers, 0))
    for name in names:
        assert count[name] == min(count.values()), f"{name} presents again before everybody did: {names}"
        count[name] += 1


def helping(planned: dict[int, Roles]) -> Counter[str]:
    return Counter(jobs[job] for jobs in planned.values() for job in HELPING if job in jobs)


def test_where_every_meeting_is_cancelled_there_is_nothing_to_do() -> None:
    group = group_of()
    for number in range(7):
        group = with_meeting(group, number, cancelled=True)
    assert roles.plan(group, BEGIN) == {}


def test_who_stood_in_does_not_present_again_before_the_others() -> None:
    """The backup of the first meeting really presented it, and was to present the second."""
    group = with_meeting(group_of(), 0, kept={"presenter": "sam", "backup": "sam"})
    planned = roles.plan(group, BEGIN)
    assert_in_turn(presenters(planned), {member.handle for member in group.members})
    assert planned[0]["presenter"] == "sam"
    assert planned[0].get("backup") != "sam"


def test_a_kept_backup_who_has_presented_already_waits_for_the_others() -> None:
    """It was settled that sam stands by at the second meeting; then sam presented the first one in somebody's place."""
    group = with_meeting(group_of(), 0, kept={"presenter": "sam"})
    group = with_meeting(group, 1, kept={"presenter": "lin", "backup": "sam"})
    assert_in_turn(presenters(roles.plan(group, BEGIN)), {member.handle for member in group.members})


def test_a_thousand_groups_of_eight_to_fifteen() -> None:
    """Each with another number of volunteers, down to one."""
    draw = random.Random(7)
    for number in range(1000):
        size = draw.randint(8, 15)
        willing = draw.choice([size, draw.randint(1, size), draw.randint(1, 4)])
        members = members_of(size, willing)
        planned = roles.assign(ALL, members, f"group {number}")
        assert list(planned) == list(range(7))
        volunteers = {member.handle for member in members if member.volunteers}
        assert set(presenters(planned)) <= volunteers
        assert_in_turn(presenters(planned), volunteers)
        for jobs, following in pairwise(planned.values()):
            assert jobs.get("backup") == (following["presenter"] if willing > 1 else None)
        for jobs in planned.values():
            assert len(set(jobs.values())) == len(jobs) == (5 if willing > 1 else 4), "one job each"
        count = helping(planned)
        assert sum(count.values()) == 21
        if willing >= 8:  # few who present all the time are left little time to help
            assert max(count.values()) - min(count[member.handle] for member in members) <= 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**9), st.integers(4, 6), st.integers(2, 6))
def test_no_other_choice_of_helpers_would_be_more_even(seed: int, size: int, willing: int) -> None:
    """By brute force, over every choice of helpers of three meetings."""
    members = members_of(size, min(willing, size))
    planned = roles.assign(ALL[:3], members, str(seed))
    count = helping(planned)
    spread = sorted(count[member.handle] for member in members)
    free = [
        sorted({member.handle for member in members} - {jobs.get("presenter"), jobs.get("backup")})
        for jobs in planned.values()
    ]
    if min(map(len, free)) < 3:
        return
    best = min(
        sum(value**2 for value in Counter(name for names in choice for name in names).values())
        for choice in product(*(combinations(names, 3) for names in free))
    )
    assert sum(value**2 for value in spread) == best


@pytest.mark.parametrize("size", range(8, 16))
def test_the_jobs_change_hands(size: int) -> None:
    """21 times somebody helps, and at most once it is somebody who had that very job before."""
    planned = roles.assign(ALL, members_of(size), "seed")
    count = Counter((job, jobs[job]) for jobs in planned.values() for job in HELPING)
    assert sum(times - 1 for times in count.values()) <= 1


def test_the_same_group_gets_the_same_roles_everywhere() -> None:
    """Written out: another machine, Python or order of the members must not draw other lots."""
    members = members_of(8)
    planned = roles.assign(ALL, members, "seed")
    assert presenters(planned) == ["m1", "m3", "m0", "m7", "m2", "m6", "m4"]
    assert roles.assign(ALL, list(reversed(members)), "seed") == planned
    assert len({str(roles.assign(ALL, members, str(seed))) for seed in range(20)}) == 20


def test_the_seed_is_the_groups_identifier_unless_another_is_given() -> None:
    group = group_of()
    assert roles.plan(group, BEGIN) == roles.assign(group.meetings, group.members, group.id)
    assert roles.plan(group, BEGIN, "x") == roles.assign(group.meetings, group.members, "x")


def test_a_cancelled_meeting_has_no_roles() -> None:
    planned = roles.plan(with_meeting(group_of(), 3, cancelled=True), BEGIN)
    assert list(planned) == [0, 1, 2, 4, 5, 6]
    assert planned[2]["backup"] == planned[4]["presenter"]


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_small_group_shares_what_there_is(size: int) -> None:
    planned = roles.assign(ALL, members_of(size), "seed")
    for jobs in planned.values():
        assert set(JOBS) - set(jobs) == ({"backup"} if size == 1 else set())
        count = Counter(jobs.values())
        assert max(count.values()) - min(count[f"m{number}"] for number in range(size)) <= 1


def test_without_volunteers_nobody_presents() -> None:
    planned = roles.assign(ALL, members_of(8, volunteers=0), "seed")
    assert all(set(jobs) == set(HELPING) for jobs in planned.values())


# --- what the file keeps ---------------------------------------------------------------------------


def keeping(planned: dict[int, Roles], numbers: range) -> list[Meeting]:
    return [
        meeting._replace(kept=planned[meeting.number]) if meeting.number in numbers else meeting
        for meeting in ALL
    ]


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9), st.integers(8, 12), st.integers(1, 5), st.integers(0, 3), st.integers(0, 3))
def test_who_joins_or_leaves_changes_nothing_that_has_been(
    seed: int, size: int, been: int, joining: int, leaving: int
) -> None:
    before = members_of(size)
    planned = roles.assign(ALL, before, str(seed))
    after = [*before[leaving:], *(Member(f"new{number}") for number in range(joining))]
    again = roles.assign(keeping(planned, range(been)), after, str(seed))
    assert [again[number] for number in range(been)] == [planned[number] for number in range(been)]
    here = {member.handle for member in after}
    later = {number: jobs for number, jobs in again.items() if number >= been}
    assert {name for jobs in later.values() for name in jobs.values()} <= here
    if planned[been - 1]["backup"] in here:
        assert later[been]["presenter"] == planned[been - 1]["backup"], "who stood by presents"
    count = Counter(presenters(planned)[:been])
    for name in presenters(later):
        assert count[name] == min(count[handle] for handle in here), (
            "also who is new presents before others do again"
        )
        count[name] += 1


def test_a_wish_is_kept_and_counted() -> None:
    """m0 wants to present the last meeting: then not an earlier one, while others have not presented."""
    wish = [*ALL[:6], ALL[6]._replace(kept={"presenter": "m0", "clock": "m1"})]
    for seed in range(30):
        planned = roles.assign(wish, members_of(8), str(seed))
        assert (planned[6]["presenter"], planned[6]["clock"]) == ("m0", "m1")
        assert presenters(planned).count("m0") == 1
        assert planned[5]["backup"] == "m0"


def test_who_presents_twice_running_by_their_own_wish_is_not_their_own_backup() -> None:
    wish = [each._replace(kept={"presenter": "m0"}) if each.number in (3, 4) else each for each in ALL]
    planned = roles.assign(wish, members_of(8), "seed")
    assert [planned[3]["presenter"], planned[4]["presenter"]] == ["m0", "m0"]
    assert planned[3]["backup"] != "m0"


def test_what_was_kept_for_somebody_who_left_goes_to_others_from_today_on() -> None:
    group = group_of()
    for number in range(4):
        group = with_meeting(group, number, kept={"presenter": "gone", "scribe": "ada"})
    planned = roles.plan(group, group.meetings[2].day)
    assert [jobs["presenter"] == "gone" for jobs in planned.values()] == [True, True] + 5 * [False]
    assert [planned[number]["scribe"] for number in range(4)] == ["ada"] * 4
