"""exp that does not overflow."""


def safe_exp(x, dim):
    return (x - x.max(dim=dim, keepdim=True).values).exp()
