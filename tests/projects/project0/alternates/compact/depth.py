import torch
from variance import KINDS, activations


def stds(tensors):
    return [float(t.to(torch.float64).var() ** 0.5) for t in tensors]


def _draw(n, w, std, g, b):
    return torch.randn(b, w, generator=g), (torch.randn(n, w, w, generator=g) * std).unbind()


def report(depth, width, std, nonlinearity, generator, batch=256):
    return stds(activations(*_draw(depth, width, std, generator, batch), nonlinearity))


def gradients(x, weights, nonlinearity, upstream):
    with torch.enable_grad():
        a = activations(x, [w.detach().requires_grad_() for w in weights], nonlinearity)
        return [*torch.autograd.grad((a[-1] * upstream).sum(), a)]


def gradient_report(depth, width, std, nonlinearity, generator, batch=256):
    x, w = _draw(depth, width, std, generator, batch)
    return stds(gradients(x, w, nonlinearity, torch.randn(batch, width, generator=generator)))


own_std = lambda width, nonlinearity: KINDS[nonlinearity][0] / width**0.5
