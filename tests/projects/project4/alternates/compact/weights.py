import json
from pathlib import Path

import torch
from gpt import GPT, GPTConfig
from safetensors.torch import load_file, save_file

OURS = {"qkv": "attn.c_attn", "out": "attn.c_proj", "up": "mlp.c_fc", "down": "mlp.c_proj"}  # in each block
KIND = dict(activation_function=("gelu_new", "gelu_pytorch_tanh"), layer_norm_epsilon=(1e-5,), scale_attn_weights=(True,), scale_attn_by_inverse_layer_idx=(False,), tie_word_embeddings=(True,))  # fmt: skip


def table(model):
    """their name -> (our parameter, whether it is turned)"""
    rows = {}
    for name, p in model.named_parameters():
        *front, part, kind = name.split(".")
        rows[".".join([*front, OURS.get(part, part), kind])] = p, part in OURS and kind == "weight"
    return rows


def from_hf(source):
    d = Path(source)
    if not d.is_dir():
        from huggingface_hub import snapshot_download

        d = Path(snapshot_download(str(source), allow_patterns=["config.json", "model*.safetensors*"]))
    c, index = json.loads((d / "config.json").read_text()), d / "model.safetensors.index.json"
    for k, v in {**KIND, "n_inner": (None, 4 * c["n_embd"])}.items():
        if c.get(k, v[0]) not in v:
            raise ValueError(f"{k}={c[k]}")
    files = sorted({*json.loads(index.read_text())["weight_map"].values()}) if index.exists() else ["model.safetensors"]
    t = {k.removeprefix("transformer."): v for f in files for k, v in load_file(d / f).items()}
    t = {k: v for k, v in t.items() if k != "lm_head.weight" and not k.endswith((".attn.bias", ".attn.masked_bias"))}
    model = GPT(GPTConfig(c["n_positions"], c["vocab_size"], c["n_layer"], c["n_head"], c["n_embd"])).eval()
    rows = table(model)
    if odd := rows.keys() ^ t.keys():
        raise ValueError(f"missing or left over: {odd}")
    for k, (p, turned) in rows.items():
        v = t[k].mT if turned else t[k]
        if v.shape != p.shape:
            raise ValueError(f"{k}: {v.shape}")
        p.data = v.float().contiguous()
    return model


def to_hf(model, out_dir, tokenizer=None):
    d, c = Path(out_dir), model.config
    d.mkdir(parents=True, exist_ok=True)
    t = {k: (p.mT if turned else p).detach().clone().contiguous() for k, (p, turned) in table(model).items()}
    layers = [k.removesuffix("weight") for k in t if k.endswith("weight") and k[:2] != "wt" and k[:2] != "wp"]
    zeros = {k + "bias": torch.zeros(t[k + "weight"].size(-1)) for k in layers}
    save_file(zeros | t, d / "model.safetensors", {"format": "pt"})
    sizes = dict(n_positions=c.block_size, vocab_size=c.vocab_size, n_layer=c.n_layer, n_head=c.n_head, n_embd=c.n_embd)
    eos = tokenizer.eos_id if tokenizer else None
    (d / "config.json").write_text(json.dumps(dict(model_type="gpt2", eos_token_id=eos, bos_token_id=eos, **sizes)))
    if tokenizer:
        tokenizer.save(d)
    return d
