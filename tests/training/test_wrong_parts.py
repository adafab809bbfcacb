"""A member's part that passes its checks and then gives something wrong: it is named, with its file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jobs import state_of, worker

from cohort_cli.catalog import find_project
from cohort_cli.errors import UsageError
from cohort_cli.training.parts import PARTS, PartFailed
from cohort_cli.training.runs import RunFolder

Train = Callable[..., list[dict[str, Any]]]
MakeRun = Callable[..., RunFolder]
RECIPE = ("model.recipe=gpt2", "optimizer.name=adamw", "schedule.shape=cosine")


@pytest.fixture
def wrong(mine: Callable[[str], Path]) -> Callable[[str, str], dict[str, str]]:
    """wrong("rate", code) is the member's own rate, with this code after the reference's."""

    def make(part: str, code: str) -> dict[str, str]:
        project = find_project(PARTS[part].project)
        place = mine(project.id)
        for path in project.reference.glob("*.py"):
            (place / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
        with (place / PARTS[part].file).open("a", encoding="utf-8") as file:
            file.write("\n" + code)
        return {part: str(place)}

    return make


GPT = """
class GPT(GPT):
    def forward(self, idx, targets=None):
        logits, loss = super().forward(idx, targets)
        return {}
"""
CASES = {
    "rate-none": ("rate", "def lr_at(*a, **k): return None", "lr_at (schedule.py) gave None"),
    "rate-text": ("rate", "def lr_at(*a, **k): return '0.1'", "lr_at (schedule.py) gave '0.1'"),
    "rate-nan": ("rate", "def lr_at(*a, **k): return float('nan')", "lr_at (schedule.py) gave nan"),
    "rate-negative": ("rate", "def lr_at(*a, **k): return -1.0", "lr_at (schedule.py) gave -1.0"),
    "optimizer-none": ("optimizer", "def configure_optimizers(*a, **k): return None", "(schedule.py) gave None"),
    "clip-none": ("clip", "def clip_grad_norm(*a): return None", "clip_grad_norm (loop.py) gave None"),
    "clip-vector": ("clip", "def clip_grad_norm(*a): return torch.zeros(3)", "gave a Tensor of shape (3,)"),
    "clip-nan": ("clip", "def clip_grad_norm(*a): return torch.tensor(float('nan'))", "clip_grad_norm (loop.py) gave"),
    "batch-none": ("batches", "def get_batch(*a, **k): return None", "get_batch (data.py) gave None"),
    "batch-float": (
        "batches", "import torch\ndef get_batch(d, b, t, **k): return torch.zeros(b, t), torch.zeros(b, t)",
        "get_batch (data.py) gave a tuple",
    ),
    "batch-ids": (
        "batches",
        "import torch\ndef get_batch(d, b, t, **k): return (torch.full((b, t), 10**6),) * 2",
        "get_batch (data.py) gave a tuple",
    ),
    "loss-none": ("model", GPT.format("logits, None"), "GPT (model.py) gave None"),
    "loss-vector": ("model", GPT.format("logits, logits"), "GPT (model.py) gave a Tensor of shape"),
    "loss-float": ("model", GPT.format("logits, 1.0"), "GPT (model.py) gave 1.0"),
    "gpt2": ("gpt2", GPT.replace("targets=None", "targets=None, *, kv_cache=None").format("logits"),
             "GPT (gpt.py) gave a Tensor of shape"),
    "no-pair": ("model", GPT.format("logits"), "GPT (model.py) gave a Tensor of shape"),
}  # fmt: skip


def test_project_4s_network_is_trained_and_asked_for_a_sample(make_run: MakeRun, train: Train) -> None:
    """It has other names for its shape than Project 2's, and no generate of its own."""
    reference = str(find_project("project4").reference)
    folder = make_run("a", *RECIPE, "schedule.steps=40", parts={"gpt2": reference})
    events = train(folder)
    losses = [event["validation_loss"] for event in events if event["event"] == "eval"]
    assert losses[-1] < losses[0] - 0.3
    assert len(folder.read_samples()[-1]["text"]) == len("The ") + 20
    assert any(name.startswith("model:h.0.attn.c_attn") for name in state_of(folder)[1])


@pytest.mark.parametrize(
    "settings", [("model.norm=rmsnorm",), ("model.d_ff=48",), ("model.tied=false",)], ids=str
)
def test_project_4s_network_has_no_such_switch(
    make_run: MakeRun, train: Train, settings: tuple[str, ...]
) -> None:
    reference = str(find_project("project4").reference)
    with pytest.raises(UsageError, match="project4 has no switch"):
        train(make_run("a", *RECIPE, *settings, parts={"gpt2": reference}))


@pytest.mark.parametrize("case", CASES)
def test_it_is_named(
    make_run: MakeRun, train: Train, wrong: Callable[[str, str], dict[str, str]], case: str
) -> None:
    part, code, says = CASES[case]
    folder = make_run("a", *RECIPE, parts=wrong(part, code))
    with pytest.raises(PartFailed) as caught:
        train(folder)
    assert says in caught.value.message


def test_what_a_part_prints_is_in_the_log_and_sys_exit_is_no_end(
    make_run: MakeRun, wrong: Callable[[str, str], dict[str, str]]
) -> None:
    code = """
def lr_at(step, **k):
    print('{"event": "end"}')
    print("hello from step", step)
    if step == 3:
        raise SystemExit(0)
    return 0.5
"""
    ended = worker(make_run("a", *RECIPE, parts=wrong("rate", code)))
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert "hello from step 2" in ended.stderr
    assert events[-1]["state"] == "failed"
    assert "SystemExit at schedule.py" in events[-1]["message"]
    assert ended.returncode == events[-1]["exit"] == 1
