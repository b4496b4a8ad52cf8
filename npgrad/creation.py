"""New tensors: from data (tensor), or from nothing (zeros, ones, full, eye, arange, linspace, rand, randn).

Numbers made from nothing are float32, as parameters are, unless `dtype` says otherwise; `arange` of integers stays
integers, and what is made like another tensor has its dtype. Random numbers come from the numpy.random.Generator given
as `rng`: there is no global random state, so a run can always be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from npgrad.engine.mode import MODE
from npgrad.engine.recording import StandIn
from npgrad.engine.tensor import Tensor, TensorLike, raw

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = [
    "arange", "eye", "full", "full_like", "linspace", "ones", "ones_like", "rand", "randn", "tensor", "zeros",
    "zeros_like",
]  # fmt: skip

Shape = int | Sequence[int]


def tensor(data: TensorLike, requires_grad: bool = False, dtype: DTypeLike | None = None) -> Tensor:
    """`Tensor(data, requires_grad)`, with the numbers converted to `dtype`. Raises TypeError if not numeric."""
    if dtype is not None:
        data = raw(data).astype(dtype) if isinstance(data, Tensor | StandIn) else np.asarray(data, dtype)
    return Tensor(data, requires_grad)


def zeros(*shape: Shape, dtype: DTypeLike = np.float32, requires_grad: bool = False) -> Tensor:
    """All 0: `zeros(2, 3)` or `zeros((2, 3))`."""
    return Tensor(np.zeros(_shape(shape), dtype), requires_grad)


def ones(*shape: Shape, dtype: DTypeLike = np.float32, requires_grad: bool = False) -> Tensor:
    """All 1: `ones(2, 3)` or `ones((2, 3))`."""
    return Tensor(np.ones(_shape(shape), dtype), requires_grad)


def full(shape: Shape, value: float, dtype: DTypeLike = np.float32, requires_grad: bool = False) -> Tensor:
    """All `value`."""
    return Tensor(np.full(shape, value, dtype), requires_grad)


def zeros_like(x: TensorLike, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """All 0, in the shape of x, and its dtype unless another is given."""
    return Tensor(np.zeros_like(raw(x), dtype=dtype), requires_grad)


def ones_like(x: TensorLike, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """All 1, in the shape of x, and its dtype unless another is given."""
    return Tensor(np.ones_like(raw(x), dtype=dtype), requires_grad)


def full_like(x: TensorLike, value: float, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """All `value`, in the shape of x, and its dtype unless another is given."""
    return Tensor(np.full_like(raw(x), value, dtype=dtype), requires_grad)


def eye(n: int, m: int | None = None, k: int = 0, dtype: DTypeLike = np.float32, requires_grad: bool = False) -> Tensor:
    """1 on the k-th diagonal of an n by m matrix (n by n if m is None), 0 elsewhere."""
    return Tensor(np.eye(n, m, k, dtype), requires_grad)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, … below `stop`; from 0 if only one number is given. Integers unless a number is not."""
    given: Any = (0, start, step) if stop is None else (start, stop, step)
    numbers = np.arange(*given, dtype=dtype)
    return Tensor(numbers.astype(np.float32) if dtype is None and numbers.dtype.kind == "f" else numbers, requires_grad)


def linspace(
    start: float, stop: float, num: int = 50, dtype: DTypeLike = np.float32, requires_grad: bool = False
) -> Tensor:
    """`num` equally spaced numbers from `start` to `stop`, both included."""
    return Tensor(np.linspace(start, stop, num, dtype=dtype), requires_grad)


def randn(
    *shape: Shape, rng: np.random.Generator | None = None, dtype: DTypeLike = np.float32, requires_grad: bool = False
) -> Tensor:
    """Numbers from the standard normal distribution, drawn in float64 from `rng`: `randn(2, 3, rng=rng)`.

    Raises TypeError if `rng` is not a numpy.random.Generator.
    """
    return Tensor(_drawing(rng, "randn").standard_normal(_shape(shape)).astype(dtype), requires_grad)


def rand(
    *shape: Shape, rng: np.random.Generator | None = None, dtype: DTypeLike = np.float32, requires_grad: bool = False
) -> Tensor:
    """Numbers from 0 to 1, equally likely, drawn in float64 from `rng`: `rand(2, 3, rng=rng)`.

    Raises TypeError if `rng` is not a numpy.random.Generator.
    """
    return Tensor(_drawing(rng, "rand").random(_shape(shape)).astype(dtype), requires_grad)


def generator(rng: object, who: str) -> np.random.Generator:
    """`rng` itself; TypeError naming `who` if it is not a numpy.random.Generator."""
    if not isinstance(rng, np.random.Generator):
        got = "none" if rng is None else f"{type(rng).__name__}"
        raise TypeError(
            f"{who} draws random numbers from a numpy.random.Generator and got {got}: pass "
            f"rng=np.random.default_rng({rng if isinstance(rng, int) and not isinstance(rng, bool) else 'seed'})."
        )
    return rng


def _drawing(rng: object, who: str) -> Any:
    """The generator to draw from: a compiled function draws anew at each call."""
    checked = generator(rng, who)
    recorder = MODE.get().recorder
    return checked if recorder is None else recorder.lift(checked)


def _shape(shape: tuple[Shape, ...]) -> Any:
    return shape[0] if len(shape) == 1 else shape
