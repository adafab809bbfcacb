"""The optimizers against torch's own, and the schedule against Project 3's and against its formula."""

from __future__ import annotations

import importlib.util
import itertools
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cohort_cli.training import optim
from cohort_cli.training.config import Model, Optimizer, Schedule
from cohort_cli.training.models.gpt import GPT, build
from cohort_cli.training.optim import Muon, build_optimizers, lr_share, orthogonalise

KIT = Path(__file__).parents[2]
ADAMW = Optimizer(name="adamw", learning_rate=0.01)
MUON = Optimizer(name="muon", learning_rate=0.01, muon_learning_rate=0.03)


def small(**switches: Any) -> GPT:
    torch.manual_seed(2)
    return build(Model(2, 16, 2, 8, **switches), 23)


def backward(model: nn.Module, number: int) -> None:
    ids = torch.randint(23, (3, 9), generator=torch.Generator().manual_seed(number))
    model(ids[:, :-1], ids[:, 1:])[1].backward()


def names_of(optimizer: torch.optim.Optimizer, model: nn.Module, group: int) -> set[str]:
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {names[parameter] for parameter in optimizer.param_groups[group]["params"]}


# --- which parameter goes where --------------------------------------------------------------------------------


def test_what_has_two_dimensions_decays_and_nothing_else() -> None:
    model = small()
    (adamw,) = build_optimizers(model, ADAMW)
    assert [group["weight_decay"] for group in adamw.param_groups] == [0.1, 0.0]
    assert names_of(adamw, model, 0) == {name for name, p in model.named_parameters() if p.dim() == 2}
    assert names_of(adamw, model, 1) == {name for name, p in model.named_parameters() if p.dim() == 1}


def test_muon_takes_the_matrices_of_blocks() -> None:
    model = small(tied=False)
    adamw, muon = build_optimizers(model, MUON)
    layers = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert names_of(muon, model, 0) == {f"h.{block}.{layer}.weight" for block in (0, 1) for layer in layers}
    assert names_of(adamw, model, 0) == {"wte.weight", "wpe.weight", "lm_head.weight"}
    assert [group["peak"] for group in adamw.param_groups] == [0.01, 0.01]
    assert [group["peak"] for group in muon.param_groups] == [0.03]


@pytest.mark.parametrize("options", [ADAMW, MUON], ids=["adamw", "muon"])
@pytest.mark.parametrize("tied", [True, False])
def test_each_trainable_parameter_is_there_once(options: Optimizer, tied: bool) -> None:
    model = small(tied=tied)
    model.h[0].requires_grad_(False)
    taken = [p for o in build_optimizers(model, options) for group in o.param_groups for p in group["params"]]
    assert len({id(p) for p in taken}) == len(taken)
    assert {id(p) for p in taken} == {id(p) for p in model.parameters() if p.requires_grad}


def test_a_wrapped_model_is_sorted_in_the_same_way() -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = small()

    assert len(build_optimizers(Wrapped(), MUON)[1].param_groups[0]["params"]) == 8


def test_a_model_without_vectors_or_without_matrices_gets_no_empty_group() -> None:
    for layer in (nn.Linear(3, 3, bias=False), nn.LayerNorm(3)):
        (adamw,) = build_optimizers(layer, ADAMW)
        assert [len(group["params"]) for group in adamw.param_groups] == [len(list(layer.parameters()))]


# --- AdamW -----------------------------------------------------------------------------------------------------


def test_adamw_is_torchs_with_these_numbers() -> None:
    ours, theirs = small(), small()
    options = ADAMW._replace(weight_decay=0.3, beta1=0.8, beta2=0.9, eps=1e-5)
    (optimizer,) = build_optimizers(ours, options)
    other = torch.optim.AdamW(
        [
            {"params": [p for p in theirs.parameters() if p.dim() > 1], "weight_decay": 0.3},
            {"params": [p for p in theirs.parameters() if p.dim() == 1], "weight_decay": 0.0},
        ],
        betas=(0.8, 0.9),
        eps=1e-5,
        foreach=False,
        fused=False,
    )
    for step in range(6):
        for group, other_group in zip(optimizer.param_groups, other.param_groups, strict=True):
            group["lr"] = group["peak"] * (1 - step / 10)
            other_group["lr"] = 0.01 * (1 - step / 10)
        for model, one in ((ours, optimizer), (theirs, other)):
            backward(model, step)
            one.step()
            one.zero_grad()
    for mine, parameter in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, parameter, rtol=1e-5, atol=1e-6)


# --- Muon ------------------------------------------------------------------------------------------------------


def matrices() -> list[nn.Parameter]:
    """Wide, tall and square ones, of two shapes several."""
    torch.manual_seed(6)
    shapes = [(8, 24), (24, 8), (8, 24), (24, 8), (8, 24), (16, 16), (1, 5)]
    return [nn.Parameter(torch.randn(shape)) for shape in shapes]


def run(
    optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], steps: range = range(5)
) -> list[Tensor]:
    """The parameters after these steps, each with gradients and a learning rate of its own."""
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - step / 10)
        for number, parameter in enumerate(parameters):
            parameter.grad = 1e-3 * torch.randn(parameter.shape, generator=generator)
            if step == 1 and number == 0:
                parameter.grad = None  # nothing may happen to it
        optimizer.step()
    return [parameter.detach().clone() for parameter in parameters]


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
def test_muon_is_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 on both sides: torch's would go over to bfloat16, so that is taken from it here."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda self: self.clone())
    monkeypatch.setattr(optim, "bfloat16_is_fast", lambda device: False)
    mine, theirs = matrices(), matrices()
    found = run(Muon(mine, weight_decay=0.2, momentum=0.9), mine)
    expected = run(torch.optim.Muon(theirs, weight_decay=0.2, momentum=0.9), theirs)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert (found[0] - matrices()[0]).abs().mean() > 0.02  # they did move


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
def test_muon_in_bfloat16_is_torchs_within_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optim, "bfloat16_is_fast", lambda device: True)
    mine, theirs = matrices(), matrices()
    found, expected = run(Muon(mine), mine), run(torch.optim.Muon(theirs), theirs)
    for one, other, start in zip(found, expected, matrices(), strict=True):
        moved = (other - start).abs().mean()
        assert (one - other).abs().mean() < 0.05 * moved


@pytest.mark.parametrize("fast", [True, False], ids=["bfloat16", "float32"])
@pytest.mark.parametrize("shape", [(3, 20, 50), (2, 50, 20), (1, 30, 30)])
def test_orthogonalise_keeps_directions_and_makes_their_sizes_alike(
    shape: tuple[int, ...], fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optim, "bfloat16_is_fast", lambda device: fast)
    torch.manual_seed(1)
    u, s, v = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    s = torch.logspace(0, -1, s.size(-1)).expand_as(s)  # from 1 to 0.1
    x = u @ torch.diag_embed(s) @ v
    found = orthogonalise(x).float()
    inside = u.mT @ found @ v.mT  # diagonal, if the directions are kept
    sizes = inside.diagonal(dim1=-2, dim2=-1)
    assert sizes.min() > 0.6
    assert sizes.max() < 1.3
    assert (inside - torch.diag_embed(sizes)).abs().max() < (0.08 if fast else 0.01)


def test_orthogonalise_of_nothing_is_nothing() -> None:
    """As in the first step of branches that start at zero."""
    assert torch.equal(orthogonalise(torch.zeros(2, 4, 6)).float(), torch.zeros(2, 4, 6))


def test_muon_refuses_what_is_no_matrix() -> None:
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        Muon([nn.Parameter(torch.zeros(3))])


def test_muon_goes_on_from_its_saved_state() -> None:
    straight, cut = matrices(), matrices()
    expected = run(Muon(straight), straight)
    first, second = Muon(cut), Muon(cut)
    run(first, cut, range(2))
    second.load_state_dict(first.state_dict())
    assert all(map(torch.equal, run(second, cut, range(2, 5)), expected))


@pytest.mark.parametrize("options", [ADAMW, MUON], ids=["adamw", "muon"])
def test_a_small_model_learns_a_text_by_heart(options: Optimizer) -> None:
    model = small(recipe="modern" if options is MUON else "gpt2")
    optimizers = build_optimizers(model, options)
    ids = torch.randint(23, (2, 9), generator=torch.Generator().manual_seed(1))
    for _ in range(150):
        loss = model(ids[:, :-1], ids[:, 1:])[1]
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    assert loss.item() < 0.1


SHARDED = """
import torch, torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from cohort_cli.training import optim
from cohort_cli.training.config import Model, Optimizer
from cohort_cli.training.models.gpt import build

torch.set_num_threads(1)
optim.bfloat16_is_fast = lambda device: False
dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()


def make():
    torch.manual_seed(0)
    return build(Model(2, 30, 3, 16, norm="rmsnorm"), 65)  # 30 and 90 rows: not all shards are alike


whole, model = make(), make()
mesh = init_device_mesh("cpu", (world,))
for part in (*model.h, model):
    fully_shard(part, mesh=mesh)
pairs = [(one, optim.build_optimizers(one, Optimizer(name="muon"))) for one in (whole, model)]
for step in range(3):
    ids = torch.randint(65, (4, 17), generator=torch.Generator().manual_seed(step))
    for (one, optimizers), rows in zip(pairs, (ids, ids[rank::world])):
        one(rows[:, :-1], rows[:, 1:])[1].backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
for mine, other in zip(model.parameters(), whole.parameters()):
    torch.testing.assert_close(mine.full_tensor(), other.data, rtol=1e-4, atol=1e-5)
print(f"same {rank}\\n", end="", flush=True)  # in one piece: both processes write to the same pipe
dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gloo under torchrun")
def test_muon_moves_shards_as_it_moves_whole_matrices(tmp_path: Path) -> None:
    script = tmp_path / "sharded.py"
    script.write_text(SHARDED, encoding="utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launcher, str(script)], capture_output=True, text=True, check=False, timeout=300, cwd=KIT
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split("\n")[:2]) == ["same 0", "same 1"]


# --- the schedule ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lr_at() -> Callable[..., float]:
    """Project 3's, from the reference."""
    folder = KIT / "projects" / "project3_pretrain_finetune" / "reference"
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location("reference_schedule", folder / "schedule.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    hidden = sys.modules.pop("optim", None)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("optim", None)
        if hidden is not None:
            sys.modules["optim"] = hidden
    found: Callable[..., float] = module.lr_at
    return found


@pytest.mark.parametrize(("steps", "warmup"), [(100, 10), (100, 0), (7, 7), (1, 0), (1, 1)])
@pytest.mark.parametrize("final", [0.1, 0.0, 1.0])
def test_the_cosine_is_project_3s(steps: int, warmup: int, final: float, lr_at: Callable[..., float]) -> None:
    schedule = Schedule(steps, warmup, "cosine", final)
    for step in range(steps + 3):
        expected = lr_at(step, max_lr=1.0, min_lr=final, warmup_steps=warmup, max_steps=steps)
        assert lr_share(step, schedule) == pytest.approx(expected, abs=1e-12), step


def test_the_line_falls_by_the_same_amount_each_step() -> None:
    schedule = Schedule(24, 4, "linear", 0.2)
    shares = [lr_share(step, schedule) for step in range(26)]
    assert shares[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    falls = [a - b for a, b in itertools.pairwise(shares[4:25])]
    assert falls == pytest.approx([0.8 / 20] * 20)
    assert shares[24:] == pytest.approx([0.2, 0.2])


def test_constant_stays() -> None:
    schedule = Schedule(10, 2, "constant", 0.0)
    assert [lr_share(step, schedule) for step in range(12)] == [0.5] + [1.0] * 11


def test_no_step_is_wasted() -> None:
    """Not even the first of a warm-up, or the last of a decay to zero."""
    for shape in ("cosine", "linear", "constant"):
        for warmup in (0, 3, 10):
            schedule = Schedule(10, warmup, shape, 0.0)
            assert min(lr_share(step, schedule) for step in range(10)) > 0
            assert max(lr_share(step, schedule) for step in range(10)) == pytest.approx(1.0)
    assert not math.isnan(lr_share(0, Schedule(1, 1, "cosine", 0.1)))
