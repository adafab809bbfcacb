"""A judge for the real projects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cohort_cli.checking.client import Judge


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        yield judge
