"""One arena for each level, and for each of xdist's workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from arena import Arena, arena

from cohort_cli.checking import sandbox

BEST = sandbox.best_level()
LEVELS = [
    pytest.param(
        "landlock",
        marks=pytest.mark.skipif(
            not BEST.startswith("landlock"), reason="this kernel has no Landlock or no seccomp"
        ),
    ),
    pytest.param(
        "rlimits",
        marks=[
            pytest.mark.skipif(BEST == "none", reason="a system without limits cannot be attacked safely"),
            *(
                [pytest.mark.slow] if BEST.startswith("landlock") else []
            ),  # by day the level that this system has
        ],
    ),
]


@pytest.fixture(scope="session", params=LEVELS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with arena(request.param, tmp_path_factory.mktemp(f"hostile-{request.param}")) as place:
        yield place
