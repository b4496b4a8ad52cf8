"""Hypothesis strategies: shapes, axes, layouts and dtypes, including the awkward ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

FLOATS = st.sampled_from([np.float32, np.float64])
seeds = st.integers(0, 2**32 - 1)


def shapes(least: int = 0, most: int = 3, side: int = 4, empty: bool = False) -> st.SearchStrategy[tuple[int, ...]]:
    return hnp.array_shapes(min_dims=least, max_dims=most, min_side=0 if empty else 1, max_side=side)


def broadcastable(count: int = 2) -> st.SearchStrategy[tuple[tuple[int, ...], ...]]:
    """`count` shapes that broadcast against each other."""
    return hnp.mutually_broadcastable_shapes(num_shapes=count, max_dims=3, min_side=1, max_side=4).map(
        lambda found: found.input_shapes
    )


@st.composite
def shape_and_axis(draw: st.DrawFn, least: int = 1) -> tuple[tuple[int, ...], Any]:
    """A shape with an axis of it: one (also negative), a tuple of several, or None."""
    shape = draw(shapes(least))
    n = len(shape)
    one = st.integers(-n, n - 1)
    several = hnp.valid_tuple_axes(n, min_size=1)
    return shape, draw(st.one_of(st.none(), one, several) if n else st.none())


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as it is": lambda a: a,
    "fortran": lambda a: np.asfortranarray(a) if a.ndim else a,
    "negative strides": lambda a: np.flip(np.flip(a).copy()) if a.ndim else a,
    "every other": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
    "read-only": lambda a: locked(a.copy()),
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "not aligned": lambda a: unaligned(a),
}
"""Name -> the same values in another arrangement of memory."""


def locked(a: np.ndarray) -> np.ndarray:
    a.flags.writeable = False
    return a


def unaligned(a: np.ndarray) -> np.ndarray:
    memory = np.zeros(a.nbytes + 1, np.uint8)
    out = memory[1:].view(a.dtype).reshape(a.shape)
    out[...] = a
    return out


layouts = st.sampled_from(sorted(LAYOUTS))


@st.composite
def arrays(draw: st.DrawFn, shape: tuple[int, ...], dtype: Any = np.float64, scale: float = 1.0) -> np.ndarray:
    """Normal numbers of a drawn layout: what matters to a gradient is generic values in awkward memory."""
    values = np.random.default_rng(draw(seeds)).normal(scale=scale, size=shape).astype(dtype)
    return LAYOUTS[draw(layouts)](np.asarray(values))
