"""The process that runs a student's file, statement by statement. It imports NumPy and nothing of npgrad.

    python exercise_run.py FILE FOLDER

FOLDER holds `inputs.npz` (arguments), `truths.npz` (the right gradients) and `frame.json`; what was found is written
there. Each of the file's statements runs twice: with what the file computed itself, and with every gradient replaced by
the right one as soon as the file is done with it, so that a mistake can be told from what follows of it.
"""

from __future__ import annotations

import ast
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

# "import" is an event of the interpreter, however the import is written.
FOREIGN = ("npgrad", "torch", "jax", "autograd", "tensorflow", "mygrad", "tinygrad")


def find(tree: ast.Module) -> ast.FunctionDef | None:
    return next((n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "exercise"), None)


def held(value: Any) -> np.ndarray[Any, Any] | None:
    """A copy of a value as an array of numbers; None if it is no such thing (a blank is Ellipsis)."""
    if isinstance(value, np.ndarray | np.generic | int | float | complex) and not isinstance(value, bool):
        array = np.array(value)
        return array if array.dtype.kind in "fciub" else None
    return None


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def problem(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class Pass:
    """One pass over the statements of the function."""

    def __init__(
        self, folder: Path, body: list[ast.stmt], space: dict[str, Any], wanted: list[str], given: list[str], file: str
    ) -> None:
        self.folder, self.body, self.space, self.wanted, self.given, self.file = (
            folder,
            body,
            space,
            wanted,
            given,
            file,
        )
        self.start = next((k for k, s in enumerate(body) if any(touches(s, name) for name in wanted)), len(body))
        self.errors: dict[int, str] = {}
        self.changed: dict[str, int] = {}
        """The statement that changed a variable last."""
        self.final: dict[str, Any] = {}

    def go(self, replacing: dict[str, tuple[int, Any]] | None = None) -> None:
        before: dict[str, Any] = {}
        for k, statement in enumerate(self.body):
            if isinstance(statement, ast.Return):
                break
            if k == self.start:
                for name in self.given:
                    if (value := held(self.space.get(name))) is not None:
                        self.final[name] = value
            (self.folder / "line").write_text(str(statement.lineno))
            module = ast.Module([statement], [])
            try:
                with np.errstate(all="ignore"):
                    exec(compile(module, self.file, "exec"), self.space)
            except (Exception, SystemExit) as error:
                self.errors[k] = problem(error)
            for name in self.wanted:
                if name not in self.space:
                    continue
                value = held(self.space[name])
                old = before.get(name)
                if value is None:
                    continue
                if old is None or old.shape != value.shape or old.tobytes() != value.tobytes():
                    self.changed[name] = k
                before[name] = value
            for name, (at, right) in (replacing or {}).items():
                if at == k:
                    if name in before and name not in self.final:
                        self.final[name] = before[name]
                    # A file that keeps its gradients without axes of length 1 gets the right ones like that.
                    own = self.final.get(name)
                    if own is not None and own.size == right.size and squeezed(own.shape) == squeezed(right.shape):
                        right = right.reshape(own.shape)
                    self.space[name] = right.copy()
                    before[name] = right.copy()
        for name in self.wanted:
            if name in before and name not in (replacing or {}):
                self.final[name] = before[name]


def touches(statement: ast.stmt, name: str) -> bool:
    """Whether a statement may change `name`: assigns to it or into it, or hands it to a call made for its effect."""
    effect = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=own, ctx=context) if own == name and (effect or isinstance(context, ast.Store)):
                return True
            case ast.Subscript(value=ast.Name(id=own), ctx=ast.Store()) if own == name:
                return True
            case ast.keyword(arg="out", value=ast.Name(id=own)) if own == name:
                return True
    return False


def last_mention(body: list[ast.stmt], name: str) -> int | None:
    """The last statement that changes `name`, whether or not running the file got that far."""
    stores = [k for k, statement in enumerate(body) if touches(statement, name) and not is_print(statement)]
    return stores[-1] if stores else None


def is_print(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and isinstance(statement.value.func, ast.Name)
        and statement.value.func.id == "print"
    )


def main(file: str, folder: Path) -> None:
    frame = json.loads((folder / "frame.json").read_text())
    truths = dict(np.load(folder / "truths.npz"))
    inputs = [dict(np.load(folder / f"inputs{k}.npz")) for k in range(frame["draws"])]
    imported: set[str] = set()

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "import" and str(arguments[0]).partition(".")[0] in FOREIGN:
            imported.add(str(arguments[0]).partition(".")[0])

    sys.addaudithook(audit)
    sys.path[0] = str(Path(file).parent)
    source = Path(file).read_text(encoding="utf-8")
    tree = ast.parse(source, file)
    function = find(tree)
    assert function is not None
    rest = ast.Module([n for n in tree.body if n is not function], [])
    report: dict[str, Any] = {"module_error": "", "draws": [], "imported": []}
    arrays: dict[str, Any] = {}
    # Python offers what it did not read as "docstring"; it computes nothing.
    body = [s for s in function.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    gradients, forward = frame["gradients"], frame["forward"]
    silence = open(os.devnull, "w")  # noqa: SIM115
    for draw, given in enumerate(inputs):
        spaces: list[dict[str, Any]] = []
        for _ in range(2):
            space: dict[str, Any] = {"__name__": "exercise", "__file__": file}
            try:
                exec(compile(rest, file, "exec"), space)
            except (Exception, SystemExit) as error:
                report["module_error"] = problem(error)
            space |= {k: v.copy() if v.ndim else v.item() for k, v in given.items()}
            spaces.append(space)
        if report["module_error"]:
            break
        right = {name: truths[f"{draw} {name}"] for name in gradients}
        own = Pass(folder, body, spaces[0], gradients, forward, file)
        own.go()
        # What the file prints is shown once, not for each set of inputs.
        sys.stdout = sys.stderr = silence
        ends: dict[str, tuple[int, Any]] = {}
        for name in gradients:
            at = own.changed.get(name)
            mention = last_mention(body, name)
            at = mention if at is None or (mention is not None and mention > at) else at
            if at is not None:
                ends[name] = (at, right[name])
        fixed = Pass(folder, body, spaces[1], gradients, forward, file)
        fixed.go(ends)
        found: dict[str, Any] = {"ends": {name: at for name, (at, _) in ends.items()}}
        for label, run in (("own", own), ("fixed", fixed)):
            found[f"{label}_errors"] = {str(k): text for k, text in run.errors.items()}
            for name, value in run.final.items():
                arrays[f"{draw} {label} {name}"] = value
        report["draws"].append(found)
    report["lines"] = [[s.lineno, s.end_lineno or s.lineno] for s in body]
    report["imported"] = sorted(imported)
    np.savez(folder / "found.npz", **arrays)
    (folder / "report.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
