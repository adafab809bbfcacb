"""The public harness itself, where it is installed (pip install "lm_eval[hf]"), scores the same items alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from cohort_cli.evaluating import likelihood, sources
from cohort_cli.evaluating.benchmarks import BENCHMARKS
from cohort_cli.training.data import tokenizer as tokenizers
from cohort_cli.training.models import public

lm_eval: Any = pytest.importorskip("lm_eval", reason="the public harness is not installed here")
CONTEXT = 256  # short enough that the longest questions lose worked examples


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 with random weights and the real vocabulary, as save_pretrained leaves it."""
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

    torch.manual_seed(5)
    place = tmp_path_factory.mktemp("gpt2")
    config = GPT2Config(n_layer=2, n_embd=32, n_head=4, n_positions=CONTEXT, initializer_range=0.2)
    GPT2LMHeadModel(config).save_pretrained(place)
    vocab, merges = tokenizers._gpt2_files()
    GPT2TokenizerFast(str(vocab), str(merges)).save_pretrained(place)
    return place


@pytest.mark.parametrize("name", list(BENCHMARKS))
def test_the_harness_gives_the_same_scores(name: str, folder: Path, request: pytest.FixtureRequest) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    place = str(request.getfixturevalue(name))
    items = sources.load(BENCHMARKS[name], place, limit=0, shots=5).items
    model, cpu = public.load_public(str(folder)).eval(), torch.device("cpu")
    scored = [one for some in likelihood.score(model, tokenizers.gpt2(), CONTEXT, cpu, items) for one in some]
    theirs = HFLM(pretrained=str(folder), device="cpu", batch_size=4, dtype="float32")
    asked = [
        Instance("loglikelihood", {}, (item.prompt(one.shots), choice), 0)
        for one, item in zip(scored, items, strict=True)
        for choice in item.choices
    ]
    expected = theirs.loglikelihood(asked, disable_tqdm=True)
    ours = [pair for one in scored for pair in zip(one.logprobs, one.greedy, strict=True)]
    assert [logprob for logprob, _ in ours] == pytest.approx([logprob for logprob, _ in expected], abs=1e-3)
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in expected]


@pytest.mark.parametrize(
    ("name", "task"), [("mmlu", "mmlu/default/mmlu_astronomy"), ("lambada", "lambada/lambada_openai")]
)
def test_the_questions_are_worded_as_theirs(name: str, task: str, request: pytest.FixtureRequest) -> None:
    """Their own task file, on our rows, through their own code."""
    import yaml
    from lm_eval.api.task import ConfigurableTask

    path = Path(lm_eval.__file__).parent / "tasks" / f"{task}.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    if include := config.pop("include", None):
        config = {**yaml.safe_load((path.parent / include).read_text(encoding="utf-8")), **config}
    place: Path = request.getfixturevalue(name)
    for file in place.glob("*.jsonl"):  # a task of theirs holds one subject
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        file.write_text("".join(line for line in lines if '"astronomy"' in line), encoding="utf-8")
    files = {f.stem: str(f) for f in place.iterdir()} if place.is_dir() else {"test": str(place)}
    made = ConfigurableTask(config={
        **{key: value for key, value in config.items() if key not in ("tag", "task_alias", "metadata")},
        "dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files},
        "num_fewshot": 5 if name == "mmlu" else 0,
    })  # fmt: skip
    items = sources.load(BENCHMARKS[name], str(place), limit=0, shots=5).items
    asked = [(item.prompt(5), choice) for item in items for choice in item.choices]
    made.build_all_requests(limit=None, rank=0, world_size=1)
    assert [tuple(instance.args) for instance in made.instances] == asked
