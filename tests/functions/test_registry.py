"""Adding and removing a Function: every list that goes with the registry is compared with it, in both directions.

The steps are in the docstring of npgrad/functions/__init__.py; this file is what proves them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pkgutil import iter_modules
from types import FunctionType
from typing import Any
from unittest import mock

import numpy as np
import pytest

import npgrad
import npgrad.check.cases
from models import deep_mlp
from npgrad import functions, nn, optim
from npgrad.check.case import CASES
from npgrad.diagnose import style
from npgrad.diagnose.saturation import SATURATION, WITHOUT_MEASURE
from npgrad.engine.function import Function
from npgrad.explain import order
from npgrad.functions import activation, registry
from tests.engine import test_protocols
from tests.functions import test_activation

Names = set[str]


@contextmanager
def without(table: Any, name: Any) -> Iterator[None]:
    """`table` lacks `name` inside; afterwards its entries are back in their old order, which other tests read."""
    with mock.patch.dict(table):
        del table[name]
        yield


def families() -> Names:
    """The Functions that the files of npgrad/functions define."""
    modules = [import_module(f"npgrad.functions.{m.name}") for m in iter_modules(functions.__path__)]
    return {
        name
        for module in modules
        for name, thing in vars(module).items()
        if isinstance(thing, type) and issubclass(thing, Function) and thing.__module__ == module.__name__
    }


def activations() -> Names:
    """The activations with a rule of their own: composed ones follow, and prelu is a layer with a parameter."""
    rules = {name.lower() for name in activation.__all__ if isinstance(getattr(activation, name, None), type)}
    return {name for name in public_activations() if name.replace("_", "") in rules} - {"prelu"}


def public_activations() -> Names:
    return {name for name in activation.__all__ if isinstance(getattr(activation, name, None), FunctionType)}


def named(kinds: Any) -> Names:
    """The names that `nn.ACTIVATIONS` has for module classes."""
    names = {kind: name for name, kind in nn.ACTIVATIONS.items()}
    return {names.get(kind, kind.__name__) for kind in kinds}


def first_words(table: Any) -> Names:
    return {name.split()[0] for name in table}


LISTS: dict[str, tuple[Callable[[], Names], Callable[[], Names]]] = {
    "npgrad/functions/__init__.py, the imports": (lambda: set(registry), families),
    "npgrad/check/cases": (lambda: set(CASES), lambda: set(registry)),
    "npgrad/explain/order.py": (lambda: {n for group in order._GROUPS for n in group.names}, lambda: set(registry)),
    "npgrad/nn/activation.py, ACTIVATIONS": (lambda: set(nn.ACTIVATIONS) - {"linear"}, activations),
    "npgrad/nn/activation.py, __all__": (
        lambda: named({getattr(nn.activation, n) for n in nn.activation.__all__ if n != "ACTIVATIONS"}) & activations(),
        activations,
    ),
    "npgrad/diagnose/saturation.py": (
        lambda: named([*SATURATION, *WITHOUT_MEASURE]),
        activations,
    ),
    "npgrad/diagnose/style.py, NAMED": (
        lambda: set(style.NAMED) - {*deep_mlp.NORMS, "sgd", "momentum", "adam", "stated", "linear"},
        activations,
    ),
    "models/deep_mlp.py, GAINS": (lambda: set(deep_mlp.GAINS), lambda: {n for n in activations() if no_gain(n)}),
    "tests/functions/test_activation.py, ACTIVATIONS": (
        lambda: {n.split()[0] for n in test_activation.ACTIVATIONS} - (public_activations() - activations()),
        activations,
    ),
    "tests/functions/test_activation.py, LIMITS": (
        lambda: set(test_activation.LIMITS),
        lambda: set(test_activation.ACTIVATIONS),
    ),
}
"""Where a list stands: what is in it, and what has to be."""


def no_gain(name: str) -> bool:
    try:
        nn.init.calculate_gain(name)
    except ValueError:
        return True
    return False


def complaints() -> list[str]:
    """Every list that lacks a name or has one too many."""
    found = []
    for place, (has, wanted) in LISTS.items():
        missing, orphans = wanted() - has(), has() - wanted()
        found += [f"{place} lacks {name}" for name in sorted(missing)]
        found += [f"{place} has {name}, which is gone" for name in sorted(orphans)]
    return found


def test_every_list_is_complete() -> None:
    assert complaints() == []


class Bump(Function):
    def forward(self, x: Any) -> Any:
        self.x = x
        return x / (1 + np.abs(x))

    def backward(self, dy: Any) -> Any:
        return dy / (1 + np.abs(self.x)) ** 2


def bump(x: Any) -> Any:
    return Bump.apply(x)


@pytest.mark.parametrize("is_activation", [False, True])
def test_a_function_that_was_added_is_missed_everywhere(monkeypatch: pytest.MonkeyPatch, is_activation: bool) -> None:
    monkeypatch.setattr(Bump, "__module__", "npgrad.functions.activation")
    monkeypatch.setattr(activation, "Bump", Bump, raising=False)
    if is_activation:
        monkeypatch.setattr(activation, "bump", bump, raising=False)
        monkeypatch.setattr(activation, "__all__", [*activation.__all__, "Bump", "bump"])
    assert complaints() == ["npgrad/functions/__init__.py, the imports lacks Bump"] + [
        f"{place} lacks bump" for place in list(LISTS)[3:9] if is_activation
    ]
    monkeypatch.setitem(registry, "Bump", Bump)
    assert complaints()[:2] == ["npgrad/check/cases lacks Bump", "npgrad/explain/order.py lacks Bump"]


def test_a_function_that_was_removed_is_an_orphan_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(activation, "Silu")
    monkeypatch.delattr(activation, "silu")
    places = [p for p in LISTS if "imports" not in p and "LIMITS" not in p and "activation.py, __all__" not in p]
    with without(registry, "Silu"):
        assert [line.partition(" has ")[0] for line in complaints()] == places
        assert all("silu" in line.lower() and line.endswith("which is gone") for line in complaints())


def test_a_name_missing_from_a_list_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation, "__all__", list(activation.__all__))
    for table, name, place in (
        (CASES, "Tanh", "npgrad/check/cases"),
        (nn.ACTIVATIONS, "tanh", "npgrad/nn/activation.py, ACTIVATIONS"),
        (SATURATION, nn.Tanh, "npgrad/diagnose/saturation.py"),
        (style.NAMED, "tanh", "npgrad/diagnose/style.py"),
        (deep_mlp.GAINS, "silu", "models/deep_mlp.py"),
        (test_activation.LIMITS, "tanh", "tests/functions/test_activation.py, LIMITS"),
    ):
        with without(table, name):
            assert any(line.startswith(place) and "lacks" in line for line in complaints())


@pytest.mark.parametrize("package", [nn, optim], ids=["nn", "optim"])
def test_a_package_exports_what_its_files_do(package: Any) -> None:
    """nn.init and whatever other module is an export itself keeps its names to itself."""
    found = set()
    for entry in iter_modules(package.__path__):
        module = import_module(f"{package.__name__}.{entry.name}")
        if entry.name not in package.__all__ or entry.name in module.__all__:
            found |= {n for n in module.__all__ if getattr(module, n).__class__.__module__ != "typing"}
    modules = {name for name in package.__all__ if type(getattr(package, name)) is type(package)}
    assert found - {"Parameters"} == set(package.__all__) - modules


def test_the_gains_are_what_they_say() -> None:
    z, weight = np.polynomial.hermite_e.hermegauss(200)
    for name, gain in deep_mlp.GAINS.items():
        y = getattr(npgrad, name)(z).numpy()
        assert gain == pytest.approx((weight @ (y * y) / weight.sum()) ** -0.5, rel=1e-3)


def test_arguments_of_numpys_functions_are_for_functions_there_are() -> None:
    assert set(test_protocols.CALLS) <= {f.__name__ for f in test_protocols.supported}


def test_the_steps_name_every_place() -> None:
    steps = functions.__doc__ or ""
    for place in LISTS:
        path = place.partition(",")[0]
        assert path.rpartition("/")[2].removesuffix(".py") in steps, path


def test_the_default_slope_stands_in_one_place() -> None:
    slope = activation.NEGATIVE_SLOPE
    x = npgrad.Tensor([-1.0], requires_grad=True)
    assert npgrad.leaky_relu(x).item() == nn.LeakyReLU()(x).item() == -slope
    assert registry["LeakyRelu"].apply(x).item() == -slope
    assert nn.init.calculate_gain("leaky_relu") == (2 / (1 + slope**2)) ** 0.5
