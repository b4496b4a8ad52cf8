"""The graph of imports: no circle, no arrow that points up, and what `import npgrad` loads and leaves for later."""

from __future__ import annotations

import ast
import pickle
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import npgrad
from npgrad import functions
from npgrad.engine.function import Function
from npgrad.functions import decompositions, registry

ROOT = Path(npgrad.__file__).parents[1]
PACKAGES = ("npgrad", "models", "experiments", "benchmarks")

LEVELS = (
    ("npgrad.declared", "npgrad.version", "npgrad.engine.recording"),
    ("npgrad.engine.arrays",),
    ("npgrad.engine.mode", "npgrad.engine.holomorphic"),
    ("npgrad.engine.node",),
    ("npgrad.engine.backward",),
    ("npgrad.engine.tensor",),
    ("npgrad.engine.function",),
    ("npgrad.functions",),
    ("npgrad.bindings",),
    ("npgrad.compile", "npgrad.creation", "npgrad.derivative"),
    ("npgrad.nn", "npgrad.optim", "npgrad.data", "npgrad.checkpoint"),
    ("npgrad.check", "npgrad.diagnose", "npgrad.explain"),
    ("npgrad",),
    ("models",),
    ("experiments.claim", "experiments.claims"),
    ("experiments", "benchmarks"),
    ("experiments.lessons",),
)
"""What may import what: a module imports from its own level and from those before it."""


def level(module: str) -> int:
    """The level of the longest prefix named above."""
    found = [(len(name), k) for k, names in enumerate(LEVELS) for name in names if f"{module}.".startswith(f"{name}.")]
    return max(found)[1]


def imports(source: str, modules: set[str]) -> Iterator[str]:
    """The modules that a file imports anywhere, also inside functions and for type checkers only."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None, "relative imports hide what is imported"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield from [name for name in (submodule, node.module) if name in modules][:1]


def graph() -> dict[str, set[str]]:
    files = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {name: set(imports(path.read_text(encoding="utf-8"), set(files))) for name, path in files.items()}


def circle(edges: dict[str, set[str]]) -> list[str]:
    """A circle if there is one: what is left after everything that imports nothing is taken away, again and again."""
    left = {name: set(targets) for name, targets in edges.items()}
    while done := {name for name, targets in left.items() if not targets}:
        left = {name: targets - done for name, targets in left.items() if name not in done}
    path = [min(left)] if left else []
    while path and path[-1] not in path[:-1]:
        path.append(min(left[path[-1]]))
    return path[path.index(path[-1]) :] if path else []


@pytest.mark.smoke
def test_no_file_imports_itself_through_others() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    found = graph()
    assert found["npgrad.engine.function"] >= {"npgrad.engine.node", "npgrad.engine.tensor"}
    assert " → ".join(circle(found)) == ""


def test_no_import_points_up() -> None:
    found = graph()
    upward = [f"{name} → {target}" for name in found for target in found[name] if level(target) > level(name)]
    assert upward == []


def afresh(code: str) -> str:
    """What the code prints in a new process."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.smoke
def test_importing_npgrad_loads_what_tensors_need_and_nothing_else() -> None:
    loaded = afresh(
        "import sys, numpy; before = set(sys.modules); import npgrad; print(*sorted(set(sys.modules) - before))"
    ).split()
    # org: the copy module looks for Jython; NumPy loads parts of itself later, compiled by Cython.
    others = {name.partition(".")[0] for name in loaded if "cython" not in name} - {"npgrad", "numpy", "org"}
    assert others <= sys.stdlib_module_names
    assert "numpy.typing" not in loaded
    later = {"nn", "optim", "data", "checkpoint", "check", "diagnose", "explain"}
    assert later.isdisjoint(name.split(".")[1] for name in loaded if name.startswith("npgrad."))


@pytest.mark.parametrize("file", sorted((Path(functions.__file__)).parent.glob("[!_]*.py")), ids=lambda path: path.stem)
def test_every_rule_is_public(file: Path) -> None:
    module = import_module(f"npgrad.functions.{file.stem}")
    rules = {name for name, thing in own(module).items() if isinstance(thing, type) and issubclass(thing, Function)}
    assert rules <= set(module.__all__), "a Function that is not public is in no registry, and nobody checks it"
    for name in module.__all__ if file.stem not in ("error_function", "matrix_sums", "windows") else ():
        if module in (npgrad.linalg, decompositions) and name not in rules:
            continue
        assert getattr(functions, name) is getattr(npgrad, name) is getattr(module, name)
        assert (name in registry) == (name in rules)


def own(module: ModuleType) -> dict[str, Any]:
    """What a module defines itself."""
    return {name: thing for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__}


def test_names_are_the_same_everywhere_and_stay_what_they_are() -> None:
    assert type(npgrad) is ModuleType and type(functions) is ModuleType
    for name in ("softmax", "layer_norm", "matmul"):  # two of them name files as well
        assert getattr(npgrad, name) is getattr(functions, name) and callable(getattr(npgrad, name))
    assert pickle.loads(pickle.dumps(npgrad.softmax)) is npgrad.softmax
    assert list(registry) == list(dict.fromkeys(registry)) and all(registry[n].__name__ == n for n in registry)
    afresh("import npgrad.functions.matmul; import npgrad; assert npgrad.matmul.__name__ == 'matmul'")


def test_names_can_be_listed_and_misspelled() -> None:
    assert {*registry, "Tensor", "nn", "grad", "compile"} <= set(dir(npgrad))
    with pytest.raises(AttributeError, match=r"module 'npgrad' has no attribute 'tahn'.* 'tanh'"):
        npgrad.tahn  # noqa: B018
    with pytest.raises(ImportError, match="tanhh"):
        exec("from npgrad import tanhh")


def test_star_imports() -> None:
    space: dict[str, object] = {}
    exec("from npgrad import *", space)
    assert all(space[name] is registry[name] for name in registry)
    assert {"Tensor", "Function", "no_grad", "compile", "grad", "hvp", "jvp", "tanh"} <= set(space)
