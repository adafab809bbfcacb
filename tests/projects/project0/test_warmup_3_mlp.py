"""Unit W3 of the warm-up: the reference against torch's own layers and plain sums, and the page against both."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cohort_cli.catalog import find_project
from cohort_cli.training import corpus, svg

Load = Callable[[str], ModuleType]
FOLDER = find_project("project0").folder
PAGE = (FOLDER / "units" / "3_mlp.md").read_text(encoding="utf-8")
FIGURES = FOLDER / "figures"


@pytest.fixture(scope="module")
def mlp(reference: Load) -> ModuleType:
    return reference("mlp")


@pytest.fixture(scope="module")
def modules(reference: Load) -> ModuleType:
    return reference("modules")


@pytest.fixture(scope="module")
def tuning(reference: Load) -> ModuleType:
    return reference("tuning")


@pytest.fixture(scope="module")
def sample(reference: Load) -> ModuleType:
    return reference("temperature")


def seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


# --- mlp ------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 20), min_size=2, max_size=30), st.data())
@settings(max_examples=60, deadline=None)
def test_windows_and_targets_are_the_text_again(mlp: ModuleType, ids: list[int], data: st.DataObject) -> None:
    context = data.draw(st.integers(1, len(ids) - 1))
    x, y = mlp.windows(torch.tensor(ids), context)
    assert [[*row, target] for row, target in zip(x.tolist(), y.tolist(), strict=True)] == [
        ids[i : i + context + 1] for i in range(len(ids) - context)
    ]


def test_the_first_loss_is_ln_v(mlp: ModuleType) -> None:
    params = mlp.init(50, 4, 10, 100, seeded(0))
    x, y = torch.randint(50, (500, 4)), torch.randint(50, (500,))
    assert mlp.loss(mlp.forward(params, x), y).item() == pytest.approx(math.log(50), abs=0.02)


def test_the_loss_is_torchs_own(mlp: ModuleType) -> None:
    logits = torch.randn(9, 6, dtype=torch.float64, generator=seeded(0)) * 20
    y = torch.randint(6, (9,), generator=seeded(1))
    assert mlp.loss(logits, y).item() == pytest.approx(F.cross_entropy(logits, y).item(), abs=1e-12)


def test_gradients_agree_with_finite_differences(mlp: ModuleType) -> None:
    params = {
        name: p.detach().double().requires_grad_() for name, p in mlp.init(5, 2, 3, 4, seeded(0)).items()
    }
    x, y = torch.tensor([[0, 1], [3, 2], [4, 4]]), torch.tensor([1, 0, 3])
    names = list(params)

    def whole(*values: Tensor) -> Tensor:
        result: Tensor = mlp.loss(mlp.forward(dict(zip(names, values, strict=True)), x), y)
        return result

    assert torch.autograd.gradcheck(whole, tuple(params.values()))


def test_a_step_is_torchs_sgd(mlp: ModuleType) -> None:
    params = mlp.init(7, 3, 4, 5, seeded(0))
    copies = {name: p.detach().clone().requires_grad_() for name, p in params.items()}
    optimizer = torch.optim.SGD(copies.values(), lr=0.3)
    for number in range(4):
        x, y = torch.randint(7, (6, 3), generator=seeded(number)), torch.randint(7, (6,), generator=seeded(9))
        optimizer.zero_grad()
        value = F.cross_entropy(mlp.forward(copies, x), y)
        value.backward()
        optimizer.step()
        assert mlp.step(params, x, y, 0.3) == pytest.approx(value.item(), abs=1e-6)
    for name in params:
        assert torch.allclose(params[name], copies[name], atol=1e-6)
        assert params[name].is_leaf


# --- modules --------------------------------------------------------------------------------------------------


def test_the_module_is_the_same_function_as_the_tensors(mlp: ModuleType, modules: ModuleType) -> None:
    model = modules.MLP(7, 3, 4, 5)
    params = {
        "embedding": model.embedding.weight,
        "w1": model.hidden.weight.T,
        "b1": model.hidden.bias,
        "w2": model.output.weight.T,
        "b2": model.output.bias,
    }
    x = torch.randint(7, (6, 3), generator=seeded(0))
    assert torch.allclose(model(x), mlp.forward(params, x), atol=1e-6)


def test_training_is_torchs_adamw_with_a_scheduler(modules: ModuleType) -> None:
    ids = torch.randint(7, (80,), generator=seeded(0))
    torch.manual_seed(3)
    model = modules.MLP(7, 3, 4, 5)
    torch.manual_seed(3)
    other = modules.MLP(7, 3, 4, 5)
    optimizer = torch.optim.AdamW(other.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / 10)
    generator, want = seeded(4), []
    for _ in range(10):
        starts = torch.randint(77, (6,), generator=generator)
        x = torch.stack([ids[i : i + 3] for i in starts])
        loss = F.cross_entropy(other(x), ids[starts + 3])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        want.append(loss.item())
    assert modules.train(model, ids, 10, 6, 0.05, seeded(4)) == pytest.approx(want, abs=1e-5)


def test_the_same_seed_gives_the_same_losses(modules: ModuleType) -> None:
    ids = torch.randint(7, (80,), generator=seeded(0))

    def losses() -> list[float]:
        torch.manual_seed(3)
        result: list[float] = modules.train(modules.MLP(7, 3, 4, 5), ids, 8, 6, 0.05, seeded(4))
        return result

    assert losses() == losses()


@pytest.mark.parametrize("length", [40, 4096 + 3, 4096 + 4, 9001])
def test_the_held_out_loss_is_that_of_one_large_batch(
    mlp: ModuleType, modules: ModuleType, length: int
) -> None:
    ids = torch.randint(7, (length,), generator=seeded(0))
    model = modules.MLP(7, 3, 4, 5).double()
    x, y = mlp.windows(ids, 3)
    with torch.no_grad():
        want = F.cross_entropy(model(x), y).item()
    assert modules.evaluate(model, ids) == pytest.approx(want, abs=1e-10)
    assert model.training


# --- tuning ---------------------------------------------------------------------------------------------------


def test_two_linear_layers_collapse(tuning: ModuleType) -> None:
    first, second = nn.Linear(4, 9).double(), nn.Linear(9, 3).double()
    w, b = tuning.collapse(first.weight.T, first.bias, second.weight.T, second.bias)
    x = torch.randn(20, 4, dtype=torch.float64, generator=seeded(0))
    assert torch.allclose(x @ w + b, second(first(x)), atol=1e-12)
    assert not torch.allclose(x @ w + b, second(torch.tanh(first(x))), atol=1e-3)


@given(st.floats(1e-5, 1e-2), st.floats(0.1, 10.0), st.integers(2, 12))
@settings(max_examples=60, deadline=None)
def test_log_spaced_is_torchs_logspace(tuning: ModuleType, low: float, high: float, count: int) -> None:
    want = torch.logspace(math.log10(low), math.log10(high), count, dtype=torch.float64).tolist()
    assert tuning.log_spaced(low, high, count) == pytest.approx(want, rel=1e-9)


def test_a_sweep_prefers_neither_end(modules: ModuleType, tuning: ModuleType) -> None:
    ids = torch.randint(6, (200,), generator=seeded(1))

    def make_model() -> Any:
        torch.manual_seed(0)
        return modules.MLP(6, 2, 4, 16)

    lrs = tuning.log_spaced(1e-5, 100.0, 8)
    losses = tuning.lr_range(make_model, ids, lrs, 40, 8, 0)
    assert lrs[0] < tuning.pick_lr(lrs, losses) < lrs[-1]
    assert losses[-1] > losses[0]


@pytest.mark.parametrize("sizes", [(27, 3, 2, 100), (104, 8, 24, 256), (5, 1, 1, 1)])
def test_parameters_are_counted_by_the_formula(
    modules: ModuleType, tuning: ModuleType, sizes: tuple[int, int, int, int]
) -> None:
    V, C, E, H = sizes
    assert tuning.parameter_count(modules.MLP(*sizes)) == V * E + (C * E + 1) * H + (H + 1) * V


# --- temperature ----------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=9), st.floats(0.05, 20.0))
@settings(max_examples=80, deadline=None)
def test_probabilities_are_softmax_and_entropy_is_torchs(
    sample: ModuleType, logits: list[float], temperature: float
) -> None:
    z = torch.tensor(logits, dtype=torch.float64)
    p = sample.probabilities(z, temperature)
    assert torch.allclose(p, F.softmax(z / temperature, dim=-1), atol=1e-12)
    want = torch.distributions.Categorical(logits=z / temperature).entropy().item()
    assert sample.entropy(p).item() == pytest.approx(want, abs=1e-9)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=9), st.floats(0.1, 5.0), st.floats(1.01, 4.0))
@settings(max_examples=80, deadline=None)
def test_entropy_grows_with_the_temperature(
    sample: ModuleType, logits: list[float], temperature: float, factor: float
) -> None:
    z = torch.tensor(logits, dtype=torch.float64)
    lower, higher = (sample.entropy(sample.probabilities(z, t)) for t in (temperature, factor * temperature))
    assert lower <= higher + 1e-9


def test_generate_stops_at_n_and_slides(modules: ModuleType, sample: ModuleType) -> None:
    model = modules.MLP(9, 3, 4, 5)
    start = [1, 2, 3, 4]
    said = sample.generate(model, start, 20, 0.0, seeded(0))
    ids = start + said
    for place, id in enumerate(said):
        window = torch.tensor([ids[place + 1 : place + 4]])
        assert id == model(window).argmax().item()
    assert len(said) == 20
    assert sample.generate(model, start, 20, 1.0, seeded(5)) == sample.generate(
        model, start, 20, 1.0, seeded(5)
    )


# --- the page -------------------------------------------------------------------------------------------------


def test_the_numbers_by_hand_are_right() -> None:
    embedding = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    row = torch.cat([embedding[0], embedding[1]])
    total = row @ torch.tensor([0.5, -1.0, 0.2, 0.3], dtype=torch.float64)
    h = total.tanh()
    w2 = torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64)
    logits = h * w2
    p = logits.softmax(0)
    towards = p - torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    after = w2 - 0.1 * h * towards
    exps = logits.exp()
    assert f"${exps[0]:.4f}$, $1$, ${exps[2]:.4f}$: together ${exps.sum():.4f}$" in PAGE
    assert f"| $-\\ln {p[0]:.3f}$ | ${-p[0].log():.3f}$ |" in PAGE
    nats = f"{exps.sum().log():.4f} - {h:.4f} = {-p[0].log():.4f}"
    assert nats in PAGE
    for values in (p, towards, h * towards, after):
        assert f"({', '.join(f'{value:.3f}' for value in values.tolist())})" in PAGE


def test_the_table_of_temperatures_is_right() -> None:
    logits = torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64)
    for temperature in (0.5, 1, 2):
        exps = (logits / temperature).exp()
        p = exps / exps.sum()
        cells = ", ".join(f"{value:.3f}" for value in p.tolist())
        assert f"${exps[0]:.3f}, {exps[1]:.3f}, 1$ | ${cells}$ | ${-(p * p.log()).sum():.3f}$ |" in PAGE


def test_the_sizes_are_right(tuning: ModuleType, modules: ModuleType) -> None:
    train, _ = corpus.split(corpus.load())
    for context, seen in ((1, True), (2, True), (3, True), (8, False)):
        different = {train[i : i + context + 1] for i in range(len(train) - context)} if seen else set()
        counted = f"{len(different):,} |" if seen else ""
        assert f"| {context} | {tuning.table_size(104, context):,} | {counted}" in PAGE
    for context in (2, 3, 5, 8, 12):
        count = tuning.parameter_count(modules.MLP(104, context, 24, 256))
        assert re.search(rf"^\| {context} characters \|.*\| {count:,} \|", PAGE, re.MULTILINE)
    for context in (2, 3, 5, 8):
        assert f"| {context} characters | {tuning.table_size(104, context):,} |" in PAGE


def test_the_tables_losses_are_right() -> None:
    train, held_out = corpus.split(corpus.load())
    for context in (2, 3, 5):
        nats = corpus.ngram_loss(context + 1, train, held_out)
        assert re.search(rf"^\| {context} characters \| [\d,]+ \| {nats:.2f} \|", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def drawn(reference: Load) -> Iterator[dict[str, Any]]:
    """What the pictures show, from a run of the program that draws them."""
    for name in ("modules", "tuning"):
        reference(name)
    spec = importlib.util.spec_from_file_location("make_3", FIGURES / "make_3.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    before, threads = list(sys.path), torch.get_num_threads()
    spec.loader.exec_module(program)
    sys.path[:] = before
    yield {"numbers": program.numbers(), "program": program}
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_the_pictures_numbers_are_the_pages(drawn: dict[str, Any]) -> None:
    n = drawn["numbers"]
    assert n["V"] == 104
    assert f"{n['parameters']:,}" in PAGE
    at = {f"{lr:.4g}": loss for lr, loss in zip(n["lrs"], n["sweep"], strict=True)}
    said = re.findall(r"(\d\.\d\d) at (0\.\d+)", PAGE)
    assert [lr for _, lr in said] == ["0.0001", "0.01", "0.1"]
    for loss, lr in said:
        assert float(loss) == pytest.approx(at[lr], rel=0.02)
    assert at["1"] == pytest.approx(27, rel=0.05)
    assert n["best"] == pytest.approx(0.01)
    assert n["held out"] == pytest.approx(1.46, abs=0.03)
    assert n["trigram"] == pytest.approx(1.73, abs=0.005)
    assert n["held out"] < n["trigram"] - 0.1
    assert n["held out, d_embed 2"] == pytest.approx(2.08, abs=0.08)


@pytest.mark.slow
def test_vowels_lie_together(drawn: dict[str, Any]) -> None:
    """As the caption says: one straight line parts the vowels from all consonants."""
    places = drawn["numbers"]["embedding"]
    vowels = torch.tensor([places[c] for c in "aeiou"])
    others = torch.tensor([places[c] for c in "bcdfghjklmnpqrstvwxz"])
    angles = torch.linspace(0, 2 * math.pi, 720)
    directions = torch.stack([angles.cos(), angles.sin()])
    assert bool(((vowels @ directions).min(0).values > (others @ directions).max(0).values).any())


@pytest.mark.slow
def test_the_pictures_are_drawn_by_the_program(drawn: dict[str, Any]) -> None:
    """The files in the repository have the same shape; digits may differ from one machine to another."""
    program, n = drawn["program"], drawn["numbers"]
    for name, text in (
        ("lr_range", svg.alone(program.sweep_chart(n))),
        ("mlp_loss", svg.alone(program.run_chart(n))),
        ("embedding", program.embedding_drawing(n)),
    ):
        there = (FIGURES / f"{name}.svg").read_text(encoding="utf-8")
        assert re.sub(r"-?\d[\d.]*", "", there)[:200] == re.sub(r"-?\d[\d.]*", "", text)[:200]
        assert f"(../figures/{name}.svg " in PAGE
