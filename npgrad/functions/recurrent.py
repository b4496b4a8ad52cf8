"""Recurrent networks: one step of a tanh cell, an LSTM cell and a GRU cell, and the run over a sequence.

All cells take the input's share `a` of the gates ready-made. It does not depend on the state, so one product computes
it for all positions of a sequence; what is left for each step is one product, of the hidden state with the weights of
all gates side by side.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike
from npgrad.functions.matrix_sums import column_sum

__all__ = ["GRUStep", "LSTMStep", "RNNStep", "Recurrent", "gru_step", "lstm_step", "recurrent", "rnn_step"]


class RNNStep(Function):
    """One step of the simple recurrent network (Elman 1990): y = tanh(a + s W).

    Symbols
        a[i,k]     the input's share: item i, unit k
        s[i,j]     the hidden state before
        W[j,k]     weight from unit j before to unit k now
        size(j) = size(k)
    Forward
        (1) y[i,k] = tanh(a[i,k] + sum(j, s[i,j]*W[j,k]))
    Backward
        (2) da[i,k] = dy[i,k]*(1 - y[i,k]**2)
        (3) ds[i,j] = sum(k, da[i,k]*W[j,k])
        (4) dW[j,k] = sum(i, s[i,j]*da[i,k])
    Notes
        (2) and (3) together are one factor of the product that carries a gradient back through time: W transposed,
        after a diagonal of slopes 1 - y**2, none above 1. Over many steps the product vanishes or grows at a geometric
        rate (Bengio, Simard & Frasconi 1994). LSTM and GRU add a path on which the factor is a gate.
    """

    @classmethod
    def check(cls, a: Array, s: Array, W: Array) -> None:
        check_step("rnn_step", 1, a.shape, s.shape, W.shape, None)

    def forward(self, a: Array, s: Array, W: Array) -> Array:
        self.s, self.W = s, W
        z = np.dot(s, W)
        z += a
        self.y = np.tanh(z)  # (1)
        return self.y

    def backward(self, dy: Array) -> tuple[Array, Array | None, Array | None]:
        da = dy * (1 - self.y * self.y)  # (2)
        self.dg = da
        ds = np.dot(da, self.W.T) if self.needs[1] else None  # (3)
        dW = np.dot(self.s.T, da) if self.needs[2] else None  # (4)
        return da, ds, dW


class LSTMStep(Function):
    """One step of the long short-term memory (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000).

    The cell c is kept as far as the forget gate lets it, and receives what the input gate lets in; the hidden state
    y[0] shows as much of it as the output gate lets out. The gates lie side by side in one matrix, H columns each, in
    the order input, forget, candidate, output: column m belongs to gate m//H of unit m%H.

    Symbols
        a[i,m]         the input's share of the gates: item i, column m
        s[p,i,k]       the state before: s[0] hidden, s[1] the cell
        W[k,m]         weight from hidden unit k to column m
        size(k) = 3    units
        size(p) = 2
        size(m) = 4*size(k)
        H = size(k)
    Forward
        (1) u[m]      = where(m//H == 2, 1, 1/2)
        (2) z[i,m]    = a[i,m] + sum(k, s[0,i,k]*W[k,m])
        (3) t[i,m]    = tanh(u[m]*z[i,m])
        (4) gate[i,m] = where(m//H == 2, tanh(z[i,m]), sigmoid(z[i,m]))
                      = 1 - u[m] + u[m]*t[i,m]     # a sigmoid is a tanh: sigmoid(z) = (1 + tanh(z/2))/2
        (5) c[i,k]    = gate[i,H+k]*s[1,i,k] + gate[i,k]*gate[i,2*H+k]
        (6) r[i,k]    = tanh(c[i,k])
        (7) y[p,i,k]  = where(p == 0, gate[i,3*H+k]*r[i,k], c[i,k])
    Backward
        (a) dr[i,k]    = dy[0,i,k]*gate[i,3*H+k]
        (8) dc[i,k]    = dy[1,i,k] + dr[i,k]*(1 - r[i,k]**2)    # the cell goes on, and is shown
        (b) din[i,k]     = dc[i,k]*gate[i,2*H+k]
        (c) dforget[i,k] = dc[i,k]*s[1,i,k]
        (d) dcand[i,k]   = dc[i,k]*gate[i,k]
        (e) dout[i,k]    = dy[0,i,k]*r[i,k]
        (9) dgate[i,m] = where(m//H == 0, din[i,m%H],
                         where(m//H == 1, dforget[i,m%H], where(m//H == 2, dcand[i,m%H], dout[i,m%H])))
        (10) dz[i,m]   = dgate[i,m]*where(m//H == 2, 1 - gate[i,m]**2, gate[i,m]*(1 - gate[i,m]))
                       = dgate[i,m]*(1 - t[i,m]**2)*u[m]**2     # gate = 1 - u + u*t, and t has the slope u*(1 - t**2)
        (11) da[i,m]   = dz[i,m]
        (12) ds[p,i,k] = where(p == 0, sum(m, dz[i,m]*W[k,m]), dc[i,k]*gate[i,H+k])
        (13) dW[k,m]   = sum(i, s[0,i,k]*dz[i,m])
    Notes
        The path of the cell is the second part of (12): from step to step the gradient is multiplied by the forget
        gate, and by nothing else: no matrix, no slope of a squashing function. A forget gate at 1 carries it unchanged
        (the constant error carousel of the 1997 paper).

        One tanh serves all four gates. It rounds to 0 where a sigmoid is below 1e-16, which no gate notices.
    """

    @classmethod
    def check(cls, a: Array, s: Array, W: Array) -> None:
        if s.ndim != 3 or s.shape[0] != 2:
            raise ValueError(
                f"lstm_step got a state of shape {s.shape}; it takes (2, N, H): the hidden state and the cell, stacked."
            )
        check_step("lstm_step", 4, a.shape, s.shape[1:], W.shape, None)

    def forward(self, a: Array, s: Array, W: Array) -> Array:
        self.s, self.W = s, W
        H = W.shape[0]
        u, rest, _ = halves(H, W.dtype)  # (1)
        z = np.dot(s[0], W)
        z += a  # (2)
        self.t = t = np.tanh(z * u)  # (3)
        self.gate = gate = t * u + rest  # (4)
        c = gate[:, H : 2 * H] * s[1] + gate[:, :H] * gate[:, 2 * H : 3 * H]  # (5)
        self.r = r = np.tanh(c)  # (6)
        return np.stack((gate[:, 3 * H :] * r, c))  # (7)

    def backward(self, dy: Array) -> tuple[Array, Array | None, Array | None]:
        s, W, t, gate, r = self.s, self.W, self.t, self.gate, self.r
        H = W.shape[0]
        dc = dy[0] * gate[:, 3 * H :] * (1 - r * r) + dy[1]  # (8)
        parts = dc * gate[:, 2 * H : 3 * H], dc * s[1], dc * gate[:, :H], dy[0] * r
        dgate = np.concatenate(parts, axis=1)  # (9)
        *_, square = halves(H, W.dtype)
        dz = dgate * (1 - t * t) * square  # (10)
        self.dg = da = dz  # (11)
        ds = np.stack((np.dot(dz, W.T), dc * gate[:, H : 2 * H])) if self.needs[1] else None  # (12)
        dW = np.dot(s[0].T, dz) if self.needs[2] else None  # (13)
        return da, ds, dW


class GRUStep(Function):
    """One step of the gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), with the reset gate after the product.

    y is the state before where the update gate is 1, and a candidate where it is 0. The columns of reset gate, update
    gate and candidate lie side by side: column m belongs to gate m//H of unit m%H. The candidate's column of g is
    multiplied by the reset gate, so g and a must be kept apart, and the bias b of g cannot be moved to a.

    Symbols
        a[i,m]         the input's share of the gates: item i, column m
        s[i,k]         the hidden state before
        W[k,m]         weight from hidden unit k to column m
        b[m]           bias of the state's share
        size(k) = 3    units
        size(m) = 3*size(k)
        size(l) = 2*size(k)
        H = size(k)
    Forward
        (1) g[i,m]    = sum(k, s[i,k]*W[k,m]) + b[m]
        (2) gate[i,l] = sigmoid(a[i,l] + g[i,l])
                      = 1/2 + tanh((a[i,l] + g[i,l])/2)/2
        (a) reset[i,k]  = gate[i,k]
        (b) update[i,k] = gate[i,H+k]
        (3) n[i,k]    = tanh(a[i,2*H+k] + reset[i,k]*g[i,2*H+k])
        (4) y[i,k]    = (1 - update[i,k])*n[i,k] + update[i,k]*s[i,k]
                      = n[i,k] + update[i,k]*(s[i,k] - n[i,k])
    Backward
        (5) dn[i,k]   = dy[i,k]*(1 - update[i,k])
                      = dy[i,k] - dy[i,k]*update[i,k]
        (6) dzn[i,k]  = dn[i,k]*(1 - n[i,k]**2)
        (c) dreset[i,k]  = dzn[i,k]*g[i,2*H+k]
        (d) dupdate[i,k] = dy[i,k]*(s[i,k] - n[i,k])
        (7) dgate[i,l] = where(l//H == 0, dreset[i,l%H], dupdate[i,l%H])
        (8) dzg[i,l]   = dgate[i,l]*gate[i,l]*(1 - gate[i,l])
        (9) da[i,m]    = where(m//H < 2, dzg[i,m%(2*H)], dzn[i,m%H])
        (10) dg[i,m]   = where(m//H < 2, dzg[i,m%(2*H)], dzn[i,m%H]*reset[i,m%H])
        (11) ds[i,k]   = dy[i,k]*update[i,k] + sum(m, dg[i,m]*W[k,m])
        (12) dW[k,m]   = sum(i, s[i,k]*dg[i,m])
        (13) db[m]     = sum(i, dg[i,m])
    Notes
        The first term of (11) is the path that does not vanish: where the update gate is near 1, the gradient passes to
        the state before as it is.

        The paper resets the state before it meets W, U(r*s); here, as in cuDNN and PyTorch, the product is reset,
        r*(U s), so that one product serves all three gates (arXiv:1406.1078, version 3, says the former).
    """

    @classmethod
    def check(cls, a: Array, s: Array, W: Array, b: Array | None = None) -> None:
        check_step("gru_step", 3, a.shape, s.shape, W.shape, None if b is None else b.shape)

    def forward(self, a: Array, s: Array, W: Array, b: Array | None = None) -> Array:
        self.s, self.W = s, W
        H = W.shape[0]
        g = np.dot(s, W)
        if b is not None:
            g += b
        self.g = g  # (1)
        self.gate = gate = 0.5 * np.tanh(0.5 * (a[:, : 2 * H] + g[:, : 2 * H])) + 0.5  # (2)
        self.n = n = np.tanh(a[:, 2 * H :] + gate[:, :H] * g[:, 2 * H :])  # (3)
        return n + gate[:, H:] * (s - n)  # (4)

    def backward(self, dy: Array) -> tuple[Array, Array | None, Array | None, Array | None]:
        s, W, g, gate, n = self.s, self.W, self.g, self.gate, self.n
        H = W.shape[0]
        kept = dy * gate[:, H:]
        dn = dy - kept  # (5)
        dzn = dn * (1 - n * n)  # (6)
        dgate = np.concatenate((dzn * g[:, 2 * H :], dy * (s - n)), axis=1)  # (7)
        dzg = dgate * gate * (1 - gate)  # (8)
        da = np.concatenate((dzg, dzn), axis=1)  # (9)
        self.dg = dg = np.concatenate((dzg, dzn * gate[:, :H]), axis=1)  # (10)
        ds = kept + np.dot(dg, W.T) if self.needs[1] else None  # (11)
        dW = np.dot(s.T, dg) if self.needs[2] else None  # (12)
        db = column_sum(dg) if self.needs[3] else None  # (13)
        return da, ds, dW, db


CELLS: dict[str, type[Function]] = {"rnn": RNNStep, "lstm": LSTMStep, "gru": GRUStep}
GATES = {"rnn": 1, "lstm": 4, "gru": 3}
"""How many columns of `a` and `W` each unit of a cell has."""


class Recurrent(Function):
    """A cell, one step after the other over a sequence; the result holds the state after every step.

    Backward goes through the steps in reverse (back-propagation through time, Werbos 1990): the state after a step is
    shown in y and read by the next step, so its gradient is the sum of two. All steps use the same W, and their
    contributions are one product over all items and steps together.

    Case: two steps of a tanh cell
    Symbols
        lengths[i] in {2}        both steps belong to the item
        a[i,t,k]       the input's share at step t
        s[i,j]         the state before the first step
        W[j,k]         weights, the same for both steps
        size(t) = 2
        size(j) = size(k)
        cell = "rnn"
    Forward
        (a) h[i,k] = tanh(a[i,0,k] + sum(j, s[i,j]*W[j,k]))
        (b) l[i,k] = tanh(a[i,1,k] + sum(j, h[i,j]*W[j,k]))
        (1) y[i,t,k] = where(t == 0, h[i,k], l[i,k])
    Backward
        (c) dl[i,k]   = dy[i,1,k]                                      # nothing follows the last step
        (d) after[i,k] = dl[i,k]*(1 - l[i,k]**2)                       # at the product of the second step
        (e) dh[i,k]   = dy[i,0,k] + sum(q, after[i,q]*W[k,q])          # shown, and read by the second step
        (f) before[i,k] = dh[i,k]*(1 - h[i,k]**2)                      # at the product of the first step
        (2) da[i,t,k] = where(t == 0, before[i,k], after[i,k])
        (3) ds[i,j]   = sum(k, before[i,k]*W[j,k])
        (4) dW[j,k]   = sum(i, s[i,j]*before[i,k]) + sum(i, h[i,j]*after[i,k])
                      = sum((i,t), where(t == 0, s[i,j], y[i,0,j])*da[i,t,k])    # each step with the state before it

    Case: two steps, some items with one
    Symbols
        a[i,t,k]       the input's share at step t
        s[i,j]         the state before the first step
        W[j,k]         weights
        lengths[i] in {1, 2}    steps of item i; behind them the state stays what it was
        size(t) = 2
        size(j) = size(k)
        cell = "rnn"
    Forward
        (a) h[i,k] = tanh(a[i,0,k] + sum(j, s[i,j]*W[j,k]))
        (b) l[i,k] = tanh(a[i,1,k] + sum(j, h[i,j]*W[j,k]))
        (1) y[i,t,k] = where((t == 1)*(lengths[i] > 1), l[i,k], h[i,k])
    Backward
        (c) dl[i,k]   = dy[i,1,k]*(lengths[i] > 1)
        (d) after[i,k] = dl[i,k]*(1 - l[i,k]**2)
        (e) dh[i,k]   = dy[i,0,k] + dy[i,1,k]*(lengths[i] <= 1) + sum(q, after[i,q]*W[k,q])
        (f) before[i,k] = dh[i,k]*(1 - h[i,k]**2)
        (2) da[i,t,k] = where(t == 0, before[i,k], after[i,k])
        (3) ds[i,j]   = sum(k, before[i,k]*W[j,k])
        (4) dW[j,k]   = sum((i,t), where(t == 0, s[i,j], h[i,j])*da[i,t,k])
    Notes
        Which cell it is matters nowhere: each step is asked for the gradients of its own a and of the state before it,
        by the rule that is derived for one step (RNNStep, LSTMStep, GRUStep).
    """

    @classmethod
    def check(
        cls, a: Array, s: Array, W: Array, b: Array | None = None, lengths: Array | None = None, cell: str = "rnn"
    ) -> None:
        if cell not in CELLS:
            raise ValueError(f"recurrent got cell={cell!r}. Say one of {', '.join(map(repr, CELLS))}.")
        if b is not None and cell != "gru":
            raise ValueError(f"recurrent with cell={cell!r} takes no separate bias b: add it to a.")
        if a.ndim != 3:
            raise ValueError(f"recurrent got an input of shape {a.shape}; it takes (N, T, gates of all units).")
        if a.shape[1] == 0:
            raise ValueError(f"recurrent got an input of shape {a.shape}, which has no steps. Pass T >= 1.")
        if cell == "lstm" and (s.ndim != 3 or s.shape[0] != 2):
            raise ValueError(f"recurrent got a state of shape {s.shape}; an LSTM takes (2, N, H).")
        state = s.shape[1:] if cell == "lstm" else s.shape
        check_step("recurrent", GATES[cell], a[:, 0].shape, state, W.shape, None if b is None else b.shape)
        if lengths is not None and (lengths.shape != a.shape[:1] or lengths.dtype.kind not in "iu"):
            raise ValueError(
                f"recurrent got lengths of shape {lengths.shape} and dtype {lengths.dtype}; it takes one integer for "
                f"each of the {a.shape[0]} items."
            )

    def forward(
        self,
        a: Array,
        s: Array,
        W: Array,
        b: Array | None = None,
        lengths: Array | None = None,
        *,
        cell: str = "rnn",
    ) -> Array:
        self.W, self.lengths = W, lengths
        extra = () if b is None else (b,)
        self.steps: list[Any] = []
        states = []
        for t in range(a.shape[1]):
            step = CELLS[cell]()
            step.needs = (True, t > 0 or self.needs[1:2] != (False,), False, False)
            self.steps.append(step)
            new = step.forward(a[:, t], s, W, *extra)
            s = new if lengths is None else np.where((lengths > t)[:, None], new, s)
            states.append(s)
        return np.stack(states, axis=-2)  # (1)

    def backward(self, dy: Array) -> tuple[Array, Array | None, Array | None, Array | None, None]:
        steps = self.steps
        das, dgs = [], []
        ds: Any = None
        # The same numbers, such that W.T is contiguous: the products of all steps take two thirds of the time.
        W = self.W.T.copy().T
        for t in reversed(range(len(steps))):
            steps[t].W = W
            ds = dy[..., t, :] if ds is None else dy[..., t, :] + ds
            if self.lengths is None:
                da, ds, *_ = steps[t].backward(ds)
            else:
                on = (self.lengths > t)[:, None]
                rest = np.where(on, 0, ds)
                da, ds, *_ = steps[t].backward(np.where(on, ds, 0))
                ds = None if ds is None else ds + rest
            das.append(da)
            dgs.append(steps[t].dg)
        da = np.stack(das[::-1], axis=1)  # (2)
        # Only a GRU has products of its own: those of the others are da.
        dg = (da if dgs[0] is das[0] else np.stack(dgs[::-1], axis=1)).reshape(-1, W.shape[1])
        dW = db = None
        if self.needs[2]:
            before = np.stack([step.s if step.s.ndim == 2 else step.s[0] for step in steps], axis=1)
            dW = np.dot(before.reshape(-1, W.shape[0]).T, dg)  # (4)
        if self.needs[3]:
            db = column_sum(dg)
        return da, ds, dW, db, None  # (3)


@lru_cache(maxsize=64)
def halves(H: int, dtype: np.dtype[Any]) -> tuple[Array, Array, Array]:
    """u, 1/2 for the columns of the three gates and 1 for those of the candidate; 1 - u, and u squared."""
    u = np.full(4 * H, 0.5, dtype)
    u[2 * H : 3 * H] = 1
    arrays = u, 1 - u, u * u
    for array in arrays:
        array.flags.writeable = False
    return arrays


def check_step(
    function: str,
    gates: int,
    a: tuple[int, ...],
    state: tuple[int, ...],
    W: tuple[int, ...],
    b: tuple[int, ...] | None,
) -> None:
    """Raise ValueError unless the shapes belong to one cell with so many gates."""
    H = W[0] if W else 0
    if a != (*a[:1], gates * H) or (*a[:1], H) != state or W[1:] != a[1:] or b not in (None, a[1:]):
        columns = "H" if gates == 1 else f"{gates}H"
        raise ValueError(
            f"{function} got an input's share of shape {a}, a state of shape {state}, W of shape {W}"
            + ("" if b is None else f", b of shape {b}")
            + f"; they must be (N, {columns}), (N, H), (H, {columns})"
            + ("." if b is None else f", ({columns},).")
        )


def rnn_step(a: TensorLike, s: TensorLike, W: TensorLike) -> Tensor:
    """tanh(a + s W): the hidden state (N, H) after `s`, for an input's share `a` (N, H) and `W` (H, H).

    Raises ValueError on other shapes.
    """
    return RNNStep.apply(a, s, W)


def lstm_step(a: TensorLike, s: TensorLike, W: TensorLike) -> Tensor:
    """The state (2, N, H), hidden and cell, after `s`, for an input's share `a` (N, 4H) and `W` (H, 4H).

    Gates in the order input, forget, candidate, output. Raises ValueError on other shapes.
    """
    return LSTMStep.apply(a, s, W)


def gru_step(a: TensorLike, s: TensorLike, W: TensorLike, b: TensorLike | None = None) -> Tensor:
    """The hidden state (N, H) after `s`, for an input's share `a` (N, 3H), `W` (H, 3H) and its bias `b` (3H,) or None.

    Gates in the order reset, update, candidate. Raises ValueError on other shapes.
    """
    return GRUStep.apply(a, s, W, b)


def recurrent(
    a: TensorLike,
    s: TensorLike,
    W: TensorLike,
    b: TensorLike | None = None,
    lengths: TensorLike | None = None,
    cell: str = "rnn",
) -> Tensor:
    """The states after each step of a cell ("rnn", "lstm" or "gru") over the sequence `a` (N, T, gates·H), from `s` on.

    The result is (N, T, H), for an LSTM (2, N, T, H); inputs otherwise as for `rnn_step`, `lstm_step`, `gru_step`.
    With `lengths` (N,), the state of item i stays what it is from step lengths[i] on.

    Raises ValueError if the cell is unknown, shapes do not fit, or there are no steps.
    """
    return Recurrent.apply(a, s, W, b, lengths, cell=cell)
