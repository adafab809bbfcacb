"""The same under another name."""
from torch.nn.functional import softmax as combine

def softmax(x, dim):
    return combine(x, dim)
