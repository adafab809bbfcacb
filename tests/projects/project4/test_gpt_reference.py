"""The reference's network and tokenizer against transformers, tokenizers and tiktoken; all files stay local."""

from __future__ import annotations

import ast
import json
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import tiktoken
import torch
from tiktoken.load import data_gym_to_mergeable_bpe_ranks
from tiktoken_ext.openai_public import r50k_pat_str

from cohort_cli.catalog import Project
from cohort_cli.tokens.sources import gpt2_files

Load = Callable[[str], ModuleType]
MATRICES = ("c_attn.weight", "c_proj.weight", "c_fc.weight")


def theirs(ours: Any, **fields: Any) -> Any:
    """transformers' GPT-2 with the weights of our model."""
    from transformers import GPT2Config, GPT2LMHeadModel

    c = ours.config
    config = GPT2Config(
        vocab_size=c.vocab_size,
        n_positions=c.block_size,
        n_embd=c.n_embd,
        n_layer=c.n_layer,
        n_head=c.n_head,
        **{"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0, **fields},
    )
    model = GPT2LMHeadModel(config).double()
    state = {
        f"transformer.{name}": value.T if name.endswith(MATRICES) else value
        for name, value in ours.named_parameters()
    }
    state["lm_head.weight"] = ours.wte.weight
    model.load_state_dict(state)
    return model


@pytest.fixture
def ours(reference: Load) -> Any:
    gpt = reference("gpt")
    model = gpt.GPT(gpt.GPTConfig(block_size=9, vocab_size=23, n_layer=3, n_head=2, n_embd=10)).double()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5, generator=generator)
    return model


def test_logits_loss_and_gradients_are_those_of_transformers(ours: Any) -> None:
    """Red for another order of layers, another GELU or eps, a loss that counts -100, a head that is not tied."""
    idx = torch.randint(0, 23, (3, 9))
    targets = torch.randint(0, 23, (3, 9)).masked_fill(torch.rand(3, 9) < 0.3, -100)
    model = theirs(ours)
    logits, loss = ours(idx, targets)
    # transformers shifts the labels itself: one more in front
    labels = torch.cat([torch.full((3, 1), -100), targets[:, :-1]], dim=1)
    want = model(idx, labels=labels)
    torch.testing.assert_close(logits, want.logits, atol=1e-10, rtol=0.0)
    _, shorter = ours(idx, targets.clone().index_fill_(1, torch.tensor([8]), -100))
    torch.testing.assert_close(shorter.double(), want.loss.double(), atol=1e-6, rtol=0.0)
    loss.backward()
    expected = torch.nn.functional.cross_entropy(want.logits.flatten(0, 1), targets.flatten())
    expected.backward()
    for name, parameter in model.transformer.named_parameters():
        seen = ours.get_parameter(name).grad
        torch.testing.assert_close(
            seen.T if name.endswith(MATRICES) else seen, parameter.grad, atol=1e-9, rtol=0.0
        )


def test_dropout_acts_where_transformers_has_it(reference: Load, ours: Any) -> None:
    """Red for a dropout that is missing, or in another place: means and spreads of the logits would differ."""
    gpt = reference("gpt")
    config = gpt.GPTConfig(block_size=9, vocab_size=23, n_layer=3, n_head=2, n_embd=10, dropout=0.3)
    model = gpt.GPT(config).double()
    model.load_state_dict(ours.state_dict())
    other = theirs(model, attn_pdrop=0.3, embd_pdrop=0.3, resid_pdrop=0.3).train()
    idx = torch.randint(0, 23, (1, 4), generator=torch.Generator().manual_seed(1)).expand(4000, 4)
    torch.manual_seed(2)
    with torch.no_grad():
        a, b = model.train()(idx)[0], other(idx).logits
    error = (a.std(0) + b.std(0)) / 4000**0.5
    assert bool(((a.mean(0) - b.mean(0)).abs() < 6 * error).all())
    torch.testing.assert_close(a.std(0), b.std(0), rtol=0.12, atol=0.0)


@pytest.mark.parametrize("name", ["gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl"])
def test_the_number_of_parameters_is_that_of_transformers(reference: Load, name: str) -> None:
    """Red for a wrong size or a wrong count; both models are built on the meta device, which needs no memory."""
    from transformers import GPT2Config, GPT2LMHeadModel

    gpt = reference("gpt")
    config = gpt.config_for(name)
    with torch.device("meta"):
        built = gpt.GPT(config)
        other = GPT2LMHeadModel(
            GPT2Config(n_layer=config.n_layer, n_head=config.n_head, n_embd=config.n_embd)
        )
    assert gpt.count_parameters(config) == built.num_params(False) == other.num_parameters()


@pytest.fixture
def fixture(project: Project) -> Iterator[ModuleType]:
    """acceptance/fixtures/make_small_gpt2.py, imported."""
    folder = str(project.reference.parent / "acceptance" / "fixtures")
    sys.path.insert(0, folder)
    import make_small_gpt2  # type: ignore[import-not-found]

    yield make_small_gpt2
    sys.path.remove(folder)
    del sys.modules["make_small_gpt2"]


def test_the_stored_tokenizer_is_what_its_script_makes(fixture: ModuleType) -> None:
    """Red when the script, the `tokenizers` library or a stored file changes without the others."""
    vocab, merges, expected = fixture.build()
    assert json.loads((fixture.FOLDER / "vocab.json").read_text(encoding="utf-8")) == vocab
    lines = (fixture.FOLDER / "merges.txt").read_text(encoding="utf-8").split("\n")
    assert lines == ["#version: 0.2", *(" ".join(pair) for pair in merges), ""]
    assert json.loads((fixture.FOLDER / "ids.json").read_text(encoding="utf-8")) == expected


def test_the_words_of_the_check_are_those_of_tokenizers(project: Project) -> None:
    """Red when a text in acceptance/test_tokens.py is cut by hand in a wrong place."""
    from tokenizers.pre_tokenizers import ByteLevel

    source = (project.reference.parent / "acceptance" / "test_tokens.py").read_text(encoding="utf-8")
    tables = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    (texts,) = [ast.literal_eval(node.value) for node in tables if ast.unparse(node.targets[0]) == "WORDS"]
    split = ByteLevel(add_prefix_space=False)
    for words in texts:
        text = "".join(words)
        found = [text[start:end] for _, (start, end) in split.pre_tokenize_str(text)]
        assert found == words


def test_transformers_opens_what_is_saved(reference: Load, fixture: ModuleType, tmp_path: Path) -> None:
    """Red when a saved file is not in the format, or a decoded text differs from theirs."""
    from transformers import GPT2Tokenizer

    ours = reference("tokens").GPT2Tokenizer.from_folder(fixture.FOLDER)
    ours.save(tmp_path)
    other = GPT2Tokenizer.from_pretrained(str(tmp_path))
    picker = random.Random(7)
    for text in fixture.TEXTS:
        assert other.encode(text) == ours.encode(text, allow_end_of_text=True)
        ids = picker.choices(sorted(ours.vocab.values()), k=20)
        assert other.decode(ids, clean_up_tokenization_spaces=False) == ours.decode(ids)


def test_ids_of_the_real_gpt2(reference: Load, fixture: ModuleType, tmp_path: Path) -> None:
    """GPT-2's own files, from the package that carries them. Red for a rule that 240 merges do not show."""
    for source, name in zip(gpt2_files(), ("vocab.json", "merges.txt"), strict=True):
        shutil.copyfile(source, tmp_path / name)
    ours = reference("tokens").GPT2Tokenizer.from_folder(tmp_path)
    assert ours.eos_id == 50256
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", "")  # it would copy the files to a folder of its own
        ranks = data_gym_to_mergeable_bpe_ranks(*map(str, reversed(gpt2_files())))
    specials = {"<|endoftext|>": 50256}
    other = tiktoken.Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens=specials)
    for text in [*fixture.TEXTS, fixture.LEARN]:
        ids = ours.encode(text)
        assert ids == other.encode(text, disallowed_special=())
        assert ours.encode(text, allow_end_of_text=True) == other.encode(text, allowed_special="all")
        assert ours.decode(ids) == text
