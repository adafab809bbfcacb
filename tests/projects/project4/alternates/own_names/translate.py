"""Their names and ours. Our matrices are (in, out) as theirs are, so nothing is turned here."""


def pairs(model):
    """(their name, our parameter or None, its shape in the file)"""
    width = model.config.n_embd
    yield "wte.weight", model.tables.tok_emb, tuple(model.tables.tok_emb.shape)
    yield "wpe.weight", model.tables.pos_emb, tuple(model.tables.pos_emb.shape[1:])
    for number, layer in enumerate(model.stack):
        parts = {
            "ln_1": layer.norm_before_attention,
            "attn.c_attn": layer.sa.qkv,
            "attn.c_proj": layer.sa.proj,
            "ln_2": layer.norm_before_ff,
            "mlp.c_fc": layer.ff.up,
            "mlp.c_proj": layer.ff.down,
        }
        for name, part in parts.items():
            main = part.g if "ln_" in name else part.w
            yield f"h.{number}.{name}.weight", main, tuple(main.shape)
            yield f"h.{number}.{name}.bias", part.b, tuple(main.shape[-1:])
    yield "ln_f.weight", model.final_norm.g, (width,)
    yield "ln_f.bias", model.final_norm.b, (width,)
