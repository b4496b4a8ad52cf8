"""Recording: run a function once on stand-ins for its arrays, and note every NumPy call it leads to.

The run is a dry one. It computes real numbers, since what follows may depend on shapes and on what checks find, and
whatever it has changed (parameters, running statistics, generators, counters) is put back afterwards.
"""

from __future__ import annotations

import operator
import re
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import numpy as np

from npgrad.compile.place import current_function, in_rule, place_of, user_line
from npgrad.compile.runtime import Opaque
from npgrad.compile.stand_in import GeneratorStandIn, RecordingArray
from npgrad.compile.trace import Call, CompileError, Memory, Value, is_array, replaced, values_in
from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.node import Leaf, Loan
from npgrad.engine.recording import StandIn

__all__ = ["Recording", "Unrecordable"]

_REDUCTIONS = {np.sum: np.add, np.prod: np.multiply, np.max: np.maximum, np.amax: np.maximum, np.min: np.minimum}
_REDUCTIONS |= {np.amin: np.minimum, np.any: np.logical_or, np.all: np.logical_and}
_KNOWN = frozenset(
    {np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, np.isrealobj, np.can_cast, np.min_scalar_type}
)
_MADE = {np.zeros_like: 0, np.ones_like: 1, np.full_like: None, np.empty_like: 0}
_PRINTED = frozenset({np.array2string, np.array_repr, np.array_str})
_CLOSED = (
    "an array or tensor made inside a compiled function was used after the call. What a compiled function computes "
    "lives in memory of its own, which the next call uses again: return it."
)
# Python numbers with which `x ** n` is something simpler: what NumPy itself does.
_POWERS = {2: np.square, 0.5: np.sqrt, -1: np.reciprocal, 1: np.positive}
_ASSIGNMENT = r"(\w+)\s*(?::[^=]+)?=[^=]"


class Unrecordable(BaseException):
    """A Function has done what cannot be recorded: it is to be a call of its methods instead."""

    def __init__(self, function: type[Function], why: str) -> None:
        super().__init__(function, why)
        self.function, self.why = function, why


class Recording:
    """The calls of one run, in order, and what has to be undone afterwards."""

    def __init__(self, opaque: dict[type[Function], str]) -> None:
        self.opaque = opaque
        """Functions that are called instead of being recorded, and why."""
        self.functions: set[type[Function]] = set()
        """All that were applied."""
        self.calls: list[Call] = []
        self.memories: dict[int, Memory] = {}
        self.stand_ins: dict[int, RecordingArray] = {}
        self.leaves: dict[int, Leaf] = {}
        self.arrays: dict[int, Leaf] = {}
        self.local: set[Leaf] = set()
        """The leaves that the function made itself: nobody outside knows them."""
        self.gradients: dict[Leaf, Any] = {}
        """The leaves whose gradient the run reads or sets, and what it was before."""
        self.gradients_read: dict[Leaf, Value] = {}
        self.generators: dict[int, tuple[np.random.Generator, Any]] = {}
        self.hosts: list[Any] = []
        """The objects whose methods are called at each run."""
        self.undo: list[Callable[[], None]] = []
        self.saved: set[int] = set()
        self.scalars: dict[Memory, Array] = {}
        """Arrays without axes, for memories that hold one number."""
        self.decided: set[Value] = set()
        self.named: dict[str, Value] = {}
        """For a line of the user's the value that has its name."""
        self.errors = np.geterr()
        self.captured: dict[Leaf, Any] | None = None
        self.closed = False

    # -- what the engine asks ------------------------------------------------------------------------------------------

    def lift(self, x: Any) -> Any:
        """The stand-in for an array or a generator; anything else as it is."""
        if isinstance(x, np.ndarray):
            known = self.stand_ins.get(id(x))
            if known is None:
                memory = self.external(x)
                value = memory.value
                assert value is not None
                known = self.stand_ins[id(x)] = RecordingArray(self, value)
            return known
        if isinstance(x, np.random.Generator):
            self.generators.setdefault(id(x), (x, x.bit_generator.state))
            return GeneratorStandIn(self, x)
        return x

    def value(self, tensor: Any) -> Any:
        """The stand-in for the array of a tensor that is read without a Function: that of a leaf may be another one
        at the next run."""
        if isinstance(tensor._array, np.ndarray) and isinstance(tensor._node, Leaf):
            self.know(tensor._node)
        return self.lift(tensor._array)

    def external(self, array: np.ndarray[Any, Any]) -> Memory:
        """The memory of an array of the user's, which stays where it is."""
        memory = self.memories.get(id(array))
        if memory is None:
            memory = self.memories[id(array)] = Memory("external", array)
            memory.value = Value(array, memory)
            memory.leaf = self.arrays.get(id(array))
        return memory

    def born(self, leaf: Leaf) -> None:
        """`leaf` was made by the recorded function."""
        self.local.add(leaf)

    def know(self, leaf: Leaf) -> None:
        """`leaf` takes part: changes of its array are changes of the leaf."""
        if id(leaf) not in self.leaves:
            self.leaves[id(leaf)] = leaf
            array = leaf.storage.array
            if isinstance(array, np.ndarray):
                self.arrays[id(array)] = leaf
                if id(array) in self.memories:
                    self.memories[id(array)].leaf = leaf

    def leaf(self, leaf: Leaf, reading: bool = False) -> None:
        """The gradient of `leaf` is about to be read or set."""
        self.know(leaf)
        if leaf in self.gradients:
            return
        before = leaf._grad
        self.gradients[leaf] = before
        if reading and before is not None and not isinstance(before, StandIn):
            array = before.array if isinstance(before, Loan) else before
            memory = Memory("argument")
            memory.value = Value(array.copy(), memory)
            memory.leaf = leaf
            self.gradients_read[leaf] = memory.value
            leaf._grad = RecordingArray(self, memory.value)  # type: ignore[assignment]
        elif reading and before is None:
            self.gradients_read[leaf] = None  # type: ignore[assignment]

    def accumulate(self, leaf: Leaf, g: Any) -> bool:
        """Take the gradient of a leaf instead of it, while a backward pass is recorded for later."""
        if self.captured is None:
            return False
        self.know(leaf)
        self.captured[leaf] = g
        return True

    def forward(self, node: Function, arrays: list[Any], options: dict[str, Any], leaves: tuple[Leaf, ...]) -> Any:
        """`node.forward` on stand-ins, or as one call if it cannot be recorded."""
        self.functions.add(type(node))
        for leaf in leaves:
            self.know(leaf)
        arrays = [self.lift(a) for a in arrays]
        options = {name: self.lift(x) for name, x in options.items()}
        if type(node) in self.opaque:
            return self.opaque_forward(node, arrays, options)
        if node.check is not None:
            try:
                node.check(*arrays, **options)
            except (CompileError, Unrecordable) as error:  # it is about to raise, and says what it found
                raise Eager(f"the check of {type(node).__name__} reads values") from error
        made = len(self.calls)
        y = node.forward(*arrays, **options)
        if not isinstance(y, RecordingArray):
            return self.lift(np.asarray(y))
        if self.scalar(y.value.memory) and isinstance(y.value.sample, np.generic):
            y.value.sample = self.in_a_run(y.value)  # as the array of a tensor is one
        if y.value.call in self.calls[made:]:
            self.name_result(y.value, self.calls[-1].place.section)
        return y

    def name_result(self, value: Value, section: str) -> None:
        """Call the result of the last operation in a line of the user's what that line assigns it to."""
        found = re.match(_ASSIGNMENT, section.partition("  ")[2])
        if found:
            earlier = self.named.get(section)
            if earlier is not None and earlier.call is not None:
                earlier.name = earlier.call.place.name
            self.named[section] = value
            value.name = found[1]

    def host(self, call: Callable[..., Any], *args: Any) -> Any:
        """Make a call that changes Python objects, now and at each run; its numbers are looked up at each run."""
        owner = call.__self__  # type: ignore[attr-defined]
        if owner not in self.hosts:
            self.hosts.append(owner)
            self.undo.append(owner._snapshot())
        result = call(*args)
        note = self.note("host", call, (), {})
        note.args = args
        found: list[tuple[int, str, Value]] = []
        fixed: list[tuple[int, str, Any]] = []
        made: dict[int, dict[str, Any]] = {}

        def stand_ins(k: int, numbers: dict[str, Any]) -> dict[str, Any]:
            if id(numbers) not in made:
                made[id(numbers)] = given = {}
                for name, number in numbers.items():
                    if type(number) is not float:
                        given[name] = number
                        fixed.append((k, name, number))
                        continue
                    value = Value(number, Memory("number"))
                    value.memory.value = value
                    value.call, value.name = note, name
                    found.append((k, name, value))
                    given[name] = RecordingArray(self, value)
            return made[id(numbers)]

        note.out = found  # type: ignore[assignment]
        note.kwargs = {"fixed": fixed}
        return [stand_ins(k, numbers) for k, numbers in enumerate(result or ())]

    def refuse(self, what: str) -> NoReturn:
        """Raise `CompileError`: this step has to run eagerly."""
        raise Eager(what)

    # -- what the stand-ins ask ----------------------------------------------------------------------------------------

    def sample_of(self, value: Value) -> Any:
        if self.closed:
            raise CompileError(_CLOSED)
        return value.sample

    def ufunc(self, ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """A call of a ufunc, one of its reductions, or `ufunc.at`."""
        out = options.pop("out", None)
        if out is not None and not isinstance(out, tuple):
            out = (out,)
        if method == "__call__":
            if ufunc.nout != 1:
                self.cannot(f"uses np.{ufunc.__name__}, which has several results")
            return self.made("ufunc", ufunc, inputs, options, out and out[0])
        if method == "at":
            self.write(inputs[0], "at", ufunc, inputs, options)
            return None
        if method == "reduce":
            given = dict(zip(("axis", "dtype", "out", "keepdims", "initial", "where"), inputs[1:], strict=False))
            given |= options
            if given.pop("out", None) is not None:
                self.cannot("gives out= by position")
            if not {"initial", "where"} & {key for key, x in given.items() if x is not None}:
                return self.reduction(
                    ufunc,
                    inputs[0],
                    given.get("axis", 0),
                    given.get("dtype"),
                    out and out[0],
                    given.get("keepdims", False),
                )
        return self.made("ufunc_method", getattr(ufunc, method), inputs, options, out and out[0])

    def reduction(self, ufunc: np.ufunc, x: Any, axis: Any, dtype: Any, out: Any, keepdims: bool) -> Any:
        return self.made("reduce", ufunc, (x, axis, dtype, bool(keepdims)), {}, out)

    def function(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call of one of NumPy's functions."""
        if function in _PRINTED:
            self.read(args[0].value, "printing it")
        if function in _KNOWN:
            return function(*self.samples(args), **self.samples(kwargs))
        if function in _MADE:
            like = args[0]
            options = dict(zip(("dtype", "order", "subok", "shape"), args[1:], strict=False))
            fill = _MADE[function]
            if function is np.full_like:
                fill, options = args[1], dict(zip(("dtype", "order", "subok", "shape"), args[2:], strict=False))
            options |= {key: x for key, x in kwargs.items() if key != "fill_value"}
            fill = kwargs.get("fill_value", fill)
            return self.make(self.samples(like), fill, options)
        if function in _REDUCTIONS and set(kwargs) <= {"axis", "keepdims", "out"} and len(args) <= 2:
            axis = args[1] if len(args) > 1 else kwargs.get("axis")
            out = kwargs.get("out")
            return self.reduction(_REDUCTIONS[function], args[0], axis, None, out, kwargs.get("keepdims", False))
        if function is np.copyto:
            if kwargs.get("where") is not None or len(args) > 2:
                self.write(args[0], "copyto", np.copyto, args, kwargs)
            else:
                self.setitem(args[0], Ellipsis, args[1])
            return None
        kwargs = dict(kwargs)
        out = kwargs.pop("out", None)
        return self.made("function", function, args, kwargs, out)

    def binary(self, ufunc: np.ufunc, a: Any, b: Any) -> Any:
        """An operator. Between Python numbers it stays one."""
        if not all(is_array(self.samples(x)) or isinstance(self.samples(x), int | float | complex) for x in (a, b)):
            return NotImplemented
        if not is_array(self.samples(a)) and not is_array(self.samples(b)):
            return self.made("operator", _OPERATORS[ufunc], (a, b), {}, None)
        if ufunc is np.power and type(b) in (int, float) and b in _POWERS and self.dtype_kind(a) in "fc":
            return self.made("ufunc", _POWERS[b], (a,), {}, None)
        return self.made("ufunc", ufunc, (a, b), {}, None)

    def unary(self, ufunc: np.ufunc, a: Any) -> Any:
        if not is_array(self.samples(a)):
            return self.made("operator", _OPERATORS[ufunc], (a,), {}, None)
        return self.made("ufunc", ufunc, (a,), {}, None)

    def dtype_kind(self, x: Any) -> str:
        return np.asarray(self.samples(x)).dtype.kind

    def plain(self, form: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
        """A method, an attribute, an index or a copy."""
        return self.made(form, function, args, kwargs or {}, None)

    def getitem(self, a: RecordingArray, index: Any) -> Any:
        """An index. A mask would give another shape in each run."""
        if any(
            getattr(x, "dtype", None) == np.bool_ and np.ndim(x)
            for x in (index if isinstance(index, tuple) else (index,))
        ):
            self.cannot("selects by a boolean mask, so that the shape depends on values")
        return self.plain("getitem", operator.getitem, (a, index))

    def setitem(self, target: RecordingArray, index: Any, value: Any) -> None:
        self.write(target, "setitem", operator.setitem, (target, index, value), {})

    def draw(self, generator: np.random.Generator, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Random numbers."""
        return self.made("draw", getattr(generator, name), args, kwargs, None)

    def decide(self, value: Value) -> bool:
        """`bool()` of a recorded value: what was true while recording has to be true at each run."""
        if not in_rule():
            self.read(value, "a branch on a value (bool())")
        answer = bool(value.sample)
        if value not in self.decided or value.memory.written > 1:
            self.decided.add(value)
            self.note("guard", answer, (RecordingArray(self, value),), {})
        return answer

    def read(self, value: Value, how: str) -> NoReturn:
        """Refuse to give out a number: by the user's function for good, by a rule for recording."""
        if current_function() is not None:
            self.cannot(f"reads a value ({how})")
        raise CompileError(
            f"{user_line()}: {how} reads a value while the function is recorded; a compiled run could not stop there. "
            "Return the tensor and read it outside, or leave this part out of the compiled function."
        )

    def cannot(self, what: str) -> NoReturn:
        """A rule cannot be recorded; anything else is the user's line to change."""
        node = current_function()
        if node is not None:
            raise Unrecordable(type(node), what)
        raise CompileError(
            f"{user_line()}: this line {what}, which a compiled run could not follow. Give the array to the function "
            "as "
            "an argument, use npgrad's or NumPy's functions on it, or leave the line out of the compiled function."
        )

    # -- the record ----------------------------------------------------------------------------------------------------

    def samples(self, x: Any) -> Any:
        """`x` with the numbers it stands for."""
        if isinstance(x, RecordingArray):
            if x.recording is not self:
                raise CompileError(_CLOSED)
            return x.sample
        if isinstance(x, tuple | list):
            return type(x)([self.samples(item) for item in x])
        if isinstance(x, dict):
            return {key: self.samples(item) for key, item in x.items()}
        if isinstance(x, slice):
            return slice(*[self.samples(item) for item in (x.start, x.stop, x.step)])
        return x

    def values(self, x: Any) -> Any:
        """`x` with stand-ins replaced by their values, and plain arrays by values of external memory."""
        if isinstance(x, RecordingArray):
            return x.value
        if isinstance(x, np.ndarray):
            return self.lift(x).value
        if isinstance(x, tuple | list):
            return type(x)([self.values(item) for item in x])
        if isinstance(x, dict):
            return {key: self.values(item) for key, item in x.items()}
        if isinstance(x, slice):
            return slice(*[self.values(item) for item in (x.start, x.stop, x.step)])
        return x

    def note(self, form: str, function: Any, args: Any, kwargs: Any) -> Call:
        call = Call(form, function, self.values(tuple(args)), self.values(kwargs), place_of(sys._getframe(1)))
        errors = np.geterr()
        call.errors = None if errors == self.errors else dict(errors)
        self.calls.append(call)
        return call

    def made(self, form: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Any:
        """Make a call on the samples, and note it with its result."""
        if out is not None:
            self.write(out, form, function, args, kwargs, out)
            return out
        args_, kwargs_ = self.samples(args), self.samples(kwargs)
        result = perform(form, function, args_, kwargs_, None)
        if not is_array(result) and not isinstance(result, int | float | complex):
            if isinstance(result, list | tuple):
                return self.several(form, function, args, kwargs, result)
            self.cannot(f"has a result of type {type(result).__name__}")
        call = self.note(form, function, args, kwargs)
        return self.result(call, result)

    def result(self, call: Call, result: Any) -> RecordingArray:
        """The stand-in for the result of `call`: a view of what it was taken from, or new memory."""
        shared = self.source_of(call, result) if call.form not in ("ufunc", "reduce", "copy", "make") else None
        if shared is not None:
            value = Value(result, shared, view=call)
        else:
            kind = "planned" if is_array(result) else "number"
            value = Value(result, Memory(kind))
            value.memory.value = value
            call.writes.append(value.memory)
            value.memory.written += 1
        value.call = call
        value.name = call.place.name
        call.out = value
        return RecordingArray(self, value)

    def source_of(self, call: Call, result: Any) -> Memory | None:
        """The memory that `result` is a view of, if it is one.

        What is a NumPy scalar while recording, and has no views, is in a run an array without axes.
        """
        if any(self.scalar(value.memory) for value in values_in((call.args, call.kwargs))):
            args, kwargs = replaced((call.args, call.kwargs), self.in_a_run)
            result = perform(call.form, call.function, args, kwargs, None)
        if isinstance(result, np.ndarray) and result.size:
            for memory in call.reads:
                whole = memory.value and self.in_a_run(memory.value)
                if isinstance(whole, np.ndarray) and np.may_share_memory(result, whole):
                    return memory
        return None

    def scalar(self, memory: Memory) -> bool:
        """Whether this memory, an array without axes in a run, began as a NumPy scalar."""
        if memory.kind == "argument" or memory.value is None:
            return False
        return memory in self.scalars or isinstance(memory.value.sample, np.generic)

    def in_a_run(self, value: Value) -> Any:
        """What a value is in a run: its sample, or an array in the place of a NumPy scalar."""
        if not self.scalar(value.memory):
            return value.sample
        if value.view is None:
            return self.scalars.setdefault(value.memory, np.array(value.sample))
        args, kwargs = replaced((value.view.args, value.view.kwargs), self.in_a_run)
        return perform(value.view.form, value.view.function, args, kwargs, None)

    def several(self, form: str, function: Any, args: Any, kwargs: Any, results: Any) -> Any:
        self.cannot(f"uses np.{getattr(function, '__name__', function)}, which has several results")

    def make(self, like: Any, fill: Any, options: dict[str, Any]) -> RecordingArray:
        """New memory filled with one number."""
        options = {key: x for key, x in options.items() if x is not None and key in ("dtype", "shape", "order")}
        result = np.full_like(like, 0 if isinstance(fill, RecordingArray) else fill, **options)
        call = self.note("make", None, (self.samples(fill),), {})
        made = self.result(call, result)
        if isinstance(fill, RecordingArray):
            self.setitem(made, Ellipsis, fill)
        return made

    def write(
        self, target: Any, form: str, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any = None
    ) -> None:
        """A call that writes into memory which exists."""
        value: Value = self.values(target)
        if not isinstance(value, Value) or not isinstance(value.sample, np.ndarray):
            self.cannot("writes into something that is not an array")
        memory = value.memory
        if memory.kind in ("external", "argument"):
            self.keep(memory)
        perform(form, function, self.samples(args), self.samples(kwargs), None if out is None else value.sample)
        call = self.note(form, function, args, kwargs)
        call.writes.append(memory)
        memory.written += 1
        if out is not None:
            call.out = value
        elif memory not in call.reads:
            call.reads.append(memory)

    # -- Functions that cannot be recorded -----------------------------------------------------------------------------

    def opaque_forward(self, node: Function, arrays: list[Any], options: dict[str, Any]) -> Any:
        """One call of `forward` on plain arrays, and later one of `backward`."""
        samples, given = self.samples(arrays), {k: getattr(x, "generator", self.samples(x)) for k, x in options.items()}
        for x in options.values():
            if isinstance(x, RecordingArray) and x.value.memory.kind == "external":
                self.keep(x.value.memory)
        samples = [a.copy() if isinstance(a, np.ndarray) else a for a in samples]
        if node.check is not None:
            node.check(*samples, **given)
        y = np.asarray(node.forward(*samples, **given))
        given_ = {k: getattr(x, "generator", x) for k, x in options.items()}
        call = self.note("opaque", Opaque(type(node), node.needs, y), tuple(arrays), given_)
        for x in options.values():
            if isinstance(x, RecordingArray) and x.value.memory.kind == "external":
                call.writes.append(x.value.memory)
                x.value.memory.written += 1
        result = self.result(call, y.copy())

        def backward(dy: Any) -> Any:
            gradients = type(node).backward(node, self.samples(dy).copy())
            if not isinstance(gradients, tuple):
                gradients = (gradients,)
            note = self.note("opaque_backward", call, (dy,), {"count": len(gradients)})
            outs: list[RecordingArray | None] = []
            for g in gradients:
                if g is None:
                    outs.append(None)
                    continue
                value = Value(np.array(g), Memory("loose"))
                value.memory.value = value
                value.call, value.name = note, f"g{len(outs)}"
                note.writes.append(value.memory)
                value.memory.written += 1
                outs.append(RecordingArray(self, value))
            note.out = tuple(None if g is None else g.value for g in outs)  # type: ignore[assignment]
            return tuple(outs)

        node.backward = backward  # type: ignore[method-assign]
        result.value.memory.kind = "loose"
        return result

    def keep(self, memory: Memory) -> None:
        """Copy an external array before it may be written to, once."""
        if id(memory) not in self.saved:
            self.saved.add(id(memory))
            assert memory.value is not None  # memory from outside is made with its value
            whole = memory.value.sample
            self.undo.append(partial(operator.setitem, whole, Ellipsis, whole.copy()))

    def take_back(self) -> None:
        """Put back whatever the run has changed. May be called again, if it was interrupted."""
        for undo in reversed(self.undo):
            undo()
        for generator, state in self.generators.values():
            generator.bit_generator.state = state
        for leaf, before in self.gradients.items():
            leaf._grad = before
        self.closed = True


class Eager(BaseException):
    """The step did something that is done eagerly; the message says what."""


_OPERATORS: dict[Any, Callable[..., Any]] = {
    np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul, np.divide: operator.truediv,
    np.floor_divide: operator.floordiv, np.remainder: operator.mod, np.power: operator.pow,
    np.equal: operator.eq, np.not_equal: operator.ne, np.less: operator.lt, np.less_equal: operator.le,
    np.greater: operator.gt, np.greater_equal: operator.ge, np.negative: operator.neg, np.positive: operator.pos,
    np.absolute: operator.abs,
}  # fmt: skip


def perform(form: str, function: Any, args: Any, kwargs: Any, out: Any) -> Any:
    """Make one call, on arrays."""
    if form == "reduce":
        x, axis, dtype, keepdims = args
        return function.reduce(x, axis, dtype, out, keepdims)
    if form == "at":
        return function.at(*args)
    if form == "method":
        return getattr(args[0], function)(*args[1:], **kwargs)
    if form == "attribute":
        return getattr(args[0], function)
    if form == "copy":
        return np.array(args[0], copy=True, **kwargs)
    if out is not None:
        return function(*args, **kwargs, out=out)
    return function(*args, **kwargs)
