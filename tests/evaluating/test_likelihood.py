"""The scores of items are those of an independent computation: transformers' GPT-2, a sequence at a time, the same
weights, and the public harness's rule for what is context and what is answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cohort_cli.errors import DataTrouble, UsageError
from cohort_cli.evaluating import likelihood, sources
from cohort_cli.evaluating.benchmarks import BENCHMARKS
from cohort_cli.evaluating.items import Item
from cohort_cli.training.data import tokenizer as tokenizers
from cohort_cli.training.data.tokenizer import Characters
from cohort_cli.training.models import public

CONTEXT = 512
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A GPT-2 of transformers with random weights, and the folder that it was saved in."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(3)
    config = GPT2Config(n_layer=2, n_embd=32, n_head=4, n_positions=CONTEXT, initializer_range=0.2)
    model = GPT2LMHeadModel(config).eval()
    folder = tmp_path_factory.mktemp("gpt2")
    model.save_pretrained(folder)
    return model, folder


@pytest.fixture(scope="module")
def ours(theirs: Any) -> nn.Module:
    return public.load_public(str(theirs[1])).eval()


def independent(model: Any, context: str, choice: str, longest: int = CONTEXT) -> tuple[float, bool]:
    """The public harness's rule, written down anew: `_encode_pair` and `_loglikelihood_tokens`."""
    from transformers import GPT2TokenizerFast

    vocab, merges = tokenizers._gpt2_files()
    tokenizer = GPT2TokenizerFast(str(vocab), str(merges))
    blanks = len(context) - len(context.rstrip())
    if blanks:
        context, choice = context[:-blanks], context[-blanks:] + choice
    whole = tokenizer.encode(context + choice)
    after = whole[len(tokenizer.encode(context)) :]
    given = torch.tensor([whole[-(longest + 1) :][:-1]])
    with torch.no_grad():
        logprobs = model(given).logits.double().log_softmax(-1)[0, -len(after) :]
    wanted = torch.tensor(after)
    total = logprobs.gather(-1, wanted[:, None]).sum()
    return float(total), bool((logprobs.argmax(-1) == wanted).all())


def score(model: nn.Module, items: list[Item], context: int = CONTEXT) -> list[Any]:
    return [one for some in likelihood.score(model, tokenizers.gpt2(), context, CPU, items) for one in some]


@pytest.mark.parametrize("name", list(BENCHMARKS))
def test_item_scores_are_those_of_transformers(
    name: str, ours: nn.Module, theirs: Any, request: pytest.FixtureRequest
) -> None:
    items = sources.load(BENCHMARKS[name], str(request.getfixturevalue(name)), limit=0, shots=5).items
    scored = score(ours, items)
    assert [one.id for one in scored] == [item.id for item in items]
    for one, item in zip(scored, items, strict=True):
        expected = [independent(theirs[0], item.prompt(one.shots), choice) for choice in item.choices]
        assert one.logprobs == pytest.approx([logprob for logprob, _ in expected], abs=1e-3)
        assert one.greedy == [greedy for _, greedy in expected]
        best = max(range(len(expected)), key=lambda n: expected[n][0])
        assert one.best() == best


def test_a_word_that_the_model_would_write_is_greedy(theirs: Any, ours: nn.Module) -> None:
    """What it writes after a context is greedy there, and any other word is not."""
    tokenizer = tokenizers.gpt2()
    ids = tokenizer.encode("The lamp stands on the")
    with torch.no_grad():
        new = int(theirs[0](torch.tensor([ids])).logits[0, -1].argmax())
    word = tokenizer.decode([new])
    items = [Item("0", "The lamp stands on the", (word, " table"), 0)]
    if tokenizer.encode("The lamp stands on the" + word) == [*ids, new]:
        assert score(ours, items)[0].greedy == [True, False]


def test_scores_do_not_depend_on_what_shares_the_batch(ours: nn.Module, mmlu: Path) -> None:
    items = sources.load(BENCHMARKS["mmlu"], str(mmlu), limit=0, shots=5).items
    together = score(ours, items)
    alone = [score(ours, [item])[0] for item in items]
    for one, other in zip(together, alone, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_worked_examples_are_left_out_until_the_question_fits(ours: nn.Module, mmlu: Path) -> None:
    items = sources.load(BENCHMARKS["mmlu"], str(mmlu), limit=0, shots=5).items
    assert {one.shots for one in score(ours, items)} == {5}
    some = score(ours, items, context=160)
    assert not any(one.cut for one in some)
    tokenizer = tokenizers.gpt2()
    for one, item in zip(some, items, strict=True):
        fits = [shots for shots in range(6) if len(tokenizer.encode(item.prompt(shots) + " A")) <= 161]
        assert one.shots == max(fits) < 5


def test_what_is_too_long_loses_its_beginning_and_says_so(theirs: Any, ours: nn.Module) -> None:
    item = Item("0", "one two three four five six seven eight nine", (" ten", " stones in a row"), 0)
    one = score(ours, [item], context=6)[0]
    assert one.cut
    expected = [independent(theirs[0], item.context, choice, 6)[0] for choice in item.choices]
    assert one.logprobs == pytest.approx(expected, abs=1e-3)
    assert not score(ours, [item], context=64)[0].cut


def test_the_last_token_need_not_fit_into_the_context(ours: nn.Module) -> None:
    """It is predicted, and never given."""
    item = Item("0", "one two three", (" four",), 0)
    assert not score(ours, [item], context=3)[0].cut
    assert score(ours, [item], context=2)[0].cut


def test_a_choice_that_the_model_cannot_see_whole_is_an_error(ours: nn.Module) -> None:
    with pytest.raises(UsageError, match="longer than the model's context"):
        score(ours, [Item("7", "a", (" b c d e f g",), 0)], context=3)
    with pytest.raises(UsageError, match="empty side"):
        score(ours, [Item("7", " ", ("b",), 0)])


class Plain(nn.Module):
    """A member's network, which gives all logits."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, None]:
        return self.inner(ids)[0], None


def test_a_members_network_is_scored_alike(ours: nn.Module, hellaswag: Path) -> None:
    items = sources.load(BENCHMARKS["hellaswag"], str(hellaswag), limit=0, shots=0).items
    for one, other in zip(score(ours, items), score(Plain(ours), items), strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_a_vocabulary_of_characters_is_scored_too(small_gpt: nn.Module, lambada: Path) -> None:
    tokenizer = Characters("abcdefghijklmnopqrstuvwxyz ")
    items = sources.load(BENCHMARKS["lambada"], str(lambada), limit=0, shots=0).items
    for some in likelihood.score(small_gpt, tokenizer, 64, CPU, items):
        for one, item in zip(some, items, strict=True):
            assert one.tokens == [len(item.choices[0])]
            assert json.loads(json.dumps(one._asdict()))["bytes"] == [len(item.choices[0].encode())]


@pytest.fixture
def small_gpt() -> nn.Module:
    from cohort_cli.training.config import Model
    from cohort_cli.training.models import gpt

    torch.manual_seed(0)
    return gpt.build(Model(n_layers=1, d_model=16, n_heads=2, context=64), 28).eval()


def test_a_broken_model_is_not_scored(small_gpt: nn.Module, lambada: Path) -> None:
    with torch.no_grad():
        small_gpt.wte.weight.fill_(float("nan"))  # type: ignore[union-attr]
    items = sources.load(BENCHMARKS["lambada"], str(lambada), limit=0, shots=0).items
    with pytest.raises(DataTrouble, match="no numbers"):
        list(likelihood.score(small_gpt, Characters("abcdefghijklmnopqrstuvwxyz "), 64, CPU, items))
