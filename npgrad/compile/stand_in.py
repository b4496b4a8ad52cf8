"""The recording array: what rules compute with while a step is recorded.

It answers like an ndarray and is none, so that nothing can be done to it behind its back: whatever reaches it through
NumPy's protocols, Python's operators or a method is recorded; what would have to look at its numbers is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from npgrad.compile.trace import Value
from npgrad.engine.arrays import Array
from npgrad.engine.recording import StandIn

__all__ = ["GeneratorStandIn", "RecordingArray"]


class RecordingArray(StandIn):
    """Stands in for an ndarray, a NumPy scalar or a Python number; `value.sample` is what it stands for."""

    __slots__ = ("recording", "value")
    __array_priority__ = 1000
    __hash__ = object.__hash__

    def __init__(self, recording: Any, value: Value) -> None:
        self.recording, self.value = recording, value

    @property
    def sample(self) -> Any:
        return self.recording.sample_of(self.value)

    # -- NumPy's protocols ---------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return self.recording.ufunc(ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self.recording.function(function, args, kwargs)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        self.recording.cannot("turns a recorded value into a plain array")
        raise AssertionError

    # -- what is known while recording ---------------------------------------------------------------------------------

    weak = property(lambda self: type(self.sample) in (bool, int, float, complex))
    shape = property(lambda self: np.shape(self.sample))
    ndim = property(lambda self: np.ndim(self.sample))
    size = property(lambda self: np.size(self.sample))
    dtype = property(lambda self: np.asarray(self.sample).dtype)
    strides = property(lambda self: np.asarray(self.sample).strides)
    flags = property(lambda self: np.asarray(self.sample).flags)
    itemsize = property(lambda self: np.asarray(self.sample).itemsize)
    nbytes = property(lambda self: np.asarray(self.sample).nbytes)
    base = property(lambda self: getattr(self.sample, "base", None))

    def __len__(self) -> int:
        return len(self.sample)

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        return f"<recorded {self.dtype} array of shape {self.shape}>"

    # -- what only a run will know -------------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        return bool(self.recording.decide(self.value))

    def item(self, *index: int) -> Any:
        return self.recording.read(self.value, "item()")

    def tolist(self) -> Any:
        return self.recording.read(self.value, "tolist()")

    def __float__(self) -> float:
        return float(self.recording.read(self.value, "float()"))

    def __int__(self) -> int:
        return int(self.recording.read(self.value, "int()"))

    def __complex__(self) -> complex:
        return complex(self.recording.read(self.value, "complex()"))

    def __index__(self) -> int:
        return int(self.recording.read(self.value, "use as an index of something that is not recorded"))

    def __contains__(self, x: Any) -> bool:
        return bool((self == x).any())

    def __format__(self, spec: str) -> str:
        return repr(self)  # in an error message, say

    def number(self) -> Any:
        return self.recording.plain("operator", float, (self,))

    # -- indexing ------------------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        return self.recording.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        self.recording.setitem(self, index, value)

    # -- attributes and methods that are calls -------------------------------------------------------------------------

    T = property(lambda self: self.transpose())
    real = property(lambda self: self.recording.plain("attribute", "real", (self,)))
    imag = property(lambda self: self.recording.plain("attribute", "imag", (self,)))

    def dot(self, other: Any, out: Any = None) -> Any:
        return self.recording.function(np.dot, (self, other), {} if out is None else {"out": out})

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self.recording.reduction(np.add, self, axis, dtype, out, keepdims)

    def prod(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self.recording.reduction(np.multiply, self, axis, dtype, out, keepdims)

    def max(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self.recording.reduction(np.maximum, self, axis, None, out, keepdims)

    def min(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self.recording.reduction(np.minimum, self, axis, None, out, keepdims)

    def any(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self.recording.reduction(np.logical_or, self, axis, None, out, keepdims)

    def all(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return self.recording.reduction(np.logical_and, self, axis, None, out, keepdims)

    def take(self, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
        options = {"axis": axis, "mode": mode} | ({} if out is None else {"out": out})
        return self.recording.function(np.take, (self, indices), options)

    def argmax(self, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
        options = {"axis": axis} | ({"keepdims": True} if keepdims else {}) | ({} if out is None else {"out": out})
        return self.recording.function(np.argmax, (self,), options)

    def clip(self, min: Any = None, max: Any = None, out: Any = None) -> Any:
        if min is None or max is None:
            ufunc, bound = (np.minimum, max) if min is None else (np.maximum, min)
            return self.recording.ufunc(ufunc, "__call__", (self, bound), {} if out is None else {"out": (out,)})
        return self.recording.function(np.clip, (self, min, max), {} if out is None else {"out": out})

    def copy(self, order: str = "C") -> Any:
        return self.recording.plain("copy", None, (self,), {"order": order})

    def astype(
        self, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        if not copy and self.dtype == np.dtype(dtype):
            return self
        return self.recording.plain("copy", None, (self,), {"order": order, "dtype": np.dtype(dtype)})

    def fill(self, value: Any) -> None:
        self.recording.setitem(self, Ellipsis, value)

    def reshape(self, *shape: Any, **options: Any) -> Any:
        shape = shape[0] if len(shape) == 1 else shape
        return self.recording.plain("method", "reshape", (self, shape), options)

    def transpose(self, *axes: Any) -> Any:
        order = axes[0] if len(axes) == 1 else axes or None
        return self.recording.plain("method", "transpose", (self, order) if order is not None else (self,))

    # -- in-place operators --------------------------------------------------------------------------------------------


def _method(name: str) -> Callable[..., Any]:
    def method(self: RecordingArray, *args: Any, **kwargs: Any) -> Any:
        return self.recording.plain("method", name, (self, *args), kwargs)

    return method


for _name in (
    "argmin", "argsort", "cumprod", "cumsum", "diagonal", "mean", "ravel", "flatten", "repeat", "round", "squeeze",
    "std", "swapaxes", "trace", "var", "view",
):  # fmt: skip
    setattr(RecordingArray, _name, _method(_name))


def _binary(ufunc: np.ufunc) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    def forward(self: RecordingArray, other: Any) -> Any:
        return self.recording.binary(ufunc, self, other)

    def reflected(self: RecordingArray, other: Any) -> Any:
        return self.recording.binary(ufunc, other, self)

    def in_place(self: RecordingArray, other: Any) -> Any:
        if isinstance(self.sample, np.ndarray):
            return self.recording.ufunc(ufunc, "__call__", (self, other), {"out": (self,)})
        return self.recording.binary(ufunc, self, other)

    return forward, reflected, in_place


for _name, _ufunc in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide, "floordiv": np.floor_divide,
    "mod": np.remainder, "matmul": np.matmul, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "lshift": np.left_shift, "rshift": np.right_shift, "pow": np.power,
}.items():  # fmt: skip
    for _prefix, _function in zip(("", "r", "i"), _binary(_ufunc), strict=True):
        setattr(RecordingArray, f"__{_prefix}{_name}__", _function)

for _name, _ufunc in {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal
}.items():  # fmt: skip
    setattr(RecordingArray, f"__{_name}__", _binary(_ufunc)[0])

for _name, _ufunc in {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}.items():
    setattr(
        RecordingArray,
        f"__{_name}__",
        lambda self, ufunc=_ufunc: self.recording.unary(ufunc, self),
    )


class GeneratorStandIn(StandIn):
    """Stands in for a random generator: what is drawn while recording is drawn anew at each run."""

    def __init__(self, recording: Any, generator: np.random.Generator) -> None:
        self.recording, self.generator = recording, generator

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.generator, name)
        if not callable(method):
            return method
        return lambda *args, **kwargs: self.recording.draw(self.generator, name, args, kwargs)
