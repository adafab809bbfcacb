"""What an acceptance test imports: one decorator that says what the test is.

    @check("scale", title="scores are divided by sqrt(head_dim)", needs=["fused-shape"])
    def test_scale(member, expect, rng):
        '''What it tests and why. Shown by `cohort explain`.'''

The step is the file's name: `test_attention.py` holds the checks of the step `attention`. The words must be plain
literals, because `cohort explain` and `cohort status` read them from the source without running it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest


def check(
    id: str, *, title: str, needs: Sequence[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a test as the check `id`. `needs` names the checks without which its verdict means nothing."""
    return pytest.mark.check(id=id, title=title, needs=tuple(needs))
