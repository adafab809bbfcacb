"""What several classes need."""


def check_heads(d_model, n_heads):
    if d_model % n_heads:
        raise ValueError(f"d_model={d_model} is not a multiple of n_heads={n_heads}")


def check_length(x, longest):
    if x.shape[1] > longest:
        raise ValueError(f"{x.shape[1]} tokens, at most {longest}")


def split(x, n_heads):
    B, T, C = x.shape
    return x.view(B, T, n_heads, C // n_heads).transpose(1, 2)
