"""Losses of classes: cross-entropy with classes or class probabilities, and negative log-likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.loss_reduction import check_reduction
from npgrad.functions.matrix_sums import constant, constant_array, row_max, row_mean, row_starts, row_sum
from npgrad.functions.reduction import array
from npgrad.functions.shape import expand_dims, moveaxis, reshape

__all__ = ["CrossEntropy", "NLLLoss", "SoftCrossEntropy", "cross_entropy", "nll_loss"]

_CLASS = np.dtype(np.int64)


class CrossEntropy(Function):
    """Softmax and negative log-likelihood in one: the surprise of z's softmax at the classes t.

    Case: mean over the batch
    Symbols
        z[i,c]      logits: row i, class c
        t[i] in c   the true class of row i
        n = size(i)
        C = size(c)
    Forward
        (1) e[i,c]    = exp(z[i,c] - max(c, z[i,c]))
        (2) total[i]  = sum(c, e[i,c])
        (3) losses[i] = log(total[i]) - (z[i,t[i]] - max(c, z[i,c]))
                      = -log(exp(z[i,t[i]])/sum(c, exp(z[i,c])))
        (4) loss      = sum(i, losses[i])/n
    Backward
        (a) dlosses[i] = dloss/n
        (b) dtotal[i]  = dlosses[i]/total[i]    # the slope of log in (3)
        (c) de[i,c]    = dtotal[i]              # (2) is a sum
        (d) dlosses[i] - sum(c, de[i,c]*e[i,c]) = 0
                       # what the maximum of a row receives, from (3) and from (1): nothing, it needs no rule
        (5) dz[i,c]    = de[i,c]*e[i,c] - dlosses[i]*delta(c, t[i])
                       # z is used twice: by exp in (1), and at the true class in (3)
                       = dlosses[i]*(e[i,c]/total[i] - delta(c, t[i]))
                       # put in (c), then (b)
                       = dlosses[i]*(exp(z[i,c])/sum(j, exp(z[i,j])) - delta(c, t[i]))
                       # p - onehot: softmax, minus 1 at the true class

    Case: label smoothing, sum over the batch
    Symbols
        z[i,c]      logits
        t[i] in c   the true class of row i
        C = size(c)
        label_smoothing = 0.2   share of the target spread evenly over all classes
        reduction = "sum"
    Forward
        (1) e[i,c]    = exp(z[i,c] - max(c, z[i,c]))
        (2) total[i]  = sum(c, e[i,c])
        (a) q[i,c]    = (1 - label_smoothing)*delta(c, t[i]) + label_smoothing/C
        (3) losses[i] = -sum(c, q[i,c]*(z[i,c] - max(j, z[i,j]) - log(total[i])))
        (4) loss      = sum(i, losses[i])
    Backward
        (b) sum(c, q[i,c]) = 1              # so log(total) in (3) has the factor 1, and the maximum cancels as before
        (c) dtotal[i] = dloss/total[i]
        (5) dz[i,c]   = dtotal[i]*e[i,c] - dloss*q[i,c]
                      = dloss*(e[i,c]/total[i] - q[i,c])    # p - onehot, with a target that is not quite one-hot

    Case: weights of the classes, mean over the batch
    Symbols
        z[i,c]           logits
        t[i] in c        the true class of row i
        weight[c] > 0    what a row of class c counts; a constant
    Forward
        (1) e[i,c]    = exp(z[i,c] - max(c, z[i,c]))
        (2) total[i]  = sum(c, e[i,c])
        (a) share[i]  = weight[t[i]]/sum(j, weight[t[j]])
        (3) losses[i] = log(total[i]) - (z[i,t[i]] - max(c, z[i,c]))
        (4) loss      = sum(i, share[i]*losses[i])
    Backward
        (b) dlosses[i] = dloss*share[i]
        (5) dz[i,c]    = dlosses[i]*(e[i,c]/total[i] - delta(c, t[i]))

    Notes
        p - onehot: the softmax's own derivative p(onehot - p) meets the
        logarithm's 1/p. Each row of dz sums to zero: a probability can only be taken from the other classes.

        The maximum of the row is subtracted before exp, which changes nothing in exact arithmetic, lets no exp
        overflow, and is exact at logits of ±1e4.

        Rows whose class is `ignore_index` count neither in the sum nor in n.
    """

    @classmethod
    def check(
        cls,
        z: Array,
        t: Array,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
        weight: Array | None = None,
    ) -> None:
        check_logits(z.shape, reduction, label_smoothing)
        check_classes(t, z.shape)
        check_range("cross_entropy", "logits", t, z.shape[1], reduction, ignore_index, weight)

    def forward(
        self,
        z: Array,
        t: Array,
        *,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
        weight: Array | None = None,
    ) -> Array:
        n, C = z.shape
        t, kept, self.share = shares(t, reduction, ignore_index, z.dtype, weight)
        self.kept = kept
        # In C order whatever the order of z: of anything else, reshape(-1) in backward would be a copy.
        shifted = np.subtract(z, row_max(z)[:, None], order="C")
        self.at = t + row_starts(n, C)
        # The places are known to be inside; with any other mode than "clip" NumPy checks them again.
        chosen = shifted.take(self.at, None, None, "clip")
        if label_smoothing:
            chosen = (1 - label_smoothing) * chosen + label_smoothing * row_mean(shifted)
        self.label_smoothing = label_smoothing
        self.e = np.exp(shifted)  # (1)
        self.total = row_sum(self.e)  # (2)
        losses: Array = np.log(self.total) - chosen  # (3)
        if kept is not None:
            losses = np.where(kept, losses, 0.0)
        loss: Array = losses * self.share if reduction == "none" else losses.dot(self.share)  # (4)
        return loss

    def backward(self, dloss: Array) -> tuple[Array, None]:
        dlosses = dloss * self.share
        dz = self.e * (dlosses / self.total)[:, None]
        if self.kept is not None:  # what was ignored may be nan
            dz = np.where(self.kept[:, None], dz, 0.0)
        if self.label_smoothing:
            dz -= (dlosses * (self.label_smoothing / dz.shape[1]))[:, None]
            dlosses = dlosses * (1 - self.label_smoothing)
        dz.reshape(-1)[self.at] -= dlosses
        return dz, None  # (5)


class SoftCrossEntropy(Function):
    """Cross-entropy between the softmax of z and given class probabilities q.

    Symbols
        z[i,c]        logits
        q[i,c] > 0    target probabilities (rows need not sum to one)
    Forward
        (1) logp[i,c] = z[i,c] - log(sum(j, exp(z[i,j])))
        (2) losses[i] = -sum(c, q[i,c]*logp[i,c])
    Backward
        (a) dlogp[i,c] = -dlosses[i]*q[i,c]
        (3) dz[i,c]    = dlosses[i]*(exp(logp[i,c])*sum(j, q[i,j]) - q[i,c])
        (4) dq[i,c]    = -dlosses[i]*logp[i,c]
    Notes
        With q one-hot this is `CrossEntropy`. logp is computed after subtracting the row's maximum. What has the
        target probability 0 adds nothing to the loss, even where its logit is -inf.
    """

    def forward(self, z: Array, q: Array) -> Array:
        shifted = z - row_max(z)[:, None]
        self.q = q
        self.logp = shifted - np.log(row_sum(np.exp(shifted)))[:, None]  # (1)
        return -row_sum(q * np.where(q == 0, 0, self.logp))  # (2)

    def backward(self, dlosses: Array) -> tuple[Array | None, Array | None]:
        dlosses = dlosses[:, None]
        dz = dq = None
        if self.needs[0]:
            dz = dlosses * (np.exp(self.logp) * row_sum(self.q)[:, None] - self.q)  # (3)
        if self.needs[1]:
            dq = -dlosses * self.logp  # (4)
        return dz, dq


class NLLLoss(Function):
    """The negative of the entry of logp at each row's class.

    Symbols
        logp[i,c]   log-probabilities
        t[i] in c   the true class of row i
    Forward
        (1) losses[i] = -logp[i,t[i]]
    Backward
        (2) dlogp[i,c] = -dlosses[i]*delta(c, t[i])
    Notes
        With reduction "sum" or "mean" the losses are added up, each row with the share 1 or 1/n, or in proportion to
        the weight of its class; rows whose class is `ignore_index` have the share 0.
    """

    @classmethod
    def check(
        cls,
        logp: Array,
        t: Array,
        reduction: str = "none",
        ignore_index: int | None = None,
        weight: Array | None = None,
    ) -> None:
        check_range("nll_loss", "classes", t, logp.shape[1], reduction, ignore_index, weight)

    def forward(
        self,
        logp: Array,
        t: Array,
        reduction: str = "none",
        ignore_index: int | None = None,
        weight: Array | None = None,
    ) -> Array:
        n, C = self.logp_shape = logp.shape
        t, kept, self.share = shares(t, reduction, ignore_index, logp.dtype, weight)
        self.at = t + row_starts(n, C)
        losses = -logp.take(self.at)  # (1)
        if kept is not None:
            losses = np.where(kept, losses, 0.0)
        return losses * self.share if reduction == "none" else losses.dot(self.share)

    def backward(self, dlosses: Array) -> tuple[Array, None]:
        dlogp = np.zeros_like(dlosses, shape=self.logp_shape)
        dlogp.reshape(-1)[self.at] = -dlosses * self.share  # (2)
        return dlogp, None


def cross_entropy(
    logits: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of softmax(logits) against `target`, in nats; 0 is certainty in the truth, ln C is a uniform guess.

    logits are (N, C), or (N, C, d…) with the classes on axis 1, or (C,) for one item. `target` holds integer classes,
    of the logits' shape without the axis of classes, or floating-point class probabilities of the logits' shape.
    `weight` (C,) says what each class counts; it has no gradient. `reduction` is "mean" (of classes the weighted one,
    over what is not ignored; of probabilities over all rows), "sum" or "none". Names as in PyTorch.

    Raises IndexError for a class out of range, TypeError for integer probabilities or float classes, ValueError for
    shapes that do not fit, an empty batch, an unknown reduction, or label_smoothing outside [0, 1].
    """
    z = logits if isinstance(logits, Tensor) else Tensor(logits)
    t = array(raw(target))
    options: dict[str, Any] = {}
    if reduction != "mean":
        options["reduction"] = reduction
    if label_smoothing:
        options["label_smoothing"] = label_smoothing
    if ignore_index is not None:
        options["ignore_index"] = ignore_index
    shape = z._array.shape
    if weight is not None:
        options["weight"] = class_weights("cross_entropy", weight, shape, z.dtype)
    probabilities = t.dtype.kind in "fc"
    fused = not probabilities and (weight is None or not label_smoothing)
    if len(shape) == 2 and fused:
        return CrossEntropy.apply(z, t, **options)
    check_logits(shape, reduction, label_smoothing)
    places = (shape[0], *shape[2:]) if len(shape) > 1 else ()
    if not probabilities:
        check_classes(t, shape)
    elif t.shape != shape:
        hint = " Classes are integers: convert with .astype(np.int64)." if t.shape == places else ""
        raise TypeError(
            f"cross_entropy got floating-point targets of shape {t.shape} for logits of shape {shape}; class "
            f"probabilities must have the logits' shape.{hint}"
        )
    z, C = _rows(z), shape[min(len(shape) - 1, 1)]
    if fused:
        losses = CrossEntropy.apply(z, _flat(t), **options)
        return reshape(losses, places) if reduction == "none" else losses
    q: TensorLike
    n: Any = t.size // C
    if probabilities:
        q = _rows(target if isinstance(target, Tensor) else Tensor(t))
        if label_smoothing:
            q = q * (1 - label_smoothing) + label_smoothing / C
        if weight is not None:
            q = q * options["weight"]
    else:
        q, n = smoothed(raw(z), _flat(t), label_smoothing, options["weight"], ignore_index, reduction)
    losses = SoftCrossEntropy.apply(z, q)
    if reduction == "none":
        return reshape(losses, places)
    return losses.sum() / n if reduction == "mean" else losses.sum()


def smoothed(
    z: Array, t: Array, label_smoothing: float, weight: Array, ignore_index: int | None, reduction: str
) -> tuple[Array, Array]:
    """Smoothed classes as probabilities, each times the weight of its class, and what the mean divides by."""
    C = z.shape[1]
    check_range("cross_entropy", "logits", t, C, reduction, ignore_index, weight)
    t, kept, share = shares(t, "none", ignore_index, z.dtype, weight)
    q = weight * ((1 - label_smoothing) * (t[:, None] == np.arange(C)) + label_smoothing / C)
    if kept is not None:
        q = q * kept[:, None]
    return q.astype(z.dtype), np.add.reduce(share)


def check_logits(shape: tuple[int, ...], reduction: str, label_smoothing: float) -> None:
    """Raise ValueError unless these are logits with a batch and classes, and known options."""
    check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing is a share between 0 and 1; got {label_smoothing}.")
    if not shape:
        raise ValueError("cross_entropy takes logits of shape (C,), (N, C) or (N, C, d…); got a single number.")
    if 0 in shape:
        raise ValueError(
            f"cross_entropy of an empty batch (logits of shape {shape}) is undefined: the mean of nothing."
        )


def check_classes(t: Array, shape: tuple[int, ...]) -> None:
    """Raise TypeError unless t holds integers, ValueError unless it has one for each row of logits of this shape."""
    if t.dtype.kind not in "iu":
        raise TypeError(f"class targets are integers; got {t.dtype}. Convert with .astype(np.int64).")
    places = (*shape[: len(shape) > 1], *shape[2:])
    if t.shape != places:
        raise ValueError(
            f"cross_entropy got targets of shape {t.shape} for logits of shape {shape}; it needs one class "
            f"per row: shape {places}."
        )


def check_range(
    name: str, what: str, t: Array, C: int, reduction: str, ignore_index: int | None, weight: Array | None
) -> None:
    """Raise IndexError for a class that is not 0 to C - 1, ValueError for the mean of what does not count.

    Seen as unsigned, a negative class is a very large one: one comparison checks both ends.
    """
    t, kept = counted(t, ignore_index)
    unsigned = t.view(np.uint64)
    if unsigned[unsigned.argmax()] >= C:
        stray = int(t[(t < 0) | (t >= C)][0])
        raise IndexError(f"{name} got a target class of {stray}; with {C} {what} it must be 0 to {C - 1}.")
    if kept is not None and reduction == "mean" and not kept.any():
        raise ValueError(
            f"all {t.size} targets are the ignored class: the mean of nothing is undefined. Leave such batches out, "
            'or take reduction="sum".'
        )
    if weight is not None and reduction == "mean" and not share_of(t, kept, weight).any():
        raise ValueError(
            f"all {t.size} targets are ignored or of classes with weight 0: the mean of nothing is undefined. "
            'Leave such batches out, or take reduction="sum".'
        )


def counted(t: Array, ignore_index: int | None) -> tuple[Array, Array | None]:
    """The classes as int64, any class where they are ignored; and where they are not, or None if all count."""
    kept = None
    if ignore_index is not None:
        kept = t != ignore_index
        t = np.where(kept, t, 0)
    return t if t.dtype == _CLASS else t.astype(_CLASS), kept


def shares(
    t: Array, reduction: str, ignore_index: int | None, dtype: np.dtype[Any], weight: Array | None = None
) -> tuple[Array, Array | None, Array]:
    """What `counted` returns, and the share of each row in the loss: 1/n or 1, or by weight, and 0 where ignored."""
    t, kept = counted(t, ignore_index)
    if weight is not None:
        share = share_of(t, kept, weight)
    elif kept is not None:
        share = kept
    else:
        return t, None, constant(1 / len(t) if reduction == "mean" else 1.0, dtype, len(t))
    if reduction == "mean":
        share = share / np.add.reduce(share)
    return t, kept, share.astype(dtype)


def share_of(t: Array, kept: Array | None, weight: Array) -> Array:
    """The weight of each row's class, and 0 where a row is ignored."""
    share: Array = weight.take(t)
    return share if kept is None else share * kept


def class_weights(name: str, weight: TensorLike, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """The weights of the classes as an array; raises ValueError if they want a gradient or do not fit."""
    if isinstance(weight, Tensor) and weight.requires_grad:
        raise ValueError(f"{name} has no gradient with respect to class weights: give it weight.detach().")
    w = constant_array(array(raw(weight)))
    C = shape[min(len(shape) - 1, 1)] if shape else 0
    if w.shape != (C,):
        raise ValueError(f"{name} got class weights of shape {w.shape} for {C} classes: give one for each, ({C},).")
    return w if w.dtype == dtype else w.astype(dtype)


def nll_loss(
    log_probabilities: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    ignore_index: int | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Minus the log-probability of the true class: log_probabilities (N, C), (N, C, d…) or (C,), integer classes.

    Options and errors are those of `cross_entropy`.
    """
    check_reduction(reduction)
    logp = log_probabilities if isinstance(log_probabilities, Tensor) else Tensor(log_probabilities)
    t, shape = array(raw(target)), logp.shape
    places = (*shape[: len(shape) > 1], *shape[2:])
    if not shape or t.shape != places:
        raise ValueError(
            f"nll_loss takes log-probabilities (C,), (N, C) or (N, C, d…) and one class for each row; "
            f"got {shape} and {t.shape}."
        )
    if t.dtype.kind not in "iu":
        raise TypeError(f"nll_loss takes integer classes; got {t.dtype}. Convert with .astype(np.int64).")
    if logp.size == 0:
        raise ValueError(f"nll_loss of an empty batch (shape {shape}) is undefined: the mean of nothing.")
    options: dict[str, Any] = {"reduction": reduction, "ignore_index": ignore_index}
    if weight is not None:
        options["weight"] = class_weights("nll_loss", weight, shape, logp.dtype)
    losses = NLLLoss.apply(_rows(logp), _flat(t), **options)
    return reshape(losses, places) if reduction == "none" and len(shape) != 2 else losses


def _rows(x: Tensor) -> Tensor:
    """(N, C, d…) as (N·d…, C), and (C,) as (1, C)."""
    ndim = x._array.ndim
    if ndim == 2:
        return x
    return expand_dims(x, 0) if ndim == 1 else reshape(moveaxis(x, 1, -1), (-1, x.shape[1]))


def _flat(t: Array) -> Array:
    """(N, d…) as (N·d…,)."""
    return t if t.ndim == 1 else t.reshape(-1)
