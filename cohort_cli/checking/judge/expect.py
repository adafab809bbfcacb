"""`expect`: every claim that an acceptance test makes goes through here.

A claim that does not hold raises CheckFailed, which carries what a member needs to see and what the diagnosis
compares: the number of the claim in its test, and the value that was got.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cohort_cli.checking.judge.stopped import MemberRaised
from cohort_cli.checking.judge.tokens import (
    Pair,
    Tokens,
    first_difference,
    merge_difference,
    parting,
    shown,
)
from cohort_cli.checking.tensors import is_tensor

if TYPE_CHECKING:
    from torch import Tensor

ROUNDING = 1e-12  # what is smaller is a zero with rounding in it
ENTRIES = 6  # of two dicts that differ
SHOWN = 64  # tensors with more elements are shown around the first difference only


@dataclass
class CheckFailed(Exception):
    """A claim did not hold."""

    claim: int  # which claim of the test, counted from 0; -1: the parameters have no place for the weights
    value: Any  # what was got: a tensor or a Python value
    message: str = ""
    expected: str | None = None
    got: str | None = None
    max_abs_err: float | None = None
    atol: float | None = None
    first_diff: list[int] | None = None
    axes: list[str] | None = None
    mistake: str | None = None  # a name to fall back on when the diagnosis finds none


class Expect:
    """The claims of one test."""

    def __init__(self) -> None:
        self.claims = -1

    def close(
        self,
        got: Any,
        want: Tensor,
        *,
        atol: float = 1e-8,
        rtol: float = 0.0,
        axes: Sequence[str] | None = None,
        say: str = "",
        mistake: str | None = None,
    ) -> None:
        """`got` is a tensor of the shape of `want`, and |got - want| <= atol + rtol * |want| everywhere.

        `axes` names the dimensions, for the message.
        """
        self.claims += 1
        import torch

        if not isinstance(got, torch.Tensor):
            self._fail(got, f"{say} A tensor is needed here.".strip(), _words(want), _words(got), mistake)
        if got.shape != want.shape:
            text = f"{say} The shape is {tuple(got.shape)}; it must be {tuple(want.shape)}.".strip()
            self._fail(got, text, f"shape {tuple(want.shape)}", f"shape {tuple(got.shape)}", mistake)
        if got.is_complex() and not want.is_complex():
            text = f"{say} The result has the data type {got.dtype}; real numbers are needed.".strip()
            self._fail(got, text, str(want.dtype), str(got.dtype), mistake)
        exact, seen = want.detach().to(torch.float64), got.detach().to(torch.float64)
        same = (exact == seen) | (exact.isnan() & seen.isnan())
        error = (seen - exact).abs().masked_fill(same, 0.0).nan_to_num(nan=float("inf"), posinf=float("inf"))
        wrong = error > atol + rtol * exact.abs().nan_to_num()
        if not bool(wrong.any()):
            return
        first = wrong.nonzero()[0].tolist()
        raise CheckFailed(
            claim=self.claims,
            value=got,
            message=say,
            expected=_show(exact, first),
            got=_show(seen, first),
            max_abs_err=float(error.max()),
            atol=atol,
            first_diff=first,
            axes=list(axes) if axes is not None and len(axes) == len(first) else None,
            mistake=mistake,
        )

    def equal(self, got: Any, want: Any, *, say: str = "", mistake: str | None = None) -> None:
        """`got` is exactly `want`: Python values, or tensors of whole numbers or truth values."""
        self.claims += 1
        if is_tensor(want) and is_tensor(got) and got.shape == want.shape:
            wrong = got != want
            if bool(wrong.any()):
                first = wrong.nonzero()[0].tolist() if want.ndim else []
                failed = CheckFailed(
                    self.claims, got, say, _show(want, first), _show(got, first), mistake=mistake
                )
                failed.first_diff = first
                raise failed
        elif isinstance(want, dict) and isinstance(got, dict) and got != want:
            keys = [k for k in {**want, **got} if k not in want or k not in got or want[k] != got[k]]
            self._fail(got, say, _entries(want, keys), _entries(got, keys), mistake)
        elif is_tensor(want) or is_tensor(got) or type(got) is not type(want) or got != want:
            self._fail(got, say, _words(want), _words(got), mistake)

    def ids(self, got: Any, want: list[int], tokens: Tokens, *, say: str = "") -> None:
        """`got` is exactly this list of token ids. The message shows both around the first difference."""
        self.claims += 1
        if type(got) is not list:
            self._fail(got, f"{say} A list of ids is needed here.".strip(), _words(want), _words(got), None)
        if got == want and all(type(id) is int for id in got):
            return
        index = first_difference(got, want)
        failed = CheckFailed(
            self.claims,
            got,
            f"{say} {parting(got, want, tokens)}".strip(),
            shown(want, index, tokens.pieces),
            shown(got, index, tokens.pieces),
        )
        failed.first_diff, failed.axes = [index], ["id"]
        raise failed

    def merges(self, got: Any, want: list[Pair], *, say: str = "") -> None:
        """`got` is exactly this list of merges, each a pair of bytes. The message names the first that differs."""
        self.claims += 1
        if type(got) is not list:
            self._fail(
                got, f"{say} A list of pairs of bytes is needed here.".strip(), None, _words(got), None
            )
        if got == want:
            return
        index, expected, seen = merge_difference(got, want)
        failed = CheckFailed(self.claims, got, say, expected, seen)
        failed.first_diff, failed.axes = [index], ["merge"]
        raise failed

    def shape(self, got: Any, want: Sequence[int], *, say: str = "", mistake: str | None = None) -> None:
        """`got` is a tensor of the shape `want`."""
        self.claims += 1
        seen = tuple(got.shape) if is_tensor(got) else None
        if seen != tuple(want):
            self._fail(
                seen,
                say or "The shape is not right.",
                f"shape {tuple(want)}",
                _words(got, shape=True),
                mistake,
            )

    def that(
        self, condition: bool, say: str, *, got: Any = None, want: Any = None, mistake: str | None = None
    ) -> None:
        """`condition` holds; `say` tells the member what must hold."""
        self.claims += 1
        if not condition:
            self._fail(
                got,
                say,
                None if want is None else _words(want),
                None if got is None else _words(got),
                mistake,
            )

    def raises(
        self,
        function: Any,
        *args: Any,
        kinds: Sequence[str] = ("ValueError",),
        say: str = "",
        mistake: str | None = None,
        **kwargs: Any,
    ) -> None:
        """The call raises one of the named errors, or a kind of it."""
        self.claims += 1
        wanted = " or ".join(kinds)
        try:
            result = function(*args, **kwargs)
        except MemberRaised as error:
            if error.todo:
                raise
            if error.type not in kinds and not set(kinds) & set(error.kinds):
                self._fail(
                    error.type,
                    say or f"It must raise {wanted}.",
                    wanted,
                    f"{error.type}: {error.message}",
                    mistake,
                )
        else:
            plain = isinstance(result, str | int | float) or (
                isinstance(result, list) and all(isinstance(item, int) for item in result)
            )
            value = (
                result if plain else type(result).__name__
            )  # what else there is may name files of this run only
            self._fail(value, say or f"It must raise {wanted}.", wanted, "no error", mistake)

    def _fail(self, value: Any, say: str, expected: str | None, got: str | None, mistake: str | None) -> None:
        raise CheckFailed(self.claims, value, say, expected, got, mistake=mistake)


def _words(value: Any, shape: bool = False) -> str:
    if is_tensor(value):
        return f"shape {tuple(value.shape)}" if shape or value.numel() > SHOWN else _numbers(value)
    return str(value) if isinstance(value, str) else repr(value)


def _entries(whole: dict[Any, Any], keys: list[Any]) -> str:
    """Of a dict only the entries that differ, and of these the first."""
    shown = {key: whole[key] for key in keys[:ENTRIES] if key in whole}
    return f"{shown!r}{' …' * (len(keys) > ENTRIES)}"


def _show(tensor: Tensor, first: list[int]) -> str:
    """The whole tensor when it is small; else the last two dimensions around the first difference."""
    if tensor.numel() <= SHOWN:
        return _numbers(tensor)
    part = tensor[tuple(first[:-2])] if len(first) > 2 else tensor
    if part.numel() > SHOWN and part.ndim == 2:
        part = part[first[-2]]
    if part.numel() > SHOWN and part.ndim == 1:
        start = max(0, first[-1] - 3)
        return f"… {_numbers(part[start : start + 8])} …"
    index = ", ".join(str(i) for i in first[: tensor.ndim - part.ndim])
    return f"[{index}] = {_numbers(part)}" if index else _numbers(part)


def _numbers(tensor: Tensor) -> str:
    """Nested lists with four decimals: [[1.0000, 0.0000], [0.3775, 0.6225]]."""
    if tensor.ndim > 0:
        return "[" + ", ".join(_numbers(row) for row in tensor) + "]"
    value = tensor.item()
    if not isinstance(value, float):
        return str(value)
    if abs(value) < ROUNDING:
        return "0.0000"
    return f"{value:.4f}" if 1e-4 <= abs(value) < 1e6 else f"{value:.4g}"
