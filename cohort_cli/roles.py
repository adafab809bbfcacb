"""Who does what at which meeting: drawn by a seed, fair, and the same again for the same group.

Nobody presents twice before every volunteer presented once, and the backup of a meeting is who presents the next one.
The other jobs are spread so evenly that no exchange could make them more even. What the file keeps is taken as it is.
A person's place in the order depends on the seed and their handle alone, so who joins or leaves disturbs little.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from itertools import pairwise, permutations

from cohort_cli.group import JOBS, Group, Meeting, Member

HELPING = ("breaker", "scribe", "clock")
Roles = dict[str, str]  # job -> handle; a job that nobody can do is missing


def plan(group: Group, today: date, seed: str = "") -> dict[int, Roles]:
    """The roles of every meeting that is held. From today on, what is kept for somebody who has left goes to others."""
    handles = {member.handle for member in group.members}
    meetings = [
        meeting
        if meeting.day < today
        else meeting._replace(kept={job: who for job, who in meeting.kept.items() if who in handles})
        for meeting in group.held
    ]
    return assign(meetings, group.members, seed or group.id)


def assign(meetings: Sequence[Meeting], members: Sequence[Member], seed: str) -> dict[int, Roles]:
    """number -> job -> handle."""
    order = sorted((member.handle for member in members), key=lambda handle: _lot(seed, handle))
    willing = {member.handle for member in members if member.volunteers}
    volunteers = [handle for handle in order if handle in willing]
    roles = {meeting.number: dict(meeting.kept) for meeting in meetings}
    _present(meetings, roles, volunteers)
    _help(meetings, roles, order)
    return {number: {job: done[job] for job in JOBS if job in done} for number, done in roles.items()}


def _lot(seed: str, handle: str) -> bytes:
    return hashlib.sha256(f"{seed}:{handle.casefold()}".encode()).digest()


def _present(meetings: Sequence[Meeting], roles: dict[int, Roles], volunteers: list[str]) -> None:
    """Presenters in the order of their lots, round after round; each the backup of the meeting before."""
    numbers = [meeting.number for meeting in meetings]
    if not numbers:
        return
    count = Counter(done["presenter"] for done in roles.values() if "presenter" in done)
    for before, number in pairwise(
        numbers
    ):  # a kept backup presents the next one, who has not presented meanwhile
        backup = roles[before].get("backup", "")
        least = min((count[handle] for handle in volunteers), default=0)
        if backup == roles[before].get("presenter"):  # stood in, so somebody else stands by for the next
            del roles[before]["backup"]
        elif backup in volunteers and "presenter" not in roles[number] and count[backup] == least:
            roles[number]["presenter"] = backup
            count[backup] += 1
    last = ""
    for number in numbers:
        if "presenter" not in roles[number] and volunteers:
            chosen = _first(volunteers, count, avoid=last)
            roles[number]["presenter"] = chosen
            count[chosen] += 1
        last = roles[number].get("presenter", "")
    for number, following in zip(numbers, [*numbers[1:], None], strict=True):
        if "backup" in roles[number]:
            continue
        presenter = roles[number].get("presenter", "")
        others = [handle for handle in volunteers if handle != presenter]
        stands_by = roles[following].get("presenter") if following is not None else None
        if stands_by in (None, presenter) and others:
            stands_by = _first(others, count)
        if stands_by and stands_by != presenter:
            roles[number]["backup"] = stands_by


def _first(handles: Iterable[str], count: Counter[str], avoid: str = "") -> str:
    """Of those that did it least often the first; `avoid` only if there is nobody else among them."""
    return min(handles, key=lambda handle: (count[handle], handle == avoid))


# --- the other jobs -------------------------------------------------------------------------------


def _help(meetings: Sequence[Meeting], roles: dict[int, Roles], order: list[str]) -> None:
    """Choose who helps at each meeting, make that even, then say who does which job."""
    load: Counter[str] = Counter(
        done[job] for done in roles.values() for job in HELPING if job in done and done[job] in order
    )
    helpers: dict[int, list[str]] = {}
    for number, done in roles.items():
        helpers[number] = []
        for _ in range(sum(job not in done for job in HELPING) if order else 0):
            busy = Counter([*done.values(), *helpers[number]])
            chosen = min(order, key=lambda handle: (busy[handle], load[handle]))
            helpers[number].append(chosen)
            load[chosen] += 1
    _even_out(helpers, roles, load, order)
    known = Counter((job, done[job]) for done in roles.values() for job in HELPING if job in done)
    for number, done in roles.items():
        free = [job for job in HELPING if job not in done]
        ways = permutations(helpers[number])
        best = min(
            ways, key=lambda way: sum(known[pair] ** 2 for pair in zip(free, way, strict=True)), default=()
        )
        done.update(zip(free, best, strict=False))
        known.update(zip(free, best, strict=False))


def _even_out(
    helpers: dict[int, list[str]], roles: dict[int, Roles], load: Counter[str], order: list[str]
) -> None:
    """Pass jobs on, from one to the next, until nobody has two more than somebody that they could go to."""
    while True:
        for giver in sorted(order, key=lambda handle: -load[handle]):
            chain = _chain(giver, helpers, roles, load, order)
            if chain:
                break
        else:
            return
        for number, old, new in chain:
            helpers[number][helpers[number].index(old)] = new
        load[giver] -= 1
        load[chain[-1][2]] += 1


def _chain(
    giver: str,
    helpers: dict[int, list[str]],
    roles: dict[int, Roles],
    load: Counter[str],
    order: Collection[str],
) -> list[tuple[int, str, str]]:
    """The shortest chain of (meeting, from, to) that ends at somebody with two jobs fewer; empty if there is none."""
    came: dict[str, list[tuple[int, str, str]]] = {giver: []}
    waiting = deque([giver])
    while waiting:
        old = waiting.popleft()
        if load[old] <= load[giver] - 2:
            return came[old]
        for number in (number for number, names in helpers.items() if old in names):
            for new in order:
                if new not in came and new not in helpers[number] and new not in roles[number].values():
                    came[new] = [*came[old], (number, old, new)]
                    waiting.append(new)
    return []
