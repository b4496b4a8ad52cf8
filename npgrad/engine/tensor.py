"""Tensor: an array, its gradient, and the node of the graph that made it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NoReturn

import numpy as np

from npgrad.engine.arrays import Array, as_array, note_change, owned
from npgrad.engine.backward import sweep
from npgrad.engine.holomorphic import lift, values
from npgrad.engine.mode import MODE
from npgrad.engine.node import Hook, Leaf, Node
from npgrad.engine.recording import StandIn

__all__ = ["Tensor", "TensorLike", "raw"]


class Tensor:
    """A NumPy array that remembers how it was made, so that `backward()` can differentiate through its history.

    `Tensor(data, requires_grad=False)` copies `data` (anything NumPy can turn into a numeric array) and keeps its
    dtype. A tensor made by you is a *leaf*: `backward()` adds to its `grad`, a NumPy array of the same shape and
    dtype. A tensor made by an operation is an intermediate: read-only, and without a `grad` unless `retain_grad()`
    asked for it.

    Operators, methods such as `sum` and `reshape`, and NumPy's protocols are put onto this class by `npgrad.bindings`.

    Raises TypeError if `data` is not numeric, or if a gradient is asked for numbers that have none (integers,
    booleans).
    """

    _array: Array
    _node: Node | None
    __hash__ = object.__hash__

    def __init__(self, data: TensorLike, requires_grad: bool = False) -> None:
        self._array = owned(as_array(data._constant() if isinstance(data, Tensor) else data))
        self._node = Leaf(self._array)
        if requires_grad:
            self.requires_grad = True

    @classmethod
    def _of(cls, array: Array, node: Node | None = None) -> Tensor:
        """A tensor around `array`, which is not copied."""
        tensor = cls.__new__(cls)
        tensor._array = array
        tensor._node = node
        return tensor

    def _leaf(self) -> Leaf:
        """The node of this leaf. A result computed without a graph gets one when it is first needed.

        Raises RuntimeError if the tensor was computed in a graph.
        """
        node = self._node
        if node is None:
            node = self._node = Leaf(self._array)
        if not isinstance(node, Leaf):
            raise RuntimeError(
                f"this tensor was computed ({type(node).__name__}); only leaves can be assigned to. "
                "Use detach() to get a leaf with the same values."
            )
        return node

    # -- the array -----------------------------------------------------------------------------------------------------

    @property
    def data(self) -> Array:
        """The array. A leaf's may be changed in place (`p.data += …`); an intermediate's is read-only.

        Changing a leaf between forward and backward makes that backward() raise, never silently wrong.
        """
        if not self.is_leaf or (self._array.dtype.kind == "c" and MODE.get().holomorphic):
            return self.numpy()
        if MODE.get().recorder is not None:
            return self._value()
        storage = self._leaf().storage
        array = storage.hand_out()
        self._array = storage.array
        return array

    @data.setter
    def data(self, value: TensorLike) -> None:
        storage = self._leaf().storage
        new = raw(value) if isinstance(value, Tensor | StandIn) else np.asarray(value)
        if new.shape != self.shape:
            raise ValueError(f"data of shape {new.shape} assigned to a tensor of shape {self.shape}: make a new one.")
        if MODE.get().recorder is not None:
            own = self._value()
            if new is not own:
                own[...] = new
        else:
            storage.assign(new)
            if self._array is not storage.array:
                self._array = storage.array
                note_change()

    def numpy(self) -> Array:
        """The values as a read-only array, without a copy."""
        constant = self._constant()
        if isinstance(constant, StandIn):
            return constant
        view = constant.view()
        view.flags.writeable = False
        return view

    def _value(self) -> Array:
        """The array, for whoever reads it: while `npgrad.compile` records, what stands in for it."""
        recorder = MODE.get().recorder
        return self._array if recorder is None else recorder.value(self)

    def _constant(self) -> Array:
        """The array as it looks outside of the graph: inside `holomorphic()`, without derivative as for `grad`."""
        mode = MODE.get()
        if mode.holomorphic:
            constant: Array = values(self._array)
            return constant
        return self._array.view(np.ndarray) if mode.recorder is None else mode.recorder.value(self)

    def item(self) -> Any:
        """The one value of a tensor of size 1, as a Python number. Raises ValueError for any other size."""
        if self._array.size != 1:
            raise ValueError(f"item() needs a tensor of exactly one element; this one has shape {self.shape}.")
        return self._constant().item()

    def detach(self) -> Tensor:
        """A leaf with a copy of the values, cut from the graph."""
        return Tensor._of(self._constant().copy())

    def copy(self) -> Tensor:
        """An independent leaf: copies of the values and of the gradient. Raises RuntimeError on an intermediate."""
        new = type(self).__new__(type(self))
        new.__setstate__(self.__getstate__())
        return new

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        memo[id(self)] = new = self.copy()
        return new

    def __getstate__(self) -> dict[str, Any]:
        if not self.is_leaf:
            raise RuntimeError(
                f"a tensor computed by {type(self._node).__name__} is part of a graph and cannot be copied or pickled. "
                "Pass on its values: .numpy() for plotting and saving, .detach() for a tensor."
            )
        leaf = self._leaf()
        own = {name: value for name, value in vars(self).items() if name not in ("_array", "_node")}
        grad = None if leaf.grad is None else leaf.grad.copy()
        return own | {"_array": self._value().copy(), "_requires_grad": leaf.requires_grad, "_grad": grad}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({key: state[key] for key in state if key not in ("_array", "_requires_grad", "_grad")})
        self._array = owned(state["_array"])
        self._node = leaf = Leaf(self._array, state["_requires_grad"])
        leaf.grad = state["_grad"]

    # -- the gradient --------------------------------------------------------------------------------------------------

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was made by you and not by an operation."""
        return self._node is None or isinstance(self._node, Leaf)

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded; may be set on leaves of floating-point numbers."""
        return self._node is not None and self._node.requires_grad

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        kind = self._array.dtype.kind
        if flag and kind not in "fc":
            raise TypeError(
                f"only floating-point tensors can require a gradient; got {self._array.dtype}. Write 1.0 for 1, "
                "or convert the array before: Tensor(np.asarray(data, np.float32), requires_grad=True)."
            )
        if flag and kind == "c" and not MODE.get().holomorphic:
            raise TypeError(
                "complex tensors require a gradient only for verification, inside `with npgrad.holomorphic():`, "
                "because npgrad's rules are holomorphic (no conjugation). Keep real and imaginary parts apart."
            )
        leaf = self._leaf()
        if flag and kind == "c":
            self._array = leaf.storage.array = lift(self._array)
        leaf.requires_grad = bool(flag)
        note_change()

    @property
    def grad(self) -> Array | None:
        """The gradient that `backward()` has added up; None if there is none yet.

        What is assigned is copied, in the dtype of the tensor. Raises ValueError if its shape is another one.
        """
        return None if self._node is None else self._node.grad

    @grad.setter
    def grad(self, value: TensorLike | None) -> None:
        if value is None and self._node is None:
            return
        node = self._node or self._leaf()
        if value is None or isinstance(value, StandIn) or value is node.grad:
            node.grad = value  # type: ignore[assignment]
            return
        g = as_array(raw(value))
        if g.shape != self.shape or not np.can_cast(g.dtype, self.dtype, "same_kind"):
            raise ValueError(
                f"a gradient of shape {g.shape} and dtype {g.dtype} was assigned to a tensor of shape {self.shape} and "
                f"dtype {self.dtype}. Assign an array of the tensor's own shape and kind, or None."
            )
        node.grad = np.array(g, self.dtype)

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
        node = self._node
        if node is None or not node.requires_grad:
            raise RuntimeError(
                "backward() on a tensor that does not require a gradient: none of its inputs had requires_grad=True, "
                "or it was computed under no_grad()."
            )
        kind = self._array.dtype.kind
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
            if self._array.size != 1:
                raise RuntimeError(
                    f"backward() without an argument needs a scalar; this tensor has shape {self.shape}. "
                    "Reduce it first (.sum(), .mean()) or pass the derivative with respect to it: backward(dy)."
                )
            dy = np.ones_like(self._array)
        else:
            dy = as_array(raw(grad))
            if dy.shape != self.shape:
                raise ValueError(f"backward() got a gradient of shape {dy.shape} for a tensor of shape {self.shape}.")
            if dy.dtype != self.dtype:
                dy = dy.astype(self.dtype)
        sweep(node, dy, retain_graph)

    def retain_grad(self) -> None:
        """Ask an intermediate to keep its gradient in `grad` as leaves do."""
        if self._node is not None:
            self._node.retained = True

    def register_hook(self, hook: Hook) -> Callable[[], None]:
        """Call `hook(gradient)` once in every backward pass, when the whole gradient of this tensor is known.

        The gradient is a read-only array, to be copied if kept. If the hook returns an array, that replaces the
        gradient. Returns a function that removes the hook. Raises RuntimeError if this tensor does not require a
        gradient.
        """
        node = self._node
        if node is None or not node.requires_grad:
            raise RuntimeError("a hook on a tensor that does not require a gradient would never be called.")
        hooks = node.hooks = node.hooks if node.hooks is not None else []
        hooks.append(hook)
        note_change()

        def remove() -> None:
            if hook in hooks:
                hooks.remove(hook)
                note_change()

        return remove

    # -- description ---------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._array.dtype

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def size(self) -> int:
        return self._array.size

    def _facts(self) -> str:
        facts = f"shape={self.shape}, dtype={self.dtype}"
        if not self.is_leaf:
            return f"{facts}, made by {type(self._node).__name__}"
        return f"{facts}, requires_grad=True" if self.requires_grad else facts

    def __repr__(self) -> str:
        name = type(self).__name__
        values = np.array2string(self._array, prefix=name + "(", separator=", ", threshold=60, edgeitems=3, precision=4)
        return f"{name}({values}, {self._facts()})"

    def _repr_html_(self) -> str:
        import html  # here, because it takes milliseconds that only a notebook needs

        values = html.escape(np.array2string(self._array, threshold=200, precision=4))
        return f"<div><code>{type(self).__name__}</code> {html.escape(self._facts())}<pre>{values}</pre></div>"

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[k] for k in range(len(self._array)))

    def __bool__(self) -> bool:
        return bool(self._array if MODE.get().recorder is None else self.item())

    # As in PyTorch, a number is a number: `float(loss)` and `losses[k] = loss`, which NumPy does by float(), are how
    # training loops keep a loss, so they are no error although the gradient ends there.
    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if self.requires_grad:
            raise TypeError(
                "turning a tensor that requires a gradient into an array would drop the gradient silently. "
                "Say so with .numpy() or .detach(), or use the npgrad function of the same name, "
                "which takes lists of tensors too: npgrad.mean([x, y])."
            )
        # Read-only where NumPy takes it without a copy: written to, it would change numbers that a graph uses.
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise TypeError(
            "tensors are not written in place, because the graph may still need the old values. "
            "Use npgrad.where(mask, new, old), or change a leaf's array: t.data[index] = value."
        )

    # -- comparisons: NumPy arrays -------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> Any:
        return self._value() == raw(other)

    def __ne__(self, other: object) -> Any:
        return self._value() != raw(other)

    def __lt__(self, other: TensorLike) -> Any:
        return self._value() < raw(other)

    def __le__(self, other: TensorLike) -> Any:
        return self._value() <= raw(other)

    def __gt__(self, other: TensorLike) -> Any:
        return self._value() > raw(other)

    def __ge__(self, other: TensorLike) -> Any:
        return self._value() >= raw(other)

    # -- put onto the class by npgrad.bindings -------------------------------------------------------------------------

    __array_ufunc__: ClassVar[Callable[..., Any]]
    __array_function__: ClassVar[Callable[..., Any]]
    __add__: ClassVar[Callable[..., Tensor]]
    __radd__: ClassVar[Callable[..., Tensor]]
    __sub__: ClassVar[Callable[..., Tensor]]
    __rsub__: ClassVar[Callable[..., Tensor]]
    __mul__: ClassVar[Callable[..., Tensor]]
    __rmul__: ClassVar[Callable[..., Tensor]]
    __truediv__: ClassVar[Callable[..., Tensor]]
    __rtruediv__: ClassVar[Callable[..., Tensor]]
    __pow__: ClassVar[Callable[..., Tensor]]
    __rpow__: ClassVar[Callable[..., Tensor]]
    __matmul__: ClassVar[Callable[..., Tensor]]
    __rmatmul__: ClassVar[Callable[..., Tensor]]
    __neg__: ClassVar[Callable[..., Tensor]]
    __pos__: ClassVar[Callable[..., Tensor]]
    __abs__: ClassVar[Callable[..., Tensor]]
    __getitem__: ClassVar[Callable[..., Tensor]]
    __mod__: ClassVar[Callable[..., Tensor]]
    __rmod__: ClassVar[Callable[..., Tensor]]
    __round__: ClassVar[Callable[..., Tensor]]
    T: Tensor
    _joined: ClassVar[Callable[[Sequence[Any]], Tensor]]
    """A list that holds tensors, as one tensor."""
    exp: ClassVar[Callable[..., Tensor]]
    log: ClassVar[Callable[..., Tensor]]
    sqrt: ClassVar[Callable[..., Tensor]]
    tanh: ClassVar[Callable[..., Tensor]]
    abs: ClassVar[Callable[..., Tensor]]
    square: ClassVar[Callable[..., Tensor]]
    clip: ClassVar[Callable[..., Tensor]]
    round: ClassVar[Callable[..., Tensor]]
    astype: ClassVar[Callable[..., Tensor]]
    dot: ClassVar[Callable[..., Tensor]]
    sum: ClassVar[Callable[..., Tensor]]
    mean: ClassVar[Callable[..., Tensor]]
    var: ClassVar[Callable[..., Tensor]]
    std: ClassVar[Callable[..., Tensor]]
    max: ClassVar[Callable[..., Tensor]]
    min: ClassVar[Callable[..., Tensor]]
    prod: ClassVar[Callable[..., Tensor]]
    cumsum: ClassVar[Callable[..., Tensor]]
    cumprod: ClassVar[Callable[..., Tensor]]
    sort: ClassVar[Callable[..., Tensor]]
    take: ClassVar[Callable[..., Tensor]]
    repeat: ClassVar[Callable[..., Tensor]]
    diagonal: ClassVar[Callable[..., Tensor]]
    trace: ClassVar[Callable[..., Tensor]]
    reshape: ClassVar[Callable[..., Tensor]]
    ravel: ClassVar[Callable[..., Tensor]]
    flatten: ClassVar[Callable[..., Tensor]]
    squeeze: ClassVar[Callable[..., Tensor]]
    swapaxes: ClassVar[Callable[..., Tensor]]
    transpose: ClassVar[Callable[..., Tensor]]
    argmax: ClassVar[Callable[..., Any]]
    argmin: ClassVar[Callable[..., Any]]
    argsort: ClassVar[Callable[..., Any]]
    any: ClassVar[Callable[..., Any]]
    all: ClassVar[Callable[..., Any]]
    nonzero: ClassVar[Callable[..., Any]]
    tolist: ClassVar[Callable[..., Any]]


TensorLike = Tensor | Array | Sequence[Any] | complex
"""What operations accept: a tensor, an array, a nested sequence of numbers or a number."""


def raw(x: Any) -> Any:
    """The array of a tensor, as `_value` gives it; anything else as it is."""
    return x._value() if isinstance(x, Tensor) else x
