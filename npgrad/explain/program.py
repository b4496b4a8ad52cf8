"""The program that `npgrad.compile` writes for a training step, made to be read: the backward pass of a network, line
by line, as one would have written it by hand.

    npgrad program             the lecture's MLP
    npgrad program deep_mlp    its network of six layers

A line computes one equation of a Function or a part of one: the remark at its end names both, `# BatchNorm (9)`, and
`npgrad explain batch_norm` derives it. Headings are the lines of the network that the program's lines belong
to, on the way forward and again on the way back.
"""

from __future__ import annotations

import argparse
import linecache
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from npgrad import nn, optim
from npgrad.compile import compile as compiled
from npgrad.explain.terminal import Style

__all__ = ["CHECKS", "END", "Network", "Section", "minibatch", "network", "page", "record", "remark", "sections"]

VOCABULARY, CONTEXT = 27, 3
STEP = """
def step(x, y):
    loss = npgrad.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss
"""
NETWORKS = {
    "mlp": """\
class MLP(nn.Module):
    def __init__(self, rng):
        self.C = nn.Embedding(27, 10, rng=rng)
        self.hidden = nn.Linear(30, 200, bias=False, rng=rng)
        self.bn = nn.BatchNorm1d(200)
        self.tanh = nn.Tanh()
        self.output = nn.Linear(200, 27, rng=rng)

    def forward(self, x):
        emb = self.C(x)
        hprebn = self.hidden(emb.reshape(len(x), 30))
        hpreact = self.bn(hprebn)
        h = self.tanh(hpreact)
        return self.output(h)
""",
    "deep_mlp": """\
class DeepMLP(nn.Module):
    def __init__(self, rng):
        def linear(fan_in, fan_out):
            return nn.Linear(fan_in, fan_out, bias=False, rng=rng)

        self.C = nn.Embedding(27, 10, rng=rng)
        self.linear1, self.bn1 = linear(30, 100), nn.BatchNorm1d(100)
        self.linear2, self.bn2 = linear(100, 100), nn.BatchNorm1d(100)
        self.linear3, self.bn3 = linear(100, 100), nn.BatchNorm1d(100)
        self.linear4, self.bn4 = linear(100, 100), nn.BatchNorm1d(100)
        self.linear5, self.bn5 = linear(100, 100), nn.BatchNorm1d(100)
        self.linear6, self.bn6 = linear(100, 27), nn.BatchNorm1d(27)
        self.tanh = nn.Tanh()

    def forward(self, x):
        h = self.C(x).reshape(len(x), 30)
        h = self.tanh(self.bn1(self.linear1(h)))
        h = self.tanh(self.bn2(self.linear2(h)))
        h = self.tanh(self.bn3(self.linear3(h)))
        h = self.tanh(self.bn4(self.linear4(h)))
        h = self.tanh(self.bn5(self.linear5(h)))
        return self.bn6(self.linear6(h))
""",
}
"""The networks of the lecture; beside its program a network is shown as it stands here."""

OPTIMIZERS: dict[str, Callable[[Sequence[nn.Parameter]], optim.Optimizer]] = {
    "sgd": lambda parameters: optim.SGD(parameters, lr=0.1),
    "momentum": lambda parameters: optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adam": lambda parameters: optim.Adam(parameters),
    "adamw": lambda parameters: optim.AdamW(parameters),
}
CHECKS, END = "checks", "end"
_REMARK = re.compile(r"\s{2,}# (?P<function>\w+)(?P<labels>(?: \(\w+\))*)$")


@dataclass(frozen=True)
class Network:
    """A network as text, and the program of its training step."""

    text: str
    program: str
    constants: dict[str, str]


@dataclass(frozen=True)
class Section:
    """Lines of a program under the line of the user's code that they belong to.

    `heading` is `file:line  text`; "checks" for what is asked before anything is computed, "end" for what is left when
    all is.
    """

    heading: str
    lines: tuple[str, ...]


def record(step: Callable[..., Any], *arguments: Any) -> tuple[str, dict[str, str]]:
    """The program of `step(*arguments)`, and what its constants are.

    The step is run, recorded and compared with its program once. Raises CompileError where it cannot be compiled.
    """
    program_of = compiled(warm_up=0)(getattr(step, "function", step))
    program_of(*arguments)
    source = program_of.source  # raises what explain() would tell if there is no program
    program = program_of._state.program
    assert program is not None
    return source, constants(source, program.writer.namespace)


def network(name: str, batch: int = 32, optimizer: str = "sgd") -> Network:
    """One of NETWORKS with its program for minibatches of that size."""
    text = NETWORKS[name] + "\n" + STEP
    file = f"<npgrad.explain>/{name}.py"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    space: dict[str, Any] = {"nn": nn, "npgrad": sys.modules["npgrad"], "__name__": name}
    exec(compile(text, file, "exec"), space)
    rng = np.random.default_rng(0)
    kind = next(thing for key, thing in space.items() if isinstance(thing, type) and thing.__module__ == name)
    space["model"] = kind(rng)
    space["optimizer"] = OPTIMIZERS[optimizer](space["model"].parameters())
    return Network(text, *record(space["step"], *minibatch(batch)))


def minibatch(batch: int, vocabulary: int = VOCABULARY, context: int = CONTEXT) -> tuple[Any, Any]:
    """Contexts and next characters, at random: a program depends on their shapes alone."""
    rng = np.random.default_rng(1)
    return rng.integers(vocabulary, size=(batch, context)), rng.integers(vocabulary, size=batch)


def constants(source: str, namespace: Mapping[str, Any]) -> dict[str, str]:
    """The arrays of a program that never change, by name, in words."""
    found = {}
    for name in dict.fromkeys(re.findall(r"[A-Za-z_]\w*", source)):
        array = namespace.get(name)
        if not isinstance(array, np.ndarray) or array.flags.writeable or not array.size:
            continue
        if array.ndim or re.fullmatch(r"t\d*", name):  # the name of a number tells its value
            found[name] = described(array)
    return found


def described(array: np.ndarray[Any, Any]) -> str:
    """An array of few different values in words."""
    shape = " × ".join(map(str, array.shape))
    first = array.reshape(-1)[0]
    if (array == first).all():
        return f"{shape} times {first:.6g}" if array.ndim else f"{first:.6g}"
    if array.ndim == 2 and array.shape[0] == array.shape[1] and (array == np.eye(len(array))).all():
        return f"the identity matrix, {shape}"
    if array.ndim == 1 and array.dtype.kind in "iu" and (np.diff(array) == array[1] - array[0]).all():
        return f"{array[0]}, {array[1]}, … {array[-1]}"
    return f"{shape} numbers"


# -- reading -----------------------------------------------------------------------------------------------------------


def sections(source: str) -> list[Section]:
    """The parts of a program, in its order, without the indentation of its body."""
    _, *body = source.rstrip().splitlines()
    found: list[Section] = []
    lines: list[str] = []
    heading = CHECKS
    for before, line in zip(["", *body], body, strict=False):
        starts = line.startswith("    # ")
        ends = bool(line.strip()) and not starts and not before.strip() and found and heading != CHECKS
        if starts or ends:
            found.append(Section(heading, tuple(lines)))
            heading, lines = line.strip()[2:] if starts else END, []
        if line.strip() and not starts:
            lines.append(line.removeprefix("    "))
    return [*found, Section(heading, tuple(lines))]


def remark(line: str) -> tuple[str, str, tuple[str, ...]]:
    """A line without its remark, the Function that the remark names, and the numbers of its equations."""
    match = _REMARK.search(line)
    if match is None:
        return line, "", ()
    return line[: match.start()], match["function"], tuple(re.findall(r"\((\w+)\)", match["labels"]))


# -- on a terminal -----------------------------------------------------------------------------------------------------


def page(
    title: str, source: str, constants: Mapping[str, str], style: Style, everything: bool = False
) -> Iterator[str]:
    """The program for a terminal, at most 100 columns wide.

    Unless `everything`, the checks before it and what it leaves behind are a line each.
    """
    limit = max(min(style.columns, 100), 60)
    yield from (style("bold", line) for line in textwrap.wrap(title, limit))
    if constants:
        yield from textwrap.wrap(
            "Constants: " + "; ".join(f"{name} is {words}" for name, words in constants.items()) + ".", limit
        )
    yield ""
    parts = sections(source)
    text = [source.splitlines()[0]]
    for part in parts:
        lines = part.lines
        if part.heading == CHECKS:
            if not everything:
                lines = (f"# {counted(len(lines), 'check')}: is this the step that was recorded? (--all shows them)",)
        elif part.heading == END:
            text.append("")
            if not everything:
                lines = ("# parameters get their new gradients (--all shows how)", lines[-1])
        else:
            text += ["", f"    # {part.heading}"]
        text += [f"    {line}" for line in lines]
    yield from highlighted([piece for line in text for piece in folded(line, limit)], style)


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def folded(line: str, limit: int) -> list[str]:
    """A line in pieces of at most `limit` columns that still are Python."""
    if len(line) <= limit:
        return [line]
    code, function, labels = remark(line)
    indent = " " * (len(line) - len(line.lstrip()))
    note = f"# {' '.join([function, *(f'({label})' for label in labels)])}"
    if function and len(code) + 2 + len(note) <= limit:
        return [f"{code}  {note}"]
    body = line.lstrip()
    wide = {"break_long_words": False, "break_on_hyphens": False}
    if body.startswith("# "):
        return textwrap.wrap(body, limit, initial_indent=indent, subsequent_indent=f"{indent}#     ", **wide)  # type: ignore[arg-type]
    pieces = textwrap.wrap(code, limit - 2, initial_indent="", subsequent_indent=f"{indent}        ", **wide)  # type: ignore[arg-type]
    return [*([f"{indent}{note}"] if function else []), *[f"{piece} \\" for piece in pieces[:-1]], pieces[-1]]


def highlighted(lines: list[str], style: Style) -> list[str]:
    """In colours where the terminal has them and Pygments is installed."""
    if not style.colour or find_spec("pygments") is None:
        return lines
    from pygments import highlight
    from pygments.formatters import TerminalFormatter
    from pygments.lexers import PythonLexer

    text: str = highlight("\n".join(lines), PythonLexer(stripnl=False, ensurenl=False), TerminalFormatter())
    return text.split("\n")


def main(argv: Sequence[str]) -> int:
    """`npgrad program`."""
    parser = argparse.ArgumentParser(
        prog="npgrad program",
        description="The NumPy program that a training step of one of the lecture's networks compiles to: its backward "
        "pass, written out. A comment names the Function and the equation that a line computes.",
        epilog="For the networks in models/, with their options: python -m models program --help",
    )
    parser.add_argument("network", nargs="?", choices=tuple(NETWORKS), default="mlp", help="default: mlp")
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="examples in a minibatch (default: 32)")
    parser.add_argument("--optimizer", choices=tuple(OPTIMIZERS), default="sgd", help="default: sgd")
    parser.add_argument("--all", action="store_true", help="also show the checks before and the bookkeeping after it")
    options = parser.parse_args(argv)
    if options.batch < 2:
        parser.error(f"--batch must be 2 or more, since batch normalisation takes a variance; got {options.batch}")
    found = network(options.network, options.batch, options.optimizer)
    title = f"One training step of {options.network}, batch {options.batch}, {options.optimizer}"
    style = Style()
    yielded = [*found.text.splitlines(), "", ""] if options.all else []
    for line in [*highlighted(yielded, style), *page(title, found.program, found.constants, style, options.all)]:
        print(line)
    return 0
