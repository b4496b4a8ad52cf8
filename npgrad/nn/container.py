"""Modules made of modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Self, overload

from npgrad.nn.module import Module, Parameter
from npgrad.tensor import Tensor

__all__ = ["ModuleList", "Sequential"]


class ModuleList(Module):
    """A list of modules that are called `0`, `1`, … in a state dictionary."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._layers: list[Module] = []
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> Self:
        """Add a module at the end. Raises TypeError if it is not one."""
        if not isinstance(module, Module):
            kind = module.__name__ + " (the class)" if isinstance(module, type) else type(module).__name__
            raise TypeError(
                f"{type(self).__name__} holds modules and got {kind} as number {len(self._layers)}: "
                "wrap a function in a Module, and write Tanh() rather than Tanh."
            )
        self._layers.append(module)
        return self

    def _members(self) -> Iterator[tuple[str, Parameter | Module]]:
        for name, item in super()._members():
            yield name.removeprefix("_layers."), item

    def __len__(self) -> int:
        return len(self._layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._layers)

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Module | Self:
        if isinstance(index, slice):
            part = type(self)()
            part._layers = self._layers[index]
            return part
        return self._layers[index]


class Sequential(ModuleList):
    """`Sequential(f, g, h)(x)` is h(g(f(x))); also a list: `len`, iteration, `net[2]`, `net[:-1]` (shared modules)."""

    def __init__(self, *modules: Module) -> None:
        super().__init__(modules)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self._layers:
            x = layer(x)
        return x
