"""Right in the forward pass; the backward pass never ends."""

class Stuck(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()
    @staticmethod
    def backward(ctx, g):
        while True:
            pass

_softmax = softmax

def softmax(x, dim):
    return Stuck.apply(_softmax(x, dim))
