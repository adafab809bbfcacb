"""The experiments of the game: each fault does what it says, at random weights; the honest loss shares none of them."""

from __future__ import annotations

import ast
import math
import re
from pathlib import Path

import pytest
import torch
from support import REPO
from torch import Tensor

from cohort_cli.catalog import find_project
from cohort_cli.training.breaking import experiment, game, honest, network
from cohort_cli.training.breaking.experiment import Data
from cohort_cli.training.breaking.faults import FAULTS, Fault

V, T = 11, network.CONTEXT
NAMES = [fault.name for fault in FAULTS]
LEAKS = ("no-causal-mask", "mask-after-softmax", "softmax-over-queries")


def gpt(fault: str, seed: int = 3) -> network.GPT:
    """Weights that are large enough for every part to matter, the same for every fault."""
    model = network.GPT(V, fault)
    chance = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if "norm" not in name:
                weight.normal_(std=0.2, generator=chance)
    return model.double()


def text(length: int, seed: int = 5) -> Tensor:
    return torch.randint(V, (1, length), generator=torch.Generator().manual_seed(seed))


def toy_data() -> Data:
    """Two different texts of V letters."""
    return Data([chr(97 + n) for n in range(V)], text(900, 1)[0], text(500, 2)[0])


def batch(seed: int = 1, fault: str = "none") -> tuple[Tensor, Tensor]:
    return experiment.draw(toy_data().train, 0, seed, fault)


# --- the model -------------------------------------------------------------------------------------------------


def moves_before(fault: str, place: int = 40) -> bool:
    """Whether outputs before `place` move when the token there changes."""
    model, one = gpt(fault), text(T)
    other = one.clone()
    other[0, place] = (one[0, place] + 1) % V
    return not torch.allclose(model(one)[:, :place], model(other)[:, :place], atol=1e-9)


@pytest.mark.parametrize("fault", NAMES)
def test_only_the_leaks_let_later_tokens_in(fault: str) -> None:
    assert moves_before(fault) == (fault in LEAKS)


@pytest.mark.parametrize("fault", ["none", "heads-not-transposed"])
def test_a_beginning_alone_is_read_otherwise_only_where_heads_are_stretches(fault: str) -> None:
    model, whole = gpt(fault), text(T)
    same = torch.allclose(model(whole[:, :21]), model(whole)[:, :21], atol=1e-9)
    assert same == (fault == "none")


def test_rows_of_weights_add_up_to_one_unless_the_mask_comes_too_late() -> None:
    scores = torch.randn(2, 4, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for fault, row, column in (
        ("none", True, False),
        ("mask-after-softmax", False, False),
        ("softmax-over-queries", False, True),
        ("no-causal-mask", True, False),
    ):
        weights = network.Attention(fault).weights(scores)
        ones = torch.ones(2, 4, 9, dtype=torch.float64)
        assert torch.allclose(weights.sum(-1), ones) == row, fault
        assert torch.allclose(weights.sum(-2), ones) == column, fault
        assert bool(weights.triu(1).any()) == (fault == "no-causal-mask"), fault


def test_without_the_scale_smaller_queries_do_the_same() -> None:
    right, broken, ids = gpt("none"), gpt("no-scale"), text(T)
    assert not torch.allclose(right(ids), broken(ids))
    with torch.no_grad():
        for block in broken.blocks:
            for part in (block.attention.qkv.weight, block.attention.qkv.bias):  # type: ignore[union-attr]
                part[: network.WIDTH] /= math.sqrt(network.WIDTH / network.HEADS)  # type: ignore[index]
    assert torch.allclose(right(ids), broken(ids), atol=1e-9)


def test_without_residuals_a_block_that_gives_nothing_passes_nothing_on() -> None:
    spread = {}
    for fault in ("none", "no-residual"):
        model = gpt(fault)
        with torch.no_grad():
            for block in model.blocks:
                block.down.weight.zero_()  # type: ignore[union-attr]
        spread[fault] = model(text(T)).std(dim=1).max().item()
    assert spread["no-residual"] == pytest.approx(0, abs=1e-9)
    assert spread["none"] > 0.1


def test_without_norms_what_the_head_sees_is_not_normalised() -> None:
    for fault, normal in (("none", True), ("no-norm", False)):
        model, seen = gpt(fault), []
        model.head.register_forward_pre_hook(lambda head, given, seen=seen: seen.append(given[0]))
        model(text(T))
        assert torch.allclose(seen[0].var(-1, unbiased=False), torch.ones(1, T).double(), atol=1e-2) == normal


def test_without_positions_the_same_token_is_the_same_everywhere() -> None:
    for fault, same in (("none", False), ("no-positions", True)):
        logits = gpt(fault)(torch.full((1, T), 4))
        assert torch.allclose(logits[:, 1:], logits[:, :-1], atol=1e-9) == same


def test_a_linear_mlp_doubles_with_its_input() -> None:
    x = torch.randn(3, network.WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for fault, linear in (("none", False), ("linear-mlp", True)):
        mlp = gpt(fault).blocks[0].mlp  # type: ignore[union-attr]
        nothing = mlp(0 * x)  # type: ignore[operator]
        doubled, single = mlp(2 * x) - nothing, mlp(x) - nothing  # type: ignore[operator]
        assert torch.allclose(doubled, 2 * single) == linear


def test_an_untrained_model_guesses_unless_its_weights_are_too_large() -> None:
    torch.manual_seed(1)
    data = toy_data()
    assert experiment.evaluate(network.GPT(V), data, "none") == pytest.approx(math.log(V), abs=0.1)
    assert experiment.evaluate(network.GPT(V, "init-too-large"), data, "none") > math.log(V) + 1


# --- the data and the loss -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "shift"), [("none", 1), ("targets-not-shifted", 0), ("targets-shifted-twice", 2)]
)
def test_targets_are_so_far_behind_their_inputs(fault: str, shift: int) -> None:
    x, y = experiment.windows(torch.arange(200), torch.tensor([0, 70]), fault)
    assert x[1].tolist() == list(range(70, 70 + T))
    assert y[1].tolist() == list(range(70 + shift, 70 + shift + T))


def test_targets_of_another_row_belong_to_another_text() -> None:
    (x, y), (x_broken, y_broken) = batch(), batch(fault="targets-of-another-row")
    assert torch.equal(x, x_broken)
    assert torch.equal(x[:, 1:], y[:, :-1])
    assert not any(torch.equal(a, b) for a, b in zip(y, y_broken, strict=True))
    assert sorted(y.tolist()) == sorted(y_broken.tolist())


def test_the_same_batch_comes_for_ever_only_with_the_fault() -> None:
    ids = toy_data().train
    for fault, same in (("none", False), ("same-batch-for-ever", True)):
        one, other = (experiment.draw(ids, step, 1, fault)[0] for step in (0, 7))
        assert torch.equal(one, other) == same
    assert torch.equal(*(experiment.draw(ids, 7, 1, "none")[0] for _ in range(2)))
    assert not torch.equal(*(experiment.draw(ids, 7, seed, "none")[0] for seed in (1, 2)))


def test_the_second_softmax_has_a_floor_that_has_a_formula() -> None:
    y = batch()[1]
    certain = 1000.0 * torch.nn.functional.one_hot(y, V).float()
    assert float(experiment.loss_of(certain, y, "none")) == pytest.approx(0)
    floor = math.log(math.e + V - 1) - 1
    assert float(experiment.loss_of(certain, y, "softmax-twice")) == pytest.approx(floor, abs=1e-5)


def test_only_the_fault_evaluates_on_the_training_text() -> None:
    data, model = toy_data(), gpt("none")
    swapped = data._replace(train=data.validation, validation=data.train)
    wrong = experiment.evaluate(model, data, "eval-on-the-training-text")
    assert wrong == experiment.evaluate(model, swapped, "none")
    assert wrong != experiment.evaluate(model, data, "none")


# --- the loop --------------------------------------------------------------------------------------------------


def gradient(model: torch.nn.Module) -> Tensor:
    return torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])


def test_micro_batches_give_the_gradient_of_the_batch_or_so_many_times_as_much() -> None:
    x, y = batch()
    whole, right, broken = gpt("none"), gpt("none"), gpt("none")
    experiment.loss_of(whole(x), y, "none").backward()
    mean = experiment.add_gradients(right, (x, y), "none")
    assert experiment.add_gradients(broken, (x, y), "accumulation-not-scaled") == mean
    assert torch.allclose(gradient(right), gradient(whole), atol=1e-12)
    assert torch.allclose(gradient(broken), experiment.MICRO * gradient(whole), atol=1e-12)


def test_old_gradients_stay_only_with_the_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "CLIP", 1e9)
    found = {}
    for fault in ("none", "zero-grad-forgotten"):
        model = gpt("none")
        still = torch.optim.SGD(model.parameters(), 0.0)
        for _ in range(2):
            experiment.take_step(model, still, batch(), fault)
        found[fault] = gradient(model)
    assert torch.allclose(found["zero-grad-forgotten"], 2 * found["none"])


def test_rates_are_a_hundred_times_off() -> None:
    right = experiment.rate(200, 500, "none")
    assert experiment.rate(200, 500, "learning-rate-too-high") == pytest.approx(100 * right)
    assert experiment.rate(200, 500, "learning-rate-too-low") == pytest.approx(right / 100)
    assert max(experiment.rate(step, 500, "none") for step in range(500)) <= experiment.RATE


def test_the_optimizer_is_the_one_that_the_fault_says() -> None:
    assert type(experiment.make_optimizer(gpt("none"), "none")) is torch.optim.AdamW
    assert type(experiment.make_optimizer(gpt("none"), "sgd-instead-of-adamw")) is torch.optim.SGD


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    runs = [list(experiment.run("none", seed, 3, toy_data_with_prompt()))[-1] for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert runs[0]["training"] != runs[2]["training"]
    assert len(runs[0]["training"]) == 3
    assert [step for step, _ in runs[0]["reported"]] == [0, 1, 2, 3]
    assert len(runs[0]["sample"]) == experiment.SAMPLE + len(experiment.PROMPT)


def toy_data_with_prompt() -> Data:
    return toy_data()._replace(letters=[*sorted(set(experiment.PROMPT)), *"abcdfgi"][:V])


# --- the honest loss -------------------------------------------------------------------------------------------


def test_the_honest_loss_of_a_sound_model_is_the_reported_one() -> None:
    data, model = toy_data(), gpt("none")
    starts = experiment.scored(data.validation).tolist()
    loss = honest.honest_loss(model, data.validation.tolist(), starts, T)
    assert loss == pytest.approx(experiment.evaluate(model, data, "none"), abs=1e-9)


def test_the_honest_loss_shows_nothing_of_what_follows() -> None:
    ids = text(300)[0].tolist()
    asked: list[list[list[int]]] = []

    def model(seen: Tensor) -> Tensor:
        asked.append(seen.tolist())
        logits = torch.zeros(*seen.shape, V)
        logits[..., 3] = 2.0
        return logits

    loss = honest.honest_loss(model, ids, [5, 200], 10)
    assert asked == [[ids[s : s + n] for s in (5, 200)] for n in range(1, 11)]
    right = sum(ids[s + n] == 3 for s in (5, 200) for n in range(1, 11))
    assert loss == pytest.approx(math.log(math.e**2 + V - 1) - 2 * right / 20)


def test_the_honest_loss_imports_nothing_of_the_kit() -> None:
    tree = ast.parse(Path(honest.__file__).read_text(encoding="utf-8"))
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {"__future__", "collections.abc", "torch"}


# --- the answer sheet ------------------------------------------------------------------------------------------


def test_every_fault_is_a_line_of_the_code_and_no_other_is() -> None:
    code = "".join(Path(module.__file__).read_text(encoding="utf-8") for module in (network, experiment))
    written = set(re.findall(r'fault [!=]= "([\w-]+)"', code))
    written |= set(re.findall(r'"(\w+-[\w-]+)": (?:0|2|100\.0|0\.01)\b', code))
    assert written == {*NAMES} - {"none"}
    assert len(NAMES) == len({*NAMES}) >= 15


@pytest.mark.parametrize("fault", FAULTS, ids=NAMES)
def test_the_answer_sheet_is_complete_and_names_checks_that_exist(fault: Fault) -> None:
    assert all(getattr(fault, part) for part in ("does", "curve", "sample", "found_by", "learn"))
    assert (fault.where in ("the model", "the loss", "the data", "the loop")) == (fault.name != "none")
    for low, high in (fault.reported, fault.honest):
        assert 0 <= low < high
    if fault.check:
        project, check = fault.check.split()
        assert [info.id for info in find_project(project).find(check)] == [check]


def test_the_page_shows_every_fault_with_values_of_its_intervals() -> None:
    page = (REPO / "docs" / "break-it.md").read_text(encoding="utf-8")
    rows = dict(
        re.findall(r"^\| `([\w-]+)` \| [^|]+ \| [^|]+ \| ([\d.]+ [^|]+ \| [\d.]+) ", page, re.MULTILINE)
    )
    assert list(rows) == NAMES
    for fault in FAULTS:
        reported, honest_one = (float(cell.split()[0]) for cell in rows[fault.name].split(" | "))
        assert fault.reported[0] <= reported <= fault.reported[1], fault.name
        assert fault.honest[0] <= honest_one <= fault.honest[1], fault.name


def test_numbers_are_in_an_order_of_their_own() -> None:
    names = [fault.name for fault in game.order()]
    assert sorted(names) == sorted(NAMES)
    assert sum(one == other for one, other in zip(names, NAMES, strict=True)) < 5
    assert [game.fault_of(number).name for number in range(1, len(names) + 1)] == names
    assert game.fault_of(game.RIGHT).name == "none"
    assert [game.number_of(name) for name in names] == list(range(1, len(names) + 1))


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=NAMES)
def test_every_fault_shows_its_signature(fault: Fault) -> None:
    *_, found = experiment.run(fault.name, 1, game.STEPS)
    for value, (low, high) in ((found["reported"][-1][1], fault.reported), (found["honest"], fault.honest)):
        assert low <= value <= high
