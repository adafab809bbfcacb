"""Nothing at all, everywhere."""

def softmax(x, dim):
    return None

def causal_mask(T, device=None):
    return None

def scaled_dot_product_attention(*args, **kwargs):
    return None
