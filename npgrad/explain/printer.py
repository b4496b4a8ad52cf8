"""Equations as Unicode text: Σ, ∂, Greek letters, subscripts where every index of the case has one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from npgrad.explain.derivation import Case, Equation
from npgrad.explain.syntax import (
    Binary,
    Call,
    Compare,
    Delta,
    Index,
    Neg,
    Node,
    Number,
    Reduce,
    Ref,
    Size,
    children,
    level,
    walk,
)

__all__ = ["Printer", "number_text", "symbol_parts", "width"]

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "eps": "ε", "eta": "η", "theta": "θ", "kappa": "κ",
    "lam": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "psi": "ψ",
    "omega": "ω",
}  # fmt: skip
_SUBSCRIPT = dict(zip("0123456789aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_SUPERSCRIPT = dict(zip("0123456789-/.", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ᐟ·", strict=True))
_SIGN = {"<=": "≤", ">=": "≥", "!=": "≠", "==": "=", "<": "<", ">": ">"}
_REDUCTION = {"sum": "Σ", "prod": "Π", "max": "max", "min": "min", "mean": "mean"}


def width(string: str) -> int:
    """Columns a string takes on a terminal: combining marks take none."""
    return sum(not 0x300 <= ord(c) < 0x370 for c in string)


def symbol_parts(name: str, adjoints: frozenset[str]) -> tuple[bool, str, str]:
    """Whether a name is a derivative ∂, its stem (Greek where it spells a letter), and its accent ("hat" or "")."""
    partial = name in adjoints
    stem = name[1:] if partial else name
    if stem.endswith("hat") and len(stem) > 3:
        return partial, GREEK.get(stem[:-3], stem[:-3]), "hat"
    return partial, GREEK.get(stem, stem), ""


def adjoints_of(case: Case) -> frozenset[str]:
    """The names of a case that stand for derivatives of the loss."""
    names = {s.name for s in case.symbols if s.kind == "array"} | {e.name for e in case.steps if e.defines}
    return frozenset(f"d{name}" for name in names if name)


def number_text(value: complex) -> str:
    """A number as one writes it: 1e-3 as 0.001, infinity as ∞."""
    if value == float("inf"):
        return "∞"
    if value == 3.141592653589793:
        return "π"
    string = f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else repr(value)
    return string.replace("-", "−")


class Printer:
    """Prints the expressions of one case consistently."""

    def __init__(self, case: Case, names: Mapping[str, str] | None = None) -> None:
        self.adjoints = adjoints_of(case)
        self.names = names or {}
        """What variables are called instead of their names in the derivation."""
        self.known = {s.name for s in case.symbols if s.kind != "size"} | {e.name for e in case.equations}
        letters = {
            n.name for e in case.equations for node in (e.lhs, *e.members) for n in walk(node) if isinstance(n, Index)
        }
        letters |= {
            x for e in case.equations for m in e.members for n in walk(m) if isinstance(n, Reduce) for x in n.letters
        }
        self.small = all(c in _SUBSCRIPT for letter in letters for c in letter)

    def equation(self, equation: Equation) -> list[str]:
        """The lines of an equation: the first with its left-hand side, the others to stand under its right side."""
        left = self.show(equation.lhs)
        return [f"{left} = {self.show(equation.members[0])}", *(f"= {self.show(m)}" for m in equation.members[1:])]

    def name(self, name: str) -> str:
        if name in self.names:
            return self.names[name]
        if name in self.adjoints and name[1:] in self.names:
            return f"∂{self.names[name[1:]]}"
        partial, stem, accent = symbol_parts(name, self.adjoints)
        if accent:
            stem = stem + "\N{COMBINING CIRCUMFLEX ACCENT}" if len(stem) == 1 else stem + "hat"
        return ("∂" if partial else "") + stem

    def words(self, text: str) -> str:
        """Running text with the variables of the case as in its equations; what stands in backquotes is code."""

        def shown(match: re.Match[str]) -> str:
            name = match[0]
            return self.name(name) if name in self.known | self.adjoints else name

        return re.sub(r"`[^`]*`|(?<![\w.])[A-Za-z]\w+(?![\w(])", shown, text)

    def indices(self, parts: tuple[Node, ...]) -> str:
        if not parts:
            return ""
        shown = [str(p.value) if isinstance(p, Number) else p.name if isinstance(p, Index) else "?" for p in parts]
        if self.small and all(c in _SUBSCRIPT for part in shown for c in part):
            return "".join(_SUBSCRIPT[c] for part in shown for c in part)
        return f"[{','.join(self.show(p) for p in parts)}]"

    def letters(self, letters: tuple[str, ...]) -> str:
        return self.indices(tuple(Index(letter) for letter in letters))

    def show(self, node: Node) -> str:
        match node:
            case Number():
                return number_text(node.value)
            case Index():
                return node.name
            case Ref():
                return self.name(node.name) + self.indices(node.indices)
            case Size():
                return f"|{node.letter}|"
            case Delta():
                both = (node.left, node.right)
                if self.small and all(isinstance(part, Index | Number) for part in both):
                    return "δ" + self.indices(both)
                return f"δ[{self.show(node.left)} = {self.show(node.right)}]"
            case Neg():
                return "−" + self.within(node.operand, 3)
            case Compare():
                parts = [self.show(node.operands[0])]
                for op, operand in zip(node.ops, node.operands[1:], strict=True):
                    parts += [_SIGN[op], self.show(operand)]
                return f"[{' '.join(parts)}]"
            case Reduce():
                body = f"({self.show(node.body)})" if isinstance(node.body, Neg) else self.within(node.body, 3)
                tight = body.startswith("(") and _REDUCTION[node.kind] in "ΣΠ"
                return f"{_REDUCTION[node.kind]}{self.letters(node.letters)}{'' if tight else ' '}{body}"
            case Call():
                return self.call(node)
            case Binary():
                return self.binary(node)
        raise TypeError(f"not an expression: {node!r}")

    def within(self, node: Node, least: int) -> str:
        shown = self.show(node)
        if isinstance(node, Compare):
            return shown
        return f"({shown})" if level(node) < least else shown

    def call(self, node: Call) -> str:
        args = [self.show(a) for a in node.args]
        if node.function == "abs":
            return f"|{args[0]}|"
        if node.function == "floor":
            return f"⌊{args[0]}⌋"
        if node.function == "sqrt":
            return f"√{args[0]}" if isinstance(node.args[0], Ref | Number) else f"√({args[0]})"
        if node.function == "where":
            condition = args[0].removeprefix("[").removesuffix("]") if isinstance(node.args[0], Compare) else args[0]
            return f"{{{args[1]} if {condition}, else {args[2]}}}"
        if node.function in ("maximum", "minimum"):
            return f"{node.function[:3]}({args[0]}, {args[1]})"
        return f"{node.function}({args[0]})"

    def binary(self, node: Binary) -> str:
        if node.op == "**":
            base = self.within(node.left, 6)
            if isinstance(node.left, Reduce | Neg) or (isinstance(node.left, Call) and node.left.function == "sqrt"):
                base = base if base.startswith("(") else f"({base})"
            power = self.show(node.right).replace("−", "-")
            if all(c in _SUPERSCRIPT for c in power) and power.count("/") < 2:
                return base + "".join(_SUPERSCRIPT[c] for c in power)
            power = self.within(node.right, 6)
            return f"{base}^{power}" if power.startswith("(") or len(power) == 1 else f"{base}^({power})"
        if node.op in "+-":
            left, right = self.within(node.left, 2), self.within(node.right, 2 + (node.op == "-"))
            return f"{left} {'+' if node.op == '+' else '−'} {right}"
        left = self.within(node.left, 3)
        # A sum reaches as far right as it can, so in front of a factor it needs parentheses.
        if open_ended(node.left) and not left.startswith("("):
            left = f"({left})" if isinstance(node.left, Reduce) else self.closed(node.left)
        right = self.within(node.right, 4)
        if node.op == "*":
            return f"{left}·{right}"
        if isinstance(node.right, Reduce):
            right = f"({right})"
        return f"{left}{'/' if node.op == '/' else f' {node.op} '}{right}"

    def closed(self, node: Node) -> str:
        """A product whose last factor is a sum, with that sum in parentheses."""
        if isinstance(node, Binary) and node.op == "*":
            return f"{self.within(node.left, 3)}·({self.show(node.right)})"
        return f"({self.show(node)})"


def open_ended(node: Node) -> bool:
    """Whether an expression ends in a sum, whose reach would take in what follows."""
    if isinstance(node, Reduce):
        return True
    if isinstance(node, Binary) and node.op in "*/":
        return open_ended(node.right)
    if isinstance(node, Neg):
        return open_ended(children(node)[0])
    return False
