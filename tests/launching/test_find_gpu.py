"""Which GPU: the table is `plan`'s numbers, the commands can be typed, and the page shows what the program says."""

from __future__ import annotations

import json
import re
import shlex

import golden
import pytest
from support import Cohort

from cohort_cli.errors import UsageError
from cohort_cli.launching import find_gpu
from cohort_cli.training import gpus


def test_each_number_is_the_plans(cohort: Cohort) -> None:
    words = ("plan", "project3", "--preset", "gpu8-1.5b", "--json")
    table = json.loads(cohort(*words, "--places", "--prices", "h100=2.5").out)
    assert table["schema"] == "cohort.gpus/1"
    assert {one["gpu"] for one in table["offers"]} | {one["key"] for one in table["not"]} == set(gpus.GPUS)
    for key, price in (("h100", "2.5"), ("l40s", None)):
        [offer] = [one for one in table["offers"] if one["gpu"] == key]
        more = ("--price", price) if price else ()
        alone = json.loads(cohort(*words, "--gpu", key, "--gpus", "8", *more).out)
        for name in ("seconds", "memory_bytes_total", "cost", "devices"):
            assert offer[name] == alone[name]
    assert table["offers"][0]["gpu"] == "h100"  # the only one with a price
    assert [one for one in table["not"] if one["key"] == "t4"] == [{"key": "t4", "why": "no bfloat16"}]


def test_a_gpu_that_is_too_small_says_so(cohort: Cohort) -> None:
    out = cohort("plan", "project3", "--preset", "gpu8-1.5b", "--places", "--gpus", "1").out
    assert "l4 (24 GB)" in out
    assert not re.search(r"^l4 ", out, re.MULTILINE)
    assert "--on notebook" not in out  # hundreds of hours


@pytest.mark.parametrize("preset", ["smoke", "gpu1", "gpu8-1.5b", "lora-1.5b"])
def test_it_fits_a_terminal_and_says_what_is_next(cohort: Cohort, preset: str) -> None:
    ended = cohort("plan", "project3", "--preset", preset, "--places", "--prices", "h100=2.5,l4=0.8")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith("next: cohort plan project3")
    assert cohort(*shlex.split(lines[-1].removeprefix("next: cohort "))).code == 0


def test_the_cap_follows_from_the_price(cohort: Cohort) -> None:
    out = cohort("plan", "project3", "--preset", "gpu8-1.5b", "--places", "--prices", "h100=2.5").out
    [sky] = re.findall(r"--on sky --gpus 8 \\\n +(.*)", out)
    assert (
        sky == "--gpu-type h100 --walltime 47h --max-usd-per-hour 20.00"
    )  # 37.1 h, a quarter more, and a half


@pytest.mark.parametrize("text", ["h100", "h100=x", "h100=-1", "h100=inf", "h1000=2"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        find_gpu.prices_of(text)


def test_one_kind_and_all_kinds_are_not_asked_for_together(cohort: Cohort) -> None:
    ended = cohort("plan", "project3", "--preset", "gpu1", "--places", "--price", "2")
    assert ended.code == 2
    assert "--prices" in ended.err


def blocks() -> list[tuple[str, str]]:
    """(command, what the page says it answers)."""
    return [(match[1], match[2]) for match in golden.BLOCK.finditer(golden.PAGE.read_text(encoding="utf-8"))]


def test_the_page_has_tables() -> None:
    assert len(blocks()) >= 3


@pytest.mark.parametrize("number", range(3))
def test_the_page_shows_what_the_program_says(cohort: Cohort, number: int) -> None:
    command, shown = blocks()[number]
    assert cohort(*shlex.split(command)).out == shown, "python tests/launching/golden.py"
