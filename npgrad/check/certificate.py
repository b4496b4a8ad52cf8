"""The certificate: every registered Function, on random cases, against every oracle."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import npgrad.check.cases  # noqa: F401  (registers the cases)
from npgrad.check.case import CASES, Case
from npgrad.check.errors import GradientError
from npgrad.check.gradcheck import COMPLEX, DIFFERENCES, TORCH, gradcheck
from npgrad.check.second_derivative import hvpcheck
from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.functions import registry

__all__ = ["HVP", "Line", "certify", "certify_all", "draw", "select", "torch_module"]


HVP = "hvp"


@dataclass
class Line:
    """What was found about one Function."""

    name: str
    cases: int = 0
    errors: dict[str, float] = field(default_factory=dict)
    failure: str | None = None

    @property
    def passed(self) -> bool:
        return self.failure is None


def torch_module() -> Any:
    """PyTorch, or None where it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    return torch


def draw(name: str, count: int, seed: int = 0) -> Iterator[tuple[int, int, Case]]:
    """`count` cases of the Function called `name`, its builders taking turns: (builder, draw, case).

    A case depends on its name, builder, number and the seed alone, so a failure can be drawn again by itself.
    """
    builders = CASES[name]
    for n in range(count):
        which = n % len(builders)
        yield which, n, builders[which](np.random.default_rng([seed, zlib.crc32(name.encode()), which, n]))


def certify(name: str, count: int = 20, seed: int = 0, entries: int = 6, torch: Any = None) -> Line:
    """Check one Function on `count` cases, at least two of each of its builders; stop at the first failure."""
    line = Line(name)
    if not CASES.get(name):
        line.failure = "no cases: add a builder to npgrad/check/cases"
        return line
    for which, n, case in draw(name, max(count, 2 * len(CASES[name])), seed):
        try:
            f, inputs = call(registry[name], case), variable(case)
            errors = gradcheck(f, inputs, seed=n, entries=entries, torch=reference(case, torch)).errors
            errors[HVP] = hvpcheck(f, inputs, seed=n)
        except Exception as error:
            kind = "" if isinstance(error, GradientError) else f"{type(error).__name__}: "
            shapes = ", ".join(str(x.shape) if isinstance(x, np.ndarray) else repr(x) for x in case.inputs)
            options = "".join(f", {key}={value!r}" for key, value in case.options.items())
            builder = CASES[name][which].__name__
            line.failure = f"{kind}{error} Case: builder {builder}, draw {n}, seed {seed}: {name}({shapes}{options})"
            return line
        line.cases += 1
        for oracle, value in errors.items():
            line.errors[oracle] = max(line.errors.get(oracle, 0.0), value)
    return line


def certify_all(names: list[str], count: int = 20, seed: int = 0) -> Iterator[Line]:
    """One line after the other, as they are found."""
    torch = torch_module()
    for name in names:
        yield certify(name, count, seed, torch=torch)


def differentiable(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def variable(case: Case) -> list[Array]:
    return [x for x in case.inputs if differentiable(x)]


def call(cls: type[Function], case: Case) -> Any:
    """The case as a function of its floating-point inputs alone."""

    def f(*tensors: Any) -> Any:
        given = iter(tensors)
        return cls.apply(*[next(given) if differentiable(x) else x for x in case.inputs], **case.options)

    return f


def reference(case: Case, torch: Any) -> Any:
    """The same, computed by torch; None if torch or the counterpart is missing."""
    if torch is None or case.torch is None:
        return None

    def f(*tensors: Any) -> Any:
        given = iter(tensors)
        fixed = [torch.tensor(x) if isinstance(x, np.ndarray | np.generic) else x for x in case.inputs]
        assert case.torch is not None
        return case.torch(
            torch, *[next(given) if differentiable(x) else y for x, y in zip(case.inputs, fixed, strict=True)]
        )

    return f


def select(asked: list[str]) -> list[str]:
    """Names of Functions for what the user typed: class names, or public functions such as batch_norm.

    Raises KeyError, with a sentence that offers close matches, for a name that is neither.
    """
    functions: dict[str, list[str]] = {}
    for name, cls in registry.items():
        functions.setdefault(snake(name), []).append(name)
        module = importlib.import_module(cls.__module__)
        for public in getattr(module, "__all__", ()):
            if public[:1].islower() and uses(getattr(module, public), name):
                functions.setdefault(public, []).append(name)
    out: list[str] = []
    for name in asked:
        found = [name] if name in registry else functions.get(name)
        if found is None:
            close = difflib.get_close_matches(name, [*registry, *functions], n=3)
            hint = f" Did you mean {', '.join(close)}?" if close else " Without names, all functions are checked."
            raise KeyError(f"npgrad has no function called {name!r}.{hint}")
        out += found
    return list(dict.fromkeys(out))


def uses(function: Any, name: str) -> bool:
    """Whether a public function refers to the Function called `name`, itself or through others of its file."""
    function = inspect.unwrap(function)
    todo, seen = [function], set()
    while todo:
        code = getattr(inspect.unwrap(todo.pop()), "__code__", None)
        if code is not None and code not in seen:
            seen.add(code)
            if name in code.co_names:
                return True
            todo += [function.__globals__[n] for n in code.co_names if in_same_file(function, n)]
    return False


def in_same_file(function: Any, name: str) -> bool:
    """Whether `name`, as the code of `function` reads it, is another function of the same file."""
    other = function.__globals__.get(name)
    return getattr(other, "__module__", None) == function.__module__ and not isinstance(other, type)


def snake(name: str) -> str:
    """BatchNorm -> batch_norm."""
    return "".join("_" + c.lower() if c.isupper() and k else c.lower() for k, c in enumerate(name))


def table(lines: Iterator[Line]) -> Iterator[str]:
    """The certificate as text of 80 columns, line by line, ending with the verdict.

    The numbers are the largest errors relative to the size of the gradient, against each oracle; `hvp` compares the
    second derivative through backward with differences of the gradient. Without torch there is no column for it.
    """
    torch = torch_module()
    version = f"torch {torch.__version__}" if torch is not None else "torch is not installed"
    yield f"npgrad certificate: numpy {np.__version__}, {version}"
    yield ""
    third = f"{'torch':>14}" if torch is not None else ""
    yield f"{'function':<20}{'cases':>6}{'complex step':>14}{'differences':>13}{third}{'hvp':>8}"
    yield "-" * 80
    done: list[Line] = []
    for line in lines:
        done.append(line)
        verdict = "ok" if line.passed else "FAIL"
        yield row(line.name, line.cases, line.errors, torch is not None) + f"{verdict:>5}"
    yield "-" * 80
    worst = {o: max(line.errors[o] for line in done if o in line.errors) for o in {o for x in done for o in x.errors}}
    yield row("largest error", sum(line.cases for line in done), worst, torch is not None)
    bad = [line for line in done if not line.passed]
    for line in bad:
        yield ""
        yield f"{line.name}: {line.failure}"
    yield ""
    number = f"{len(done)} function{'s' * (len(done) != 1)}"
    yield f"FAIL: {len(bad)} of {number}" if bad else f"PASS: {number}"


def row(name: str, cases: int, errors: dict[str, float], with_torch: bool) -> str:
    third = f"{number(errors.get(TORCH)):>14}" if with_torch else ""
    return (
        f"{name:<20}{cases:>6}{number(errors.get(COMPLEX)):>14}{number(errors.get(DIFFERENCES)):>13}"
        f"{third}{number(errors.get(HVP)):>8}"
    )


def number(x: float | None) -> str:
    return "—" if x is None else f"{x:.1e}"
