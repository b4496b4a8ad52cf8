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

Buffers. An attribute that the class *declares* as an array (`t: Array`) reads as None until it is first assigned. So
`self.t = np.tanh(x, out=self.t)` allocates when the node is new and writes into the same memory when the node is run
again, which is all that `npgrad.replay` does. A Function that does not follow this idiom replays correctly too, only
slower.

Broadcasting. `backward` may return, for each input, a gradient of the *broadcast* shape: the sweep sums it down to the
shape of the input (`unbroadcast`, in one place for all Functions). With y = a + b and a broadcast along axis i, the
entry a[j] was used for every i, so its derivative is the sum of all those uses: the transpose of copying is summing.
"""

from __future__ import annotations

import sys
from os.path import dirname, join
from types import CodeType
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import ReferenceType

import numpy as np

from npgrad.declared import get_annotations
from npgrad.holomorphic import entering, leaving
from npgrad.mode import MODE
from npgrad.tensor import Array, Hook, Tensor, tick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    registry: dict[str, type[Function]]
    """Every Function of the library by name, family by family: what tests, derivations and benchmarks enumerate."""

__all__ = ["Function", "registry", "unbroadcast"]

_PACKAGE = join(dirname(__file__), "")
# What every operation looks up has a short way to it.
_ndarray = np.ndarray
_new_tensor = Tensor.__new__
# Python scalars stay what they are: NEP 50 makes them weak, so float32 * 2.0 remains float32.
_WEAK = frozenset({float, int, bool, complex, type(None)})
_NUMBERS = frozenset(map(np.dtype, "?bhilqBHILQefdgFDG"))
_ALL = tuple([(True,) * count for count in range(9)])


class _Ours(dict[str, bool]):
    """Whether a source file belongs to the library, by its name."""

    def __missing__(self, name: str) -> bool:
        self[name] = ours = name.startswith(_PACKAGE)
        return ours


_ours = _Ours()


class Function:
    """One differentiable operation: subclass it, write `forward` and `backward`, call `apply`.

    `forward(self, *arrays, **options)` returns the result array and keeps on `self` what `backward` needs.
    `backward(self, dy)` receives the derivative of the loss with respect to the result, in exactly its shape and dtype,
    and returns the derivative with respect to each positional input: an array, or a tuple with one entry per input,
    None for inputs that have none. It must not write into `dy`. `self.needs[k]` says whether input k wants a gradient.
    """

    # Optional: raises if shapes or options make no sense. Not asked again when a node runs again on equal shapes.
    check: ClassVar[Callable[..., None] | None] = None
    needs: tuple[bool, ...] = ()
    # For every input: the node that made it, the leaf tensor itself, or None; None as a whole once the graph is freed.
    edges: list[Function | Tensor | None] | None = None
    # The leaves among the inputs, with a gradient or not.
    leaves: tuple[Tensor, ...] = ()
    # When the node last ran (see `npgrad.tensor.tick`): later than the nodes that made its inputs.
    age: int = 0
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    # Whether anybody is to be shown the gradient: hooks, or a tensor that retains it.
    watched: bool = False
    hooks: list[Hook] | None = None
    retained: ReferenceType[Tensor] | None = None
    taped: bool = False
    # How a replay hands gradients of leaves over in the node's own memory (`npgrad.route`).
    handovers: list[Any] | None = None
    # The sweep that has this node in its hands.
    claimed: object = None
    # During a sweep: the sum of the gradients that have arrived so far.
    arriving: Array | None = None
    arriving_is_sum: bool = False
    # The line of the user's code, as (code, instruction): resolving it to text waits until an error asks.
    origin: tuple[CodeType, int] | None = None
    buffers: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        declared = {name for name, kind in get_annotations(cls).items() if "array" in str(kind).lower()}
        cls.buffers = cls.buffers | declared
        for name in declared - set(vars(cls)):
            setattr(cls, name, None)

    def forward(self, *arrays: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no forward method: define forward(self, *arrays).")

    def backward(self, dy: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no backward method: define backward(self, dy).")

    @classmethod
    def apply(cls, *inputs: Any, **options: Any) -> Tensor:
        """Run `forward` on the inputs' arrays; record the node if an input requires a gradient.

        Inputs are tensors, arrays, Python scalars or None; options are passed to `forward` as they are. Arrays that are
        not tensors are copied when the graph keeps them, so that changing them afterwards cannot falsify a gradient.
        """
        mode = MODE.get()
        tape = mode.tape
        if tape is not None:
            entry = next(tape.upcoming, None)
            if entry is not None:
                known = entry.rerun(cls, inputs, options, mode)
                if known is not None:
                    return known
                tape.forget(entry)
        arrays: list[Any] = []
        edges: list[Function | Tensor | None] = []
        leaves: tuple[Tensor, ...] = ()
        tracked = 0
        plain: list[int] = []
        for x in inputs:
            edge: Function | Tensor | None = None
            if isinstance(x, Tensor):
                edge = x._node
                if edge is None:
                    leaves = (*leaves, x)
                    if x._fingerprint is not None:
                        x._observe()
                    if x.requires_grad:
                        edge = x
                arrays.append(x._data)
                if edge is not None:
                    tracked += 1
            elif type(x) in _WEAK:
                arrays.append(x)
            else:
                plain.append(len(arrays))
                arrays.append(x if type(x) is _ndarray and x.dtype in _NUMBERS else as_array(x))
            edges.append(edge)
        if not mode.grad:
            tracked = 0
        if tracked:
            for k in plain:
                arrays[k] = arrays[k].copy()
        if mode.holomorphic:
            arrays, options = entering(arrays, [tracked > 0 and edge is not None for edge in edges], options)

        node = cls()
        if tracked:
            every = tracked == len(edges) < len(_ALL)
            node.needs = _ALL[tracked] if every else tuple([edge is not None for edge in edges])
        if cls.check is not None:
            cls.check(*arrays, **options)
        y = node.forward(*arrays, **options)
        if mode.holomorphic:
            y = leaving(y, arrays, cls.__name__)
        elif type(y) is not _ndarray:
            y = np.asarray(y)
        if not tracked:
            y = unshared(y, arrays)
        out = _new_tensor(Tensor)
        out._data = y
        if tracked:
            node.edges = edges
            if leaves:
                node.leaves = leaves
            node.age = tick()
            node.shape = y.shape
            node.dtype = y.dtype
            frame = sys._getframe(1)
            while _ours[frame.f_code.co_filename] and frame.f_back is not None:
                frame = frame.f_back
            node.origin = (frame.f_code, frame.f_lasti)
            out._node = node
            out.requires_grad = True
        if tape is not None:
            tape.add(cls, inputs, arrays, options, mode, node, out)
        return out

    def own_buffers(self) -> None:
        """Make 0-d results, which NumPy returns as scalars, arrays that can be written into."""
        for name in self.buffers:
            value = getattr(self, name)
            if isinstance(value, np.generic):
                setattr(self, name, np.asarray(value))

    def verify(self) -> None:
        """Raise if a leaf this node read has been changed since."""
        for leaf in self.leaves:
            if leaf._fingerprint is not None:
                leaf._observe()
            if leaf._version > self.age:
                raise RuntimeError(
                    f"{self.describe()} used a tensor of shape {leaf.shape} that was changed between forward and "
                    "backward, so its gradient would be wrong. Change it after backward(), or run forward again."
                )

    def release(self) -> None:
        """Let go of everything the forward pass saved."""
        shape, origin = self.shape, self.origin
        self.__dict__.clear()
        self.shape, self.origin = shape, origin

    def describe(self) -> str:
        """Function, shape of the result and the line of the user's code: the 'where' of every error message."""
        text = f"{type(self).__name__} (result of shape {self.shape})"
        if self.origin is not None:
            code, instruction = self.origin
            line = next((row for start, stop, row in code.co_lines() if start <= instruction < stop), None)
            text += f" at {code.co_filename}:{line}"
        return text

    def parents(self) -> Iterator[Function]:
        """The nodes that made this node's inputs."""
        for edge in self.edges or ():
            if isinstance(edge, Function):
                yield edge


def as_array(x: Any, copy: bool = False) -> Array:
    """`x` as a native-endian numeric array, copied on request.

    Raises TypeError for anything NumPy can hold only as objects or text.
    """
    a = np.array(x) if copy else np.asarray(x)
    if a.dtype.kind not in "biufc":
        kind = type(x).__name__
        raise TypeError(f"npgrad computes with numbers; got {kind} of dtype {a.dtype}. Convert it to a numeric array.")
    return a if a.dtype.isnative else a.astype(a.dtype.newbyteorder("="))


def unshared(y: Array, arrays: list[Any]) -> Array:
    """`y`, copied if it may be a view of an input: outside a graph nobody watches whether that changes."""
    return y.copy() if y.base is not None or any(y is a for a in arrays) else y


def unbroadcast(dy: Array, shape: tuple[int, ...]) -> Array:
    """Sum `dy` over the axes along which an operand of `shape` was broadcast; the transpose of broadcasting.

    Raises ValueError if `shape` does not broadcast to the shape of `dy`.
    """
    extra = dy.ndim - len(shape)
    tail = dy.shape[extra:] if extra >= 0 else ()
    if extra < 0 or any(n != m and n != 1 for n, m in zip(shape, tail, strict=True)):
        raise ValueError(f"a gradient of shape {dy.shape} does not fit an input of shape {shape}")
    axes = tuple(range(extra)) + tuple(
        extra + k for k, (n, m) in enumerate(zip(shape, tail, strict=True)) if n == 1 and m != 1
    )
    return np.asarray(np.add.reduce(dy, axis=axes)).reshape(shape) if axes else dy.reshape(shape)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name != "registry":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # Made when it is first asked for, because it needs all the families and few programs do.
        from npgrad import functions

        public = [getattr(functions, name) for name in functions.__all__]
        return globals().setdefault("registry", {f.__name__: f for f in public if isinstance(f, type)})
