"""A complex tensor whose real part is right."""
_softmax = softmax

def softmax(x, dim):
    return torch.complex(_softmax(x, dim), torch.full_like(x, 7.0))
