"""What the engine asks of `npgrad.compile` during a recording, and what stands in for arrays then.

Nothing here is needed to understand eager code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Recorder", "StandIn"]


class Recorder(Protocol):
    """What the engine asks of a recording while there is one."""

    def forward(self, node: Any, arrays: list[Any], options: dict[str, Any], leaves: tuple[Any, ...]) -> Any:
        """`node.forward(*arrays, **options)` on stand-ins, or as one call if it cannot be recorded."""

    def lift(self, x: Any) -> Any:
        """What stands in for `x`, an array or a generator, during the recording; anything else as it is."""

    def value(self, tensor: Any) -> Any:
        """What stands in for the array of `tensor`, which is about to be read."""

    def born(self, leaf: Any) -> None:
        """`leaf` was made by the recorded function, which will make another one in the next run."""

    def leaf(self, leaf: Any, reading: bool = False) -> None:
        """The gradient of `leaf` is about to be read or set."""

    def accumulate(self, leaf: Any, g: Any) -> bool:
        """Whether the recording keeps `g`, the gradient of `leaf` in one sweep, to itself."""

    def host(self, call: Callable[..., Any], *args: Any) -> Any:
        """The result of a method that is to be called again at each run: a dictionary of numbers, or nothing.

        Its object has a method `_snapshot`, which returns a function that undoes what calls have changed since.
        """

    def refuse(self, what: str) -> None:
        """Raise: the recorded function did something that a program cannot do."""


class StandIn:
    """Base of what stands in for an array while `npgrad.compile` records: it behaves like an array and holds none."""

    weak: bool
    """Whether it stands for a Python number."""

    number: Callable[[], Any]
    """Gives what stands in for `float()` of it, which Python would insist on getting at once."""
