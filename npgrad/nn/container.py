"""What holds a network together: modules made of modules, and Flatten between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import Self, overload

from npgrad import functions as F
from npgrad.engine.tensor import Tensor
from npgrad.nn.module import Module, Parameter

__all__ = ["Flatten", "ModuleList", "Sequential"]


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


class Flatten(Module):
    """Merge the axes from `start_dim` to `end_dim`, which is among them, into one: (32, 3, 10) becomes (32, 30)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        shape, n = x.shape, x.ndim
        if not (-n <= self.start_dim < n and -n <= self.end_dim < n and self.start_dim % n <= self.end_dim % n):
            raise ValueError(
                f"Flatten(start_dim={self.start_dim}, end_dim={self.end_dim}) got an input of shape {shape}, which has "
                "no such axes in this order."
            )
        first, last = self.start_dim % n, self.end_dim % n
        return F.reshape(x, (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :]))

    def extra_repr(self) -> str:
        values = {"start_dim": (self.start_dim, 1), "end_dim": (self.end_dim, -1)}
        return ", ".join(f"{name}={value}" for name, (value, default) in values.items() if value != default)
