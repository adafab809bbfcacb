"""Every preset renders for every rented place exactly as it did, and no secret's value is in it."""

from __future__ import annotations

import golden
import pytest

JOBS = dict(golden.all_jobs())


@pytest.mark.parametrize("place", golden.PLACES)
def test_every_preset_renders_as_it_did(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hush-hush-hush")
    folder = golden.GOLDEN / place
    assert {path.stem for path in folder.iterdir()} == set(JOBS)
    for name, job in JOBS.items():
        text = golden.as_text(golden.PLACES[place].render(job))
        assert text == (folder / f"{name}.txt").read_text(encoding="utf-8"), (
            "python tests/launching/golden.py"
        )
        assert "hush" not in text


def test_there_are_presets() -> None:
    assert len(JOBS) == 15
