"""What the checks of `variance` run beside the member's code: two draws in one call, and gradients of a stack."""

import torch


def two_draws(fan_in, fan_out, gain, generator):
    """Two weights, one after the other, from the same generator."""
    from variance import init_weight

    return init_weight(fan_in, fan_out, gain, generator), init_weight(fan_in, fan_out, gain, generator)


def gradients(x, weights, nonlinearity, cotangents):
    """The gradients of sum(output * cotangent) over all layers, for x and for each weight; zeros where none came."""
    from variance import activations

    leaves = [tensor.requires_grad_() for tensor in (x, *weights)]
    outputs = activations(leaves[0], leaves[1:], nonlinearity)
    total = sum((output * g).sum() for output, g in zip(outputs, cotangents, strict=True))
    if not total.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    found = torch.autograd.grad(total, leaves, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves, strict=True)]
