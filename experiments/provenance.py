"""What a result depends on besides its configuration: the code that its run executed, NumPy, BLAS and the processor.

The code is taken definition by definition (functions, classes, constants), from the lesson's `run` on, following every
name to where it is defined: in the lesson, in other lessons, in `models`, in `npgrad`. What no run reaches (a caption,
a plot, another lesson) does not count, nor do comments, docstrings and annotations. The engine counts as a whole,
because operators and compiled programs reach it without naming it. Of the Functions only those count that the run has
applied, which is noted while it runs: as with the dependency files of a build system, what a run depends on is known
once it has been done, and it has to be done again when one of those definitions has changed.
"""

from __future__ import annotations

import ast
import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

import npgrad
from npgrad.compile.program import PROGRAMS

__all__ = ["ROOT", "THREADS", "Code", "applied_functions", "environment", "libraries"]

ROOT = Path(__file__).parent.parent
PROJECT = ("npgrad", "models", "experiments")
BY_NAME = (
    "__main__", "check", "checkpoint", "creation", "data", "derivative", "diagnose", "explain", "functions", "nn",
    "optim", "version",
)  # fmt: skip
"""The parts of `npgrad` that count where they are named; the rest is the engine, and counts always."""
FUNCTIONS = "npgrad.functions."
LOADERS = ("npgrad", "npgrad.functions", "npgrad.bindings.spellings")
"""Their own files say where names are found, or what is called otherwise: a new name in them changes no result."""
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


# -- the code ----------------------------------------------------------------------------------------------------------


class _Source:
    """One version of a file: what it binds at its top level, what that names, and what it imports."""

    def __init__(self, path: Path, package: str) -> None:
        tree = _Bare().visit(ast.parse(path.read_text(encoding="utf-8")))
        self.bound: dict[str, list[ast.stmt]] = {}
        self.imports: dict[str, tuple[str, str | None]] = {}
        """Local name → (module, name in it); None for the module itself."""
        self.stars: list[str] = []
        for statement in _flat(tree.body):
            for name in _binds(statement):
                self.bound.setdefault(name, []).append(statement)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    self.imports[alias.asname or top] = (alias.name if alias.asname else top, None)
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                module = ".".join([*above, *([node.module] if node.module else [])])
                for alias in node.names:
                    if alias.name == "*":
                        self.stars.append(module)
                    elif (module, alias.name) != (package, alias.asname or alias.name):
                        self.imports[alias.asname or alias.name] = (module, alias.name)

    @functools.cache  # noqa: B019 (sources are kept as long as the process)
    def digest(self, name: str) -> str:
        return _hash("\n".join(map(ast.unparse, self.bound[name])))

    @functools.cache  # noqa: B019
    def named(self, name: str) -> tuple[list[list[str]], list[list[str]]]:
        """The dotted names in a definition, and those that are its bases."""
        statements = self.bound.get(name, [])
        bases = [base for s in statements if isinstance(s, ast.ClassDef) for base in s.bases]
        every, above = ([chain for node in nodes for chain in _names(node)] for nodes in (statements, bases))
        return every, above

    def is_rule(self, name: str) -> bool:
        classes = [s for s in self.bound.get(name, ()) if isinstance(s, ast.ClassDef)]
        return any(getattr(part, "name", "") == "backward" for one in classes for part in one.body)


@functools.cache
def _parsed(path: Path, package: str, changed: int) -> _Source:
    return _Source(path, package)


def _read(path: Path, package: str) -> _Source:
    return _parsed(path, package, path.stat().st_mtime_ns)


class _Bare(ast.NodeTransformer):
    """Takes away docstrings, other strings that stand alone, and annotations."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return ast.Pass() if isinstance(node.value, ast.Constant) else self._inside(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        node.annotation = ast.Constant(None)
        return self._inside(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        node.returns = None
        return self._inside(node)

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def _inside(self, node: ast.stmt) -> ast.stmt:
        self.generic_visit(node)
        return node


def _flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, (ast.If, ast.Try, ast.With)):
            for part in ("body", "orelse", "finalbody"):
                yield from _flat(getattr(statement, part, ()))
        else:
            yield statement


def _binds(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
    if isinstance(statement, (ast.Expr, ast.For)):  # done at import, to what it names
        return [n.id for n in ast.walk(statement) if isinstance(n, ast.Name)]
    return []


def _names(node: ast.AST) -> Iterator[list[str]]:
    """Every dotted name in a statement, as its parts: `nn.init.normal(x)` gives [nn, init, normal] and [x]."""
    if isinstance(node, (ast.Name, ast.Attribute)):
        parts: list[str] = []
        at: ast.AST = node
        while isinstance(at, ast.Attribute):
            parts.insert(0, at.attr)
            at = at.value
        if isinstance(at, ast.Name):
            yield [at.id, *parts]
        else:
            yield from _names(at)
        return
    for child in ast.iter_child_nodes(node):
        yield from _names(child)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


Definition = tuple[str, str]
"""Module and name."""


class Code:
    """The project's source as it is now, of which digests are taken."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._sources: dict[str, _Source | None] = {}
        self._named: dict[Definition, list[list[Definition]]] = {}
        self._parts: dict[tuple[str, frozenset[str]], dict[str, str]] = {}

    def digest(self, lesson: Path, applied: Iterable[str]) -> str:
        """Of all that the runs of a lesson execute that have applied these Functions, given as "module.Class"."""
        return _hash("\n".join(f"{name} {digest}" for name, digest in self.parts(lesson, applied).items()))

    def parts(self, lesson: Path, applied: Iterable[str]) -> dict[str, str]:
        """The same definition by definition, sorted by name: "models.mlp.MLP" → its digest."""
        this = f"lesson {lesson} {lesson.stat().st_mtime_ns}"  # a lesson may be edited while this process lives
        used = frozenset(applied)
        with self._lock:
            if this not in self._sources:
                self._sources[this] = _read(lesson, "experiments.lessons")
            if (this, used) not in self._parts:
                found = {
                    f"{lesson.stem if module == this else module}.{name}": source.digest(name)
                    for module, name in self._reach([(this, name) for name in ("run", "Config")], used)
                    if (source := self._source(module)) is not None
                }
                self._parts[this, used] = dict(sorted(found.items()))
            return self._parts[this, used]

    def _reach(self, start: list[Definition], applied: frozenset[str]) -> set[Definition]:
        waiting = [*start, *((m, name) for m in self._engine() for name in self._bound(m))]
        waiting += [(module, name) for module, _, name in (full.rpartition(".") for full in applied)]
        bases: set[Definition] = set()
        reached: set[Definition] = set()
        while waiting:
            here = module, name = waiting.pop()
            if here in reached or name not in self._bound(module) or module in LOADERS or name == "__all__":
                continue
            if here not in bases and f"{module}.{name}" not in applied and self._is_function(here):
                continue
            reached.add(here)
            named, above = self._references(here)
            bases.update(above)
            waiting += named
        return reached

    def _references(self, definition: Definition) -> list[list[Definition]]:
        """What a definition names, and which of that it names as its base."""
        module, name = definition
        source = self._source(module)
        if definition not in self._named:
            self._named[definition] = [
                [found for chain in chains for found in self._find(module, chain)]
                for chains in (source.named(name) if source is not None else ([], []))
            ]
        return self._named[definition]

    def _is_function(self, definition: Definition) -> bool:
        """Whether it is a rule of the library: a class with a backward method, or one made from such a class."""
        module, name = definition
        source = self._source(module) if module.startswith(FUNCTIONS) else None
        if source is None or name not in source.bound:
            return False
        return source.is_rule(name) or any(map(self._is_function, self._references(definition)[1]))

    def _find(self, module: str, chain: list[str]) -> list[Definition]:
        """The definition that a dotted name means in a module; all of a module where it is named as a whole."""
        first, *rest = chain
        source = self._source(module)
        if source is None:
            return []
        if first in source.bound:
            return [(module, first)]
        if first in source.imports:
            target, name = source.imports[first]
            chain = [*([name] if name else []), *rest]
            if self._source(target) is None:
                return []
            if not chain:
                return [(target, each) for each in self._bound(target)]
            below = f"{target}.{chain[0]}"
            if chain[0] not in self._bound(target) and self._source(below) is not None:
                return self._find(below, chain[1:]) if chain[1:] else [(below, each) for each in self._bound(below)]
            return self._find(target, chain)
        below = f"{module}.{first}"
        if self._source(below) is not None:
            return self._find(below, rest) if rest else [(below, each) for each in self._bound(below)]
        for star in source.stars:
            if found := self._find(star, chain):
                return found
        return []

    def _bound(self, module: str) -> Mapping[str, list[ast.stmt]]:
        source = self._source(module)
        return {} if source is None else source.bound

    def _source(self, module: str) -> _Source | None:
        if module not in self._sources:
            self._sources[module] = None
            if module.partition(".")[0] in PROJECT:
                path = self.root.joinpath(*module.split("."))
                if path.with_suffix(".py").is_file():
                    self._sources[module] = _read(path.with_suffix(".py"), module.rpartition(".")[0])
                elif (path / "__init__.py").is_file():
                    self._sources[module] = _read(path / "__init__.py", module)
        return self._sources[module]

    def _engine(self) -> list[str]:
        library = self.root / "npgrad"
        files = [path.relative_to(library) for path in sorted(library.rglob("*.py"))]
        parts = [(*path.parts[:-1], path.stem) for path in files if path.name != "__init__.py"]
        return [".".join(("npgrad", *names)) for names in parts if names[0] not in BY_NAME]


# -- the Functions a run applies ---------------------------------------------------------------------------------------

_watchers: list[set[str]] = []


@contextlib.contextmanager
def applied_functions() -> Iterator[set[str]]:
    """The set of the Functions applied so far, as "module.Class"; it fills as they are used.

    Every `forward` is replaced by one that notes its class and puts the real one back: after its first use a Function
    is as fast as before, and at the end all of them are as they were. A program that was compiled earlier (of a
    function that outlives a run) calls no `forward`: if it has run, its Functions are added at the end.
    """
    seen: set[str] = set()
    _watchers.append(seen)
    earlier = WeakKeyDictionary({program: program.runs for program in PROGRAMS})
    for kind in _below(npgrad.Function):
        forward = vars(kind).get("forward")
        if forward is not None and not hasattr(forward, "noted"):
            kind.forward = _noting(kind, forward)
    try:
        yield seen
    finally:
        _watchers[:] = [one for one in _watchers if one is not seen]
        for kind in () if _watchers else _below(npgrad.Function):
            forward = vars(kind).get("forward")
            if hasattr(forward, "noted"):
                kind.forward = forward.__wrapped__
        seen.update(
            _full_name(f) for program, runs in earlier.items() if program.runs > runs for f in program.functions
        )


def _full_name(function: type[Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def _noting(kind: type[Any], forward: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(forward)
    def first(self: Any, *arrays: Any, **options: Any) -> Any:
        # A class that inherits this forward is applied under its own name; until then the inherited one goes on noting.
        for one in _watchers:
            one.add(_full_name(type(self)))
        if type(self) is kind:
            kind.forward = forward
        return forward(self, *arrays, **options)

    first.noted = True  # type: ignore[attr-defined]
    return first


# -- the machine -------------------------------------------------------------------------------------------------------


@functools.cache
def libraries() -> dict[str, str]:
    """What computes besides this project: another NumPy or BLAS, or other kernels of it, may round differently."""
    config: Callable[..., Any] = np.show_config
    blas = config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return {
        "numpy": np.__version__,
        "blas": " ".join(str(blas[k]) for k in ("name", "version") if k in blas) or "unknown",
        "blas_kernel": _kernel(),
    }


def _kernel() -> str:
    """The kernels that OpenBLAS has chosen for this processor, or was told to by OPENBLAS_CORETYPE."""
    package = Path(np.__file__).parent
    for path in [*package.parent.glob("numpy.libs/*openblas*"), *package.glob(".dylibs/*openblas*")]:
        with contextlib.suppress(OSError):
            library = ctypes.CDLL(str(path))  # NumPy has loaded it: this is the same one
            for symbol in ("scipy_openblas_get_corename64_", "openblas_get_corename64_", "openblas_get_corename"):
                if hasattr(library, symbol):
                    name = getattr(library, symbol)
                    name.restype = ctypes.c_char_p
                    return str(name().decode("ascii"))
    return "unknown"


@functools.cache
def environment() -> dict[str, Any]:
    """Where a run was done: versions, BLAS, processor, threads, commit."""
    found = libraries()
    return {
        "versions": {
            "npgrad": npgrad.__version__,
            "numpy": found["numpy"],
            "python": platform.python_version(),
        },
        "blas": found["blas"],
        "blas_kernel": found["blas_kernel"],
        "processor": _processor(),
        "threads": {name: os.environ[name] for name in THREADS if name in os.environ},
        "platform": f"{sys.platform} {platform.machine()}",
        "git": _git(),
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git() -> dict[str, Any] | None:
    """The commit of the checkout and whether files differ from it; None where there is no git or no checkout."""
    try:
        commit, status = (
            subprocess.run(
                ["git", "-C", str(ROOT), *words], capture_output=True, text=True, timeout=20, check=True
            ).stdout.strip()
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "modified": bool(status)}
