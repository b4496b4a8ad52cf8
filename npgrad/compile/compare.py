"""The check of a program against eager code: what both may change, copied and compared byte for byte."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.compile.arguments import has_graph, tensors
from npgrad.compile.guards import differs
from npgrad.compile.program import Program
from npgrad.compile.trace import CompileError
from npgrad.engine.backward import sweep
from npgrad.engine.node import Leaf
from npgrad.engine.tensor import Tensor

__all__ = ["Different", "State", "different", "same_bytes"]


class Different(CompileError):
    """A check found that the result of the program differs from the eager one."""

    def __init__(self, name: str, what: str, eager: Any) -> None:
        super().__init__(
            f"the compiled {name} and the eager one differ in {what}. Something that the program cannot see "
            "has changed (a number kept in an object, a global of another module), or the function does not "
            "give the same result twice, or it fills an array that it makes itself (make that with np.zeros_like of an "
            "argument). What was computed eagerly stands; give what changes to the function as an argument, or do not "
            "compile it."
        )
        self.eager = eager


class State:
    """Everything a program and its function may change: arrays, gradients, generators, counters."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.arrays = program.arrays()
        self.leaves = program.leaves

    def copy(self) -> Copy:
        return Copy(self)

    def restore(self, copy: Copy) -> None:
        copy.put_back()

    def gradients_of(self, result: Any, program: Program) -> list[Any] | None:
        """The gradients that the program captures, by the eager graph, which stays as it is."""
        if program.backward is None:
            return None
        root = next((t for t in tensors(result) if has_graph(t)), None)
        if root is None:
            return None
        kept = [(leaf, leaf._grad, leaf.hooks) for leaf in program.captured]
        try:
            for leaf, _, _ in kept:
                leaf._grad = leaf.hooks = None
            assert root._node is not None
            sweep(root._node, np.ones_like(root._array), retain_graph=True)
            return [np.array(leaf.grad) for leaf in program.captured]
        finally:
            for leaf, grad, hooks in kept:
                leaf._grad, leaf.hooks = grad, hooks


class Copy:
    """The state at one moment."""

    def __init__(self, state: State) -> None:
        self.program = state.program
        self.arrays = [(a, a.copy()) for a in state.arrays]
        self.gradients: list[tuple[Leaf, Any, Any]] = []
        for leaf in state.leaves:
            g = leaf.grad
            self.gradients.append((leaf, g, None if g is None else g.copy()))
        self.generators = [(g, g.bit_generator.state) for g in state.program.generators]
        self.counters = [host._snapshot() for host in state.program.hosts]

    def put_back(self) -> None:
        for array, content in self.arrays:
            array[...] = content
        for leaf, g, content in self.gradients:
            if g is not None and g.flags.writeable:
                g[...] = content
            leaf._grad = g
        for generator, where in self.generators:
            generator.bit_generator.state = where
        for undo in self.counters:
            undo()

    def difference(self, other: Copy) -> str:
        """What differs between two moments; empty if nothing does."""
        for (array, a), (_, b) in zip(self.arrays, other.arrays, strict=True):
            if not same_bytes(a, b):
                line = self.program.changer(array)
                return f"an array of shape {a.shape}" + (f" that `{line}` changes" if line else "")
        for (leaf, _, a), (_, _, b) in zip(self.gradients, other.gradients, strict=True):
            if (a is None) is not (b is None) or (a is not None and not same_bytes(a, b)):
                return f"the gradient of a parameter of shape {leaf.out_shape}"
        if any(a != b for (_, a), (_, b) in zip(self.generators, other.generators, strict=True)):
            return "the random numbers drawn"
        return ""


def same_bytes(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same bytes. One nan is as good as another: processors differ in its sign."""
    if a.tobytes() == b.tobytes():
        return True
    if a.dtype.kind not in "fc":
        return False
    missing = np.isnan(a)
    return (
        bool(missing.any())
        and np.where(missing, 0, a).tobytes() == np.where(np.isnan(b), 0, b).tobytes()
        and bool(np.array_equal(missing, np.isnan(b)))
    )


def different(a: Any, b: Any) -> str:
    """Where two results differ; empty if nowhere."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return different(a._array, b._array)
    if isinstance(a, np.ndarray | np.generic) and isinstance(b, np.ndarray | np.generic):
        same = a.shape == b.shape and a.dtype == b.dtype and same_bytes(a, b)
        return "" if same else f"the result ({a} and {b})" if np.size(a) == 1 else "the result"
    if isinstance(a, tuple | list) and isinstance(b, tuple | list) and len(a) == len(b):
        return next((d for x, y in zip(a, b, strict=True) if (d := different(x, y))), "")
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return next((d for key in a if (d := different(a[key], b[key]))), "")
    return (
        ""
        if type(a) is type(b) and (a is b or not isinstance(a, int | float | str) or not differs(a, b))
        else "the result"
    )
