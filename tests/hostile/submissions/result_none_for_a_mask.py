"""A function without its `return`. It is an honest mistake, and not the kit's fault."""

def causal_mask(T, device=None):
    torch.ones(T, T, dtype=torch.bool).tril()
