"""Matrix products in float32 by the faster of the two libraries that torch carries for a CPU.

torch multiplies float32 matrices with Intel's MKL. On AMD's processors with AVX-512 (Zen 4 and later) MKL uses only
half of what the processor can do; oneDNN, which torch uses for bfloat16 and for compiled models, uses all of it. The
results differ by rounding only. Everywhere else, and for every other number format, this is torch's own product.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


@cache
def onednn_is_faster() -> bool:
    """Whether this is a processor where oneDNN beats MKL in float32, and a torch that lets us call it."""
    can: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if (
        "AMD" not in str(can.get("cpu_name"))
        or not can.get("avx512_f")
        or not torch.backends.mkldnn.is_available()
    ):
        return False
    return hasattr(torch.ops.mkldnn, "_linear_pointwise")


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight^T + bias, as F.linear, without a gradient. x (..., n), weight (m, n), bias (m,) -> (..., m)."""
    if not use_onednn(x):
        return F.linear(x, weight, bias)
    y: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return y


def use_onednn(x: Tensor) -> bool:
    """Whether oneDNN should multiply x. torch.compile brings its own kernels and does not know this one."""
    if x.dtype != torch.float32 or x.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return onednn_is_faster() and not torch.is_autocast_enabled("cpu")


PAGE = 4096  # bytes; what lies whole pages apart competes for the same place in the processor's cache


def lay_out_for_rows(model: nn.Module) -> None:
    """Turn weights around in memory, for a model that writes text on a CPU and is not trained any more.

    A new token is a single row, so a product costs what reading the weight costs, and column by column that goes
    faster: up to half as fast again. Only where columns begin whole pages apart it is slower, and nothing is changed.
    Shapes and values stay; the order in memory is another one. Measure it: benchmarks/generation.py.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.weight.device.type == "cpu":
            weight = module.weight  # (out, in)
            apart = weight.size(0) * weight.element_size()
            if weight.is_contiguous() and apart % PAGE:  # a tied one may be turned already
                weight.data = weight.data.t().contiguous().t()


class Linear(nn.Linear):
    """nn.Linear, by the faster library."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.is_grad_enabled() and use_onednn(x):
            y: Tensor = _Linear.apply(x, self.weight, self.bias)
            return y
        return linear(x, self.weight, self.bias)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return linear(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """grad (..., m)."""
        x, weight = ctx.saved_tensors
        need_x, need_weight, need_bias = ctx.needs_input_grad
        x, rows = x.flatten(0, -2), grad.flatten(0, -2)  # (N, n) and (N, m)
        return (
            linear(grad, weight.T) if need_x else None,
            linear(rows.T, x.T) if need_weight else None,
            rows.sum(0) if need_bias else None,
        )
