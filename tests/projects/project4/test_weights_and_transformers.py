"""The reference's from_hf and to_hf beside transformers itself, which the checks may not use."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from cohort_cli.catalog import Project

Load = Callable[[str], ModuleType]
HUB = "openai-community/gpt2"


@pytest.fixture(scope="module")
def maker(project: Project) -> ModuleType:
    """The script that made acceptance/fixtures/hf_gpt2."""
    folder = str(project.reference.parent / "acceptance" / "fixtures")
    sys.path.insert(0, folder)
    try:
        import make_hf_gpt2
    finally:
        sys.path.remove(folder)
    return make_hf_gpt2


def logits_of(folder: Path, ids: torch.Tensor) -> Any:
    """What transformers computes from a folder, and what it says about the folder."""
    from transformers import GPT2LMHeadModel

    model, told = GPT2LMHeadModel.from_pretrained(folder, output_loading_info=True)
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not told[what]
    with torch.no_grad():
        return model.eval()(ids).logits


def test_the_stored_logits_are_those_of_transformers(maker: ModuleType) -> None:
    rows = json.loads((maker.FOLDER / "logits.json").read_text(encoding="utf-8"))
    got = logits_of(maker.FOLDER, torch.tensor(rows["ids"]))
    assert torch.allclose(got, torch.tensor(rows["logits"]), atol=1e-5)
    assert got.std() > 0.5, "logits of such size that 1e-4 finds every mistake"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"n_embd": 12, "n_head": 3, "n_layer": 1},
        {"n_inner": 40},
        {"activation_function": "gelu_pytorch_tanh"},
    ],
    ids=str,
)
def test_what_transformers_saved_is_loaded(
    maker: ModuleType, reference: Load, tmp_path: Path, fields: dict[str, Any]
) -> None:
    theirs = maker.new_model(seed=7, **fields)
    theirs.save_pretrained(tmp_path)
    ids = torch.randint(13, (4, 7))
    with torch.no_grad():
        got, want = reference("weights").from_hf(tmp_path)(ids)[0], theirs(ids).logits
    assert torch.allclose(got, want, atol=1e-5)


def test_several_files_of_transformers_are_loaded(maker: ModuleType, reference: Load, tmp_path: Path) -> None:
    theirs = maker.new_model(seed=8)
    theirs.save_pretrained(tmp_path, max_shard_size="6KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    ids = torch.randint(13, (4, 7))
    with torch.no_grad():
        got, want = reference("weights").from_hf(tmp_path)(ids)[0], theirs(ids).logits
    assert torch.allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(9, 11, 2, 3, 12), (5, 17, 1, 1, 6), (16, 40, 3, 4, 20)], ids=str)
def test_transformers_opens_what_to_hf_writes(
    reference: Load, tmp_path: Path, shape: tuple[int, ...], bias: bool
) -> None:
    gpt, weights = reference("gpt"), reference("weights")
    model = gpt.GPT(gpt.GPTConfig(*shape, dropout=0.1, bias=bias)).eval()
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=float("ln_" in name and "weight" in name), std=0.3)
    ids = torch.randint(shape[1], (3, shape[0]))
    with torch.no_grad():
        want = model(ids)[0]
        assert torch.allclose(logits_of(weights.to_hf(model, tmp_path / "mine"), ids), want, atol=1e-5)
        assert torch.allclose(weights.from_hf(tmp_path / "mine")(ids)[0], want, atol=1e-6)


def test_transformers_opens_the_tokenizer_beside_it(
    reference: Load, project: Project, tmp_path: Path
) -> None:
    """Generating stops at the id that config.json names, and GPT2Tokenizer reads the files."""
    from transformers import GPT2Config
    from transformers import GPT2Tokenizer as Theirs

    gpt, tokens, weights = reference("gpt"), reference("tokens"), reference("weights")
    vocab = {character: number for number, character in enumerate(tokens.byte_characters().values())}
    vocab |= {"th": 256, "the": 257, tokens.END_OF_TEXT: 258}
    ours = tokens.GPT2Tokenizer(vocab, [("t", "h"), ("th", "e")])
    model = gpt.GPT(gpt.GPTConfig(block_size=4, vocab_size=259, n_layer=1, n_head=1, n_embd=2))
    weights.to_hf(model, tmp_path, ours)
    assert GPT2Config.from_pretrained(tmp_path).eos_token_id == 258
    theirs = Theirs.from_pretrained(tmp_path)
    for text in ("the thé then", " other\n"):
        assert theirs(text)["input_ids"] == ours.encode(text)


def test_a_name_on_the_hub_asks_for_safetensors_only(
    maker: ModuleType, reference: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def instead(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(maker.FOLDER)

    monkeypatch.setattr("huggingface_hub.snapshot_download", instead)
    assert reference("weights").from_hf(HUB).config.vocab_size == 13
    ((name, patterns),) = asked
    assert name == HUB
    assert not any(pattern.endswith(("bin", "pt", "*")) for pattern in patterns)


@pytest.mark.hub
def test_the_public_gpt2_gives_the_logits_of_transformers(reference: Load) -> None:
    from huggingface_hub import try_to_load_from_cache

    found = [try_to_load_from_cache(HUB, name) for name in ("config.json", "model.safetensors")]
    if not all(isinstance(path, str) for path in found):
        pytest.skip(f"{HUB} is not in the local Hugging Face cache")
    folder = Path(str(found[0])).parent
    model = reference("weights").from_hf(folder)
    assert model.num_params(non_embedding=False) == 124_439_808
    ids = torch.randint(50257, (2, 64))
    with torch.no_grad():
        assert torch.allclose(model(ids)[0], logits_of(folder, ids), atol=1e-4)
