"""Importing: what `import npgrad` loads and what it leaves for later, and that nobody can tell the difference."""

from __future__ import annotations

import pickle
import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

import npgrad
from npgrad import functions
from npgrad.engine.function import Function
from npgrad.functions import registry, _FAMILIES

FILES = [module.name for module in pkgutil.iter_modules(functions.__path__)]
NAMES = [name for names in _FAMILIES.values() for name in names]


def afresh(code: str) -> str:
    """What the code prints in a new process."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.smoke
def test_importing_npgrad_loads_the_engine_alone() -> None:
    loaded = afresh(
        "import sys, numpy; before = set(sys.modules); import npgrad; print(*sorted(set(sys.modules) - before))"
    ).split()
    ours = {name for name in loaded if name.partition(".")[0] == "npgrad"}
    others = {name.partition(".")[0] for name in loaded} - {"npgrad", "org"}  # org: the copy module looks for Jython
    assert others <= sys.stdlib_module_names
    assert ours == {"npgrad", "npgrad.functions"} | {
        f"npgrad.{name}" for name in ("tensor", "operators", "declared", "function", "sweep", "mode", "replay", "route")
    }
    assert "numpy.typing" not in loaded and "dataclasses" not in loaded


@pytest.mark.parametrize("file", FILES)
def test_the_table_of_families_is_true(file: str) -> None:
    module = import_module(f"npgrad.functions.{file}")
    rules = {
        name
        for name, thing in vars(module).items()
        if isinstance(thing, type) and issubclass(thing, Function) and thing.__module__ == module.__name__
    }
    if file in _FAMILIES:
        assert sorted(_FAMILIES[file]) == sorted(module.__all__)
        assert rules <= set(module.__all__), "a Function that is not public is in no registry, and nobody checks it"
    else:
        assert not rules, f"{module.__name__} has Functions and is not in the table of npgrad/functions/__init__.py"


def test_a_name_means_one_thing() -> None:
    assert len(NAMES) == len(set(NAMES)) and set(_FAMILIES) <= set(FILES)
    assert set(NAMES).isdisjoint(module.name for module in pkgutil.iter_modules(npgrad.__path__))
    for family, names in _FAMILIES.items():
        for name in names:
            thing = getattr(import_module(f"npgrad.functions.{family}"), name)
            assert getattr(functions, name) is thing and getattr(npgrad, name) is thing
            assert vars(functions)[name] is thing and vars(npgrad)[name] is thing, "from now on an ordinary attribute"


def test_names_can_be_listed_and_misspelled() -> None:
    assert {*NAMES, "Tensor", "nn", "grad", "replay"} <= set(dir(npgrad)) and set(NAMES) <= set(dir(functions))
    for module in (npgrad, functions):
        assert not hasattr(module, "tanhh")
        with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute 'tanhh'"):
            module.tanhh  # noqa: B018
    with pytest.raises(ImportError, match="tanhh"):
        exec("from npgrad import tanhh")
    with pytest.raises(AttributeError, match=r"module 'npgrad.function' has no attribute 'Registry'"):
        import_module("npgrad.function").Registry  # noqa: B018


def test_star_imports() -> None:
    space: dict[str, object] = {}
    exec("from npgrad import *", space)
    assert all(space[name] is getattr(functions, name) for name in NAMES)
    assert {"Tensor", "Function", "no_grad", "replay", "grad", "hvp", "jvp"} <= set(space)
    space = {}
    exec("from npgrad.functions import *", space)
    assert set(space) - {"__builtins__"} == set(NAMES)


def test_functions_stay_functions_whoever_imports_their_files() -> None:
    namesakes = sorted(set(FILES) & set(NAMES))
    assert "matmul" in namesakes and "layer_norm" in namesakes
    code = f"""
import importlib, pickle, sys, types
from npgrad.functions.layer_norm import LayerNorm
import npgrad.functions.matmul
import npgrad.functions as F
assert not isinstance(F.layer_norm, types.ModuleType) and F.matmul.__name__ == "matmul" and F.LayerNorm is LayerNorm
softmax = pickle.loads({pickle.dumps(functions.softmax)!r})
assert F.softmax is softmax is npgrad.softmax
for name in {namesakes}:
    module = importlib.import_module("npgrad.functions." + name)
    assert isinstance(module, types.ModuleType) and module is sys.modules["npgrad.functions." + name]
    assert getattr(F, name) is getattr(module, name) is getattr(npgrad, name)
"""
    afresh(code)


def test_the_registry_is_whole_and_in_order_whatever_was_loaded_before() -> None:
    code = "import npgrad; npgrad.softmax, npgrad.tanh; from npgrad.engine.function import registry; print(*registry)"
    assert afresh(code).split() == list(registry) == [name for name in NAMES if name[0].isupper()]
    assert all(registry[name] is getattr(functions, name) for name in registry)
    assert import_module("npgrad.function").registry is registry


def test_threads_may_ask_at_once() -> None:
    code = """
import sys, threading
sys.setswitchinterval(1e-6)
import npgrad
names, start = npgrad.functions.__all__, threading.Barrier(8)
found, failures = [], []
def ask(k):
    start.wait()
    try:
        order = names[k * 16:] + names[:k * 16]
        from npgrad.functions import registry
        found.append(({name: getattr(npgrad, name) for name in order}, registry))
        assert npgrad.tanh(npgrad.Tensor(1.0)).item() > 0
    except BaseException as error:
        failures.append(error)
threads = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not failures, failures
assert all(things == found[0][0] and registry is found[0][1] for things, registry in found) and len(found) == 8
"""
    afresh(code)
