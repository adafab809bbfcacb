"""Step `export`: your model as a folder that transformers opens.

The folder is read here from its bytes, and its logits are computed from what is in it, with torch's own parts. V = 11,
C = 12 = n_embd, H = 3 heads, two layers, 8 positions.
"""

import json

import hf_bench
import safetensors.torch
import torch
import weights_toys

from cohort_cli.checking.authoring import check

SIZES = {"block_size": 8, "vocab_size": 11, "n_layer": 2, "n_head": 3, "n_embd": 12}
DEFAULTS = {  # of transformers' GPT2Config, for a key that is not in config.json
    "n_positions": 1024,
    "vocab_size": 50257,
    "n_layer": 12,
    "n_head": 12,
    "n_embd": 768,
    "n_inner": None,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
    "eos_token_id": 50256,
}


def new_model(member, rng, **fields):
    """A model there with random weights, and the tensors that its file must have, in float32."""
    model = member.gpt.GPT(member.gpt.GPTConfig(**{**SIZES, **fields}))
    turned = {
        name: tuple(reversed(shape)) if name.startswith("h.") else shape
        for name, shape in hf_bench.shapes().items()
        if fields.get("bias", True) or not name.endswith("bias")
    }
    values = rng.fill(model, turned)
    return model, {n: (v.T if n.startswith("h.") else v).float() for n, v in values.items()}


def export(member, model, folder, *more):
    """into a folder that is there already."""
    member.write(f"{folder}/notes.txt", b"")
    return member.weights.to_hf(model, member.path(folder), *more)


def read(member, expect, folder):
    """The tensors of the file, without prefix, and its metadata."""
    data = member.read(f"{folder}/model.safetensors")
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    tensors = {name.removeprefix("transformer."): t for name, t in safetensors.torch.load(data).items()}
    return tensors, header.get("__metadata__") or {}


def same_names(expect, tensors, say):
    """Exactly GPT-2's."""
    wanted, found = sorted(hf_bench.shapes()), sorted(tensors)
    missing = [name for name in wanted if name not in found]
    expect.equal(missing, [], say=f"{say} Tensors that GPT2LMHeadModel has and the file lacks:")
    more = [name for name in found if name not in wanted]
    expect.equal(more, [], say=f"{say} Tensors in the file that are not to be there:")
    for name, shape in hf_bench.shapes().items():
        expect.shape(tensors[name], shape, say=f"{say} The shape of {name}.")


@check("export-tensors", title="the file has GPT-2's names, shapes and layout", needs=["model-values"])
def test_export_tensors(member, expect, rng):
    """One file, model.safetensors, with 28 tensors. The four matrices of each block are (in, out), so yours are turned,
    if they are nn.Linear's. The head is no tensor of its own: it is wte.weight.

    Each value is yours to the last bit, in float32. The metadata say "format": "pt", which transformers asks for.
    """
    model, want = new_model(member, rng)
    export(member, model, "mine")
    tensors, metadata = read(member, expect, "mine")
    same_names(expect, tensors, "With biases.")
    for name, tensor in want.items():
        expect.close(tensors[name], tensor, atol=1e-7, say=f"{name}.")
    expect.equal(metadata.get("format"), "pt", say='"format" in the metadata of the file.')


@check("export-logits", title="the file means the same logits as your model", needs=["export-tensors"])
def test_export_logits(member, expect, rng):
    """What another program computes from the folder is what your model computes: query, key and value of all heads are
    where it looks for them.

    And your own from_hf opens it. The folder need not exist before, and its path comes back.
    """
    model, _ = new_model(member, rng)
    model.eval()
    where = member.path("some/where/mine")
    kinds, message = member.bring(weights_toys).error_of(member.get(member.weights.to_hf, ""), model, where)
    say = f"Neither some/ nor some/where/ nor some/where/mine/ was there before. {message}".strip()
    expect.equal(kinds, [], say=say)
    got = member.weights.to_hf(model, where)
    expect.equal(str(got).removeprefix(where), "", say="What to_hf returns, behind the path of the folder.")
    tensors, _ = read(member, expect, "some/where/mine")
    idx = rng.integers(0, 11, 3, 8)
    want = model(idx)[0]
    axes = ("batch", "token", "word")
    say = "Logits from the tensors of the file."
    expect.close(hf_bench.logits(tensors, idx), want, atol=1e-4, axes=axes, say=say)
    again = member.weights.from_hf(where)
    expect.close(again(idx)[0], want, atol=1e-4, axes=axes, say="Logits of from_hf(to_hf(model)).")


@check("export-bias", title="a model without biases gets biases of zero", needs=["export-tensors"])
def test_export_bias(member, expect, rng):
    """GPT2LMHeadModel always has biases. Those that the file lacks it would draw at random, with no more than a warning.

    So each linear layer and each norm gets a bias of zeros, as long as the layer's output. The two tables have none.
    """
    model, want = new_model(member, rng, bias=False)
    export(member, model, "bare")
    tensors, _ = read(member, expect, "bare")
    same_names(expect, tensors, "Without biases.")
    for name, shape in hf_bench.shapes().items():
        value = want.get(name, torch.zeros(shape))
        expect.close(tensors[name], value, atol=1e-7, say=f"{name}, of a model without biases.")


@check("export-config", title="config.json says what kind of GPT-2 it is", needs=["export-tensors"])
def test_export_config(member, expect, rng):
    """transformers builds the network from config.json alone. What is not in it is GPT2Config's default: 12 layers,
    1,024 positions, an epsilon of 1e-5, "gelu_new".

    "gelu_new" is GELU by tanh, as yours is; "gelu" is another function.
    """
    model, _ = new_model(member, rng)
    export(member, model, "mine")
    said = json.loads(member.read("mine/config.json").decode("utf-8"))
    expect.equal(said.get("model_type"), "gpt2", say="model_type in config.json.")
    meant = DEFAULTS | said
    for key, value in (("n_positions", 8), ("vocab_size", 11), ("n_layer", 2), ("n_head", 3), ("n_embd", 12)):
        expect.equal(meant[key], value, say=f"{key} in config.json.")
    expect.equal(meant["layer_norm_epsilon"], 1e-5, say="layer_norm_epsilon in config.json.")
    gelu = "gelu_new" if meant["activation_function"] == "gelu_pytorch_tanh" else meant["activation_function"]
    expect.equal(gelu, "gelu_new", say="activation_function in config.json.")
    expect.that(meant["n_inner"] in (None, 48), "n_inner in config.json.", got=meant["n_inner"], want=48)
    for key in ("scale_attn_weights", "scale_attn_by_inverse_layer_idx", "tie_word_embeddings"):
        expect.equal(meant[key], DEFAULTS[key], say=f"{key} in config.json.")


@check(
    "export-folder",
    title="the tokenizer's files are there, and the model is as it was",
    needs=["export-config"],
)
def test_export_folder(member, expect, rng):
    """Weights without their tokenizer are of no use to others. With a tokenizer, its save() writes into the folder, and
    config.json has its eos_id, so that generating stops. Without one, the folder has no files of a tokenizer.

    Exporting reads the model and changes nothing in it: training can go on.
    """
    toys = member.bring(weights_toys)
    model, _ = new_model(member, rng)
    model.train()
    before = model.parameters()
    export(member, model, "alone")
    export(member, model, "both/whole", toys.Tokenizer())
    files = ["config.json", "merges.txt", "model.safetensors", "vocab.json"]
    expect.equal(member.files("both"), ["whole"], say="What is beside the folder.")
    for folder, wanted in (("alone", files[::2]), ("both/whole", files)):
        found = [name for name in member.files(folder) if name in files]
        expect.equal(found, wanted, say=f"These files are in the folder {folder}.")
    for name in files[1::2]:
        got = member.read(f"both/whole/{name}").decode("utf-8")
        expect.equal(got, f"the tokenizer's {name}", say=f"What the tokenizer wrote into {name}.")
    said = json.loads(member.read("both/whole/config.json").decode("utf-8"))
    expect.equal(said.get("eos_token_id"), 6, say="eos_token_id in config.json.")
    after = model.parameters()
    expect.equal(sorted(after), sorted(before), say="The names of the model's parameters afterwards.")
    for name, value in before.items():
        expect.close(after[name], value, atol=0.0, say=f"{name} of the model, afterwards.")
    expect.equal(toys.modes(model), True, say="The model was in training mode before the export.")
