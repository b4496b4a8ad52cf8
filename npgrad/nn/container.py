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
    """Merge all axes from `start_dim` on into one: (32, 3, 10) becomes (32, 30)."""

    def __init__(self, start_dim: int = 1) -> None:
        self.start_dim = start_dim

    def forward(self, x: Tensor) -> Tensor:
        shape, k = x.shape, self.start_dim
        if not -len(shape) <= k < len(shape):
            raise ValueError(f"Flatten(start_dim={k}) got an input of shape {shape}, which has no such axis.")
        return F.reshape(x, (*shape[:k], prod(shape[k:])))

    def extra_repr(self) -> str:
        return "" if self.start_dim == 1 else f"start_dim={self.start_dim}"
