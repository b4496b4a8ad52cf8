"""A Function's place: which public functions apply it, which layers call those, which models and experiments use them.

Found by reading the source, not by running it; a name counts only where it was imported from npgrad.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

__all__ = ["Place", "applied_by", "place_of"]

_PACKAGE = Path(__file__).resolve().parents[1]
_ROOT = _PACKAGE.parent


@dataclass(frozen=True)
class Place:
    """Where a Function is used: names of public functions, operators, layers, and files."""

    functions: tuple[str, ...]
    operators: tuple[str, ...]
    layers: tuple[str, ...]
    models: tuple[str, ...]
    experiments: tuple[str, ...]


@lru_cache(maxsize=1)
def _applications() -> dict[str, tuple[str, ...]]:
    """Function class -> the public functions in whose bodies it is applied, directly or through private ones."""
    found: dict[str, dict[str, None]] = {}
    for file in sorted((_PACKAGE / "functions").glob("*.py")):
        bodies = {n.name: n for n in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(n, ast.FunctionDef)}

        def classes(name: str, bodies: dict[str, ast.FunctionDef], seen: frozenset[str]) -> Iterator[str]:
            for node in ast.walk(bodies[name]):
                if isinstance(node, ast.Attribute) and node.attr == "apply" and isinstance(node.value, ast.Name):
                    yield node.value.id
                elif isinstance(node, ast.Name) and node.id in bodies and node.id not in seen:
                    yield from classes(node.id, bodies, seen | {node.id})

        for name in bodies:
            if not name.startswith("_"):
                for applied in classes(name, bodies, frozenset({name})):
                    found.setdefault(applied, {})[name] = None
    return {name: tuple(functions) for name, functions in found.items()}


def applied_by(class_name: str) -> tuple[str, ...]:
    """The public functions that apply a Function class."""
    return _applications().get(class_name, ())


@lru_cache(maxsize=1)
def _operators() -> dict[str, tuple[str, ...]]:
    """Function class or public function -> the operators and methods of Tensor that stand for it."""
    found: dict[str, list[str]] = {}
    tree = ast.parse((_PACKAGE / "bindings" / "operators.py").read_text(encoding="utf-8"))
    for method in ast.walk(tree):
        if not isinstance(method, ast.FunctionDef):
            continue
        for node in ast.walk(method):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "F":
                found.setdefault(node.attr, []).append(method.name)
    return {name: tuple(dict.fromkeys(methods)) for name, methods in found.items()}


def _names_used(tree: ast.AST) -> set[str]:
    """Names of npgrad's (and files of `models`) that a file uses, by way of its imports."""
    modules: set[str] = set()
    names: dict[str, str] = {}
    files: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {(a.asname or a.name).split(".")[0] for a in node.names if a.name.split(".")[0] == "npgrad"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "npgrad":
            for a in node.names:
                names[a.asname or a.name] = a.name
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "models":
            parts = (node.module or "").split(".")
            files += [f"models/{parts[1]}.py"] if len(parts) > 1 else [f"models/{a.name}.py" for a in node.names]
    used: set[str] = set(files)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in names:
            used.add(names[node.id])
        elif isinstance(node, ast.Attribute):
            root: ast.expr = node
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and (root.id in modules or root.id in names):
                used.add(node.attr)
    return used


@lru_cache(maxsize=1)
def _layers() -> dict[str, frozenset[str]]:
    """Public class of npgrad.nn -> names of npgrad it uses, itself or through its base classes."""
    found: dict[str, frozenset[str]] = {}
    bases: dict[str, list[str]] = {}
    for file in sorted((_PACKAGE / "nn").glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        imports = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                found[node.name] = frozenset(_names_used(ast.Module([*imports, node], [])))
                bases[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]

    def used(name: str) -> frozenset[str]:
        return found.get(name, frozenset()).union(*(used(base) for base in bases.get(name, ())))

    return {name: used(name) for name in found if not name.startswith("_")}


@lru_cache(maxsize=4)
def _files(folder: str) -> dict[str, frozenset[str]]:
    root = _ROOT / folder
    files = sorted(root.rglob("*.py")) if root.is_dir() else []
    return {
        file.relative_to(_ROOT).as_posix(): frozenset(_names_used(ast.parse(file.read_text(encoding="utf-8"))))
        for file in files
    }


def place_of(class_name: str) -> Place:
    """Where the Function called `class_name` is used."""
    functions = applied_by(class_name)
    operators = dict.fromkeys(
        method for name in (class_name, *functions) for method in _operators().get(name, ()) if method not in functions
    )
    names = {class_name, *functions}
    layers = tuple(name for name, used in _layers().items() if used & names)
    names |= set(layers)
    models = tuple(file for file, used in _files("models").items() if used & names)
    experiments = tuple(file for file, used in _files("experiments").items() if used & (names | set(models)))
    return Place(functions, tuple(operators), layers, models, experiments)
