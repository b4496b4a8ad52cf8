"""Tensor: an array, its gradient, and the Function that made it."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import count
from sys import getrefcount
from typing import Any, NoReturn
from weakref import ref

import numpy as np

import npgrad
from npgrad.holomorphic import lift, values
from npgrad.mode import MODE
from npgrad.operators import Operators

__all__ = ["Array", "Tensor", "TensorLike", "tick"]

tick = count(1).__next__
"""One clock for everything: nodes are stamped when they are made, leaves when their array changes."""

# What numpy.typing calls NDArray[Any]; importing that would take longer than the rest of this file.
Array = np.ndarray[tuple[Any, ...], np.dtype[Any]]
Hook = Callable[[Array], "Array | None"]
Axis = int | tuple[int, ...] | None


class Tensor(Operators):
    """A NumPy array that remembers how it was made, so that `backward()` can differentiate through its history.

    `Tensor(data, requires_grad=False)` copies `data` (anything NumPy can turn into a numeric array) and keeps its
    dtype. A tensor made by you is a *leaf*: `backward()` adds to its `grad`, a NumPy array of the same shape and
    dtype. A tensor made by an operation is an intermediate: read-only, and without a `grad` unless `retain_grad()`
    asked for it.

    Raises TypeError if `data` is not numeric, or if a gradient is asked for numbers that have none (integers,
    booleans).
    """

    # Class-level defaults: an intermediate sets only what differs, which keeps the making of one cheap.
    _data: Array
    _node: Function | None = None
    _hooks: list[Hook] | None = None
    # The reading of the clock when the array last changed: a node older than that has used other numbers.
    _version: int = 0
    _fingerprint: int | None = None
    requires_grad: bool = False
    grad: Array | None = None
    # Whether a replay will write into this array again, although no node says so.
    _reused: bool = False
    # Where an optimiser would like the gradient to be (`npgrad.optim.flat`); a replayed backward puts it there.
    _slot: Array | None = None
    __hash__ = object.__hash__

    def __init__(self, data: TensorLike, requires_grad: bool = False) -> None:
        self._data = as_array(data._constant() if isinstance(data, Tensor) else data, copy=True)
        if requires_grad:
            kind = self._data.dtype.kind
            if kind not in "fc":
                raise TypeError(
                    f"only floating-point tensors can require a gradient; got {self._data.dtype}. Write 1.0 for 1, "
                    "or convert with .astype(np.float32)."
                )
            if kind == "c" and not MODE.get().holomorphic:
                raise TypeError(
                    "complex tensors require a gradient only for verification, inside `with npgrad.holomorphic():`, "
                    "because npgrad's rules are holomorphic (no conjugation). Keep real and imaginary parts apart."
                )
            self._data = lift(self._data)
            self.requires_grad = True

    # -- the array -----------------------------------------------------------------------------------------------------

    @property
    def data(self) -> Array:
        """The array. A leaf's may be changed in place (`p.data += …`); an intermediate's is read-only.

        Changing a leaf between forward and backward makes that backward() raise, never silently wrong.
        """
        if self._node is not None or (self._data.dtype.kind == "c" and MODE.get().holomorphic):
            return self.numpy()
        if self._reused:
            self._data = self._data.copy()
            self._reused = False
        if self._fingerprint is None:
            self._fingerprint = fingerprint(self._data)
        return self._data

    @data.setter
    def data(self, value: TensorLike) -> None:
        if self._node is not None:
            raise RuntimeError(
                f"this tensor was computed ({type(self._node).__name__}); only leaves can be assigned to. "
                "Use detach() to get a leaf with the same values."
            )
        new = value._data if isinstance(value, Tensor) else np.asarray(value)
        if new is not self._data:
            if new.shape != self.shape:
                raise ValueError(
                    f"data of shape {new.shape} assigned to a tensor of shape {self.shape}: make a new one."
                )
            self._data[...] = new
        self._version = tick()
        if self._fingerprint is not None:
            # Of an array handed out earlier (`d = t.data`) somebody may still have a part. Who does is asked when the
            # tensor is next used: now its own assignment (`t.data += …`) has it too.
            self._fingerprint = UNSEEN

    def numpy(self) -> Array:
        """The values as a read-only array without a copy (with one for a tensor whose memory a replay will reuse)."""
        reused = self._reused if self._node is None else self._node.taped
        view = self._constant().copy() if reused else self._constant().view()
        view.flags.writeable = False
        return view

    def _constant(self) -> Array:
        """The array as it looks outside of the graph: inside `holomorphic()`, without derivative as for `grad`."""
        return values(self._data) if MODE.get().holomorphic else self._data.view(np.ndarray)

    def item(self) -> Any:
        """The one value of a tensor of size 1, as a Python number."""
        if self._data.size != 1:
            raise ValueError(f"item() needs a tensor of exactly one element; this one has shape {self.shape}.")
        return self._constant().item()

    def detach(self) -> Tensor:
        """A leaf with a copy of the values, cut from the graph."""
        leaf = Tensor.__new__(Tensor)
        leaf._data = self._constant().copy()
        return leaf

    def copy(self) -> Tensor:
        """An independent leaf: copies of the values and of the gradient. Raises RuntimeError on an intermediate."""
        if self._node is not None:
            raise RuntimeError(
                f"a tensor computed by {type(self._node).__name__} cannot be copied or pickled with its graph. "
                "Use detach() for its values."
            )
        new = type(self).__new__(type(self))
        own = ("_hooks", "_version", "_fingerprint", "_slot", "_reused")
        new.__dict__.update({k: v for k, v in vars(self).items() if k not in own})
        new._data = self._data.copy()
        new.grad = None if self.grad is None else self.grad.copy()
        return new

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        memo[id(self)] = new = self.copy()
        return new

    def __getstate__(self) -> dict[str, Any]:
        return vars(self.copy())

    def _observe(self) -> None:
        """Notice a change made through an array that was handed out (`t.data[…] = …`), by comparing checksums.

        It is watched until nobody has it any more: references are this tensor's, the question's and an optimiser's two.
        """
        alone = getrefcount(self._data) <= 2 + 2 * (self._slot is not None)
        if not alone or self._fingerprint != UNSEEN:
            now = fingerprint(self._data)
            if now != self._fingerprint:
                self._fingerprint = now
                self._version = tick()
        if alone:
            self._fingerprint = None

    # -- the gradient --------------------------------------------------------------------------------------------------

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made by you and not by an operation."""
        return self._node is None

    def backward(self, grad: TensorLike | None = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add the derivative of this tensor to the `grad` of every leaf it was computed from.

        `grad` is the derivative of the final loss with respect to this tensor, of its shape; it may be left out when
        this tensor has one element, and is 1 then. Unless `retain_graph`, what the forward pass saved is freed on the
        way.

        Raises RuntimeError if nothing requires a gradient, if the graph was freed, or if an array it needs has changed.
        """
        if create_graph:
            raise NotImplementedError(
                "npgrad does not differentiate backward passes (create_graph). "
                "For exact second derivatives use npgrad.hvp(f, inputs, vectors)."
            )
        if not self.requires_grad:
            raise RuntimeError(
                "backward() on a tensor that does not require a gradient: none of its inputs had requires_grad=True, "
                "or it was computed under no_grad()."
            )
        kind = self._data.dtype.kind
        if kind != "f" and not (kind == "c" and MODE.get().holomorphic):
            raise TypeError(
                f"backward() on a tensor of dtype {self.dtype}: "
                + (
                    "derivatives of complex results exist for verification only, inside `with npgrad.holomorphic():`."
                    if kind == "c"
                    else "whole numbers have no derivative. Convert with .astype before the operations that follow."
                )
            )
        if grad is None:
            if self._data.size != 1:
                raise RuntimeError(
                    f"backward() without an argument needs a scalar; this tensor has shape {self.shape}. "
                    "Reduce it first (.sum(), .mean()) or pass the derivative with respect to it: backward(dy)."
                )
            dy = one(self._data.dtype) if self._data.ndim == 0 else np.ones_like(self._data)
        else:
            dy = as_array(grad._data if isinstance(grad, Tensor) else grad)
            if dy.shape != self.shape:
                raise ValueError(f"backward() got a gradient of shape {dy.shape} for a tensor of shape {self.shape}.")
            if dy.dtype != self.dtype:
                dy = dy.astype(self.dtype)
        node = self._node
        if node is None:
            deliver(self, dy, shared=True)
            return
        tape = MODE.get().tape
        if tape is not None:
            tape.backward(node, dy, retain_graph)
        else:
            sweep(node, dy, retain_graph)

    def retain_grad(self) -> None:
        """Ask an intermediate to keep its gradient in `grad` as leaves do."""
        if self._node is not None:
            self._node.retained = ref(self)
            self._node.watched = True

    def register_hook(self, hook: Hook) -> Callable[[], None]:
        """Call `hook(gradient)` whenever the gradient of this tensor is known; returns a function that removes it.

        The gradient is a read-only array, to be copied if kept. If the hook returns an array, that replaces the
        gradient. Raises RuntimeError if this tensor does not require a gradient.
        """
        if not self.requires_grad:
            raise RuntimeError("a hook on a tensor that does not require a gradient would never be called.")
        owner = self if self._node is None else self._node
        hooks = _hooks_of(owner)
        hooks.append(hook)
        return lambda: hooks.remove(hook) if hook in hooks else None

    # -- description ---------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._data.dtype

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def size(self) -> int:
        return self._data.size

    def _facts(self) -> str:
        facts = f"shape={self.shape}, dtype={self.dtype}"
        if self._node is not None:
            return f"{facts}, made by {type(self._node).__name__}"
        return f"{facts}, requires_grad=True" if self.requires_grad else facts

    def __repr__(self) -> str:
        name = type(self).__name__
        values = np.array2string(self._data, prefix=name + "(", separator=", ", threshold=60, edgeitems=3, precision=4)
        return f"{name}({values}, {self._facts()})"

    def _repr_html_(self) -> str:
        import html  # here, because it takes milliseconds that only a notebook needs

        values = html.escape(np.array2string(self._data, threshold=200, precision=4))
        return f"<div><code>{type(self).__name__}</code> {html.escape(self._facts())}<pre>{values}</pre></div>"

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[k] for k in range(len(self._data)))

    def __bool__(self) -> bool:
        return bool(self._data)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    # -- NumPy ---------------------------------------------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.requires_grad:
            raise TypeError(
                "turning a tensor that requires a gradient into an array would drop the gradient silently. "
                "Say so with .numpy() or .detach(), or use the npgrad function of the same name."
            )
        # Read-only where NumPy takes it without a copy: written to, it would change numbers that a graph uses.
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return npgrad.protocols.dispatch_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return npgrad.protocols.dispatch_function(function, args, kwargs)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise TypeError(
            "tensors are not written in place, because the graph may still need the old values. "
            "Use npgrad.where(mask, new, old), or change a leaf's array: t.data[index] = value."
        )

    # -- comparisons: NumPy arrays -------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> Any:
        return self._data == raw(other)

    def __ne__(self, other: object) -> Any:
        return self._data != raw(other)

    def __lt__(self, other: TensorLike) -> Any:
        return self._data < raw(other)

    def __le__(self, other: TensorLike) -> Any:
        return self._data <= raw(other)

    def __gt__(self, other: TensorLike) -> Any:
        return self._data > raw(other)

    def __ge__(self, other: TensorLike) -> Any:
        return self._data >= raw(other)


TensorLike = Tensor | Array | Sequence[Any] | complex
"""What operations accept: a tensor, an array, a nested sequence of numbers or a number."""


def raw(x: Any) -> Any:
    """The array of a tensor; anything else as it is."""
    return x._data if isinstance(x, Tensor) else x


@cache
def one(dtype: np.dtype[Any]) -> Array:
    """A read-only 0-d array holding 1."""
    array = np.ones((), dtype)
    array.flags.writeable = False
    return array


UNSEEN = -1
"""The fingerprint of an array that was assigned to and not yet used: whatever it holds at the next use is right."""


def fingerprint(a: Array) -> int:
    """A checksum of the bytes of `a`."""
    return zlib.crc32(np.ascontiguousarray(a).view(np.uint8).data if a.size else b"")


def _hooks_of(owner: Tensor | Function) -> list[Hook]:
    if isinstance(owner, Tensor):
        owner._hooks = owner._hooks if owner._hooks is not None else []
        return owner._hooks
    owner.hooks = owner.hooks if owner.hooks is not None else []
    owner.watched = True
    return owner.hooks


# At the bottom because a Function makes tensors, and a tensor knows the Function that made it.
from npgrad.function import Function, as_array  # noqa: E402
from npgrad.sweep import deliver, sweep  # noqa: E402
