"""What a function depends on beside its arguments: closures, globals, attributes, modules; read off its code.

A compiled run compares the numbers and flags among them with what they were while recording, and objects by identity.
Of an object that the function can reach, every attribute counts whose name occurs in the code that may run: that of the
function, of functions and methods it names, and theirs. What could not be looked at is a reason not to compile.
Attributes of modules are compared only after some module, flag or hook has been changed (`npgrad.engine.arrays`).
"""

from __future__ import annotations

import array
import collections
import dis
import functools
import math
import operator
import sys
import types
from collections.abc import Callable, Iterator
from os.path import dirname
from typing import Any

import numpy as np

from npgrad.compile.recorder import Eager
from npgrad.engine.arrays import Array
from npgrad.engine.function import OURS
from npgrad.engine.tensor import Tensor

__all__ = ["Dependencies", "differs"]

SIMPLE = (int, float, complex, str, bytes, bool, type(None), np.generic, np.dtype)
_ATOMS = (*SIMPLE, Tensor, types.BuiltinFunctionType, types.MethodWrapperType, np.ufunc)
_CONTENT = (set, collections.deque, bytearray, array.array)
"""Containers that are compared as a whole."""
_CALLED = frozenset({"forward", "backward", "check", "update", "numbers"})
"""Methods that npgrad calls."""
_MAKING = frozenset({"__init__", "__new__", "__post_init__"})
"""What these assign to belongs to an object that they make."""
_UNUSED = frozenset({
    "__repr__", "__str__", "__format__", "__replace__", "__getstate__", "__setstate__", "__reduce__", "__reduce_ex__",
    "__copy__", "__deepcopy__", "__sizeof__", "__dir__", "__del__", "__delattr__", "__setattr__", "__init_subclass__",
    "__class_getitem__", "__set_name__", "__hash__",
})  # fmt: skip
"""Methods that compute nothing."""
_ANY_NAME = frozenset({"getattr", "vars", "__dict__", "attrgetter", "asdict", "astuple"})
"""Who uses these may read attributes whose names are not in the code."""
_STANDARD = dirname(dis.__file__)
DEPTH, LENGTH, MOST = 8, 64, 512
"""How deep objects are looked into, how many items of a list or dictionary are, and how many guards there may be."""
LOOKED_AT, COMPARED = 1 << 20, 1 << 12
"""Arrays of so many bytes are looked at for changes while recording, and compared at each run."""


class Dependencies:
    """`guards`: (text, expression, container, key, value), one line each at every call. `modules`: what has a
    `named_modules` method, looked at after a change. `generators`: whose state must not move unnoticed. `arrays`:
    (text, array, copy) of arrays that are not registered anywhere.

    Raises Eager if the function can reach numbers that are not looked at.
    """

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.guards: list[tuple[str, str, Any, Any, Any]] = []
        self.modules: dict[int, Any] = {}
        self.generators: dict[int, np.random.Generator] = {}
        self.attributes: set[str] = set()
        self._optimizers: list[tuple[str, Any]] = []
        self._arrays_found: dict[int, tuple[str, Array]] = {}
        self._holders: list[tuple[str, Any, int]] = []
        self._looked: set[tuple[int, str]] = set()
        self._seen: set[int] = set()
        self._kept: list[Any] = []
        self._inside("self" if isinstance(function, types.MethodType) else "function", function, 0)
        for k, x in enumerate(arguments):
            if not isinstance(x, np.ndarray):
                self._inside(f"argument {k}", x, 0)
        known = None
        while known != (known := (len(self._holders), len(self.attributes))):  # code names objects, and these code
            for text, holder, depth in list(self._holders):
                for name in self._names(holder):
                    self._attribute(text, holder, name, depth)
        for text, optimizer in self._optimizers:
            self._options(text, optimizer)
        registered: set[int] = set()
        for module in list(self.modules.values()):
            registered |= {id(buffer) for _, buffer in module.named_buffers()}
            for each in module.modules():
                self.modules[id(each)] = each
                for value in vars(each).values():
                    if isinstance(value, np.random.Generator):
                        self.generators[id(value)] = value
        self.arrays = [
            (text, a, a.copy())
            for text, a in self._arrays_found.values()
            if id(a) not in registered and a.nbytes <= LOOKED_AT
        ]
        self.snapshot = {id(m): (m, facts(m)) for m in self.modules.values()}
        self._attributes = {id(m): dict(vars(m)) for m in self.modules.values()}

    def hooked(self) -> bool:
        """Whether somebody watches one of the modules or their parameters."""
        return any(
            getattr(module, "_hooked", False) or any(p._node is not None and p._node.hooks for p in module.parameters())
            for module in self.modules.values()
        )

    def unchanged(self) -> bool:
        """Whether every module still is as it was while recording."""
        return all(same_facts(facts(module), before) for module, before in self.snapshot.values())

    def put_back(self) -> str:
        """The name of an attribute of a module that has changed, empty if there is none; all are set back."""
        found = ""
        for module, before in self.snapshot.values():
            now = facts(module)
            changed_ = [
                name
                for name in {**before, **now}
                if name not in before or name not in now or differs(now[name], before[name])
            ]
            if changed_:
                found = changed_[0]
                vars(module).clear()
                vars(module).update(self._attributes[id(module)])
                for name, value in vars(module).items():
                    if isinstance(value, list):
                        value[:] = before[name]
                    elif type(value) is dict:
                        value.clear()
                        value.update(before[name])
        return found

    # -- code ----------------------------------------------------------------------------------------------------------

    def _code(self, function: Any) -> None:
        """Collect what a Python function, and those it refers to, may read."""
        if not isinstance(function, types.FunctionType):
            if function is not None:
                self._inside(getattr(function, "__name__", "function"), function, 0)
            return
        if id(function) in self._seen:
            return
        self._seen.add(id(function))
        self._kept.append(function)
        if OURS[function.__code__.co_filename] or of_a_library(function.__module__):
            return
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if (id(cell), "") not in self._looked:
                self._looked.add((id(cell), ""))
                try:
                    self._guard(name, "cell", cell, None, cell.cell_contents, 0)
                except ValueError:
                    continue
        code = function.__code__
        defaults = function.__defaults__ or ()
        for name, value in zip(code.co_varnames[code.co_argcount - len(defaults) :], defaults, strict=False):
            self._inside(name, value, 0)
        for name, value in (function.__kwdefaults__ or {}).items():
            self._guard(name, "item", function.__kwdefaults__, name, value, 0)
        space = function.__globals__
        for inner in codes(code):
            self.attributes.update(names_in(inner.co_consts))
            for i in dis.get_instructions(inner):
                if i.opname == "STORE_ATTR" and function.__name__ in _MAKING:
                    continue
                if i.opname.endswith("_ATTR") or i.opname in ("LOAD_METHOD", "IMPORT_FROM"):
                    self.attributes.add(i.argval)
                elif i.opname == "IMPORT_NAME":
                    self._inside(i.argval, sys.modules.get(i.argval), 0)
                elif i.opname.endswith("_GLOBAL"):
                    self.attributes.update({i.argval} & _ANY_NAME)
                    # What is no name was put there by whoever rewrites assertions.
                    if i.argval in space and i.argval.isidentifier() and (id(space), i.argval) not in self._looked:
                        self._looked.add((id(space), i.argval))
                        self._guard(i.argval, "global", space, i.argval, space[i.argval], 0)
        if vars(function):
            self._holders.append((function.__name__, function, 0))

    # -- values --------------------------------------------------------------------------------------------------------

    def _guard(self, text: str, form: str, container: Any, key: Any, value: Any, depth: int) -> None:
        if not isinstance(value, types.ModuleType):
            self.guards.append((text, form, container, key, value))
        if len(self.guards) > MOST:
            raise Eager(f"it depends on more than {MOST} things outside, {text} among them")
        self._inside(text, value, depth)

    def _inside(self, text: str, value: Any, depth: int) -> None:
        """The parts of an object that the function may read."""
        if isinstance(value, np.random.Generator):
            self.generators[id(value)] = value
        if isinstance(value, np.ndarray):
            if type(value) is np.ndarray and value.dtype.kind in "biufc":
                self._arrays_found.setdefault(id(value), (text, value))
            return
        if isinstance(value, _ATOMS) or id(value) in self._seen:
            return
        if isinstance(value, types.FunctionType):
            self._code(value)
            return
        if isinstance(value, types.MethodType):
            self._code(value.__func__)
            self._inside("self" if text == "self" else f"{text}.__self__", value.__self__, depth)
            return
        self._seen.add(id(value))
        self._kept.append(value)
        if isinstance(value, type | types.ModuleType):
            if not of_a_library(value.__module__ if isinstance(value, type) else value.__name__):
                self._holders.append((text, value, depth))
            return
        if depth >= DEPTH:
            raise Eager(f"{text} lies deeper inside other objects than is looked for changes")
        if isinstance(value, list | tuple | dict | types.MappingProxyType):
            self._items(text, value, depth)
        elif isinstance(value, _CONTENT):
            if not all(isinstance(item, SIMPLE) for item in value):
                raise Eager(f"{text} is a {type(value).__name__} of objects, which are not looked at for changes")
            self.guards.append((text, "content", value, None, content(value)))
        elif isinstance(value, operator.attrgetter):
            self.attributes.update(".".join(value.__reduce__()[1]).split("."))
        elif isinstance(value, functools.partial):
            for part in (value.func, value.args, value.keywords):
                self._inside(text, part, depth + 1)
        elif hasattr(type(value), "named_modules"):
            self.modules[id(value)] = value
            self._holders += [
                (text if m is value else f"{text}'s {type(m).__name__}", m, depth)
                for m in value.modules()
                if not of_a_library(type(m).__module__)
            ]
        elif "__wrapped__" in getattr(value, "__dict__", {}):
            self._code(value.__wrapped__)
        elif hasattr(value, "__next__") and type(value).__module__ in ("builtins", "itertools"):
            raise Eager(f"{text} is an iterator ({type(value).__name__}), which moves on when it is read")
        else:
            if hasattr(value, "param_groups"):
                self._optimizers.append((text, value))
            if type(value).__module__.partition(".")[0] not in ("npgrad", "numpy"):
                self._holders.append((text, value, depth))

    def _items(self, text: str, value: Any, depth: int) -> None:
        """What is in a list, tuple or dictionary. Text and arrays do not change what a function computes unseen."""
        if isinstance(value, tuple) and all(isinstance(item, SIMPLE) for item in value):
            return  # who holds it compares it
        if not isinstance(value, tuple):
            self.guards.append((f"len({text})", "length", value, None, len(value)))
        items = list(enumerate(value) if isinstance(value, list | tuple) else value.items())
        if len(items) > LENGTH:
            if not all(isinstance(item, str | bytes | type(None) | np.ndarray | Tensor) for _, item in items):
                raise Eager(f"{text} has {len(items)} items, more than are looked at for changes")
            return
        for key, item in items:
            self._guard(f"{text}[{key!r}]", "item", value, key, item, depth + 1)
        if not of_a_library(type(value).__module__):
            self._holders.append((text, value, depth))

    def _names(self, holder: Any) -> list[str]:
        """The attributes of an object that code may read."""
        own = getattr(holder, "__dict__", {})
        kinds = [kind for kind in mro(holder) if not of_a_library(kind.__module__)]
        found = {*own, *(name for kind in kinds for name in vars(kind))}
        if isinstance(holder, types.ModuleType):
            return sorted(found & self.attributes)
        special = {name for name in found if name in _CALLED or (name.startswith("__") and name.endswith("__"))}
        special -= _UNUSED if isinstance(holder, type) else _UNUSED | _MAKING
        special = {name for name in special if any(isinstance(vars(k).get(name), _METHODS) for k in kinds)}
        standard = any(kind.__module__ == "collections" for kind in mro(holder))  # UserDict keeps all it has in `data`
        every = own.keys() if standard or self.attributes & _ANY_NAME else set()
        return sorted((found & self.attributes) | special | {name for name in every if not name.startswith("__")})

    def _attribute(self, text: str, holder: Any, name: str, depth: int) -> None:
        """One attribute of an object, wherever it is kept."""
        if (id(holder), name) in self._looked:
            return
        self._looked.add((id(holder), name))
        own = not isinstance(holder, type) and name in getattr(holder, "__dict__", {})
        if not own:
            kept = next((vars(kind)[name] for kind in mro(holder) if name in vars(kind)), None)
            if isinstance(kept, _METHODS):
                if not isinstance(kept, types.FunctionType):
                    self._kept.append(kept)
                for part in ("__func__", "fget", "fset", "func"):
                    self._code(getattr(kept, part, None))
                if isinstance(kept, types.FunctionType):
                    self._code(kept)
                return
            if name.startswith("__"):
                return
        try:
            value = getattr(holder, name)
        except AttributeError:
            return
        if own and id(holder) in self._seen and hasattr(holder, "named_modules"):  # compared after changes
            self._inside(f"{text}.{name}", value, depth + 1)
        elif not (
            hasattr(holder, "param_groups") and (name in ("param_groups", "state", "defaults") or name[0] == "_")
        ):
            self._guard(f"{text}.{name}", "attribute", holder, name, value, depth + 1)

    def _options(self, text: str, optimizer: Any) -> None:
        """Options of an optimiser are looked up at each run, except where the function reads them itself."""
        form = "item" if self.attributes & {"lr", "param_groups", "defaults"} else "truth"
        self.guards.append((f"{text}.param_groups", "members", optimizer, None, members(optimizer)))
        for k, group in enumerate(optimizer.param_groups):
            for key, item in group.items():
                if key != "params":
                    self.guards.append((f"{text}.param_groups[{k}][{key!r}]", form, group, key, item))


_METHODS = (types.FunctionType, staticmethod, classmethod, property, functools.cached_property)


def of_a_library(module: str | None) -> bool:
    """Whether a module is npgrad's, NumPy's or Python's own, by its name: what these depend on is not looked at."""
    name = module or ""
    if name.partition(".")[0] in ("builtins", "npgrad", "numpy"):
        return True
    if name.partition(".")[0] not in sys.stdlib_module_names:
        return False
    file = getattr(sys.modules.get(name), "__file__", None)  # a file of the user's may be called as one of Python's
    return file is None or file.startswith(_STANDARD)


def mro(holder: Any) -> tuple[type, ...]:
    """The classes in which attributes of an object, or of a class, are looked up."""
    found: tuple[type, ...] = type.mro(holder) if isinstance(holder, type) else type(holder).__mro__  # type: ignore[assignment]
    return found


def names_in(x: Any) -> set[str]:
    """Texts among constants that may be names of attributes."""
    if isinstance(x, str):
        return {x} if x.isidentifier() else set()
    return {name for item in x for name in names_in(item)} if isinstance(x, tuple | frozenset) else set()


def content(x: Any) -> Any:
    """What is in a container or an array, to be compared."""
    if isinstance(x, np.ndarray):
        return x.tobytes()
    return frozenset(x) if isinstance(x, set) else tuple(x)


def members(optimizer: Any) -> list[list[int]]:
    """The groups of an optimiser and the parameters in them, by identity."""
    return [[id(group), *map(id, group["params"])] for group in optimizer.param_groups]


def changed(form: str, before: Any, now: Any) -> bool:
    """Whether a guarded place holds something else now."""
    if form == "members":
        return bool(before != now)
    if form == "truth":  # one number may follow another, but what was off stays off
        return bool(before) is not bool(now)
    return differs(now, before)


def current(form: str, container: Any, key: Any) -> Any:
    """What a guarded place holds now."""
    if form == "cell":
        return container.cell_contents
    if form == "attribute":
        return getattr(container, key)
    if form == "members":
        return members(container)
    if form == "length":
        return len(container)
    if form == "content":
        return content(container)
    return container[key]


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code of a function and of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)


def facts(module: Any) -> dict[str, Any]:
    """The attributes of a module, containers copied; and what its parameters are."""
    found = {}
    for name, value in vars(module).items():
        found[name] = tuple(value) if isinstance(value, list) else dict(value) if isinstance(value, dict) else value
        if isinstance(value, Tensor):
            found[f"{name}.array"] = value._array
            found[f"{name}.requires_grad"] = value.requires_grad
            found[f"{name}.hooks"] = bool(value._node is not None and value._node.hooks)
    return found


def same_facts(now: dict[str, Any], before: dict[str, Any]) -> bool:
    return now.keys() == before.keys() and not any(differs(now[name], before[name]) for name in now)


def differs(now: Any, before: Any) -> bool:
    """Whether a value is no longer what it was: numbers and flags by value and type, objects by identity."""
    if now is before:
        return False
    if type(now) is not type(before):
        return True
    if isinstance(now, float):  # 0.0 and -0.0 are two numbers, of which 1/x tells
        return bool(now != before and (now == now or before == before)) or (
            now == 0 and math.copysign(1, now) != math.copysign(1, before)
        )
    if isinstance(now, complex | np.generic):
        return repr(now) != repr(before)
    if isinstance(now, SIMPLE):
        return bool(now != before)
    if isinstance(now, tuple):
        return len(now) != len(before) or any(differs(a, b) for a, b in zip(now, before, strict=True))
    if isinstance(now, frozenset):
        return bool(now != before)
    if isinstance(now, dict):
        return now.keys() != before.keys() or any(differs(now[key], before[key]) for key in now)
    if isinstance(now, types.MethodType):
        return bool(now != before)
    return True


def shown(x: Any) -> str:
    """A value in an error message, which must not look into arrays of a recording."""
    return repr(x) if isinstance(x, SIMPLE) else f"a {type(x).__name__}"


def put_back(form: str, container: Any, key: Any, value: Any) -> None:
    """Set a guarded place back to what it held."""
    if form == "cell":
        container.cell_contents = value
    elif form == "attribute":
        setattr(container, key, value)
    elif form == "length":
        for extra in list(container)[value:]:
            container.pop(extra) if isinstance(container, dict) else container.pop()
    elif form == "content":
        if isinstance(container, np.ndarray):
            container[...] = np.frombuffer(value, container.dtype).reshape(container.shape)
        elif isinstance(container, set):
            container.intersection_update(value)
            container.update(value)
        else:
            while container:
                container.pop()
            container.extend(value)
    elif form != "members":
        operator.setitem(container, key, value)
