"""A backward pass in slow motion: what arrives at each node, its rule, what it sends where.

    >>> x, w = npgrad.Tensor([1.0, 2.0], requires_grad=True), npgrad.Tensor(3.0, requires_grad=True)
    >>> loss = (w * x).tanh().sum()
    >>> npgrad.explain.step(loss)

The same sweep as `backward()` makes, node by node from the last made to the first, but nothing is freed and no `.grad`
changes: afterwards `loss.backward()` still works.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgrad.declared import signature
from npgrad.engine.backward import reachable
from npgrad.engine.function import Function
from npgrad.engine.node import Leaf, Node
from npgrad.engine.tensor import Tensor
from npgrad.explain.derivation import Case, Equation, Symbol
from npgrad.explain.printer import Printer
from npgrad.explain.source import subject_of
from npgrad.explain.syntax import DerivationError, Index
from npgrad.explain.syntax import walk as tree

__all__ = ["Send", "Step", "Walk", "example", "step"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Send:
    """One gradient on its way from a node to what made its input."""

    to: str
    rule: str
    raw: Array | None
    """As `backward` returned it; None where the node sends nothing."""
    fitted: Array | None
    """In the shape of the input: summed over the axes along which the input was broadcast."""
    total: Array | None
    """What has arrived there so far, this included."""
    first: bool


@dataclass(frozen=True)
class Step:
    """One node: its name, where it was made, what arrived, what it sent."""

    name: str
    function: str
    place: str
    arrived: Array
    sends: tuple[Send, ...]


@dataclass(frozen=True)
class Walk:
    """A backward pass as a list of steps; printing it tells the story."""

    steps: tuple[Step, ...]
    gradients: dict[str, Array]
    """What each leaf ends up with from this pass."""

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    __str__ = __repr__

    def lines(self) -> Iterator[str]:
        if self.steps:
            yield f"The sweep starts at {self.steps[0].name} with {values(self.steps[0].arrived)}"
        for k, step in enumerate(self.steps, 1):
            yield ""
            yield f"{k}. {step.name} = {step.function}{step.place}"
            yield from block("arrives", step.arrived)
            for send in step.sends:
                yield from self.sent(send)
        yield ""
        yield "Leaves receive"
        for name, g in self.gradients.items():
            yield from block(f"∂{name}", g)

    def sent(self, send: Send) -> Iterator[str]:
        if send.raw is None:
            yield f"   sends nothing to {send.to}"
            return
        assert send.fitted is not None and send.total is not None
        yield f"   sends to {send.to}" + (f"   by {send.rule}" if send.rule else "")
        if send.raw.shape != send.fitted.shape:
            yield f"      backward gives shape {send.raw.shape}; {send.to} of shape {send.fitted.shape} was broadcast,"
            yield "      so the gradients of its copies are summed"
        yield from block("   gradient", send.fitted)
        if not send.first:
            yield from block("   added to what was there", send.total)


def values(a: Array) -> str:
    with np.printoptions(precision=4, suppress=True, threshold=40, edgeitems=2):
        return str(a)


def block(title: str, a: Array) -> Iterator[str]:
    lead = f"   {title} = "
    first, *rest = values(a).split("\n")
    yield lead + first
    for line in rest:
        yield " " * len(lead) + line


def step(loss: Tensor, grad: Any = None) -> Walk:
    """Walk through the backward pass of `loss` without performing it: printing the result tells what happens.

    `grad` is the derivative that arrives at `loss` (ones by default). Tensors go by the names of your variables.
    Raises RuntimeError if nothing requires a gradient, or the graph was freed; ValueError if `grad` has a wrong shape.
    """
    root = loss._node
    if root is None or isinstance(root, Leaf):
        raise RuntimeError("step() on a tensor that no operation made: there is no backward pass to walk through.")
    frame = sys._getframe(1)
    known = names_in({**frame.f_globals, **frame.f_locals})
    return walk(loss, root, grad, known)


def walk(loss: Tensor, root: Node, grad: Any, known: dict[Node, str]) -> Walk:
    dy = np.ones(loss.shape, loss.dtype) if grad is None else np.asarray(grad, loss.dtype)
    if dy.shape != loss.shape:
        raise ValueError(f"step() got a gradient of shape {dy.shape} for a tensor of shape {loss.shape}.")
    order = sorted(reachable(root), key=lambda node: node.seq, reverse=True)
    namer = Namer(known, order)
    pending: dict[Node, Array] = {root: dy}
    steps: list[Step] = []
    for node in order:
        if isinstance(node, Leaf) or node not in pending:
            continue
        arrived = pending.pop(node)
        result = node.backward(arrived.copy())
        gradients = result if isinstance(result, tuple) else (result,)
        rules = rules_of(node, namer)
        sends = []
        for k, edge in enumerate(node.edges or ()):
            if edge is None:
                continue
            raw = None if gradients[k] is None else np.array(gradients[k])
            before = pending.get(edge)
            fitted = total = None
            if raw is not None:
                fitted = np.array(node.conform(raw, k))
                pending[edge] = total = fitted if before is None else np.asarray(before + fitted)
            sends.append(Send(namer(edge), rules.get(k, ""), raw, fitted, total, before is None))
        place = node.describe().partition(" at ")[2]
        where = f"   {'/'.join(place.split('/')[-2:])}" if place and not place.startswith("<") else ""
        steps.append(Step(namer(node), type(node).__name__, where, arrived, tuple(sends)))
    return Walk(tuple(steps), {namer(leaf): g for leaf, g in pending.items()})


def names_in(space: dict[str, Any]) -> dict[Node, str]:
    """Names of the caller's tensors, by their nodes."""
    found: dict[Node, str] = {}
    for name, value in space.items():
        if isinstance(value, Tensor) and value._node is not None and not name.startswith("_"):
            found.setdefault(value._node, name)
    return found


class Namer:
    """Names for nodes: the user's where there is one, else the shape of a leaf or a number."""

    def __init__(self, known: dict[Node, str], order: list[Node]) -> None:
        self.names = dict(known)
        self.known = known
        self.taken = taken = set(known.values())
        numbers = iter(range(1, len(order) + 1))
        for node in reversed([node for node in order if not isinstance(node, Leaf) and node not in known]):
            name = f"v{next(numbers)}"
            while name in taken:
                name = f"v{next(numbers)}"
            self.names[node] = name
        for leaf in order:
            if leaf not in self.names:
                same = sum(name.startswith(f"leaf {leaf.out_shape}") for name in self.names.values())
                self.names[leaf] = f"leaf {leaf.out_shape}" + (f" no. {same + 1}" if same else "")

    def __call__(self, node: Node) -> str:
        return self.names[node]


def rules_of(node: Node, namer: Namer) -> dict[int, str]:
    """For each input, the equation of the derivation that gives its gradient, in the names of this graph."""
    try:
        subject = subject_of(type(node))
    except (DerivationError, OSError, TypeError):
        return {}
    assert isinstance(node, Function)
    parameters = [name for name in signature(type(node).forward).parameters if name != "self"]
    case = fitting(node, subject.derivation.cases)
    printer = Printer(case, names_here(node, parameters, case, namer))
    rules: dict[int, str] = {}
    for k, name in enumerate(parameters):
        equations = [e for e in case.adjoints if e.name == f"d{name}"]
        edge = (node.edges or ())[k] if k < len(node.edges or ()) else None
        if equations and edge is not None:
            rules[k] = rule_text(equations[-1], printer)
            symbol = case.symbol(name)
            if symbol is not None and len(symbol.axes) < len(edge.out_shape) and broadcast(case, symbol):
                rules[k] += "  (nothing was broadcast: no sum)"
    return rules


def names_here(node: Node, parameters: list[str], case: Case, namer: Namer) -> dict[str, str]:
    """What the variables of a derivation are called in this graph.

    A name of the derivation that means something else here (a product's right factor b, a layer's bias b) and has no
    name of its own gets a prime.
    """
    edges = node.edges or ()
    nodes: dict[str, Node | None] = dict(zip(parameters, edges, strict=False))
    read = [r.storage for r in node.readings if not any(isinstance(e, Leaf) and e.storage is r.storage for e in edges)]
    unknown = [name for name, edge in nodes.items() if edge is None and case.symbol(name) is not None]
    if len(read) == len(unknown) == 1:
        # The one input without a gradient: the graph has no edge to it, but knows what it read.
        nodes[unknown[0]] = next((n for n in namer.known if isinstance(n, Leaf) and n.storage is read[0]), None)
    nodes[case.output] = node
    found = {
        formal: namer.names[own] for formal, own in nodes.items()
        if own is not None and namer.names.get(own, "").isidentifier()
    }  # fmt: skip
    for formal in {s.name for s in case.symbols} | {e.name for e in case.steps}:
        if formal and formal not in found and formal in namer.taken:
            found[formal] = f"{formal}′"
    return found


def broadcast(case: Case, symbol: Symbol) -> bool:
    """Whether the derivation has the result run along an index that this input has not."""
    own = {part.name for axis in symbol.axes for part in tree(axis) if isinstance(part, Index)}
    return any(e.name == case.output and not own.issuperset(e.letters) for e in case.steps)


def rule_text(equation: Equation, printer: Printer) -> str:
    lines = printer.equation(equation)
    # The last form of a chain is the one the code computes.
    first = lines[0] if len(lines) == 1 else lines[0].split(" = ")[0] + " " + lines[-1]
    return f"{equation.number} {first}"


def fitting(node: Node, cases: tuple[Case, ...]) -> Case:
    """The case whose arrays have as many axes as the node's inputs; the first if none fits."""
    ranks = [None if edge is None else len(edge.out_shape) for edge in node.edges or ()]
    for case in cases:
        arrays = [len(s.axes) for s in case.symbols if s.kind == "array"]
        if all(rank is None or rank == axes for rank, axes in zip(ranks, arrays, strict=False)):
            return case
    return cases[0]


def example() -> list[str]:
    """The walk that `npgrad explain --step` shows: two rows through a layer with a bias, and a loss."""
    from npgrad.functions import tanh

    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(2, 3)).round(1))
    W = Tensor(rng.normal(size=(3, 2)).round(1), requires_grad=True)
    b = Tensor(rng.normal(size=2).round(1), requires_grad=True)
    h = tanh(x @ W + b)
    loss = (h * h + h).sum()
    known = names_in({"x": x, "W": W, "b": b, "h": h, "loss": loss})
    assert loss._node is not None
    lines = list(walk(loss, loss._node, None, known).lines())
    code = ["h = npgrad.tanh(x @ W + b)", "loss = (h * h + h).sum()"]
    return [*(f"    {line}" for line in code), "", *lines]
