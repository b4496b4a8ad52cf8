"""Function: one forward/backward pair, and one node of the graph.

A node of the graph *is* an instance of a `Function`. Its `forward` receives arrays and returns an array; what
`backward` will need it keeps as attributes, under the names the derivation in the docstring uses. Your own rule is
written the same way as the ones of the library:

    class Square(Function):
        def forward(self, x):
            self.x = x
            return x * x

        def backward(self, dy):
            return 2 * self.x * dy

    y = Square.apply(x)

Ownership. `backward` must not write into `dy`, and must not return an array that the node goes on using; it may return
`dy`, a view, or the same array for two inputs. Whoever keeps a gradient copies it.

Broadcasting. `backward` may return, for each input, a gradient of the *broadcast* shape: it is summed down to the shape
of the input in one place for all Functions (`npgrad.engine.arrays.unbroadcast`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from os.path import dirname, join
from typing import Any, ClassVar

import numpy as np

from npgrad.engine.arrays import Array, as_array, tick
from npgrad.engine.holomorphic import entering, leaving
from npgrad.engine.mode import MODE
from npgrad.engine.node import Leaf, Node
from npgrad.engine.recording import StandIn
from npgrad.engine.tensor import Tensor

__all__ = ["Function"]

_PACKAGE = join(dirname(dirname(__file__)), "")
# What the graph keeps on a node: a rule that saved something under such a name would read something else in backward.
_TAKEN = frozenset(vars(Node)) | {"out_shape", "out_dtype"}
# Python scalars stay what they are: NEP 50 makes them weak, so float32 * 2.0 remains float32.
_WEAK = frozenset({float, int, bool, complex, type(None)})
_SEQUENCES = frozenset({list, tuple})


class _Ours(dict[str, bool]):
    """Whether a source file belongs to the library, remembered."""

    def __missing__(self, filename: str) -> bool:
        self[filename] = ours = filename.startswith(_PACKAGE)
        return ours


OURS = _Ours()
"""Whether a source file belongs to the library, by its name."""


class Function(Node):
    """One differentiable operation: subclass it, write `forward` and `backward`, call `apply`.

    `forward(self, *arrays, **options)` returns the result array and keeps on `self` what `backward` needs.
    `backward(self, dy)` receives the derivative of the loss with respect to the result, in exactly its shape and dtype,
    and returns the derivative with respect to each positional input: an array, or a tuple with one entry per input,
    None for inputs that have none. It must not write into `dy`. `self.needs[k]` says whether input k wants a gradient.
    """

    # Optional: raises if shapes or options make no sense.
    check: ClassVar[Callable[..., None] | None] = None
    needs: tuple[bool, ...] = ()

    def forward(self, *arrays: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no forward method: define forward(self, *arrays).")

    @classmethod
    def apply(cls, *inputs: Any, **options: Any) -> Tensor:
        """Run `forward` on the inputs' arrays; record the node if an input requires a gradient.

        Inputs are tensors, arrays, Python scalars, None, or (nested) lists of tensors, which are stacked; options are
        passed to `forward` as they are. Arrays that are not tensors are copied when the graph keeps them, so that
        changing them afterwards cannot falsify a gradient.
        """
        mode = MODE.get()
        arrays: list[Any] = []
        edges: list[Node | None] = []
        leaves: list[Leaf] = []
        plain: list[int] = []
        tracked = False
        for x in inputs:
            edge: Node | None = None
            if isinstance(x, Tensor):
                edge = x._node
                if edge is None or type(edge) is Leaf:
                    edge = x._leaf()
                    leaves.append(edge)
                if not edge.requires_grad:
                    edge = None
                elif mode.grad:
                    tracked = True
                x = x._array
            elif type(x) not in _WEAK and not (isinstance(x, StandIn) and x.weak):
                if type(x) in _SEQUENCES and holds_tensors(x):
                    return cls.apply(*[Tensor._joined(x) if holds_tensors(x) else x for x in inputs], **options)
                plain.append(len(arrays))
                x = as_array(x)
            arrays.append(x)
            edges.append(edge)
        node = cls()
        needs = node.needs
        if tracked:
            node.needs = needs = tuple([edge is not None for edge in edges])
            for k in plain:
                a = arrays[k] if mode.recorder is None else mode.recorder.lift(arrays[k])
                arrays[k] = a.copy()
        if mode.holomorphic:
            arrays, options = entering(arrays, [tracked and edge is not None for edge in edges], options)
        if mode.recorder is not None:
            y = mode.recorder.forward(node, arrays, options, tuple(leaves))
        else:
            if cls.check is not None:
                cls.check(*arrays, **options)
            y = node.forward(*arrays, **options)
        if mode.holomorphic:
            y = leaving(y, arrays, cls.__name__)
        elif type(y) is not np.ndarray:
            y = as_array(y)
        if mode.recorder is None and not _TAKEN.isdisjoint(node.__dict__):  # a recorder replaces `backward`
            raise _taken(cls, min(_TAKEN.intersection(node.__dict__)))
        if node.needs is not needs:
            raise _taken(cls, "needs")
        if not tracked:
            return Tensor._of(unshared(y, arrays))
        if options and mode.recorder is None:
            keep_own(node, options)
        if leaves:
            node.readings = tuple([leaf.storage.read() for leaf in leaves])
        node.edges = tuple(edges)
        node.seq = tick()
        node.out_shape = y.shape
        node.out_dtype = y.dtype
        frame = sys._getframe(1)
        while OURS[frame.f_code.co_filename] and frame.f_back is not None:
            frame = frame.f_back
        node.origin = (frame.f_code, frame.f_lasti)
        return Tensor._of(y, node)


def keep_own(node: Function, options: dict[str, Any]) -> None:
    """Copy arrays that the node saved of its options, which their owner may change before backward."""
    given = [id(a) for a in options.values() if isinstance(a, np.ndarray)]
    if given:
        for name, saved in vars(node).items():
            if id(saved) in given:
                setattr(node, name, saved.copy())


def _taken(cls: type[Function], name: str) -> RuntimeError:
    return RuntimeError(
        f"forward of {cls.__name__} set self.{name}, which the graph uses for itself. Choose another name."
    )


def unshared(y: Array, arrays: list[Any]) -> Array:
    """`y`, copied if it may be a view of an input: outside a graph nobody watches whether that changes."""
    return y.copy() if y.base is not None or any(y is a for a in arrays) else y


def holds_tensors(x: Any) -> bool:
    """Whether `x` is a nested list with a tensor in it."""
    return type(x) in _SEQUENCES and any(isinstance(item, Tensor) or holds_tensors(item) for item in x)
