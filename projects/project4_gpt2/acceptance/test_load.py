"""Step `load`: weights in Hugging Face's format, in your own GPT.

One folder was written by transformers, with its logits beside it. The others are made anew for each run, of random
weights, and computed here with torch's own parts. V = 11, C = 12 = n_embd, H = 3 heads, two layers, 8 positions.
"""

import json
from pathlib import Path

import hf_bench
import torch
import weights_toys

from cohort_cli.checking.authoring import check

STORED = Path(__file__).parent / "fixtures" / "hf_gpt2"
PARAMETERS = sum(torch.Size(shape).numel() for shape in hf_bench.shapes().values())


def same_logits(member, expect, rng, path, tensors, say):
    """The model of the folder computes what its tensors mean. It comes back."""
    model = member.weights.from_hf(path)
    idx = rng.integers(0, hf_bench.V, 3, 7)
    expect.close(
        model(idx)[0], hf_bench.logits(tensors, idx), atol=1e-4, axes=("batch", "token", "word"), say=say
    )
    return model


@check("load-logits", title="the logits are those that transformers computes", needs=["model-values"])
def test_load_logits(member, expect, rng):
    """A tiny GPT-2 as transformers saves it: three layers, two heads, 13 tokens, 7 positions, 10 numbers wide. Its
    logits for three texts were stored beside it.

    Four matrices of each block are (in, out) in the file. The compiler of shapes does not see it when attn.c_proj, which
    is square, was not turned; the logits do.
    """
    for name in ("config.json", "model.safetensors"):
        member.write(f"gpt2/{name}", (STORED / name).read_bytes())
    rows = json.loads((STORED / "logits.json").read_text(encoding="utf-8"))
    model = member.weights.from_hf(member.path("gpt2"))
    want = torch.tensor(rows["logits"], dtype=torch.float64)
    expect.close(model(torch.tensor(rows["ids"]))[0], want, atol=1e-4, axes=("batch", "token", "word"))


@check("load-names", title="names with and without transformer., and old files", needs=["load-logits"])
def test_load_names(member, expect, rng):
    """The public gpt2 has names without the prefix, and carries the causal masks of its attention along: h.0.attn.bias
    and h.0.attn.masked_bias. Its config.json lacks most keys. Other files have lm_head.weight too.

    Look closely at what you leave out: "h.0.attn.c_attn.bias" ends with "attn.bias" as well, and is a weight.
    """
    tensors = hf_bench.drawn(rng)
    cases = [
        ("Names without transformer.", tensors),
        ("Names with transformer.", hf_bench.with_prefix(tensors)),
        ("With causal masks", tensors | hf_bench.masks()),
        ("With causal masks and transformer.", hf_bench.with_prefix(tensors | hf_bench.masks())),
        (
            "With lm_head.weight",
            hf_bench.with_prefix(tensors) | {"lm_head.weight": tensors["wte.weight"].clone()},
        ),
    ]
    for number, (words, stored) in enumerate(cases):
        path = hf_bench.folder(member, f"case{number}", stored)
        same_logits(member, expect, rng, path, tensors, f"{words}.")
    more = {
        "n_inner": 4 * hf_bench.C,
        "activation_function": "gelu_pytorch_tanh",
        "tie_word_embeddings": True,
    }
    more |= {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "use_cache": True}
    path = hf_bench.folder(member, "full", tensors, hf_bench.CONFIG | more)
    same_logits(member, expect, rng, path, tensors, "A config.json that says everything.")
    few = {
        name: value
        for name, value in hf_bench.CONFIG.items()
        if name.startswith("n_") or name == "vocab_size"
    }
    path = hf_bench.folder(member, "short", tensors, few | {"model_type": "gpt2"})
    same_logits(member, expect, rng, path, tensors, "A config.json that says the sizes alone.")


@check("load-shards", title="weights in several files, with an index", needs=["load-names"])
def test_load_shards(member, expect, rng):
    """Large models come in several files; model.safetensors.index.json says which tensor is in which. Here are three,
    and the layers are not in order.

    A fourth file in the folder is not in the index: it belongs to something else, and has other numbers.
    """
    tensors, others = hf_bench.drawn(rng), hf_bench.drawn(rng)
    names = list(tensors)
    rng.random.shuffle(names)
    files = {f"model-0000{i + 1}-of-00003.safetensors": names[i::3] for i in range(3)}
    for file, inside in files.items():
        part = hf_bench.with_prefix({name: tensors[name] for name in inside})
        path = hf_bench.folder(member, "large", part, file=file)
    hf_bench.folder(member, "large", hf_bench.with_prefix(others), file="older.safetensors")
    where = {f"transformer.{name}": file for file, inside in files.items() for name in inside}
    index = {"metadata": {"total_size": 4 * PARAMETERS}, "weight_map": dict(sorted(where.items()))}
    member.write("large/model.safetensors.index.json", json.dumps(index).encode())
    same_logits(member, expect, rng, path, tensors, "Three files and an index.")


@check("load-mode", title="float32, ready for use, and still tied", needs=["load-names"])
def test_load_mode(member, expect, rng):
    """In eval mode, or dropout disturbs every text. In float32, also where the file has 16 bits. Head and embedding are
    one parameter, so that fine-tuning trains them as one.

    The limits are those of config.json: 8 positions are allowed, 9 are a ValueError.
    """
    toys = member.bring(weights_toys)
    tensors = hf_bench.drawn(rng)
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        words = f"A file in {str(dtype).removeprefix('torch.')}"
        stored = {name: tensor.to(dtype) for name, tensor in tensors.items()}
        path = hf_bench.folder(member, words.split()[-1], stored)
        model = same_logits(member, expect, rng, path, stored, f"{words}.")
        info = model.parameter_info().values()
        kinds = sorted({str(entry["dtype"]).removeprefix("torch.") for entry in info})
        expect.equal(kinds, ["float32"], say=f"{words}: the data types of the parameters.")
        expect.equal(toys.modes(model), False, say=f"{words}: is a part of the model in training mode?")
        count = sum(p.numel() for p in model.parameters().values())
        expect.equal(count, PARAMETERS, say=f"{words}: parameters, the tied matrix once.")
    expect.shape(model(rng.integers(0, 11, 1, 8))[0], (1, 8, 11), say="8 positions.")
    expect.raises(model, rng.integers(0, 11, 1, 9), say="n_positions is 8, so 9 tokens are a ValueError.")


def refused(expect, toys, load, path, name, words):
    """A ValueError with this name in it."""
    kinds, message = toys.error_of(load, path)
    got = kinds[0] if kinds else "no error"
    expect.that("ValueError" in kinds, f"{words}: a ValueError is needed.", got=got)
    expect.that(name in message, f"{words}: the message must name {name}.", got=message)


@check(
    "load-complete", title="a tensor too few, too many or of another shape is refused", needs=["load-names"]
)
def test_load_complete(member, expect, rng):
    """What is missing would stay random; what is left over means that the model is another one. Both would speak
    fluent nonsense, and no error would say why. So a ValueError says which tensor it was.

    A matrix that is already (out, in) has another shape too. A folder without safetensors is a FileNotFoundError, also
    when it has a pickle: that could run any program.
    """
    toys = member.bring(weights_toys)
    load = member.get(member.weights.from_hf, "")
    tensors = hf_bench.drawn(rng)
    missing = [
        "wpe.weight",
        "ln_f.bias",
        "h.1.mlp.c_fc.bias",
        "h.0.attn.c_attn.bias",
        "h.1.attn.c_proj.weight",
    ]
    for prefix in ("", "transformer."):
        named = {prefix + name: tensor for name, tensor in tensors.items()}
        for name in missing:
            stored = {n: t for n, t in named.items() if n != prefix + name}
            path = hf_bench.folder(member, "few", stored)
            refused(expect, toys, load, path, name, f"{prefix}{name} is missing")
        for name in ("h.2.ln_1.weight", "h.0.attn.c_gate.weight", "h.1.mlp.c_fc.scale"):
            path = hf_bench.folder(member, "many", named | {prefix + name: rng.normal(hf_bench.C).float()})
            refused(expect, toys, load, path, name, f"{prefix}{name} is left over")
        shapes = {"wte.weight": (10, 12), "wpe.weight": (9, 12), "h.1.mlp.c_fc.weight": (48, 12)}
        shapes |= {"h.0.attn.c_attn.weight": (36, 12), "h.1.ln_2.bias": (1,), "h.0.mlp.c_proj.bias": (13,)}
        for name, shape in shapes.items():
            path = hf_bench.folder(member, "other", named | {prefix + name: rng.normal(*shape).float()})
            refused(expect, toys, load, path, name, f"{prefix}{name} has the shape {shape}")
    member.write("none/config.json", json.dumps(hf_bench.CONFIG).encode())
    member.write("none/pytorch_model.bin", b"\x80\x02}q\x00.")
    kinds, _ = toys.error_of(load, member.path("none"))
    got = kinds[0] if kinds else "no error"
    expect.that("FileNotFoundError" in kinds, "No safetensors there: a FileNotFoundError is needed.", got=got)


@check("load-config", title="another kind of GPT-2 is refused, and its key named", needs=["load-names"])
def test_load_config(member, expect, rng):
    """These files have the same tensors, and mean another computation: another activation, another epsilon, scores that
    are not scaled or scaled by the layer's number too, a head of its own, another width inside.

    Loading them would give logits that are a little wrong, which is the worst kind. Each is a ValueError that names the
    key of config.json.
    """
    toys = member.bring(weights_toys)
    load = member.get(member.weights.from_hf, "")
    tensors = hf_bench.drawn(rng)
    others = [
        ("activation_function", "relu"),
        ("activation_function", "gelu"),
        ("layer_norm_epsilon", 1e-3),
        ("layer_norm_epsilon", 1e-6),
        ("n_inner", 20),
        ("scale_attn_weights", False),
        ("scale_attn_by_inverse_layer_idx", True),
        ("tie_word_embeddings", False),
    ]
    for key, value in others:
        stored = dict(tensors)
        if key == "n_inner":
            for i in range(hf_bench.L):
                stored |= {f"h.{i}.mlp.c_fc.weight": rng.normal(12, 20).float()}
                stored |= {f"h.{i}.mlp.c_fc.bias": rng.normal(20).float()}
                stored |= {f"h.{i}.mlp.c_proj.weight": rng.normal(20, 12).float()}
        path = hf_bench.folder(member, "kind", stored, hf_bench.CONFIG | {key: value})
        refused(expect, toys, load, path, key, f"{key} = {value}")
