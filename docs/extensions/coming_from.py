"""The pages "Coming from PyTorch" and "Coming from NumPy", made of two lists of code and of the table of spellings.

pytorch.txt and numpy.txt hold lines "theirs | ours": expressions that mean the same, or statements after which the
same variable has changed. A third field "runs" marks lines whose results cannot be compared, such as random numbers.
`{a b c}` stands for several lines. tests/docs/test_coming_from.py executes every one of them on both sides.
The reasons beside them, and what has no equivalent, are those of the error messages: `npgrad.bindings.spellings`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from npgrad.bindings.spellings import DIFFERENT, Spelling, spellings

DOCS = Path(__file__).resolve().parents[1]
OWNERS = {"torch": "npgrad", "np": "npgrad", "model": "Module", "nn": "npgrad.nn", "optim": "npgrad.optim"}
"""Which part of the table the first name of an expression belongs to; any other is a tensor."""
_CHOICE = re.compile(r"\{([a-z0-9_A-Z]+(?: [a-z0-9_A-Z]+)*)\}")
_ROWS = {(row.owner, row.name): row for row in spellings()}


class Line(NamedTuple):
    theirs: str
    ours: str
    compared: bool

    def rows(self) -> list[Spelling]:
        """The entries of the table that the line is an example of."""
        found = []
        for node in ast.walk(ast.parse(self.theirs)):
            if isinstance(node, ast.Attribute):
                root: ast.AST = node.value
                while isinstance(root, ast.Attribute):
                    root = root.value
                first = root.id if isinstance(root, ast.Name) else ""
                # Functions of these libraries are methods too.
                owners = (OWNERS.get(first, "Tensor"), *(["Tensor"] if first in ("torch", "np") else []))
                found += [_ROWS[owner, node.attr] for owner in owners if (owner, node.attr) in _ROWS]
        return found


class Section(NamedTuple):
    title: str
    text: str
    lines: tuple[Line, ...]


def sections(name: str) -> list[Section]:
    """What a list holds."""
    found = []
    for part in re.split(r"^# ", (DOCS / name).read_text(encoding="utf-8"), flags=re.MULTILINE):
        head, _, body = part.partition("\n\n") if not part.startswith("np.") else ("", "", part)
        title, _, text = head.partition("\n")
        lines = tuple(line for row in body.splitlines() if row for line in expanded(row))
        if lines:
            found.append(Section(title, text, lines))
    return found


def expanded(row: str) -> Iterator[Line]:
    """The lines that a row stands for."""
    theirs, *rest = (part.strip() for part in row.split(" | "))
    ours = rest[0] if rest else theirs
    choices = [_CHOICE.search(side) for side in (theirs, ours)]
    names = [choice[1].split() if choice else [] for choice in choices]
    for k in range(max(1, len(names[0]))):
        sides = [
            side[: choice.start()] + own[k] + side[choice.end() :] if choice else side
            for side, choice, own in zip((theirs, ours), choices, names, strict=True)
        ]
        yield Line(sides[0], sides[1], "runs" not in rest[1:])


def table(lines: tuple[Line, ...], theirs: str) -> str:
    rows = []
    for line in lines:
        reasons = dict.fromkeys(row.reason for row in line.rows() if row.reason != "NumPy's name")
        rows.append(f"| `{line.theirs}` | `{line.ours}` | {cell('; '.join(reasons))} |")
    return f"| {theirs} | npgrad | |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def cell(text: str) -> str:
    """Text in a table of Markdown, where every sign means itself."""
    return re.sub(r"([|*_<>\[\]])", r"\\\1", text)


def words(rows: list[Spelling]) -> str:
    """Entries of the table for which there is no line of code, those with the same reason together."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        grouped.setdefault((row.owner, row.ours, row.reason), []).append(row.name)
    lines = ["| on | there is no | |", "|---|---|---|"]
    for (owner, ours, reason), names in grouped.items():
        told = f"{cell(ours)}: {cell(reason)}" if ours else cell(reason)
        lines.append(f"| {owner} | {', '.join(f'`{name}`' for name in names)} | {told} |")
    return "\n".join(lines) + "\n"


def uncovered() -> list[Spelling]:
    """The entries of the table that no line of either list is an example of."""
    lists = [section for name in ("pytorch.txt", "numpy.txt") for section in sections(name)]
    shown = {(row.owner, row.name) for section in lists for line in section.lines for row in line.rows()}
    return [row for row in spellings() if (row.owner, row.name) not in shown]


def pages() -> Iterator[tuple[str, str]]:
    different = "\n".join(f"| `{name}` | {cell(text)} |" for name, text in DIFFERENT.items())
    parts = [
        f"## {section.title}\n\n{section.text}\n\n{table(section.lines, 'PyTorch')}"
        for section in sections("pytorch.txt")
    ]
    yield (
        "coming-from/pytorch.md",
        f"""# Coming from PyTorch

Networks, losses and optimisers have PyTorch's names: `nn.Linear`, `cross_entropy`, `state_dict`, `no_grad`,
`optim.AdamW(model.parameters(), lr=1e-3)`. Functions of arrays have NumPy's names, with `axis` and `keepdims`.
Everything runs on the CPU, and random numbers come from a generator that you pass.

The tables below list what PyTorch names differently; using PyTorch's name raises an error that says what to write. The
tests execute every line in both libraries and compare the results, unless they are random numbers or modules.
`npgrad --spellings` prints the names.

## The same name, another meaning

| in npgrad | |
|---|---|
{different}

{chr(10).join(parts)}
## What is not there

{words(uncovered())}""",
    )
    calls, *others = sections("numpy.txt")
    listed = "\n".join(f"- `{line.theirs}`" for line in calls.lines)
    parts = [f"## {section.title}\n\n{section.text}\n\n{table(section.lines, 'NumPy')}" for section in others]
    yield (
        "coming-from/numpy.md",
        f"""# Coming from NumPy

A tensor is an array that remembers how it was made. NumPy's own functions take it and return a tensor with a gradient,
and so do operators, indexing and the methods of arrays.

```python
import numpy as np
from npgrad import Tensor

x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
y = np.sum(np.exp(x)[1:] * np.array([1.0, -1.0]))
y.backward()
x.grad  # an array: d y / d x
```

Comparisons, `np.argmax` and everything else that has no gradient return arrays. A NumPy function without a rule raises
an error that names it; a gradient is never silently missing. `x.data` is the array of a leaf, which may be written to;
`x.numpy()` is a read-only view of any tensor.

{chr(10).join(parts)}
## NumPy's functions on tensors

The tests execute each of these lines on arrays and on tensors, and compare the values.

{listed}
""",
    )
