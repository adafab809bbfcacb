"""Unit 2 of the warm-up: its reference against independent computations, and the page's numbers against a run."""

from __future__ import annotations

import importlib.util
import math
import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from cohort_cli.catalog import Project
from cohort_cli.site.figures import inline
from cohort_cli.site.markdown import Place
from cohort_cli.training import corpus

Load = Callable[[str], ModuleType]
LENGTH = 465_126  # of the corpus whose numbers the page says: that of Python 3.11

texts = st.text(alphabet="abcd \nß😀", min_size=1, max_size=60)
shared = settings(deadline=None, max_examples=60)


@pytest.fixture(scope="module")
def page(project: Project) -> str:
    return (project.folder / "units/2_counting.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def maker(project: Project) -> ModuleType:
    path = project.folder / "figures/make_2.py"
    spec = importlib.util.spec_from_file_location("make_2", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- counting ------------------------------------------------------------------------------------------------


def test_a_text_survives_its_way_through_ids(reference: Load) -> None:
    ngrams = reference("ngrams")

    @shared
    @given(texts)
    def holds(text: str) -> None:
        characters = ngrams.vocabulary(text)
        assert characters == sorted(characters)
        assert len(characters) == len(set(text))
        assert ngrams.decode(ngrams.encode(text, characters), characters) == text

    holds()


def test_counts_are_those_of_a_counter(reference: Load) -> None:
    ngrams = reference("ngrams")

    @shared
    @given(st.lists(st.integers(0, 3), min_size=3, max_size=50), st.integers(1, 3))
    def holds(ids: list[int], n: int) -> None:
        counts = ngrams.count(torch.tensor(ids), n, 4)
        assert counts.dtype == torch.int64
        assert counts.shape == (4,) * n
        found = Counter(zip(*(ids[k:] for k in range(n)), strict=False))
        assert {tuple(place): int(counts[tuple(place)]) for place in counts.nonzero().tolist()} == found

    holds()


def test_smaller_grams_are_sums_of_larger_ones(reference: Load) -> None:
    """Summed over the last place, triples are the pairs that have something after them."""
    ngrams = reference("ngrams")
    ids = torch.randint(0, 5, (200,), generator=torch.Generator().manual_seed(0))
    assert torch.equal(ngrams.count(ids, 3, 5).sum(2), ngrams.count(ids[:-1], 2, 5))
    assert torch.equal(ngrams.count(ids, 2, 5).sum(0), ngrams.count(ids[1:], 1, 5))


def test_smoothing_in_exact_fractions(reference: Load) -> None:
    counts = torch.tensor([[3, 0, 1], [0, 0, 0]])
    got = reference("ngrams").probabilities(counts, 0.5)
    want = [[Fraction(7, 11), Fraction(1, 11), Fraction(3, 11)], [Fraction(1, 3)] * 3]
    torch.testing.assert_close(got, torch.tensor([[float(p) for p in row] for row in want]).double())


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_held_out_loss_is_the_kits_own_formula(reference: Load, n: int, alpha: float) -> None:
    """On a whole vocabulary that both parts share, as corpus.ngram_loss has it."""
    ngrams = reference("ngrams")
    text = corpus.load()[:40_000]
    train, validation = text[:36_000], text[36_000:]
    characters = ngrams.vocabulary(text)
    ids = [ngrams.encode(part, characters) for part in (train, validation)]
    got = ngrams.heldout_nll(*ids, n, len(characters), alpha)
    assert got == pytest.approx(corpus.ngram_loss(n, train, validation, alpha), abs=1e-9)


# --- measuring -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1.0, 30.0, 3000.0])
def test_softmax_and_loss_are_torchs_own(reference: Load, size: float) -> None:
    measure, generator = reference("measure"), torch.Generator().manual_seed(1)
    logits = size * torch.randn(9, 6, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, 6, (9,), generator=generator)
    torch.testing.assert_close(measure.softmax(logits), logits.softmax(-1))
    torch.testing.assert_close(measure.nll(logits, targets), F.cross_entropy(logits, targets))


def test_the_gradient_of_the_loss_by_finite_differences(reference: Load) -> None:
    measure = reference("measure")
    logits = torch.randn(
        3, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64, requires_grad=True
    )
    targets = torch.tensor([1, 1, 3])
    assert torch.autograd.gradcheck(lambda z: measure.nll(z, targets), (logits,))


def test_a_text_is_as_probable_as_its_loss_says(reference: Load) -> None:
    """The chain rule: the log-probability of a text is minus its tokens times the mean nll."""
    measure = reference("measure")
    probs = torch.rand(500, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64) + 0.01
    probs = probs / probs.sum(1, keepdim=True)
    targets = torch.arange(500) % 7
    total = measure.log_probability(probs, targets)
    assert total == pytest.approx(-500 * float(measure.nll(probs.log(), targets)))
    assert measure.log_probability(probs[:5], targets[:5]) == pytest.approx(
        math.log(math.prod(probs[i, i].item() for i in range(5)))
    )
    assert float(measure.nll(torch.zeros(4, 65), torch.tensor([0, 9, 64, 3]))) == pytest.approx(math.log(65))


def test_a_byte_that_could_be_anything_has_eight_bits(reference: Load) -> None:
    measure = reference("measure")
    assert measure.bits_per_byte(math.log(256), 10, 10) == pytest.approx(8.0)
    assert measure.bits_per_byte(math.log(2), 5, 20) == pytest.approx(0.25)
    assert measure.perplexity(math.log(103)) == pytest.approx(103)


# --- writing, batches ----------------------------------------------------------------------------------------


def test_a_written_text_has_the_tables_own_shares(reference: Load) -> None:
    """In the long run the bigrams of a text come as often as the table says."""
    ngrams, sample = reference("ngrams"), reference("sample")
    table = torch.tensor([[0.0, 0.7, 0.3], [0.5, 0.0, 0.5], [0.2, 0.2, 0.6]], dtype=torch.float64)
    ids = torch.tensor(sample.generate(table, [0], 20_000, torch.Generator().manual_seed(4)))
    again = ngrams.probabilities(ngrams.count(ids, 2, 3), 0.0)
    assert bool((again[table == 0] == 0).all())
    torch.testing.assert_close(again, table, atol=0.03, rtol=0.0)


def test_a_batch_is_windows_of_the_text(reference: Load) -> None:
    batches = reference("batches")

    @shared
    @given(st.integers(1, 9), st.integers(1, 6), st.integers(1, 30), st.integers(0, 2**31))
    def holds(block_size: int, batch_size: int, more: int, seed: int) -> None:
        ids = torch.arange(block_size + more) * 3
        x, y = batches.get_batch(ids, batch_size, block_size, torch.Generator().manual_seed(seed))
        assert x.shape == y.shape == (batch_size, block_size)
        assert torch.equal(y - x, torch.full_like(x, 3))
        assert torch.equal(x - x[:, :1], (3 * torch.arange(block_size)).expand_as(x))

    holds()


@pytest.mark.parametrize("share", [0.1, 0.25, 0.9])
def test_the_parts_are_the_text(reference: Load, share: float) -> None:
    split = reference("batches").split
    for length in range(2, 60):
        train, validation = split(torch.arange(length), share)
        assert torch.equal(torch.cat([train, validation]), torch.arange(length))
        assert abs(len(validation) - share * length) < 1


# --- learning ------------------------------------------------------------------------------------------------


def test_learning_is_what_sgd_does(reference: Load) -> None:
    bigram = reference("bigram")
    ids = torch.randint(0, 5, (80,), generator=torch.Generator().manual_seed(5))
    model = torch.nn.Embedding(5, 5)
    torch.nn.init.zeros_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), lr=3.0)
    for _ in range(7):
        optimizer.zero_grad()
        F.cross_entropy(model(ids[:-1]), ids[1:]).backward()
        optimizer.step()
    torch.testing.assert_close(bigram.train(ids, 5, 7, 3.0), model.weight.detach(), atol=1e-5, rtol=0.0)
    W = torch.randn(5, 5)
    assert torch.equal(bigram.one_hot(ids, 5), F.one_hot(ids, 5).float())
    torch.testing.assert_close(bigram.one_hot(ids, 5) @ W, bigram.logits_of(W, ids))


# --- what the page says --------------------------------------------------------------------------------------


def test_the_numbers_by_hand_are_right(reference: Load, page: str) -> None:
    ngrams, measure = reference("ngrams"), reference("measure")
    characters = ngrams.vocabulary("abracadabra")
    ids = ngrams.encode("abracadabra", characters)
    counts = ngrams.count(ids, 2, 5)
    for row, name in zip(counts.tolist(), characters, strict=True):
        assert f"| {name} | {' | '.join(map(str, [*row, sum(row)]))} |" in page
    for alpha in (0.1, 1.0):
        row = ngrams.probabilities(counts, alpha)[0].tolist()
        (said,) = re.findall(rf"^\| {alpha:g} \| (.*) \|$", page, re.MULTILINE)
        cells = [float(cell.strip("$").rpartition("=")[2]) for cell in said.split(" | ")]
        assert cells == pytest.approx(row, abs=0.0005)
    costs = [f"{-math.log(p) + 0.0:.3f}" for p in (0.5, 0.25, 0.1, 0.01)]
    assert f"| 0 | {' | '.join(costs)} |" in page
    assert f"$0.693 / 3 = {math.log(2) / 3:.3f}$" in page
    step = 5 * (torch.tensor([0.0, 2, 1, 1, 0]) - 0.8) / 10
    assert f"| row a of $W$ after the step | {' | '.join(f'{w:.1f}' for w in step.tolist())} |" in page
    assert f"| its softmax | {' | '.join(f'{p:.2f}' for p in measure.softmax(step).tolist())} |" in page
    torch.testing.assert_close(reference("bigram").train(ids, 5, 1, 5.0)[0], step)


@pytest.mark.slow
def test_the_measured_numbers_are_those_of_a_run(reference: Load, maker: ModuleType, page: str) -> None:
    text = corpus.load()
    if len(text) != LENGTH:
        pytest.skip("another Python's documentation")
    found = maker.numbers()
    V = found["vocabulary"]
    assert f"{found['training']:,} and {found['validation']:,} characters, {V} different ones" in page
    rows = {}
    for n, (name, nats) in enumerate(found["nats"].items()):
        entries = f"{V**n:,} | {found['seen'][name]:,}" if n else "|"
        size = f"{math.exp(nats):.1f}" if n else str(V)
        rows[name] = f"| {name} | {entries} | {nats:.3f} | {size} | {found['bits'][name]:.3f} |"
    assert [row for row in rows.values() if row not in page] == []
    for rate, curve in found["learned"].items():
        cells = " | ".join(f"{curve[step]:.3f}" for step in (0, 1, 8, 32, 128, 512))
        assert f"| lr = {rate:g} | {cells} |" in page
    assert f"Counting gives {found['counted']:.3f}" in page
    assert found["learned"][50.0][512] - found["counted"] < 0.006

    ngrams, measure = reference("ngrams"), reference("measure")
    characters = ngrams.vocabulary(text)
    ids = ngrams.encode(text, characters)[: found["training"]]
    assert f"{ngrams.heldout_nll(ids, ids, 2, V):.3f} nats on the text that it counted" in page
    sentence = ngrams.encode("The statement is", characters)
    table = ngrams.probabilities(ngrams.count(ids, 2, V), 0.1)
    total = measure.log_probability(table[sentence[:-1]], sentence[1:])
    assert f"the log-probability {total:.3f}" in " ".join(page.split())
    assert f"${-total:.3f} / 15 = {-total / 15:.3f}$" in page


def test_the_figures_are_the_programs_own(maker: ModuleType, project: Project, tmp_path: Path) -> None:
    """Drawn again from few numbers, they are well-formed and hold what a page may hold."""
    table = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    drawings = {
        "table": maker.table_drawing([" ", "a"], table),
        "descent": maker.descent_drawing(2.0, {50.0: {0: 3.0, 1: 2.5}, 10.0: {0: 3.0, 1: 2.9}}),
    }
    for name, drawing in drawings.items():
        ElementTree.fromstring(drawing)
        path = tmp_path / f"{name}.svg"
        path.write_text(drawing, encoding="utf-8")
    for path in [*tmp_path.glob("*.svg"), *project.folder.glob("figures/bigram_*.svg")]:
        assert "<svg" in inline(path, "A figure", None, Place(path, 1))
