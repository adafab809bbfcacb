"""The engine of the page gives the logits, the attention and the text that torch gives."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from javascript import Page, page
from networks import ALL, CONTEXT, V, in_float, in_int8, logits, random_network

from cohort_cli.showcase import kernel
from cohort_cli.showcase.quantised import load, network

IDS = [int(id) for id in torch.randint(V, (CONTEXT,), generator=torch.Generator().manual_seed(3))]
BOTH = pytest.mark.parametrize("wants_kernel", [True, False], ids=["kernel", "plain"])


@pytest.fixture(scope="module")
def here() -> Iterator[Page]:
    with page() as made:
        yield made


def one_by_one(here: Page, ids: list[int]) -> np.ndarray[Any, Any]:
    """(T, V): the logits behind each token, fed one at a time."""
    code = "(model.reset(), ids.flatMap((id) => [...model.feed([id])]))"
    return here.floats(code, ids=ids).reshape(len(ids), -1)


def together(here: Page, ids: list[int]) -> np.ndarray[Any, Any]:
    """(V,): the logits behind the last token, all fed at once."""
    return here.floats("(model.reset(), model.feed(ids))", ids=ids)


@pytest.mark.parametrize("switches", ALL, ids=lambda s: "-".join(str(value) for value in s.values()))
def test_every_architecture_gives_torch_s_logits(
    here: Page, switches: dict[str, object], tmp_path: Path
) -> None:
    flags, tensors = random_network(**switches)
    expected = logits(network(flags, tensors), IDS).numpy()
    here.load(in_float(flags, tensors))
    assert np.abs(one_by_one(here, IDS) - expected).max() < 1e-4
    assert np.abs(together(here, IDS) - expected[-1]).max() < 1e-4
    (tmp_path / "model.safetensors").write_bytes(in_int8(flags, tensors))
    rough = logits(load(tmp_path / "model.safetensors"), IDS).numpy()
    assert np.abs(rough - expected).max() > 1e-3, "int8 is not float32"
    for wants_kernel in (True, False):
        here.load(in_int8(flags, tensors), kernel=wants_kernel)
        assert here.run("model.usesKernel") is wants_kernel
        assert np.abs(one_by_one(here, IDS) - rough).max() < 1e-3
        for count in (1, 4, 7, 32):  # groups of four, and what is left over
            assert np.abs(together(here, IDS[:count]) - rough[count - 1]).max() < 1e-3


@BOTH
def test_odd_sizes(here: Page, wants_kernel: bool, tmp_path: Path) -> None:
    """The kernel takes two rows at a time. Weights that are not as many must not change what lies behind them."""
    small = [id % 51 for id in IDS[:12]]
    flags, tensors = random_network(d_model=18, d_ff=37, vocab_size=51)
    (tmp_path / "model.safetensors").write_bytes(in_int8(flags, tensors))
    expected = logits(load(tmp_path / "model.safetensors"), small).numpy()
    here.load(in_int8(flags, tensors), kernel=wants_kernel)
    assert np.abs(together(here, small) - expected[-1]).max() < 1e-3
    assert np.abs(one_by_one(here, small) - expected).max() < 1e-3


@BOTH
def test_a_prompt_in_pieces_is_the_prompt(here: Page, wants_kernel: bool) -> None:
    here.load(in_int8(*random_network(positions="rope")), kernel=wants_kernel)
    whole = together(here, IDS)
    parts = here.floats(
        "(model.reset(), model.feed(a), model.feed(b), model.feed(c))", a=IDS[:5], b=IDS[5:6], c=IDS[6:]
    )
    assert np.abs(whole - parts).max() < 1e-4


def test_attention_of_every_head(here: Page) -> None:
    flags, tensors = random_network(positions="rope", qk_norm="yes")
    here.load(in_float(flags, tensors))
    model: Any = network(flags, tensors)
    seen = []
    model.h[1].attn.c_attn.register_forward_hook(lambda module, given, made: seen.append(made))
    logits(model, IDS)
    from cohort_cli.training.models.attention import EPS, rotate

    qkv = seen[0].unflatten(-1, (3, 2, -1))
    q, k = rotate(torch.nn.functional.rms_norm(qkv[:, :, :2], (10,), eps=EPS), model.turns).unbind(2)
    scores = torch.einsum("bqhd,bkhd->hqk", q, k) / 10**0.5
    expected = scores.masked_fill(~torch.ones(CONTEXT, CONTEXT, dtype=torch.bool).tril(), -torch.inf).softmax(
        -1
    )
    together(here, IDS)
    for head in (0, 1):
        found = here.floats("model.attention(1, head)", head=head).reshape(CONTEXT, CONTEXT)
        assert np.abs(found - expected[head].detach().numpy()).max() < 1e-5
    assert here.run("tried(() => model.attention(3, 0))").startswith("Error: there is no head")
    assert here.run("tried(() => model.attention(0, -1))").startswith("Error: there is no head")


@BOTH
def test_greedy_text_is_torch_s_beyond_the_context_too(
    here: Page, wants_kernel: bool, tmp_path: Path
) -> None:
    flags, tensors = random_network(positions="rope", bias=False)
    (tmp_path / "model.safetensors").write_bytes(in_int8(flags, tensors))
    model: Any = load(tmp_path / "model.safetensors")
    expected = model.generate(torch.tensor([IDS[:8]]), 200, temperature=0, keep=16)[0, 8:].tolist()
    here.load(in_int8(flags, tensors), kernel=wants_kernel)
    code = "Array.from(model.generate(ids, { tokens: 200, temperature: 0, keep: 16 }), (step) => step.id)"
    found = here.run(code, ids=IDS[:8])
    assert sum(a == b for a, b in zip(found, expected, strict=True)) >= 190


def test_a_long_text_is_read_in_turns_and_to_the_same_end(here: Page) -> None:
    """So a page can be stopped while a model reads a prompt of many seconds."""
    here.load(in_int8(*random_network()))
    code = "Array.from(model.generate(ids, { tokens: 40, temperature: 0, turns }), (step) => step && step.id)"
    whole, turns = (here.run(code, ids=IDS[:19], turns=turns) for turns in (False, True))
    assert turns[:5] == [None] * 4 + whole[:1]
    assert [id for id in turns if id is not None] == whole


def test_sampling_is_repeatable_and_follows_the_probabilities(here: Page) -> None:
    here.load(in_int8(*random_network()))
    code = "Array.from(model.generate(ids, { tokens: 40, temperature: 1.5, topK, seed }), (step) => step.id)"
    a, again, b = (here.run(code, ids=IDS[:3], seed=seed, topK=0) for seed in (1, 1, 2))
    assert a == again != b
    assert here.run(code, ids=IDS[:3], seed=1, topK=1) == here.run(code, ids=IDS[:3], seed=2, topK=1)
    scores = torch.tensor([0.5, 2.0, 2.0, -1.0, 1.0])
    expected = (scores / 0.7).softmax(-1)
    found = here.floats("cohort.probabilities(scores, 0.7)", scores=scores.tolist())
    assert np.abs(found - expected.numpy()).max() < 1e-6
    kept = here.floats("cohort.probabilities(scores, 0.7, 2)", scores=scores.tolist())
    assert np.abs(kept - [0, 0.5, 0.5, 0, 0]).max() < 1e-6
    code = "Array.from({ length: 20000 }, () => cohort.sample(scores, 0.7, 0, draw))"
    drawn = here.run(f"((draw) => {code})(cohort.random(7))", scores=scores.tolist())
    assert np.abs(np.bincount(drawn, minlength=5) / 20000 - expected.numpy()).max() < 0.015
    assert here.run("Array.from(cohort.probabilities([1, 3, 2], 1e-308))") == [0, 1, 0]
    assert here.run("cohort.sample([NaN, NaN, NaN], 0)") == 0
    assert here.run("cohort.sample([NaN, NaN, NaN], 1)") in (0, 1, 2)
    for wrong in (-1, "NaN", "Infinity"):
        assert here.run(f"tried(() => cohort.sample([1, 2], {wrong}))").startswith("Error: the temperature")


def test_wrong_tokens_and_a_full_context_are_said(here: Page) -> None:
    here.load(in_int8(*random_network()))
    for ids in ([V], [-1], [1.5], ["1"], [None]):
        assert "is no token" in here.run("tried(() => model.feed(ids))", ids=ids)
    assert "no token to go on from" in here.run("tried(() => model.feed([]))")
    assert "the context holds 32" in here.run("tried(() => model.feed(ids))", ids=[*IDS, 1])
    assert here.run("model.length") == 0


def test_the_kernel_is_built_from_its_source() -> None:
    source = kernel.SOURCE.read_text(encoding="utf-8")
    assert kernel.BUILT.read_text(encoding="utf-8") == kernel.built(source)


def test_without_a_kernel_or_with_a_broken_one_plain_javascript_computes() -> None:
    data = in_int8(*random_network())
    with page("weights.js", "sampling.js", "engine.js") as bare:
        bare.load(data)
        assert bare.run("model.usesKernel") is False
        plain = together(bare, IDS)
        bare.run('void (cohort.kernel = "AAAA")')
        bare.load(data)
        assert bare.run("model.usesKernel") is False
        assert (together(bare, IDS) == plain).all()


def test_as_a_module_in_node(here: Page, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    data = in_int8(*random_network())
    (tmp_path / "model.safetensors").write_bytes(data)
    address = (kernel.ASSETS / "engine.mjs").as_uri()
    script = tmp_path / "ask.mjs"
    script.write_text(
        f"import {{ readFileSync }} from 'node:fs';\nimport {{ load, tokenizer }} from {json.dumps(address)};\n"
        "const model = load(readFileSync('model.safetensors'));\n"
        f"console.log(JSON.stringify([model.usesKernel, typeof tokenizer, [...model.feed({IDS})]]));\n",
        encoding="utf-8",
    )
    done = subprocess.run([node, "ask.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True)
    uses, kind, found = json.loads(done.stdout)
    here.load(data)
    assert (uses, kind) == (True, "function")
    assert np.abs(together(here, IDS) - found).max() < 1e-5
