"""Decompositions of matrices, which `npgrad.linalg` has: Cholesky, QR, eigenvalues, singular values, pseudo-inverse.

Where NumPy reads a triangle of a symmetric matrix only, so do these, and the other triangle has gradient 0. The
derivations write matrices with two columns out, so that they can be executed; the rules hold for any size, and are run
for all. They are those of Giles 2008, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (eigenvalues); of Murray 2016, arXiv:1602.07527 (Cholesky); of Seeger et al. 2017, arXiv:1710.08717
(QR); of Townsend 2016, "Differentiating the singular value decomposition"; and of Golub & Pereyra 1973, SIAM J. Numer.
Anal. 10, equation 4.12 (pseudo-inverse).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.indexing import getitem
from npgrad.functions.matmul import matmul
from npgrad.functions.reduction import sum
from npgrad.functions.shape import concatenate, swapaxes

__all__ = [
    "Cholesky", "Eigh", "EighResult", "PInv", "QR", "QRResult", "SVD", "SVDResult", "cholesky", "eigh", "eigvalsh",
    "lstsq", "pinv", "qr", "svd", "svdvals",
]  # fmt: skip


class Cholesky(Function):
    """y, lower triangular, with y yᵀ = x: the root of a positive definite matrix.

    Symbols
        x[i,j] in definite    symmetric matrix, of which the entries j <= i are read
        size(i) = 2           the matrix is 2 by 2 here, so that (1) can be written out
        size(j) = 2           as many columns as rows
    Forward
        (a) p = sqrt(x[0,0])
        (b) q = x[1,0]/p
        (c) r = sqrt(x[1,1] - q**2)
        (1) y[i,j] = delta(j,0)*(delta(i,0)*p + delta(i,1)*q) + delta(j,1)*delta(i,1)*r
    Backward
        (d) sum(k, y[i,k]*y[j,k]) = where(j <= i, x[i,j], x[j,i])
        (e) z[i,j] = delta(i,j)/y[i,i] - delta(i,1)*delta(j,0)*q/(p*r)
        (f) sum(k, z[i,k]*y[k,j]) = delta(i,j)    # z is the inverse of y
        (2) m[i,j] = (j <= i)*sum(k, y[k,i]*dy[k,j])/(1 + delta(i,j))
                    # (d) changed by e: z e zᵀ = zδ + (zδ)ᵀ for a change δ of y, of which zδ is the lower half
        (3) g[i,j] = sum((k,l), z[k,i]*m[l,k]*z[l,j])
        (4) dx[i,j] = (j <= i)*(g[i,j] + g[j,i])/(1 + delta(i,j))
                    # an entry below the diagonal stands for the one above it too
    """

    def forward(self, x: Array) -> Array:
        self.y = np.linalg.cholesky(x)  # (1)
        return self.y

    def backward(self, dy: Array) -> Array:
        transposed = self.y.swapaxes(-1, -2)
        m = half(transposed @ dy)  # (2)
        left = np.linalg.solve(transposed, m)
        g = np.linalg.solve(transposed, left.swapaxes(-1, -2))  # (3)
        return half(g + g.swapaxes(-1, -2))  # (4)


class QR(Function):
    """y = the QR decomposition x = q r, in one array: the rows of q, orthonormal columns, and of r, upper triangular.

    Symbols
        x[i,k]         matrix
        size(i) = 3    the matrix is 3 by 2 here, so that (1) and (2) can be written out
        size(j) = 2    columns of q
        size(k) = 2    columns
        size(p) = 5    rows of q and r
    Forward
        (a) a = sqrt(sum(i, x[i,0]**2))
        (b) b = sum(i, x[i,0]*x[i,1])/a
        (c) w[i] = x[i,1] - b*x[i,0]/a
        (d) c = sqrt(sum(i, w[i]**2))
        (1) q[i,j] = where(j == 0, x[i,0]/a, w[i]/c)
        (2) r[j,k] = where(j == 0, where(k == 0, a, b), (k == 1)*c)
        (3) y[p,k] = sum(i, delta(p,i)*q[i,k]) + sum(j, delta(p,j+3)*r[j,k])
    Backward
        (e) sum(j, q[i,j]*r[j,k]) = x[i,k]
        (4) dq[i,k] = dy[i,k]
        (5) dr[j,k] = dy[j+3,k]
        (6) m[j,k] = sum(l, r[j,l]*dr[k,l]) - sum(i, dq[i,j]*q[i,k])
        (7) full[j,k] = where(k <= j, m[j,k], m[k,j])
                      # the change of q inside its columns is skew, so that what is above the diagonal repeats it
        (f) z[j,k] = delta(j,k)/r[j,j] - delta(j,0)*delta(k,1)*r[0,1]/(r[0,0]*r[1,1])    # the inverse of r
        (8) dx[i,j] = sum(k, (dq[i,k] + sum(l, q[i,l]*full[l,k]))*z[j,k])
    Notes
        The signs of the rows of r are open; here its diagonal is not negative. Where x has not full rank backward
        raises NumPy's LinAlgError.
    """

    def forward(self, x: Array) -> Array:
        q, r = np.linalg.qr(x)
        sign = np.where(np.einsum("...kk->...k", r) < 0, -1.0, 1.0).astype(r.dtype)
        self.q = q * sign[..., None, :]  # (1)
        self.r = r * sign[..., None]  # (2)
        return np.concatenate([self.q, self.r], -2)  # (3)

    def backward(self, dy: Array) -> Array:
        q, r = self.q, self.r
        dq, dr = dy[..., : q.shape[-2], :], dy[..., q.shape[-2] :, :]  # (4) (5)
        m = r @ dr.swapaxes(-1, -2) - dq.swapaxes(-1, -2) @ q  # (6)
        full = np.tril(m) + np.tril(m, -1).swapaxes(-1, -2)  # (7)
        return np.linalg.solve(r, (dq + q @ full).swapaxes(-1, -2)).swapaxes(-1, -2)  # (8)


class Eigh(Function):
    """y = the eigenvalues w of symmetric matrices, ascending, in row 0, and their unit vectors v as columns below it.

    Symbols
        x[i,j]         symmetric matrix, of which the entries j <= i are read
        size(i) = 2    the matrix is 2 by 2 here, so that (1) and (2) can be written out
        size(j) = 2    as many columns as rows
        size(p) = 3    one row more
    Forward
        (a) a = (x[0,0] + x[1,1])/2
        (b) c = (x[0,0] - x[1,1])/2
        (c) r = sqrt(c**2 + x[1,0]**2)
        (d) long = sqrt(2*r*(r + c))
        (1) w[j] = a + (2*j - 1)*r
        (2) v[i,j] = where(j == 0, where(i == 0, -x[1,0], r + c), where(i == 0, r + c, x[1,0])*sign(x[1,0]))/long
        (3) y[p,j] = where(p == 0, w[j], v[p-1,j])
    Backward
        (e) sum(k, where(k <= i, x[i,k], x[k,i])*v[k,j]) = v[i,j]*w[j]
        (f) sum(k, v[k,i]*v[k,j]) = delta(i,j)
        (4) dw[j] = dy[0,j]
        (5) dv[i,j] = dy[i+1,j]
        (g) skew[i,j] = sum(k, v[k,i]*dv[k,j])
        (6) m[i,j] = where(i == j, dw[j], (skew[i,j] - skew[j,i])/2/(w[j] - w[i] + delta(i,j)))
                    # (e) changed by e: w moves by the diagonal of vᵀe v, v by v times its other entries over the gaps
        (7) g[i,j] = sum((k,l), v[i,k]*m[k,l]*v[j,l])
        (8) dx[i,j] = (j <= i)*(g[i,j] + g[j,i])/(1 + delta(i,j))
    Notes
        The sign of an eigenvector is open; here its last entry is not negative. Vectors of equal eigenvalues have no
        gradient: where one is asked for it is not finite.
    """

    def forward(self, x: Array) -> Array:
        w, v = np.linalg.eigh(x)  # (1)
        self.w, self.v = w, v * np.where(v[..., -1:, :] < 0, -1.0, 1.0).astype(v.dtype)  # (2)
        return np.concatenate([self.w[..., None, :], self.v], -2)  # (3)

    def backward(self, dy: Array) -> Array:
        v, transposed = self.v, self.v.swapaxes(-1, -2)
        dw, dv = dy[..., 0, :], dy[..., 1:, :]  # (4) (5)
        skew = transposed @ dv
        m = diagonal(dw) + over(skew - skew.swapaxes(-1, -2), gaps(self.w)) / 2  # (6)
        g = v @ m @ transposed  # (7)
        return half(g + g.swapaxes(-1, -2))  # (8)


class SVD(Function):
    """y = the singular value decomposition x = u diag(s) vᵀ, in one array: the rows of u, then s, then the rows of v.

    Symbols
        x[i,j]         matrix
        size(i) = 3    the matrix is 3 by 2 here, so that (1) to (3) can be written out
        size(j) = 2    columns
        size(k) = 2    singular values
        size(p) = 6    rows of u, s and v
    Forward
        (a) q[j,k] = sum(i, x[i,j]*x[i,k])
        (b) c = (q[0,0] - q[1,1])/2
        (c) r = sqrt(c**2 + q[0,1]**2)
        (d) long = sqrt(2*r*(r + c))
        (1) s[k] = sqrt((q[0,0] + q[1,1])/2 + (1 - 2*k)*r)
        (2) v[j,k] = where(k == 0, where(j == 0, r + c, q[0,1])*sign(q[0,1]), where(j == 0, -q[0,1], r + c))/long
        (3) u[i,k] = sum(j, x[i,j]*v[j,k])/s[k]
        (4) y[p,k] = sum(i, delta(p,i)*u[i,k]) + delta(p,3)*s[k] + sum(j, delta(p,j+4)*v[j,k])
    Backward
        (e) sum(k, u[i,k]*s[k]*v[j,k]) = x[i,j]
        (f) sum(i, u[i,j]*u[i,k]) = delta(j,k)
        (g) sum(l, v[l,j]*v[l,k]) = delta(j,k)
        (5) gu[i,k] = dy[i,k]    # what the rows of y hand to u, s and v
        (6) gs[k] = dy[3,k]
        (7) gv[j,k] = dy[j+4,k]
        (h) a[j,k] = sum(i, u[i,j]*gu[i,k])
        (i) b[j,k] = sum(l, v[l,j]*gv[l,k])
        (j) gap[j,k] = s[k]**2 - s[j]**2 + delta(j,k)
        (8) m[j,k] = where(j == k, gs[k], ((a[j,k] - a[k,j])*s[k] + (b[j,k] - b[k,j])*s[j])/gap[j,k])
        (9) ru[i,k] = (gu[i,k] - sum(l, u[i,l]*a[l,k]))/s[k]    # what of gu is beside the columns of u
        (10) rv[j,k] = (gv[j,k] - sum(l, v[j,l]*b[l,k]))/s[k]
        (11) dx[i,j] = sum((k,l), u[i,k]*m[k,l]*v[j,l]) + sum(k, ru[i,k]*v[j,k] + u[i,k]*rv[j,k])
    Notes
        The sign of a pair of columns of u and v is open; here the last entry of the column of v is not negative. The
        vectors of equal singular values have no gradient, nor have those of a 0 where u or v has rows beyond it: where
        one is asked for it is not finite.
    """

    def forward(self, x: Array) -> Array:
        u, self.s, vh = np.linalg.svd(x, full_matrices=False)  # (1)
        last = np.add.reduce(vh[..., -1:], -1, keepdims=True)  # 0 if there are no columns
        sign = np.where(last < 0, -1.0, 1.0).astype(vh.dtype)
        self.v = (vh * sign).swapaxes(-1, -2)  # (2)
        self.u = u * sign.swapaxes(-1, -2)  # (3)
        return np.concatenate([self.u, self.s[..., None, :], self.v], -2)  # (4)

    def backward(self, dy: Array) -> Array:
        u, s, v = self.u, self.s[..., None, :], self.v
        rows = u.shape[-2]
        gu, gs, gv = dy[..., :rows, :], dy[..., rows, :], dy[..., rows + 1 :, :]  # (5) (6) (7)
        a, b = u.swapaxes(-1, -2) @ gu, v.swapaxes(-1, -2) @ gv
        columns = s.swapaxes(-1, -2)
        skew = (a - a.swapaxes(-1, -2)) * s + (b - b.swapaxes(-1, -2)) * columns
        m = diagonal(gs) + over(skew, gaps(self.s * self.s))  # (8)
        ru, rv = over(gu - u @ a, s), over(gv - v @ b, s)  # (9) (10)
        inside = u @ m
        if u.shape[-2] > u.shape[-1]:
            inside = inside + ru
        if v.shape[-2] > v.shape[-1]:
            return inside @ v.swapaxes(-1, -2) + u @ rv.swapaxes(-1, -2)  # (11)
        return inside @ v.swapaxes(-1, -2)


class PInv(Function):
    """y = the pseudo-inverse of x (Moore and Penrose): y b is the shortest of the a for which x a is nearest to b.

    Symbols
        x[i,j]         matrix
        size(i) = 3    the matrix is 3 by 2 here, so that (1) can be written out
        size(j) = 2    columns
    Forward
        (a) q[j,k] = sum(i, x[i,j]*x[i,k])
        (b) det = q[0,0]*q[1,1] - q[0,1]*q[1,0]
        (1) y[j,i] = sum(k, (-1)**(j+k)*q[1-j,1-k]*x[i,k])/det
    Backward
        (c) sum((j,l), x[i,j]*y[j,l]*x[l,k]) = x[i,k]
        (2) beside[i,j] = dy[j,i] - sum((k,l), x[i,k]*y[k,l]*dy[j,l])    # what of dy is beside the columns of x
        (3) other[i,j] = dy[j,i] - sum((k,l), dy[k,i]*y[k,l]*x[l,j])     # and beside its rows: 0 here, but for wide x
        (4) dx[i,j] = sum((k,l), beside[i,k]*y[k,l]*y[j,l] + y[k,i]*y[k,l]*other[l,j] - y[k,i]*dy[k,l]*y[j,l])
                    # (c) differentiated, with x y and y x symmetric
    Notes
        Singular values below `rcond` times the largest count as 0, as in NumPy; the rank must not change.
    """

    def forward(self, x: Array, rcond: Any = None, hermitian: bool = False) -> Array:
        self.x, self.y = x, np.linalg.pinv(x, rcond, hermitian)  # (1)
        return self.y

    def backward(self, dy: Array) -> Array:
        x, y = self.x, self.y
        yt, dyt = y.swapaxes(-1, -2), dy.swapaxes(-1, -2)
        beside = dyt - x @ (y @ dyt)  # (2)
        other = dyt - dyt @ y @ x  # (3)
        return -(yt @ dy @ yt) + beside @ y @ yt + yt @ y @ other  # (4)


def half(x: Array) -> Array:
    """The lower triangle, the diagonal halved."""
    return (np.tril(x) + np.tril(x, -1)) / 2


def diagonal(x: Array) -> Array:
    """Diagonal matrices of vectors."""
    return x[..., None] * np.eye(x.shape[-1], dtype=x.dtype)


def gaps(w: Array) -> Array:
    """w[j] - w[i] at [i,j]."""
    return w[..., None, :] - w[..., :, None]


def over(a: Array, b: Array) -> Array:
    """a/b, and 0 where a is 0."""
    return a / np.where(np.equal(a, 0), np.inf, b)


class EighResult(NamedTuple):
    """What `eigh` returns: x v = v diag(w)."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QRResult(NamedTuple):
    """What `qr` returns: x = Q R."""

    Q: Tensor
    R: Tensor


class SVDResult(NamedTuple):
    """What `svd` returns: x = u diag(s) vh."""

    U: Tensor
    S: Tensor
    Vh: Tensor


def cholesky(x: TensorLike, *, upper: bool = False) -> Tensor:
    """The lower triangular y with y yᵀ = x, for symmetric positive definite matrices x (…, n, n); with `upper` yᵀ.

    Only the lower triangle of x is read (with `upper` the upper one), so the other one has gradient 0. Raises
    numpy.linalg.LinAlgError if a matrix is not positive definite, or not square.
    """
    return swapaxes(Cholesky.apply(swapaxes(x, -1, -2)), -1, -2) if upper else Cholesky.apply(x)


def qr(x: TensorLike, mode: str = "reduced") -> Any:
    """q (…, m, k), with orthonormal columns, and r (…, k, n), upper triangular, with q r = x; k = min(m, n).

    The diagonal of r is not negative. With mode "r" it is r alone; "complete" is the same as "reduced" if m <= n.
    Raises NotImplementedError for another mode, and for "complete" if m > n, as x does not determine such a q.
    """
    m, n = np.shape(raw(x))[-2:]
    if mode not in ("reduced", "r") and (mode != "complete" or m > n):
        raise NotImplementedError(
            f'qr of a matrix {m} by {n} got mode={mode!r}: only mode="reduced", or "r", has a gradient.'
        )
    y = QR.apply(getitem(x, (..., slice(m))))
    q, r = (getitem(y, (..., rows, slice(None))) for rows in (slice(m), slice(m, None)))
    if m < n:
        r = concatenate([r, matmul(swapaxes(q, -1, -2), getitem(x, (..., slice(m, None))))], -1)
    return r if mode == "r" else QRResult(q, r)


def eigh(x: TensorLike, UPLO: str = "L") -> EighResult:
    """The eigenvalues (…, n) of symmetric matrices x (…, n, n), ascending, and unit vectors: the columns of (…, n, n).

    Only the lower triangle of x is read (with UPLO "U" the upper one), so the other one has gradient 0. The last entry
    of each vector is not negative. Vectors of equal eigenvalues have no gradient. Raises numpy.linalg.LinAlgError if a
    matrix is not square, ValueError for another UPLO.
    """
    if UPLO.upper() not in ("L", "U"):
        raise ValueError(f'eigh got UPLO={UPLO!r}: "L" reads the lower triangle, "U" the upper one.')
    y = Eigh.apply(swapaxes(x, -1, -2) if UPLO.upper() == "U" else x)
    return EighResult(getitem(y, (..., 0, slice(None))), getitem(y, (..., slice(1, None), slice(None))))


def eigvalsh(x: TensorLike, UPLO: str = "L") -> Tensor:
    """The eigenvalues of `eigh`; where they are equal their gradients depend on the vectors that NumPy chooses."""
    return eigh(x, UPLO).eigenvalues


def svd(x: TensorLike, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """u (…, m, k), s (…, k) and vh (…, k, n) with x = u diag(s) vh for matrices x (…, m, n), k = min(m, n).

    s is descending, and the last entry of each row of vh not negative. Without `compute_uv` s alone. Vectors of equal
    singular values have no gradient. `hermitian` makes no difference. Raises NotImplementedError if `full_matrices`
    asks for vectors that x does not determine: those of matrices that are not square.
    """
    shape = np.shape(raw(x))
    if compute_uv and full_matrices and len(shape) > 1 and shape[-1] != shape[-2]:
        raise NotImplementedError(
            f"svd of shape {shape} with full_matrices=True adds vectors that x does not determine, and which have no "
            "gradient. Pass full_matrices=False."
        )
    y = SVD.apply(x)
    m = shape[-2]
    s = getitem(y, (..., m, slice(None)))
    if not compute_uv:
        return s
    v = getitem(y, (..., slice(m + 1, None), slice(None)))
    return SVDResult(getitem(y, (..., slice(m), slice(None))), s, swapaxes(v, -1, -2))


def svdvals(x: TensorLike) -> Tensor:
    """The singular values of matrices x (…, m, n), descending: (…, min(m, n))."""
    s: Tensor = svd(x, compute_uv=False)
    return s


def pinv(x: TensorLike, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Tensor:
    """The pseudo-inverse (…, n, m) of matrices x (…, m, n), by singular values, as np.linalg.pinv.

    Those below `rcond` (or `rtol`, its other name) times the largest count as 0. The gradient is that at constant rank.
    """
    return PInv.apply(x, rcond=rcond if rtol is None else rtol, hermitian=hermitian)


def lstsq(a: TensorLike, b: TensorLike, rcond: float | None = None) -> tuple[Tensor, Tensor, int, Tensor]:
    """The x nearest to a x = b, the sums of squares that are left, the rank of a, its singular values: as NumPy's.

    a is (m, n), b (m,) or (m, k). The sums are an empty tensor if m <= n or the rank is less than n. Raises
    numpy.linalg.LinAlgError if a is no matrix.
    """
    if np.ndim(raw(a)) != 2:
        raise np.linalg.LinAlgError(f"lstsq takes a matrix (m, n); got shape {np.shape(raw(a))}.")
    s = svdvals(a)
    m, n = np.shape(raw(a))
    least = np.finfo(s.dtype).eps * np.max((m, n)) if rcond is None else rcond
    rank = int(np.count_nonzero(raw(s) > least * np.max(raw(s), initial=0)))
    x = matmul(pinv(a, least), b)
    left = b - matmul(a, x)
    squares = sum(left * left, 0, keepdims=np.ndim(raw(b)) == 1)
    return x, squares if rank == n < m else getitem(squares, slice(0)), rank, s
