"""The stored GPT-2 block is what transformers computes today."""

from __future__ import annotations

import importlib.util
import json

import pytest
import torch

from cohort_cli.catalog import Project


def test_the_stored_block_is_the_one_of_transformers(project: Project) -> None:
    pytest.importorskip("transformers")
    folder = project.acceptance / "fixtures"
    spec = importlib.util.spec_from_file_location("make_gpt2_block", folder / "make_gpt2_block.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)

    stored = json.loads((folder / "gpt2_block.json").read_text(encoding="utf-8"))
    block, _ = maker.random_block()
    state = {name: torch.tensor(value, dtype=torch.float64) for name, value in stored["weights"].items()}
    block.load_state_dict({name: value.T if value.ndim == 2 else value for name, value in state.items()})
    x, want = (torch.tensor(stored[key], dtype=torch.float64) for key in ("input", "output"))
    assert stored["config"] == maker.CONFIG
    torch.testing.assert_close(maker.output_of(block, x), want, rtol=0, atol=1e-12)
    assert all(value.std() > 0.2 for value in state.values())  # gains and biases are random too
