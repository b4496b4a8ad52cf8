"""What a function depends on beside its arguments: closures, globals, attributes, modules; read off its code.

A compiled run compares the numbers and flags among them with what they were while recording, and objects by identity.
Attributes of modules are compared only after some module, flag or hook has been changed (`npgrad.engine.mode`).
"""

from __future__ import annotations

import dis
import math
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from npgrad.engine.function import OURS
from npgrad.engine.tensor import Tensor

__all__ = ["Dependencies", "differs"]

SIMPLE = (int, float, complex, str, bytes, bool, type(None), np.generic, np.dtype)
_SKIPPED = (types.ModuleType, types.BuiltinFunctionType, type, Tensor, np.ndarray, np.random.Generator, np.ufunc)
DEPTH = 3


class Dependencies:
    """`guards`: (text, expression, container, key, value), one line each at every call. `modules`: what has a
    `named_modules` method, looked at after a change. `generators`: whose state must not move unnoticed."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.guards: list[tuple[str, str, Any, Any, Any]] = []
        self.modules: dict[int, Any] = {}
        self.generators: dict[int, np.random.Generator] = {}
        self.attributes: set[str] = set()
        self._seen: set[int] = set()
        self._roots: list[tuple[str, str, Any, Any, Any]] = []
        self._code(function)
        for text, form, container, key, value in self._roots:
            self._guard(text, form, container, key, value, 0)
        for k, x in enumerate(arguments):
            self._inside(f"argument {k}", x, 0)
        for module in list(self.modules.values()):
            for each in module.modules():
                self.modules[id(each)] = each
                for value in vars(each).values():
                    if isinstance(value, np.random.Generator):
                        self.generators[id(value)] = value
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
        if isinstance(function, types.MethodType):
            self._roots.append(("self", "object", None, None, function.__self__))
            function = function.__func__
        function = getattr(function, "__wrapped__", function)
        if not isinstance(function, types.FunctionType) or id(function) in self._seen:
            return
        self._seen.add(id(function))
        if OURS[function.__code__.co_filename] or function.__module__ in ("numpy", "math", "operator"):
            return
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                self._root(name, "cell", cell, None, cell.cell_contents)
            except ValueError:
                continue
        for name, value in zip(
            reversed(function.__code__.co_varnames[: function.__code__.co_argcount]),
            reversed(function.__defaults__ or ()),
            strict=False,
        ):
            self._root(name, "object", None, None, value)
        for code in codes(function.__code__):
            self.attributes.update(code.co_names)
            for name in dict.fromkeys(i.argval for i in dis.get_instructions(code) if i.opname.endswith("_GLOBAL")):
                if name in function.__globals__:
                    self._root(name, "global", function.__globals__, name, function.__globals__[name])

    def _root(self, name: str, form: str, container: Any, key: Any, value: Any) -> None:
        self._roots.append((name, form, container, key, value))
        if callable(value):
            self._code(value)
            for method in ("forward", "__call__"):
                if not isinstance(value, type) and isinstance(getattr(type(value), method, None), types.FunctionType):
                    self._code(getattr(type(value), method))

    # -- values --------------------------------------------------------------------------------------------------------

    def _guard(self, text: str, form: str, container: Any, key: Any, value: Any, depth: int) -> None:
        if isinstance(value, np.random.Generator):
            self.generators[id(value)] = value
        if form != "object" and not isinstance(value, types.ModuleType):
            self.guards.append((text, form, container, key, value))
        self._inside(text, value, depth)

    def _inside(self, text: str, value: Any, depth: int) -> None:
        """The parts of an object that the function may read."""
        if isinstance(value, np.random.Generator):
            self.generators[id(value)] = value
        if isinstance(value, SIMPLE + _SKIPPED) or id(value) in self._seen or depth >= DEPTH:
            return
        if isinstance(value, types.FunctionType | types.MethodType):
            return
        self._seen.add(id(value))
        if hasattr(value, "named_modules"):
            self.modules[id(value)] = value
            for method in {type(m).forward for m in value.modules()}:
                roots, self._roots = self._roots, []
                self._code(method)
                for root in self._roots:
                    self._guard(*root, depth + 1)
                self._roots = roots
            return
        if isinstance(value, list | tuple | dict):
            items = list(value.items() if isinstance(value, dict) else enumerate(value))
            if not isinstance(value, tuple):
                self.guards.append((f"len({text})", "length", value, None, len(value)))
            if len(items) <= 64:
                for key, item in items:
                    self._guard(f"{text}[{key!r}]", "item", value, key, item, depth + 1)
            return
        if hasattr(value, "param_groups"):
            # Options are looked up at each run, except where the function reads them itself.
            form = "item" if self.attributes & {"lr", "param_groups", "defaults"} else "truth"
            self.guards.append((f"{text}.param_groups", "members", value, None, members(value)))
            for k, group in enumerate(value.param_groups):
                for key, item in group.items():
                    if key != "params":
                        self.guards.append((f"{text}.param_groups[{k}][{key!r}]", form, group, key, item))
            return
        if type(value).__module__.partition(".")[0] == "npgrad":
            return
        for name, item in sorted(getattr(value, "__dict__", {}).items()):
            if name in self.attributes and not isinstance(item, types.FunctionType):
                self._guard(f"{text}.{name}", "attribute", value, name, item, depth + 1)


def members(optimizer: Any) -> list[int]:
    """The groups of an optimiser and the parameters in them, by identity."""
    return [identity for group in optimizer.param_groups for identity in (id(group), *map(id, group["params"]))]


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
    if isinstance(now, dict):
        return now.keys() != before.keys() or any(differs(now[key], before[key]) for key in now)
    if isinstance(now, types.MethodType):
        return bool(now != before)
    return True
