"""Array functions of numbers that know how they move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad.engine.holomorphic.number import FUNCTIONS, each, given, imaginary, join, plain, refuse, values, wrap, write
from npgrad.engine.holomorphic.ufuncs import clip, multilinear, reduced, where_

__all__: list[str] = []

_ADD: Any = np.add


def product(f: Any) -> Callable[..., Any]:
    """An array function that is linear in each of its first two arguments."""

    def linear_in_both(a: Any, b: Any, *args: Any, out: Any = None, **options: Any) -> Any:
        z = multilinear(lambda a, b: f(a, b, *args, **options), (np.asanyarray(a), np.asanyarray(b)))
        return z if out is None else write(z, out, True, f.__name__)

    return linear_in_both


def step(f: Any) -> Callable[..., Any]:
    """An array function with derivative 0."""

    def without_slope(x: Any, *args: Any, out: Any = None, **options: Any) -> Any:
        z = join(f(values(x), *args, **options), 0.0)
        return z if out is None else write(z, out, True, f.__name__)

    return without_slope


def einsum(*args: Any, out: Any = None, **options: Any) -> Any:
    for ignored in ("dtype", "casting", "order"):
        options.pop(ignored, None)
    at = [k for k, x in enumerate(args) if isinstance(x, np.ndarray | np.generic)]

    def contract(*xs: Any) -> Any:
        given = list(args)
        for k, x in zip(at, xs, strict=True):
            given[k] = x
        return np.einsum(*given, **options)

    z = multilinear(contract, [args[k] for k in at])
    return z if out is None else write(z, out, True, "einsum")


def mean(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **options: Any) -> Any:
    if options.get("where", True) is not True:
        refuse("np.mean(where=…)")
    total = _ADD.reduce(x, axis=axis, keepdims=keepdims)
    with np.errstate(all="ignore"):
        return np.divide(total, np.size(x) / max(1, total.size) if total.size else 1.0, out=out)


def var(
    x: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, keepdims: Any = False, **options: Any
) -> Any:
    if set(options) - {"correction"}:
        refuse(f"np.var({', '.join(options)}=…)")
    centred = x - mean(x, axis, keepdims=True)
    total = _ADD.reduce(centred * centred, axis=axis, keepdims=keepdims)
    count = np.size(x) / max(1, total.size)
    return np.divide(total, max(count - options.get("correction", ddof), 0.0), out=out)


def std(*args: Any, out: Any = None, **options: Any) -> Any:
    return np.sqrt(var(*args, **options), out=out)


def sort(x: Any, axis: Any = -1, kind: Any = None, order: Any = None, stable: Any = None) -> Any:
    if axis is None:
        x, axis = np.ravel(x), -1
    order = np.argsort(values(x), axis=axis, kind="stable")
    return np.take_along_axis(x, order, axis)


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    v = values(x)
    z = where_(np.isfinite(v), x, np.nan_to_num(v, nan=nan, posinf=posinf, neginf=neginf))
    return z if copy else write(z, x, True, "nan_to_num")


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    if ord is not None:
        refuse("np.linalg.norm(ord=…)")
    return np.sqrt(_ADD.reduce(x * x, axis=axis, keepdims=keepdims))


def solve(A: Any, b: Any) -> Any:
    """x = A⁻¹b: from A·dx + dA·x = db."""
    column = np.ndim(b) == 1
    b = b[:, None] if column else b
    y = np.linalg.solve(values(A), values(b))
    dA, db = imaginary(A), imaginary(b)
    right = np.zeros(np.shape(y)) if db is None else np.broadcast_to(db, np.shape(y))
    right = right if dA is None else right - np.matmul(dA, y)
    z = join(y, np.linalg.solve(values(A), right))
    return z[..., 0] if column else z


def inv(A: Any) -> Any:
    y = np.linalg.inv(values(A))
    return join(y, -y @ np.asarray(imaginary(A)) @ y)


def det(A: Any) -> Any:
    """Jacobi's formula: d(det A) = det A · trace(A⁻¹ dA)."""
    y = np.linalg.det(values(A))
    return join(y, y * np.einsum("...ij,...ji->...", np.linalg.inv(values(A)), imaginary(A)))


def slogdet(A: Any) -> Any:
    sign, y = np.linalg.slogdet(values(A))
    return sign, join(y, np.einsum("...ij,...ji->...", np.linalg.inv(values(A)), imaginary(A)))


def symmetric(dA: Any) -> Any:
    """What moves when the lower triangle, which is all that is read, moves by that of dA."""
    low = np.tril(dA)
    return low + np.tril(dA, -1).swapaxes(-1, -2)


def cholesky(A: Any) -> Any:
    """From dL Lᵀ + L dLᵀ = dA: L⁻¹dL is the lower half of L⁻¹ dA L⁻ᵀ."""
    y = np.linalg.cholesky(values(A))
    left = np.linalg.solve(y, symmetric(imaginary(A)))
    m = np.linalg.solve(y, left.swapaxes(-1, -2))
    return join(y, y @ (np.tril(m) + np.tril(m, -1)) / 2)


def qr(A: Any) -> Any:
    """From dq r + q dr = dA, for matrices with as many rows as columns or more: qᵀdq is skew, dr upper triangular."""
    dA = np.asarray(imaginary(A))
    q, r = np.linalg.qr(values(A))
    side = np.linalg.solve(r.swapaxes(-1, -2), dA.swapaxes(-1, -2)).swapaxes(-1, -2)
    inside = q.swapaxes(-1, -2) @ side
    low = np.tril(inside, -1)
    skew = low - low.swapaxes(-1, -2)
    return join(q, side - q @ (inside - skew)), join(r, (inside - skew) @ r)


def gap(w: Any) -> Any:
    """w[j] - w[i] at [i,j], and infinity on the diagonal."""
    return w[..., None, :] - w[..., :, None] + np.diag(np.full(w.shape[-1], np.inf))


def eigh(A: Any) -> Any:
    w, v = np.linalg.eigh(values(A))
    m = v.swapaxes(-1, -2) @ symmetric(imaginary(A)) @ v
    return join(w, np.einsum("...ii->...i", m)), join(v, v @ (m / gap(w)))


def svd(A: Any, full_matrices: bool = True) -> Any:
    """Thin: from du s vᵀ + u ds vᵀ + u s dvᵀ = dA (Townsend 2016)."""
    if full_matrices:
        refuse("np.linalg.svd(full_matrices=True)")
    dA = np.asarray(imaginary(A))
    u, s, vh = np.linalg.svd(values(A), full_matrices=False)
    ut, v = u.swapaxes(-1, -2), vh.swapaxes(-1, -2)
    m, row, column = ut @ dA @ v, s[..., None, :], s[..., :, None]
    mt = m.swapaxes(-1, -2)
    du = u @ ((m * row + column * mt) / gap(s * s)) + (dA @ v - u @ m) / row
    dv = v @ ((column * m + mt * row) / gap(s * s)) + (dA.swapaxes(-1, -2) @ u - v @ mt) / row
    return join(u, du), join(s, np.einsum("...ii->...i", m)), join(vh, dv.swapaxes(-1, -2))


def pinv(A: Any, *options: Any) -> Any:
    """At constant rank (Golub & Pereyra 1973)."""
    x, dx = values(A), np.asarray(imaginary(A))
    y = np.linalg.pinv(x, *options)
    yt, dxt = y.swapaxes(-1, -2), dx.swapaxes(-1, -2)
    return join(y, -y @ dx @ y + y @ yt @ (dxt - dxt @ x @ y) + (dxt - y @ x @ dxt) @ yt @ y)


def reduction(ufunc: Any) -> Callable[..., Any]:
    def along(x: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, **more: Any) -> Any:
        return ufunc.reduce(x, axis=axis, out=out, keepdims=keepdims, **given(more))

    return along


def extreme(ufunc: Any) -> Callable[..., Any]:
    def along(x: Any, axis: Any = None, out: Any = None, keepdims: Any = False, **more: Any) -> Any:
        return ufunc.reduce(x, axis=axis, out=out, keepdims=keepdims, **given(more))

    return along


def accumulation(ufunc: Any) -> Callable[..., Any]:
    def along(x: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        return ufunc.accumulate(np.ravel(x) if axis is None else x, 0 if axis is None else axis, out=out)

    return along


def ptp(x: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Any:
    high, low = (reduced(f, x, axis, keepdims) for f in (np.maximum, np.minimum))
    return np.subtract(high, low, out=out)


def pad(x: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Any:
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap", "empty"):
        refuse(f"np.pad(mode={mode!r})")
    return wrap(np.pad(plain(x), pad_width, mode, **each(plain, options)))


OWN: dict[Any, Callable[..., Any]] = {
    np.where: where_, np.clip: clip, np.einsum: einsum, np.pad: pad, np.nan_to_num: nan_to_num, np.sort: sort,
    np.sum: reduction(np.add), np.prod: reduction(np.multiply), np.mean: mean, np.var: var, np.std: std, np.ptp: ptp,
    np.max: extreme(np.maximum), np.min: extreme(np.minimum), np.amax: extreme(np.maximum),
    np.amin: extreme(np.minimum), np.cumsum: accumulation(np.add), np.cumprod: accumulation(np.multiply),
    np.round: step(np.round), np.around: step(np.round),
    **{f: product(f) for f in (np.dot, np.vdot, np.inner, np.outer, np.tensordot, np.kron, np.convolve, np.correlate,
                               np.cross)},
    np.linalg.norm: norm, np.linalg.solve: solve, np.linalg.inv: inv,
    np.linalg.det: det, np.linalg.slogdet: slogdet, np.linalg.cholesky: cholesky, np.linalg.eigh: eigh,
    np.linalg.svd: svd, np.linalg.pinv: pinv, np.linalg.qr: qr,
    np.real: lambda x: x, np.imag: lambda x: x.imag, np.iscomplexobj: lambda x: False, np.isrealobj: lambda x: True,
    np.isreal: lambda x: np.ones(np.shape(x), bool), np.iscomplex: lambda x: np.zeros(np.shape(x), bool),
}  # fmt: skip
FUNCTIONS.update(OWN)
