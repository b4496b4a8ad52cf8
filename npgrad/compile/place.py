"""Where a recorded call was made: the user's line, the rule, the name it assigns to, the equation it computes."""

from __future__ import annotations

import ast
import linecache
import re
import sys
from functools import cache
from os.path import basename, dirname, join
from types import CodeType, FrameType
from typing import Any

from npgrad.compile.trace import Place
from npgrad.engine.function import OURS, Function
from npgrad.engine.node import Node

__all__ = ["current_function", "in_rule", "place_of", "user_line"]

_HERE = join(dirname(__file__), "")
# Compiled at their first use, which `import npgrad` does not wait for.
_TAG = r"#\s*((?:\(\w+\)\s*)+)"
_LEFT = r"(?m)^\s*\((\w+)\)\s+(\w+)"


def place_of(frame: FrameType | None) -> Place:
    """The place of the innermost call outside the compiler."""
    while frame is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    name = tag = ""
    rule: Any = None
    helper = frame
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, Function):
            rule = owner
            name, tag = named(frame.f_code, frame.f_lineno, type(owner))  # type: ignore[arg-type]
            break
        if frame.f_code.co_name == "sweep" or not OURS[frame.f_code.co_filename]:
            break
        frame = frame.f_back
    if rule is None and helper is not None:
        name, _ = named(helper.f_code, helper.f_lineno, None)
    return Place(section(rule, helper), name, f"{type(rule).__name__} {tag}".strip() if rule is not None else "")


def section(rule: Node | None, frame: FrameType | None) -> str:
    """The user's line that made the node whose rule is running, or that is running itself."""
    if rule is not None and rule.origin is not None:
        code, instruction = rule.origin
        line = next((row for start, stop, row in code.co_lines() if start <= instruction < stop), 0)
        return text_of(code.co_filename, line or 0)
    while frame is not None and frame.f_back is not None and OURS[frame.f_code.co_filename]:
        frame = frame.f_back
    return text_of(frame.f_code.co_filename, frame.f_lineno) if frame is not None else ""


@cache
def text_of(filename: str, line: int) -> str:
    return f"{basename(filename)}:{line}  {linecache.getline(filename, line).strip()}"


@cache
def named(code: CodeType, line: int, owner: type | None) -> tuple[str, str]:
    """What the statement at `line` assigns to, and the numbers of the equations it computes."""
    statement = statements(code).get(line)
    if statement is None:
        return "", ""
    name, tag = statement
    if not name and tag and owner is not None:
        number = tag.split(")")[0].lstrip("(")
        name = next((left for n, left in re.findall(_LEFT, owner.__doc__ or "") if n == number), "")
    return name, tag


@cache
def statements(code: CodeType) -> dict[int, tuple[str, str]]:
    """For each line of a function the name its statement assigns to and the equation numbers beside it."""
    lines = linecache.getlines(code.co_filename)
    start = code.co_firstlineno - 1
    if start >= len(lines):
        return {}
    indent = len(lines[start]) - len(lines[start].lstrip())
    stop = start + 1
    seen_body = False
    while stop < len(lines):
        text = lines[stop]
        depth = len(text) - len(text.lstrip())
        if text.strip() and depth <= indent and not (text.strip().startswith((")", "]", "}")) and not seen_body):
            break
        seen_body = seen_body or (bool(text.strip()) and depth > indent and lines[stop - 1].rstrip().endswith(":"))
        stop += 1
    source = "".join(line[indent:] if line.strip() else "\n" for line in lines[start:stop])
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return {}
    found: dict[int, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt) and not isinstance(
            node, ast.FunctionDef | ast.If | ast.For | ast.With | ast.ClassDef
        ):
            rows = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            tags = [m.group(1).strip() for row in rows for m in re.finditer(_TAG, lines[start + row - 1])]
            for row in rows:
                found[start + row] = (target(node), " ".join(tags))
    return found


def target(node: ast.stmt) -> str:
    """The name that a statement assigns to."""
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(
        node, ast.AnnAssign
    ):  # not x += …, which names what it changes, and only steps towards that are new
        targets = [node.target]
    for item in targets:
        if isinstance(item, ast.Name):
            return item.id
        if isinstance(item, ast.Attribute):
            return item.attr
    return ""


def in_rule() -> bool:
    """Whether the library or a Function is at work, not the user's own function."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_HERE):
            return OURS[name] or isinstance(frame.f_locals.get("self"), Function)
        frame = frame.f_back
    return False


def current_function() -> Function | None:
    """The Function whose method is being run."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, Function) and frame.f_code.co_name != "apply":
            return owner
        if frame.f_code.co_name == "apply" and frame.f_code.co_filename.endswith("function.py"):
            return None
        frame = frame.f_back
    return None


def user_line() -> str:
    """The line of the user's code that is being run, as `file:line  text`."""
    frame = sys._getframe(1)
    while frame.f_back is not None and OURS[frame.f_code.co_filename]:
        frame = frame.f_back
    name, line = frame.f_code.co_filename, frame.f_lineno
    return f"{basename(name)}:{line} `{linecache.getline(name, line).strip()}`"
