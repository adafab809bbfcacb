"""A right answer passes whatever its parameters are called: the reference under other people's names."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from cohort_cli.catalog import Project
from cohort_cli.checking.client import Judge
from cohort_cli.checking.states import State

# name -> file -> (regular expression, what to write instead)
NAMES = {
    "words-inside-names": {
        "attention.py": [(r"self\.query\b", "self.toqueries"), (r"self\.key\b", "self.tokeys")],
    },
    "plural": {
        "attention.py": [(rf"self\.{name}\b", f"self.{name}s") for name in ("key", "value")],
    },
    "names-that-say-nothing": {
        "attention.py": [
            (rf"self\.{name}\b", f"self.layer_{n}") for n, name in enumerate(("key", "value", "query"))
        ],
    },
    "a-textbook's": {
        "model.py": [
            (r"self\.wte\b", "self.tok_emb"),
            (r"self\.wpe\b", "self.pos_emb"),
            (r"self\.h\b", "self.trf_blocks"),
        ],
        "block.py": [(r"self\.attn\b", "self.att"), (r"self\.mlp\b", "self.ff"), (r"self\.ln_", "self.norm")],
        "attention.py": [(r"self\.heads\b", "self.attention_heads")],
        "layers.py": [(r"self\.weight\b", "self.scale"), (r"self\.bias\b", "self.shift")],
    },
    "long": {
        "block.py": [
            (r"self\.ln_1\b", "self.norm_before_attention"),
            (r"self\.ln_2\b", "self.norm_before_mlp"),
        ],
        "layers.py": [(r"self\.weight\b", "self.factor"), (r"self\.bias\b", "self.offset")],
    },
    "llama's": {
        "block.py": [
            (r"self\.ln_1\b", "self.input_layernorm"),
            (r"self\.ln_2\b", "self.post_attention_layernorm"),
        ],
    },
    "between": {
        "block.py": [(r"self\.ln_1\b", "self.norm_in"), (r"self\.ln_2\b", "self.norm_post_attention")],
    },
    "offset-before-gain": {
        "layers.py": [
            (
                r"        (self\.weight = .*\n)        (self\.bias = .*\n)",
                r"        \2        \1",
            ),
            (r"self\.weight\b", "self.b2"),
            (r"self\.bias\b", "self.a1"),
        ],
    },
    "table-with-a-batch-dimension": {
        "positions.py": [
            (r"nn\.Embedding\(max_len, d_model\)", "nn.Parameter(torch.randn(1, max_len, d_model))"),
            (r"self\.wpe\(torch\.arange\(T, device=x\.device\)\)", "self.wpe[:, :T]"),
        ],
    },
}


# The same module with its weights cut in another way, written behind the reference's, so that it takes its place.
HEADS_AS_A_DIMENSION = """

class CausalSelfAttention(nn.Module):
    def __init__(self, d_model, n_heads, max_seq_len, dropout=0.0, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError("d_model must be a multiple of n_heads")
        D = d_model // n_heads
        self.max_seq_len, self.dropout = max_seq_len, dropout
        for letter in "QKV":
            setattr(self, "W_" + letter, nn.Parameter(0.02 * torch.randn(n_heads, d_model, D)))
            setattr(self, "b_" + letter, nn.Parameter(torch.zeros(n_heads, D)) if bias else None)
        self.W_O = nn.Parameter(0.02 * torch.randn(n_heads, D, d_model))
        self.b_O = nn.Parameter(torch.zeros(d_model)) if bias else None

    def forward(self, x):
        if x.size(1) > self.max_seq_len:
            raise ValueError("too many tokens")
        q, k, v = (self.project(x, letter) for letter in "QKV")
        y = scaled_dot_product_attention(q, k, v, causal_mask(x.size(1)), self.dropout, self.training)
        y = torch.einsum("bhtd,hdc->btc", y, self.W_O)
        return F.dropout(y if self.b_O is None else y + self.b_O, self.dropout, self.training)

    def project(self, x, letter):
        y = torch.einsum("btc,hcd->bhtd", x, getattr(self, "W_" + letter))
        bias = getattr(self, "b_" + letter)
        return y if bias is None else y + bias[:, None]
"""
LAYERS_FOR_EACH_HEAD = """

class CausalSelfAttention(nn.Module):
    def __init__(self, d_model, n_heads, max_seq_len, dropout=0.0, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError("d_model must be a multiple of n_heads")
        self.max_seq_len, self.dropout = max_seq_len, dropout
        for name in ("q", "k", "v"):
            layers = [nn.Linear(d_model, d_model // n_heads, bias) for _ in range(n_heads)]
            setattr(self, name, nn.ModuleList(layers))
        self.out = nn.Linear(d_model, d_model, bias)

    def forward(self, x):
        if x.size(1) > self.max_seq_len:
            raise ValueError("too many tokens")
        mask = causal_mask(x.size(1))
        heads = [
            scaled_dot_product_attention(q(x), k(x), v(x), mask, self.dropout, self.training)
            for q, k, v in zip(self.q, self.k, self.v)
        ]
        return F.dropout(self.out(torch.cat(heads, -1)), self.dropout, self.training)
"""


@pytest.mark.parametrize(
    "code", [HEADS_AS_A_DIMENSION, LAYERS_FOR_EACH_HEAD], ids=["heads-as-a-dimension", "layers-for-each-head"]
)
def test_it_passes_with_its_weights_cut_otherwise(
    project: Project, judge: Judge, tmp_path: Path, code: str
) -> None:
    work = tmp_path / "work"
    shutil.copytree(project.reference, work, ignore=shutil.ignore_patterns("__pycache__"))
    with (work / "attention.py").open("a", encoding="utf-8") as file:
        file.write(code)
    # Not "model": the reference's initialisation looks for nn.Linear.
    report = judge.check(project, work, ["fused", "block"])
    wrong = [check for check in report.checks if check.state is not State.OK]
    assert [(check.id, check.message) for check in wrong] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_passes_under_other_names(project: Project, judge: Judge, tmp_path: Path, name: str) -> None:
    work = tmp_path / "work"
    shutil.copytree(project.reference, work, ignore=shutil.ignore_patterns("__pycache__"))
    for file, changes in NAMES[name].items():
        text = (work / file).read_text(encoding="utf-8")
        for pattern, replacement in changes:
            text, count = re.subn(pattern, replacement, text)
            assert count, f"{pattern} is not in {file} any more"
        (work / file).write_text(text, encoding="utf-8")
    report = judge.check(project, work)
    wrong = [check for check in report.checks if check.state is not State.OK]
    assert [(check.id, check.message) for check in wrong] == []


def test_a_wrong_answer_under_names_that_say_nothing_hears_no_mistake(
    project: Project, judge: Judge, tmp_path: Path
) -> None:
    """A name may be given only when nothing was guessed."""
    work = tmp_path / "work"
    shutil.copytree(project.reference, work, ignore=shutil.ignore_patterns("__pycache__"))
    file = work / "attention.py"
    text = file.read_text(encoding="utf-8")
    for number, name in enumerate(("key", "value", "query")):
        text = text.replace(f"self.{name} ", f"self.layer_{number} ").replace(
            f"self.{name}(", f"self.layer_{number}("
        )
    text = text.replace("self.layer_2(x), self.layer_0(x)", "self.layer_2(x), self.layer_2(x)")
    file.write_text(text, encoding="utf-8")
    report = judge.check(project, work, ["heads"])
    failed = [check for check in report.checks if check.state is State.FAIL]
    assert failed
    assert {check.mistake for check in failed if "leave open" in check.message} == {None}
    assert any("leave open" in check.message for check in failed)
