"""Our GPT against three oracles: Project 2's reference, transformers' GPT-2, and each switch as a formula."""

from __future__ import annotations

import importlib
import itertools
import math
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cohort_cli.errors import DataTrouble, UsageError
from cohort_cli.training.config import Model
from cohort_cli.training.models import linear
from cohort_cli.training.models.attention import Cache, rotate, turns_of
from cohort_cli.training.models.gpt import GPT, build
from cohort_cli.training.models.public import load_public

REFERENCE = Path(__file__).parents[2] / "projects" / "project2_transformer_block" / "reference"
V, T = 29, 12
SWITCHES: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "rope": {"positions": "rope"},
    "rmsnorm": {"norm": "rmsnorm"},
    "qk_norm": {"qk_norm": "yes"},
    "relu2": {"activation": "relu2"},
    "no bias": {"bias": False},
    "untied": {"tied": False},
    "modern": {"recipe": "modern"},
    "modern, no bias, untied": {"recipe": "modern", "bias": False, "tied": False},
}


def make(vocab: int = V, **switches: Any) -> GPT:
    """A small model in float64 whose every parameter is random, biases and gains too."""
    model = build(Model(3, 24, 4, T, **switches), vocab).double()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(1 + 0.3 * noise if ".weight" in name and parameter.dim() == 1 else 0.2 * noise)
    return model.eval()


def tokens(rows: int = 2, length: int = T, vocab: int = V) -> Tensor:
    return torch.randint(vocab, (rows, length), generator=torch.Generator().manual_seed(7))


def logits_of(model: GPT, ids: Tensor) -> Tensor:
    logits, loss = model(ids)
    assert loss is None
    assert logits is not None
    return logits


def loss_of(model: GPT, ids: Tensor, targets: Tensor) -> Tensor:
    logits, loss = model(ids, targets)
    assert logits is None
    assert loss is not None
    return loss


@pytest.fixture(scope="module")
def project2() -> Iterator[Any]:
    """Project 2's reference, imported so that its short names stay out of everybody else's way."""
    names = [path.stem for path in REFERENCE.glob("*.py")]
    hidden = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(REFERENCE))
    try:
        yield importlib.import_module("model"), importlib.import_module("own")
    finally:
        sys.path.remove(str(REFERENCE))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)


def twin(project2: Any, ours: GPT) -> Any:
    """Project 2's GPT with the same shape and weights; loading is strict, so every name is the same too."""
    shape = ours.shape
    config = project2[0].GPTConfig(
        ours.wte.num_embeddings, shape.n_layers, shape.d_model, shape.n_heads, shape.context, bias=shape.bias
    )
    model = project2[0].GPT(config).double()
    model.load_state_dict(ours.state_dict())
    return model.eval()


# --- the recipe gpt2 -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
def test_same_logits_loss_and_gradients_as_project_2(project2: Any, bias: bool) -> None:
    ours = make(bias=bias)
    theirs = twin(project2, ours)
    ids, targets = tokens(), tokens().roll(-1, dims=1)
    targets[0, :4] = -1
    torch.testing.assert_close(logits_of(ours, ids), theirs(ids)[0], rtol=1e-10, atol=1e-12)
    mine, other = loss_of(ours, ids, targets), theirs(ids, targets)[1]
    torch.testing.assert_close(mine, other, rtol=1e-10, atol=0)
    mine.backward()
    other.backward()
    others = dict(theirs.named_parameters())
    assert list(others) == [name for name, _ in ours.named_parameters()]
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, others[name].grad, rtol=1e-9, atol=1e-12, msg=name)


def test_the_first_weights_are_spread_as_project_2_spreads_them() -> None:
    torch.manual_seed(1)
    model = build(Model(8, 64, 4, 32), 500)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            assert torch.equal(
                parameter, torch.full_like(parameter, float("ln" in name and "weight" in name))
            )
        else:
            expected = 0.02 / 4 if "c_proj" in name else 0.02  # sqrt(2 * 8 layers) = 4
            assert parameter.std().item() == pytest.approx(expected, rel=0.06), name


def test_generates_what_project_2_generates(project2: Any) -> None:
    """Beyond the end of the context too, where the window slides."""
    ours = make()
    theirs = twin(project2, ours)
    prompt = tokens(length=4)
    for top_k in (None, 5, 1000):
        both = [
            model.generate(
                prompt, T + 6, temperature=0.8, top_k=top_k, generator=torch.Generator().manual_seed(3)
            )
            for model in (ours, theirs)
        ]
        assert torch.equal(*both)
    long = tokens(length=T + 5)
    both = [model.generate(long, 3, generator=torch.Generator().manual_seed(3)) for model in (ours, theirs)]
    assert torch.equal(*both)


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A small GPT-2 of transformers with random weights, and the folder that it is saved in."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(4)
    config = transformers.GPT2Config(
        vocab_size=V,
        n_positions=T,
        n_embd=24,
        n_layer=2,
        n_head=3,
        n_inner=40,
        bos_token_id=0,
        eos_token_id=0,
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))  # biases and gains, which start at 0 and 1, too
    folder = tmp_path_factory.mktemp("public")
    model.save_pretrained(folder)
    return model, folder


def test_public_weights_give_the_logits_of_transformers(public: tuple[Any, Path]) -> None:
    theirs, folder = public
    ours = load_public(str(folder)).eval()
    ids = tokens()
    torch.testing.assert_close(logits_of(ours, ids), theirs(ids).logits, rtol=1e-4, atol=1e-4)
    assert ours.lm_head.weight is ours.wte.weight
    assert ours.shape.d_ff == 40
    loss_of(ours, ids, ids).backward()  # it can be trained on
    assert all(parameter.grad is not None for parameter in ours.parameters())


def test_public_weights_that_would_give_something_else_are_refused(
    public: tuple[Any, Path], tmp_path: Path
) -> None:
    said = (public[1] / "config.json").read_text(encoding="utf-8")
    (tmp_path / "config.json").write_text(said.replace('"gelu_new"', '"relu"'), encoding="utf-8")
    (tmp_path / "model.safetensors").write_bytes((public[1] / "model.safetensors").read_bytes())
    with pytest.raises(UsageError, match="activation_function = 'relu'"):
        load_public(str(tmp_path))


def test_public_weights_that_are_not_whole_are_refused(public: tuple[Any, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(public[1] / "model.safetensors")
    del tensors["transformer.h.1.mlp.c_fc.weight"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_bytes((public[1] / "config.json").read_bytes())
    with pytest.raises(DataTrouble, match=r"h\.1\.mlp\.c_fc\.weight"):
        load_public(str(tmp_path))


def test_public_weights_that_are_not_there_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataTrouble, match="cannot be had"):
        load_public(str(tmp_path / "nothing"))


# --- the switches, each as a formula ---------------------------------------------------------------------------


def by_formula(model: GPT, ids: Tensor) -> Tensor:
    """The logits, from the weights' names and from the papers' formulas, one row and one head at a time."""
    s, w = model.shape, model.state_dict()
    D = s.d_model // s.n_heads

    def norm(x: Tensor, name: str) -> Tensor:
        if s.norm == "rmsnorm":
            return x / (x**2).mean(-1, keepdim=True).add(1e-5).sqrt() * w[f"{name}.weight"]
        centred = x - x.mean(-1, keepdim=True)
        y = centred / (centred**2).mean(-1, keepdim=True).add(1e-5).sqrt() * w[f"{name}.weight"]
        return y + w.get(f"{name}.bias", 0.0)

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)

    def turned(x: Tensor) -> Tensor:  # (T, D): a matrix of rotation for each position and pair
        out = torch.empty_like(x)
        for p, i in itertools.product(range(len(x)), range(D // 2)):
            angle = p / 10_000 ** (2 * i / D)
            turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
            out[p, 2 * i : 2 * i + 2] = turn.double() @ x[p, 2 * i : 2 * i + 2]
        return out

    def head(q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # each (T, D)
        if s.qk_norm == "yes":
            q, k = (x / (x**2).mean(-1, keepdim=True).add(1e-5).sqrt() for x in (q, k))
        if s.positions == "rope":
            q, k = turned(q), turned(k)
        scores = (q @ k.T / math.sqrt(D)).masked_fill(torch.ones(len(q), len(q)).triu(1).bool(), -torch.inf)
        return scores.softmax(-1) @ v

    def activation(x: Tensor) -> Tensor:
        if s.activation == "relu2":
            return torch.where(x > 0, x * x, 0.0)
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    rows = []
    for row in ids:
        x = w["wte.weight"][row]
        if s.positions == "learned":
            x = x + w["wpe.weight"][: len(row)]
        for layer in range(s.n_layers):
            name = f"h.{layer}"
            qkv = linear(norm(x, f"{name}.ln_1"), f"{name}.attn.c_attn").split(s.d_model, dim=-1)
            heads = [head(*(y[:, h * D : h * D + D] for y in qkv)) for h in range(s.n_heads)]
            x = x + linear(torch.cat(heads, dim=-1), f"{name}.attn.c_proj")
            hidden = activation(linear(norm(x, f"{name}.ln_2"), f"{name}.mlp.c_fc"))
            x = x + linear(hidden, f"{name}.mlp.c_proj")
        rows.append(norm(x, "ln_f") @ w["lm_head.weight"].T)
    return torch.stack(rows)


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_each_switch_is_its_formula(switches: dict[str, Any]) -> None:
    model = make(**switches)
    for length in (1, 2, T):
        ids = tokens(length=length)
        torch.testing.assert_close(logits_of(model, ids), by_formula(model, ids), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_the_loss_is_that_of_the_logits_for_each_switch(switches: dict[str, Any]) -> None:
    model, ids = make(**switches), tokens()
    targets = ids.roll(-1, dims=1)
    targets[:, -1] = -1
    whole = F.cross_entropy(logits_of(model, ids).flatten(0, 1), targets.flatten(), ignore_index=-1)
    chunked = loss_of(model, ids, targets)
    torch.testing.assert_close(chunked, whole, rtol=1e-10, atol=0)
    parameters = list(model.parameters())
    for mine, other in zip(
        torch.autograd.grad(chunked, parameters), torch.autograd.grad(whole, parameters), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=1e-8, atol=1e-12)


def test_rope_is_project_2s(project2: Any) -> None:
    generator = torch.Generator().manual_seed(2)
    qk = torch.randn(2, T, 2, 3, 8, generator=generator)
    cos, sin = project2[1].precompute_rope(8, T)
    theirs = project2[1].apply_rope(qk.movedim(1, -2), cos, sin).movedim(-2, 1)
    torch.testing.assert_close(rotate(qk, turns_of(8, T)), theirs)


def test_rope_sees_only_how_far_apart_tokens_are() -> None:
    """The product of a query and a key is the same when both move by as much."""
    q, k = torch.randn(2, 1, 1, 1, 1, 8, dtype=torch.float64)
    turns = turns_of(8, 20)
    products = [
        (rotate(q, turns[p : p + 1]) * rotate(k, turns[p + 3 : p + 4])).sum().item() for p in range(16)
    ]
    assert products == pytest.approx([products[0]] * 16, abs=1e-5)
    assert products[0] != pytest.approx((q * k).sum().item(), abs=1e-5)


def test_rope_is_exact_at_far_positions_and_survives_a_change_of_number_format() -> None:
    turns = turns_of(64, 4096)
    angle = 4095 * 10_000 ** (-2 / 64)
    assert turns[4095, 1].tolist() == pytest.approx([math.cos(angle), math.sin(angle)], abs=1e-6)
    model = make(positions="rope")
    before = logits_of(model, tokens())
    rough = logits_of(model.to(torch.bfloat16), tokens())
    assert (rough.double() - before).abs().max() < 0.1 * before.abs().max()


def test_zero_init_starts_each_block_as_the_identity() -> None:
    torch.manual_seed(1)
    model = build(Model(3, 24, 3, T, init="zero", dropout=0.0), V)
    ids = tokens()
    x = model.wte(ids) + model.wpe.weight[:T]  # type: ignore[union-attr]
    assert torch.equal(model.hidden(ids), model.ln_f(x))
    loss_of(model, ids, ids).backward()
    for name, parameter in model.named_parameters():
        if name.endswith("c_proj.weight"):
            assert not parameter.any()
            assert parameter.grad is not None
            assert parameter.grad.any(), name  # and can leave it


def test_an_untied_head_has_a_matrix_of_its_own() -> None:
    model = make(tied=False)
    assert model.lm_head.weight is not model.wte.weight
    assert len(list(model.parameters())) == len(list(make().parameters())) + 1


def test_a_recipe_answers_only_what_is_open() -> None:
    model = build(Model(1, 24, 3, T, recipe="modern", activation="gelu", d_ff=30), V)
    shape = model.shape
    assert (shape.positions, shape.norm, shape.qk_norm, shape.init) == ("rope", "rmsnorm", "yes", "zero")
    assert (shape.activation, shape.d_ff) == ("gelu", 30)
    assert build(Model(1, 24, 3, T), V).shape.d_ff == 96


# --- the cache -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("switches", [SWITCHES["gpt2"], SWITCHES["modern"]], ids=["gpt2", "modern"])
def test_the_cache_changes_nothing_at_any_split(switches: dict[str, Any]) -> None:
    """All ways to cut 12 tokens into two parts, many into three, and one token at a time."""
    model, ids = make(**switches), tokens()
    with torch.no_grad():
        whole = model.hidden(ids)
        cuts = [(a,) for a in range(1, T)] + [(a, b) for a in (1, 3, 6) for b in range(a + 1, T)]
        for cut in [*cuts, tuple(range(1, T))]:
            cache, parts = Cache(model.shape.n_layers), []
            for first, end in itertools.pairwise((0, *cut, T)):
                parts.append(model.hidden(ids[:, first:end], cache))
                assert cache.length == end
            torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-6, atol=1e-7, msg=str(cut))


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_generating_is_taking_the_likeliest_of_the_full_forward(switches: dict[str, Any]) -> None:
    model, ids = make(**switches), tokens(length=3)
    made = model.generate(ids, 2 * T, temperature=0)
    with torch.no_grad():
        for _ in range(2 * T):
            logits = logits_of(model, ids[:, -T:])
            ids = torch.cat([ids, logits[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(made, ids)


def test_with_keep_the_window_starts_again_from_the_newest_tokens() -> None:
    model, ids = make(), tokens(length=3)
    made = model.generate(ids, 2 * T, temperature=0, keep=5)
    start = 0
    with torch.no_grad():
        for _ in range(2 * T):
            if ids.size(1) - start > T:
                start = ids.size(1) - 5
            logits = logits_of(model, ids[:, start:])
            ids = torch.cat([ids, logits[:, -1:].argmax(-1)], dim=1)
    assert torch.equal(made, ids)


def test_a_token_costs_one_tokens_work() -> None:
    """Within the context each block sees the prompt once, and then one token at a time."""
    model = make()
    seen: list[int] = []
    model.h[0].register_forward_hook(lambda module, given, out: seen.append(given[0].size(1)))
    list(model.stream(tokens(length=4), 6))
    assert seen == [4, 1, 1, 1, 1, 1]


def test_streaming_makes_no_gradients_and_can_be_left_early() -> None:
    model = make()
    seen: list[bool] = []
    model.h[0].register_forward_hook(lambda module, given, out: seen.append(torch.is_grad_enabled()))
    first = next(model.stream(tokens(), 100))
    assert first.shape == (2, 1)
    assert seen == [False]
    assert torch.is_grad_enabled()


def test_more_tokens_than_the_context_are_refused() -> None:
    model = make()
    with pytest.raises(ValueError, match="13 tokens, the context is 12"):
        model(tokens(length=T + 1))
    cache = Cache(3)
    model.hidden(tokens(length=8), cache)
    with pytest.raises(ValueError, match="13 tokens, the context is 12"):
        model.hidden(tokens(length=5), cache)


# --- training --------------------------------------------------------------------------------------------------


def test_checkpointed_blocks_keep_less_and_give_the_same_gradients() -> None:
    results, kept = [], []
    for checkpointed in (False, True):
        model = make(recipe="modern").train()
        model.checkpoint_blocks = checkpointed
        numbers = 0

        def pack(tensor: Tensor) -> Tensor:
            nonlocal numbers
            numbers += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = loss_of(model, tokens(), tokens().roll(-1, dims=1))
        kept.append(numbers)
        loss.backward()
        results.append([loss.detach(), *(parameter.grad for parameter in model.parameters())])
    assert kept[1] < 0.35 * kept[0]
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-12)


def test_dropout_is_for_training_only() -> None:
    model, ids = make(dropout=0.5), tokens()
    assert torch.equal(logits_of(model, ids), logits_of(model, ids))
    model.train()
    assert not torch.equal(logits_of(model, ids), logits_of(model, ids))
    plain = make(dropout=0.0).train()
    torch.testing.assert_close(logits_of(plain, ids), logits_of(model.eval(), ids), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("switches", [SWITCHES["gpt2"], SWITCHES["modern"]], ids=["gpt2", "modern"])
def test_bfloat16_autocast_stays_near_float32(switches: dict[str, Any]) -> None:
    model, ids = make(**switches).float(), tokens()
    exact = loss_of(model, ids, ids.roll(-1, dims=1))
    with torch.autocast("cpu", torch.bfloat16):
        rough = loss_of(model, ids, ids.roll(-1, dims=1))
        made = model.generate(ids[:, :2], 6, temperature=0)
    assert rough.item() == pytest.approx(exact.item(), rel=0.02)
    assert rough.item() != exact.item()
    assert made.shape == (2, 8)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("recipe", ["gpt2", "modern"])
def test_compiled_it_has_the_same_loss_and_gradients(recipe: str) -> None:
    torch.manual_seed(1)
    model, ids = build(Model(1, 24, 4, T, recipe=recipe, init="gpt2"), V), tokens()
    targets = ids.roll(-1, dims=1)
    targets[0, 2] = -1
    found = []
    for one in (model, torch.compile(model)):
        loss = one(ids, targets)[1]
        found.append([loss, *torch.autograd.grad(loss, list(model.parameters()))])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_our_linear_layer_is_torchs(bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(linear, "onednn_is_faster", lambda: True)
    torch.manual_seed(1)
    ours, x = linear.Linear(20, 30, bias), torch.randn(3, 7, 20, requires_grad=True)
    assert linear.use_onednn(x)
    wanted = [x, *ours.parameters()]
    direction = torch.randn(3, 7, 30)
    found = torch.autograd.grad((ours(x) * direction).sum(), wanted)
    expected = torch.autograd.grad((F.linear(x, ours.weight, ours.bias) * direction).sum(), wanted)
    torch.testing.assert_close(ours(x), F.linear(x, ours.weight, ours.bias), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert ours(x).dtype == torch.bfloat16
    assert ours.double()(x.double()).dtype == torch.float64


def test_weights_that_are_turned_for_writing_are_the_same_weights() -> None:
    torch.manual_seed(0)
    model = build(Model(n_layers=2, d_model=48, n_heads=4, context=32), 130).eval()
    ids = torch.randint(130, (2, 20))
    before, weights = model(ids)[0], {name: p.detach().clone() for name, p in model.named_parameters()}
    linear.lay_out_for_rows(model)
    for name, weight in model.named_parameters():
        assert torch.equal(weight, weights[name]), name
    assert not model.h[0].attn.c_attn.weight.is_contiguous()
    assert model.lm_head.weight is model.wte.weight
    torch.testing.assert_close(model(ids)[0], before, rtol=1e-5, atol=1e-5)
    assert torch.equal(model.generate(ids, 5, temperature=0)[:, :20], ids)


def test_columns_that_would_lie_whole_pages_apart_are_left_alone() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 1024), torch.nn.Linear(8, 1000))
    linear.lay_out_for_rows(model)
    assert model[0].weight.is_contiguous()
    assert not model[1].weight.is_contiguous()
