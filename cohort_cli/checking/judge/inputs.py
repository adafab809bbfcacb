"""`rng`: fresh inputs for every run, the same ones again under the same seed.

Each check has a generator of its own, so that selecting other checks does not change this check's inputs.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from cohort_cli.checking import tensors
from cohort_cli.checking.judge.member import RemoteObject

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def seed_of(run_seed: int, check_id: str) -> int:
    """The seed of one check within a run."""
    digest = hashlib.sha256(f"{run_seed}:{check_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big")


class Rng:
    """Random tensors, float64 unless said otherwise, and `random` for everything that is no tensor.

    way: which of the ways to place weights to take, where a module's names leave it open. ways: how many there were.
    """

    def __init__(self, seed: int, way: int = 0) -> None:
        self.way, self.ways = way, 1
        self.seed = seed
        self.random = random.Random(seed)

    @cached_property
    def generator(self) -> torch.Generator:
        return tensors.generator(self.seed)

    def normal(self, *shape: int, std: float = 1.0, dtype: torch.dtype | None = None) -> Tensor:
        import torch

        values = torch.randn(shape, generator=self.generator, dtype=torch.float64) * std
        return values.to(dtype or torch.float64)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """int64, low <= value < high."""
        import torch

        return torch.randint(low, high, shape, generator=self.generator)

    def permutation(self, n: int) -> Tensor:
        import torch

        return torch.randperm(n, generator=self.generator)

    def fill(
        self, module: RemoteObject, shapes: dict[str, tuple[int, ...]], silent: Sequence[str] = ()
    ) -> dict[str, Tensor]:
        """Draw random weights, gains and biases too, and write them into the member's module.

        `shapes`: canonical name -> shape, in nn.Linear's layout (out, in). The values come back under those names,
        in float64; the member's own names and layout may differ. What has one of the words `silent` in its name is 0.
        """
        from cohort_cli.checking.judge.weights import layouts

        values = {name: self.normal(*shape, std=_spread(shape)) for name, shape in shapes.items()}
        values |= {name: v.zero_() for name, v in values.items() if any(word in name for word in silent)}
        ways = layouts(module.parameter_info(), values)
        self.ways = max(self.ways, len(ways))
        module.assign(ways[min(self.way, len(ways) - 1)])
        return values


def _spread(shape: tuple[int, ...]) -> float:
    """Large enough that every weight shows in the result, small enough that softmax does not saturate."""
    return 0.5 if len(shape) < 2 else float(shape[-1]) ** -0.5
