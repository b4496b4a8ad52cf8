"""From a plan to Python: one line for each NumPy call, under the user's line that it belongs to."""

from __future__ import annotations

import itertools
import keyword
import linecache
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from npgrad.compile import runtime
from npgrad.compile.guards import differs
from npgrad.compile.plan import Plan, dynamic, takes_out
from npgrad.compile.recorder import perform
from npgrad.compile.tiles import Tiles
from npgrad.compile.trace import Call, Memory, Value, replaced

__all__ = ["Writer"]

_SYMBOLS = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
}  # fmt: skip
_COMPARISONS = {
    np.equal: "==", np.not_equal: "!=", np.less: "<", np.less_equal: "<=", np.greater: ">", np.greater_equal: ">="
}  # fmt: skip
_SHAPED = frozenset({
    "take", "broadcast_to", "ravel_multi_index", "transpose", "moveaxis", "reshape", "expand_dims", "squeeze",
    "swapaxes", "concatenate", "stack", "einsum", "dot", "tensordot", "sort", "argsort", "cumsum", "cumprod", "clip",
    "where", "flip", "roll", "tril", "triu", "mean", "var", "std", "sum", "diagonal", "argmin", "argmax", "pad", "tile",
})  # fmt: skip
"""Functions of NumPy whose result has a shape that does not depend on values."""
_VIEWS = {"transpose": "T", "swapaxes": "T", "reshape": "shaped", "ravel": "flat"}
_numbers = itertools.count(1)


class Writer:
    """Writes a function and makes the objects that its names stand for."""

    def __init__(self, plan: Plan, arguments: Sequence[Value], reserved: Sequence[str]) -> None:
        self.plan = plan
        self.namespace: dict[str, Any] = {"STALE": runtime.STALE, "tick": runtime.tick}
        self.names: dict[Any, str] = {}
        self.taken: set[str] = {*keyword.kwlist, *self.namespace, *reserved, "np", "float", "isinstance", "len", "type"}
        self.casts: set[str] = set()
        self.tile, self.inside = 0, frozenset[Memory]()
        self.lasted = False
        self.first_effect: int | None = None
        """How many lines of the first body come before anything outside is changed."""
        self.drawn: list[str] = []
        for value in arguments:
            self.names[value] = self.fresh(value.name or "x")

    # -- names ---------------------------------------------------------------------------------------------------------

    def fresh(self, name: str) -> str:
        """A name that nothing has yet, like `name`."""
        name = re.sub(r"\W+", "_", name).strip("_") or "t"
        name = f"_{name}" if name[0].isdigit() else name
        found, k = name, 1
        while found in self.taken:
            k += 1
            found = f"{name}_{k}" if name[-1].isdigit() else f"{name}{k}"
        self.taken.add(found)
        return found

    def bind(self, thing: Any, name: str, key: Any = None) -> str:
        """The name of an object that the program uses."""
        key = ("object", id(thing)) if key is None else key
        if key not in self.names:
            self.names[key] = self.fresh(name)
            self.namespace[self.names[key]] = thing
        return self.names[key]

    def value(self, value: Value) -> str:
        """How a value is written: its name, and within a loop over tiles the rows that are its turn."""
        name = self.name(value)
        rows = self.tile and np.ndim(value.sample) and np.shape(value.sample)[0] == self.tile
        return f"{name}[rows]" if rows and value.memory not in self.inside else name

    def name(self, value: Value) -> str:
        """The name of a value."""
        if value.same is not None:
            return self.name(value.same)
        if value not in self.names:
            if value.memory.kind in ("planned", "external", "constant") and not (
                value.view is not None and dynamic(value)
            ):
                array = self.array(value)
                name = self.described(value)
                key = (name, array.ctypes.data, array.shape, array.strides, array.dtype)
                if key not in self.names or value.memory.kind != "planned":
                    self.names[key] = self.fresh(name)
                    self.namespace[self.names[key]] = array
                self.names[value] = self.names[key]
            else:
                self.names[value] = self.fresh(self.described(value))
        return self.names[value]

    def described(self, value: Value) -> str:
        """What a value is called: as its rule calls it, and a view after what it is a view of."""
        if value.same is not None:
            return self.described(value.same)
        if value in self.names and value.view is None:
            return self.names[value]
        if value.view is None:
            return value.name or ("c" if value.memory.kind == "constant" else "tmp")
        call = value.view
        whole = next((x for x in call.args if isinstance(x, Value)), None)
        if whole is None:
            return "tmp"
        name = self.described(whole)
        if call.form == "method":
            return f"{name}_{_VIEWS.get(call.function, call.function)}"
        return f"{name}_part" if call.form == "getitem" else f"{name}_view"

    def array(self, value: Value) -> Any:
        """The array that a value is in every run."""
        if value.same is not None:
            return self.array(value.same)
        if value.view is None:
            whole = value.memory.value
            assert whole is not None and value.memory.array is not None
            return value.memory.array
        call = value.view
        args, kwargs = replaced((call.args, call.kwargs), self.array)
        array = perform(call.form, call.function, args, kwargs, None)
        if (value.memory not in self.inside and array.shape != np.shape(value.sample)) or (
            not np.may_share_memory(array, value.memory.array) and array.size
        ):
            raise AssertionError(f"a view changed: {call.form} {call.function}")
        return array

    def argument(self, x: Any) -> str:
        """How an argument of a call is written."""
        if isinstance(x, Value):
            return self.value(x)
        if x is None or isinstance(x, bool | str) or type(x) in (int, float):
            text = repr(x)
            return text if text not in ("inf", "-inf", "nan") else f"float({text!r})"
        if x is Ellipsis:
            return "..."
        if isinstance(x, slice):
            return f"slice({', '.join(self.argument(item) for item in (x.start, x.stop, x.step))})"
        if isinstance(x, tuple | list):
            inner = ", ".join(self.argument(item) for item in x)
            return f"[{inner}]" if isinstance(x, list) else f"({inner}{',' * (len(x) == 1)})"
        if isinstance(x, np.dtype):
            return self.bind(x, x.name, ("dtype", x))
        if isinstance(x, type) and issubclass(x, np.generic):
            return self.bind(np.dtype(x), np.dtype(x).name, ("dtype", np.dtype(x)))
        return self.bind(x, type(x).__name__.lower())

    def index(self, x: Any) -> str:
        """How an index is written between brackets."""
        if isinstance(x, tuple):
            return ", ".join(self.index(item) for item in x) or "()"
        if isinstance(x, slice):
            parts = ["" if item is None else self.argument(item) for item in (x.start, x.stop)]
            return ":".join(parts) + ("" if x.step is None else f":{self.argument(x.step)}")
        return self.argument(x)

    def operand(self, x: Any, call: Call) -> tuple[list[str], str]:
        """Lines that prepare an operand of a ufunc, and how it is written: numbers as arrays without axes, which
        NumPy need not convert at each call."""
        number = x.sample if isinstance(x, Value) and x.memory.kind == "number" else x
        if type(number) not in (int, float) or set(call.kwargs) - {"order"}:
            return [], self.argument(x)
        kinds = {np.asarray(a.sample).dtype for a in call.args if isinstance(a, Value) and a.memory.kind != "number"}
        if (
            len(kinds) != 1
            or (dtype := kinds.pop()).kind not in "fiu"
            or (dtype.kind in "iu" and type(number) is float)
        ):
            return [], self.argument(x)
        if dtype.kind in "iu" and not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
            return [], self.argument(x)
        if not isinstance(x, Value):
            array = np.array(x, dtype)
            array.flags.writeable = False
            return [], self.bind(array, plain_name(x), ("number", x, type(x), dtype, np.signbit(x)))
        name = self.value(x)
        cast = f"{name}_{dtype.char}{dtype.itemsize}"
        if cast in self.casts:
            return [], cast
        self.casts.add(cast)
        self.taken.add(cast)
        self.namespace[cast] = np.empty((), dtype)
        return [f"{cast}[...] = {name}"], cast

    # -- lines ---------------------------------------------------------------------------------------------------------

    def lines(self, calls: Sequence[Call]) -> list[str]:
        """The body of a function that makes these calls."""
        body: list[str] = []
        section = errors = None
        for call, following in itertools.zip_longest(calls, calls[1:]):
            if call.errors != errors:
                errors = call.errors
                section = None
            if call.place.section != section:
                section = call.place.section
                body += ["", f"# {section}"]
                if errors:
                    body.append(
                        f"with {self.bind(np.errstate, 'errstate')}("
                        f"{', '.join(f'{k}={v!r}' for k, v in errors.items())}):"
                    )
            last = following is None or following.place[:1] + following.place[2:] != call.place[:1] + call.place[2:]
            remark = f"  # {call.place.remark}" if last and call.place.remark and call.form != "tiles" else ""
            if self.first_effect is None and call.lasting and call.form != "guard":
                self.first_effect = len(body)
            written = self.line(call)
            for line in written:
                line = f"    {line}" if errors else line
                body.append(f"{line:<60}{remark}" if line.endswith(written[-1]) and remark else line)
            self.lasted = self.lasted or (
                call.lasting and call.form in ("host", "setitem", "ufunc", "at", "copyto", "function")
            )
        return body

    def _tiles(self, call: Call) -> list[str]:
        assert isinstance(call, Tiles)
        slices = [slice(k, k + call.step) for k in range(0, call.rows, call.step)]
        name = self.bind(slices, f"tiles_of_{call.step}_rows", ("tiles", call.rows, call.step))
        self.tile, self.inside = call.rows, call.kwargs["inside"]
        lines = []
        for inner in call.inner:
            remark = f"  # {inner.place.remark}" if inner.place.remark else ""
            *before, line = self.line(inner)
            lines += [f"    {text}" for text in before] + [f"    {line:<56}{remark}"]
        self.tile = 0
        return [f"for rows in {name}:", *lines]

    def line(self, call: Call) -> list[str]:
        write: Callable[[Call], list[str]] = getattr(self, f"_{call.form}")
        return write(call)

    def target(self, call: Call) -> str:
        assert isinstance(call.out, Value)
        return self.value(call.out)

    def options(self, call: Call) -> str:
        return "".join(f", {key}={self.argument(x)}" for key, x in call.kwargs.items())

    def _ufunc(self, call: Call) -> list[str]:
        lines: list[str] = []
        assert isinstance(call.out, Value)
        if call.out.memory.kind == "loose" and call.out.memory not in call.reads:  # scalars, compared for a decision
            a, b = [self.argument(x) for x in call.args]
            return [f"{self.target(call)} = {a} {_COMPARISONS[call.function]} {b}"]
        operands = []
        for x in call.args:
            before, text = self.operand(x, call)
            lines += before
            operands.append(text)
        name = self.bind(call.function, call.function.__name__)
        options = {} if call.kwargs.get("order") and len(call.kwargs) == 1 else call.kwargs  # the memory has that order
        tail = "".join(f", {key}={self.argument(x)}" for key, x in options.items())
        # NumPy 2.4 deprecates the third argument by position for these two.
        out = "out=" if call.function in (np.maximum, np.minimum) else ""
        return [*lines, f"{name}({', '.join(operands)}, {out}{self.target(call)}{tail})"]

    def _reduce(self, call: Call) -> list[str]:
        x, axis, dtype, keepdims = call.args
        name = self.bind(call.function.reduce, f"{call.function.__name__}_reduce", ("reduce", call.function))
        tail = ", True" if keepdims else ""
        return [f"{name}({self.argument(x)}, {self.argument(axis)}, {self.argument(dtype)}, {self.target(call)}{tail})"]

    def _expand(self, call: Call) -> list[str]:
        return [f"{self.target(call)}[...] = {self.argument(call.args[0])}"]

    _copy = _expand

    def _make(self, call: Call) -> list[str]:
        return [f"{self.target(call)}[...] = {self.argument(call.args[0])}"]

    def _operator(self, call: Call) -> list[str]:
        args = [self.argument(x) for x in call.args]
        symbol = _SYMBOLS.get(call.function.__name__)
        text = (
            f"{args[0]} {symbol} {args[1]}"
            if symbol
            else f"{self.bind(call.function, call.function.__name__)}({args[0]})"
        )
        return [f"{self.target(call)} = {text}"]

    def _ufunc_method(self, call: Call) -> list[str]:
        owner = call.function.__self__.__name__
        name = self.bind(call.function, f"{owner}_{call.function.__name__}", ("method", owner, call.function.__name__))
        args = ", ".join(self.argument(x) for x in call.args)
        return self.assigned(call, f"{name}({args}{self.options(call)}", ")")

    def assigned(self, call: Call, text: str, end: str) -> list[str]:
        """A result in memory that exists, by out=; or the name of a new one."""
        assert isinstance(call.out, Value)
        if call.out.memory.kind in ("planned", "external", "argument") and call.out.view is not call:
            return [f"{text}, out={self.target(call)}{end}"]
        return [f"{self.target(call)} = {text}{end}"]

    def _function(self, call: Call) -> list[str]:
        function, kwargs = call.function, call.kwargs
        args = [self.argument(x) for x in call.args]
        planned = isinstance(call.out, Value) and call.out.memory.kind != "loose"
        if planned and function is np.dot and not kwargs:
            return [f"{args[0]}.dot({args[1]}, {self.target(call)})"]
        if function is np.take and len(args) == 2:
            axis, mode = self.argument(kwargs.get("axis")), kwargs.get("mode", "raise")
            if planned:
                return [f"{args[0]}.take({args[1]}, {axis}, {self.target(call)}, {mode!r})"]
            return [f"{self.target(call)} = {args[0]}.take({args[1]}, {axis})"]
        if planned and function is np.argmax and len(args) == 1:
            return [f"{args[0]}.argmax({self.argument(kwargs.get('axis'))}, {self.target(call)})"]
        if planned and function is np.where and len(args) == 3:
            copyto = self.bind(np.copyto, "copyto")
            out = self.target(call)
            return [f"{out}[...] = {args[2]}", f"{copyto}({out}, {args[1]}, where={args[0]})"]
        name = self.bind(function, function.__name__)
        lines = self.assigned(call, f"{name}({', '.join(args)}{self.options(call)}", ")")
        if (
            planned
            or function.__name__ in _SHAPED
            or not isinstance(call.out, Value)
            or not isinstance(call.out.sample, np.ndarray)
        ):
            return lines
        return [*lines, self.refusal(f"{self.target(call)}.shape != {call.out.sample.shape}", call)]

    def _method(self, call: Call) -> list[str]:
        args = [self.argument(x) for x in call.args]
        return [
            f"{self.target(call)} = {args[0]}.{call.function}"
            f"({(', '.join(args[1:]) + self.options(call)).removeprefix(', ')})"
        ]

    def _attribute(self, call: Call) -> list[str]:
        return [f"{self.target(call)} = {self.argument(call.args[0])}.{call.function}"]

    def _getitem(self, call: Call) -> list[str]:
        return [f"{self.target(call)} = {self.argument(call.args[0])}[{self.index(call.args[1])}]"]

    def _setitem(self, call: Call) -> list[str]:
        a, index, x = call.args
        return [f"{self.argument(a)}[{self.index(index)}] = {self.argument(x)}"]

    def _at(self, call: Call) -> list[str]:
        name = self.bind(call.function.at, f"{call.function.__name__}_at", ("at", call.function))
        return [f"{name}({', '.join(self.argument(x) for x in call.args)})"]

    def _copyto(self, call: Call) -> list[str]:
        name = self.bind(np.copyto, "copyto")
        return [f"{name}({', '.join(self.argument(x) for x in call.args)}{self.options(call)})"]

    def _guard(self, call: Call) -> list[str]:
        return [self.refusal(f"{'not ' if call.function else ''}{self.argument(call.args[0])}", call)]

    def refusal(self, condition: str, call: Call) -> str:
        """A line that ends the run if `condition` holds: this is not the program for it."""
        if not self.lasted:
            return f"if {condition}: return {self.stale()}"
        return f"if {condition}: {self.bind(runtime.late, 'late')}({call.place.section!r})"

    def stale(self) -> str:
        """What a program returns that is not to go on: random numbers drawn so far are given back."""
        if not self.drawn:
            return "STALE"
        return f"{self.bind(runtime.undrawn, 'undrawn')}({', '.join(f'{rng}, {rng}_before' for rng in self.drawn)})"

    def _draw(self, call: Call) -> list[str]:
        owner, name = call.function.__self__, call.function.__name__
        rng = self.bind(owner, "rng")
        method = f"{rng}.{name}"
        if rng not in self.drawn and any(other.form == "guard" for other in self.plan.forward):
            self.drawn.append(rng)
            return [f"{rng}_before = {rng}.bit_generator.state", *self._draw(call)]
        if takes_out(call):
            dtype = self.argument(np.asarray(call.out.sample).dtype)  # type: ignore[union-attr]
            return [f"{method}(dtype={dtype}, out={self.target(call)})"]
        args = ", ".join(self.argument(x) for x in call.args)
        return [f"{self.target(call)} = {method}({(args + self.options(call)).removeprefix(', ')})"]

    def _host(self, call: Call) -> list[str]:
        owner = getattr(call.function, "__self__", None)
        name = self.bind(call.function, call.function.__name__, ("host", id(owner), call.function))
        kinds: dict[type, str] = {dict: "group", list: "parameters"}
        text = f"{name}({', '.join(self.bind(x, kinds.get(type(x), 'given')) for x in call.args)})"
        # Flags that are options of the group have been compared before; others have to be what they were.
        options = call.args[0] if call.args and isinstance(call.args[0], dict) else {}
        fixed = [(k, key, x) for k, key, x in call.kwargs["fixed"] if differs(options.get(key), x)]
        if not call.out and not fixed:
            return [text]
        numbers = self.fresh("numbers")
        late = self.bind(runtime.late, "late") if fixed else ""
        guards = [
            f"if {self.bind(differs, 'differs')}({numbers}[{k}][{key!r}], {self.argument(x)}): "
            f"{late}({call.place.section!r})"
            for k, key, x in fixed
        ]
        return [
            f"{numbers} = {text}",
            *guards,
            *[f"{self.value(v)} = {numbers}[{k}][{key!r}]" for k, key, v in numbers_of(call) if v in self.plan.used],
        ]

    def _opaque(self, call: Call) -> list[str]:
        function = call.function.function.__name__
        name = self.fresh(function.lower())
        self.names[("node", id(call))] = name
        assert isinstance(call.out, Value)
        facts = self.bind(call.function, f"call_{function}")
        args = ", ".join(self.argument(x) for x in call.args)
        return [f"{name}, {self.target(call)} = {facts}({args}{self.options(call)})"]

    def _opaque_backward(self, call: Call) -> list[str]:
        node = self.names[("node", id(call.function))]
        dy = self.argument(call.args[0])
        outs = ", ".join("_" if value is None else self.value(value) for value in call.out)  # type: ignore[union-attr]
        backward = self.bind(runtime.opaque_backward, "backward_of")
        return [f"{outs}{',' if call.kwargs['count'] == 1 else ''} = {backward}({node}, {dy}, {call.kwargs['count']})"]


def numbers_of(call: Call) -> Any:
    """The numbers that a host call returns: (place in the list, key, value)."""
    return call.out


def plain_name(x: float) -> str:
    """A name for a number."""
    names: dict[float, str] = {0: "zero", 1: "one", 2: "two", -1: "minus_one"}
    if x in names:
        return names[x]
    return "n" + re.sub(r"\W", lambda m: {".": "p", "-": "m", "+": ""}[m.group()], f"{x:g}")


def define(name: str, source: str, namespace: dict[str, Any]) -> Any:
    """The function of this source; tracebacks inside it show its text."""
    filename = f"<npgrad.compile {name} {next(_numbers)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    exec(compile(source, filename, "exec"), namespace)
    return namespace[name]
