"""Module: parameters and the function they belong to; Parameter: a tensor to be trained.

A module is an ordinary Python object. Whatever it holds as attributes (parameters, other modules, lists and
dictionaries of either) is found by looking at `vars(module)` when somebody asks, so there is nothing to register:

    class MLP(Module):
        def __init__(self, rng):
            self.hidden = Linear(30, 200, rng=rng)
            self.output = Linear(200, 27, rng=rng)

        def forward(self, x):
            return self.output(self.hidden(x).tanh())

The exception is a buffer: an array that belongs to the state but is not trained. Not every array attribute is one, so a
buffer is declared with `register_buffer`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike

from npgrad.bindings.spellings import unknown
from npgrad.engine.arrays import Array, note_change
from npgrad.engine.tensor import Tensor, TensorLike, raw

__all__ = ["IncompatibleKeys", "Module", "Parameter"]

ForwardHook = Callable[["Module", tuple[Any, ...], Any], Any]
BackwardHook = Callable[["Module", Array], "Array | None"]
Remover = Callable[[], None]


class Parameter(Tensor):
    """A leaf tensor that a module trains: `Parameter(data)` requires a gradient unless told otherwise.

    A floating-point array keeps its dtype; everything else (integers, lists of numbers) becomes float32 unless `dtype`
    says otherwise. The data are copied.
    """

    def __init__(self, data: TensorLike, requires_grad: bool = True, *, dtype: DTypeLike | None = None) -> None:
        array = raw(data)
        if dtype is None and not (isinstance(array, np.ndarray | np.generic) and array.dtype.kind in "fc"):
            dtype = np.float32
        super().__init__(np.asarray(array, dtype=dtype), requires_grad)


class IncompatibleKeys(NamedTuple):
    """What `load_state_dict(strict=False)` could not match."""

    missing: list[str]
    """In the module, not in the state."""
    unexpected: list[str]
    """In the state, not in the module."""


class Module:
    """Base of all networks and layers: define `forward`, call the module."""

    # Class-level defaults, so that a subclass need not call super().__init__().
    training: bool = True
    """Whether the module is in training mode; set for the whole tree by `train()` and `eval()`."""
    _buffers: tuple[str, ...] = ()
    _forward_hooks: tuple[ForwardHook, ...] = ()
    _backward_hooks: tuple[BackwardHook, ...] = ()
    _hooked: bool = False

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.__dict__ or self.__dict__[name] is not value:
            object.__setattr__(self, name, value)
            note_change()

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        note_change()

    if not TYPE_CHECKING:  # type checkers would take any misspelling for an attribute

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            unknown("Module", name, lambda: dir(self), type(self).__name__)

    def forward(self, *inputs: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no forward method: define forward(self, x).")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if self._hooked:
            return self._call_hooked(inputs, options)
        return self.forward(*inputs, **options) if options else self.forward(*inputs)

    # -- what is in it -------------------------------------------------------------------------------------------------

    def _members(self) -> Iterator[tuple[str, Parameter | Module]]:
        """The parameters and modules held directly, under the names they have in a state dictionary."""
        for name, value in vars(self).items():
            if isinstance(value, _HOLDERS):
                yield from _found(name, value)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(dotted name, module) for this module (named `prefix`) and all below it, each once."""
        seen: set[int] = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield name, module
            below = [(_join(name, key), item) for key, item in module._members() if isinstance(item, Module)]
            stack.extend(reversed(below))

    def modules(self) -> list[Module]:
        """This module and all below it, each once."""
        return [module for _, module in self.named_modules()]

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """(dotted name, parameter) for every parameter; one shared by several modules is listed where first met."""
        seen: set[int] = set()
        for name, module in self.named_modules(prefix):
            for key, item in module._members():
                if isinstance(item, Parameter) and id(item) not in seen:
                    seen.add(id(item))
                    yield _join(name, key), item

    def parameters(self) -> list[Parameter]:
        """Every parameter, each once."""
        return [parameter for _, parameter in self.named_parameters()]

    def register_buffer(self, name: str, array: TensorLike) -> None:
        """Make `array` (kept as it is, without a copy if it is an array) the attribute `name` and part of the state."""
        if "." in name or not name:
            raise ValueError(f"a buffer cannot be called {name!r}: use a plain attribute name without dots.")
        setattr(self, name, np.asarray(raw(array)))
        if name not in self._buffers:
            self._buffers = (*self._buffers, name)

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Array]]:
        """(dotted name, array) for every buffer: NumPy arrays, not tensors."""
        for name, module in self.named_modules(prefix):
            for key in module._buffers:
                yield _join(name, key), getattr(module, key)

    def buffers(self) -> list[Array]:
        """Every buffer."""
        return [array for _, array in self.named_buffers()]

    # -- state ---------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Array]:
        """Copies of all parameters and buffers by dotted name."""
        state = {name: parameter._array.copy() for name, parameter in self.named_parameters()}
        state.update((name, array.copy()) for name, array in self.named_buffers())
        return state

    def load_state_dict(self, state: Mapping[str, TensorLike], strict: bool = True) -> IncompatibleKeys:
        """Copy the values of `state` into the parameters and buffers, in place.

        Nothing is loaded unless everything fits. Raises ValueError that lists every key with a wrong shape or kind of
        number and, if `strict`, every missing and unexpected key. Returns the missing and the unexpected keys.
        """
        parameters = dict(self.named_parameters())
        buffers = dict(self.named_buffers())
        targets: dict[str, Array] = {name: p._array for name, p in parameters.items()} | buffers
        values = {name: np.asarray(raw(value)) for name, value in state.items() if name in targets}
        missing = [name for name in targets if name not in state]
        unexpected = [name for name in state if name not in targets]
        faults = []
        if strict and missing:
            faults.append("missing: " + ", ".join(f"{name} {targets[name].shape}" for name in missing))
        if strict and unexpected:
            faults.append("unexpected: " + ", ".join(f"{name} {np.shape(raw(state[name]))}" for name in unexpected))
        unfit = []
        for name, value in values.items():
            here = targets[name]
            if value.shape != here.shape:
                unfit.append(f"{name} is {value.shape} in the state and {here.shape} in the module")
            elif not np.can_cast(value.dtype, here.dtype, "same_kind"):
                unfit.append(f"{name} is {value.dtype} in the state and {here.dtype} in the module")
        if unfit:
            faults.append("misshapen: " + "; ".join(unfit))
        if faults:
            advice = "Build the module with the sizes the state was saved with"
            advice += ", or pass strict=False to load what matches." if strict and not unfit else "."
            lines = "".join(f"\n  {fault}" for fault in faults)
            raise ValueError(f"this state does not fit {type(self).__name__}, and nothing was loaded.{lines}\n{advice}")
        for name, value in values.items():
            if name in parameters:
                parameters[name].data = value
            else:
                buffers[name][...] = value
        return IncompatibleKeys(missing, unexpected)

    # -- switches ------------------------------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Training mode for this module and all below it: batch statistics, active dropout."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Evaluation mode for this module and all below it: running statistics, no dropout."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget all gradients: `grad` is None again. (An optimiser's `zero_grad` does the same without a search.)"""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, flag: bool = True) -> Self:
        """Train (True) or freeze (False) every parameter."""
        for parameter in self.parameters():
            parameter.requires_grad = flag
        return self

    def apply(self, function: Callable[[Module], object]) -> Self:
        """Call `function(module)` for every module below this one and for this one last."""
        for module in reversed(self.modules()):
            function(module)
        return self

    # -- hooks ---------------------------------------------------------------------------------------------------------

    def register_forward_hook(self, hook: ForwardHook) -> Remover:
        """Call `hook(module, inputs, output)` after every forward pass; a result that is not None replaces the output.

        `inputs` is the tuple of positional inputs. Returns a function that removes the hook.
        """
        self._forward_hooks = (*self._forward_hooks, hook)
        self._hooked = True
        return lambda: self._remove_hook("_forward_hooks", hook)

    def register_backward_hook(self, hook: BackwardHook) -> Remover:
        """Call `hook(module, grad_output)` when the gradient at the module's output is known.

        `grad_output` is a read-only array, to be copied if kept; an array returned by the hook replaces it. The output
        must be one tensor (TypeError at the next forward pass otherwise). Returns a function that removes the hook.
        """
        self._backward_hooks = (*self._backward_hooks, hook)
        self._hooked = True
        return lambda: self._remove_hook("_backward_hooks", hook)

    def _remove_hook(self, kind: str, hook: object) -> None:
        hooks = list(getattr(self, kind))
        if hook in hooks:
            hooks.remove(hook)
            setattr(self, kind, tuple(hooks))
            self._hooked = bool(self._forward_hooks or self._backward_hooks)

    def _call_hooked(self, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        output = self.forward(*inputs, **options)
        for hook in self._forward_hooks:
            replacement = hook(self, inputs, output)
            if replacement is not None:
                output = replacement
        if self._backward_hooks:
            if not isinstance(output, Tensor):
                raise TypeError(
                    f"a backward hook needs a module whose output is one tensor; {type(self).__name__} returned "
                    f"{type(output).__name__}. Hook its submodules, or use register_hook on the tensors."
                )
            if output.requires_grad:
                if output.is_leaf or any(output is x for x in inputs):
                    # The module passed on a tensor that lives on without it: the hook needs a result of its own.
                    output = output * 1.0
                for backward_hook in self._backward_hooks:
                    output.register_hook(lambda dy, hook=backward_hook: hook(self, dy))  # type: ignore[misc]
        return output

    # -- description ---------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What `repr` shows in the parentheses: a layer's sizes and options."""
        return ""

    def __repr__(self) -> str:
        total = sum(p.size for p in self.parameters())
        frozen = sum(p.size for p in self.parameters() if not p.requires_grad)
        rows = list(_rows(self, "", 0, set()))
        rows[-1] = (rows[-1][0], total)
        width = max(len(text) for text, _ in rows) + 2
        digits = max(len(f"{count:,}") for _, count in rows if count is not None)
        lines = [text if count is None else f"{text:<{width}}{count:>{digits},}" for text, count in rows]
        return "\n".join(lines) + f" parameter{'s' * (total != 1)}" + (f", {frozen:,} of them frozen" if frozen else "")

    def _repr_html_(self) -> str:
        """A table for notebooks: a row for each module, with the shapes of the parameters it holds itself."""
        from html import escape  # here, because it takes milliseconds that only a notebook needs

        seen: set[int] = set()
        rows = []
        for name, module in self.named_modules():
            held = [(k, p) for k, p in module._members() if isinstance(p, Parameter)]
            shapes = ", ".join(f"{k} {p.shape}" + " frozen" * (not p.requires_grad) for k, p in held)
            new = {id(p): p.size for _, p in held if id(p) not in seen}
            seen.update(new)
            title = f"{type(module).__name__}({module.extra_repr()})"
            cells = [f"<td>{escape(text)}</td>" for text in (name, title, shapes)]
            number = f"{sum(new.values()):,}" if new else ""
            rows.append(f'<tr>{"".join(cells)}<td style="text-align: right">{number}</td></tr>')
        total = sum(p.size for p in self.parameters())
        head = "<tr><th>name</th><th>module</th><th>parameters</th><th>numbers</th></tr>"
        foot = f'<tr><th colspan="3">all</th><th style="text-align: right">{total:,}</th></tr>'
        return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody><tfoot>{foot}</tfoot></table>"


def _found(name: str, value: object) -> Iterator[tuple[str, Parameter | Module]]:
    """The parameters and modules in an attribute: itself, or in lists, tuples and dictionaries of them."""
    if isinstance(value, Parameter | Module):
        yield name, value
    elif isinstance(value, list | tuple):
        for k, item in enumerate(value):
            yield from _found(f"{name}.{k}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _found(f"{name}.{key}", item)


_HOLDERS = (Parameter, Module, list, tuple, dict)
"""What attributes are that may hold a parameter or a module; most are numbers and strings."""


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _rows(module: Module, label: str, depth: int, seen: set[int]) -> Iterator[tuple[str, int | None]]:
    """(text, number of parameters or None) for each line of the description; what was shown before counts no more."""
    indent = "  " * depth
    head = f"{indent}{label}{type(module).__name__}"
    if id(module) in seen:
        yield f"{head}, shared: see above", None
        return
    seen.add(id(module))
    options = module.extra_repr()
    members = list(module._members())
    new = {id(p): p for _, p in members if isinstance(p, Parameter) and id(p) not in seen}
    seen.update(new)
    shown = [(key, item) for key, item in members if isinstance(item, Module) or not options]
    count = sum(p.size for p in new.values()) or None
    if not shown:
        yield f"{head}({options})", count
        return
    yield f"{head}({options}", count if options else None
    for key, item in shown:
        if isinstance(item, Module):
            yield from _rows(item, f"({key}): ", depth + 1, seen)
        else:
            size = item.size if new.pop(id(item), None) is not None else None
            shared = "" if size is not None else ", shared: see above"
            yield f"{indent}  ({key}): {type(item).__name__} {item.shape} {item.dtype}{shared}", size
    yield f"{indent})", None
