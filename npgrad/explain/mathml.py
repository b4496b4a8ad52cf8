"""Equations as MathML Core, from the same syntax tree that is evaluated.

A member is returned in pieces, broken before each + and − that stands outside all parentheses, so that a browser may
break lines there.
"""

from __future__ import annotations

from html import escape

from npgrad.explain.derivation import Case
from npgrad.explain.printer import adjoints_of, number_text, open_ended, symbol_parts
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
    level,
    text,
)

__all__ = ["MathML"]

_SIGN = {"<=": "≤", ">=": "≥", "!=": "≠", "==": "=", "<": "&lt;", ">": "&gt;"}
_TIMES = '<mo lspace="0" rspace="0">&#x2062;</mo><mspace width="0.16em"/>'
_DOT = '<mo lspace="0.16em" rspace="0.16em">⋅</mo>'
_RAISED = ("sin", "cos", "tan", "sinh", "cosh", "tanh", "log")
_LONG = 44
"""From this many characters on, a product of a sum may be broken within it."""
_APPLY = "<mo>&#x2061;</mo>"


def math(content: str) -> str:
    """An inline formula in display style: fractions and sums at full size."""
    return f'<math displaystyle="true">{content}</math>'


def row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def fenced(content: str, left: str = "(", right: str = ")") -> str:
    return row(f'<mo fence="true">{left}</mo>', content, f'<mo fence="true">{right}</mo>')


class MathML:
    """Renders the expressions of one case."""

    def __init__(self, case: Case) -> None:
        self.adjoints = adjoints_of(case)

    def pieces(self, node: Node) -> list[str]:
        """`node` as formulas that may be set on different lines."""
        return [math(part) for part in self.parts(node)]

    def parts(self, node: Node) -> list[str]:
        if isinstance(node, Binary) and node.op in ("+", "-"):
            sign = "+" if node.op == "+" else "−"
            right = self.within(node.right, 2 + (node.op == "-"))
            if isinstance(node.right, Binary) and node.right.op == "*" and len(text(node.right)) > _LONG:
                first, *rest = self.parts(node.right)
                return [*self.parts(node.left), f'<mo form="infix" lspace="0">{sign}</mo>{first}', *rest]
            return [*self.parts(node.left), f'<mo form="infix" lspace="0">{sign}</mo>{right}']
        if isinstance(node, Binary) and node.op == "*" and len(text(node)) > _LONG and is_sum(node.right):
            # A long sum in parentheses may be broken inside them, which then cannot grow with what they hold.
            terms = self.parts(node.right)
            tall = "mfrac" in "".join(terms) or "munder" in "".join(terms)
            size = ' minsize="2.3em" maxsize="2.3em"' if tall else ""
            left = self.within(node.left, 3) if not open_ended(node.left) else self.closed(node.left)
            terms[0] = f'{left}{self.times(node)}<mo form="prefix"{size}>(</mo>{terms[0]}'
            terms[-1] += f'<mo form="postfix"{size}>)</mo>'
            return terms
        return [self.show(node)]

    def symbol(self, name: str) -> str:
        """A name: italic if it is one letter, upright if it is a word, ∂ in front of the variable of a derivative."""
        partial, stem, accent = symbol_parts(name, self.adjoints)
        base = f"<mi>{escape(stem)}</mi>"
        if accent:
            base = f'<mover accent="true">{base}<mo stretchy="false">^</mo></mover>'
        return f"<mi>∂</mi>{base}" if partial else base

    def subscripted(self, base: str, indices: tuple[Node, ...]) -> str:
        if not indices:
            return base
        plain = all(isinstance(i, Index) or (isinstance(i, Number) and len(str(i.value)) == 1) for i in indices)
        gap = '<mspace width="0.08em"/>' if plain else "<mo>,</mo>"
        inside = gap.join(self.show(i) for i in indices)
        head, sep, last = base.rpartition("<mi>∂</mi>")
        return f"{head}{sep}<msub>{last}<mrow>{inside}</mrow></msub>"

    def show(self, node: Node) -> str:
        match node:
            case Number():
                return self.number(node.value)
            case Index():
                return f"<mi>{node.name[0]}</mi>" if len(node.name) == 1 else self.digit(node.name)
            case Ref():
                return self.subscripted(self.symbol(node.name), node.indices)
            case Size():
                return row('<mo fence="true">|</mo>', f"<mi>{node.letter}</mi>", '<mo fence="true">|</mo>')
            case Delta():
                return self.subscripted("<mi>δ</mi>", (node.left, node.right))
            case Neg():
                return f'<mo form="prefix">−</mo>{self.within(node.operand, 3)}'
            case Compare():
                parts = [self.show(node.operands[0])]
                for op, operand in zip(node.ops, node.operands[1:], strict=True):
                    parts += [f"<mo>{_SIGN[op]}</mo>", self.show(operand)]
                return fenced("".join(parts), "[", "]")
            case Reduce():
                return self.reduce(node)
            case Call():
                return self.call(node)
            case Binary():
                return self.binary(node)
        raise TypeError(f"not an expression: {node!r}")

    def digit(self, name: str) -> str:
        return f"<msub><mi>{name[0]}</mi><mn>{name[1]}</mn></msub>"

    def number(self, value: complex) -> str:
        string = number_text(value)
        if string in "π∞":
            return f"<mi>{string}</mi>"
        if "e" in string:
            mantissa, _, power = string.partition("e")
            factor = f"<mn>{mantissa}</mn>{_DOT}" if mantissa not in ("1", "−1") else ""
            return f"{factor}<msup><mn>10</mn>{self.number(int(power.replace('−', '-')))}</msup>"
        if string.startswith("−"):
            return f'<mrow><mo form="prefix">−</mo><mn>{string[1:]}</mn></mrow>'
        return f"<mn>{string}</mn>"

    def within(self, node: Node, least: int) -> str:
        shown = self.show(node)
        return fenced(shown) if level(node) < least and not isinstance(node, Compare) else row(shown)

    def reduce(self, node: Reduce) -> str:
        letters = '<mspace width="0.1em"/>'.join(f"<mi>{letter}</mi>" for letter in node.letters)
        sign = {"sum": "∑", "prod": "∏"}.get(node.kind)
        body = fenced(self.show(node.body)) if isinstance(node.body, Neg) else self.within(node.body, 3)
        if sign:
            return f'<munder><mo movablelimits="false">{sign}</mo><mrow>{letters}</mrow></munder>{body}'
        return f'<munder><mi>{node.kind}</mi><mrow>{letters}</mrow></munder><mspace width="0.2em"/>{body}'

    def call(self, node: Call) -> str:
        args = [self.show(a) for a in node.args]
        match node.function:
            case "abs":
                return fenced(args[0], "|", "|")
            case "floor":
                return fenced(args[0], "⌊", "⌋")
            case "sqrt":
                return f"<msqrt>{row(args[0])}</msqrt>"
            case "where":
                condition = node.args[0]
                said = args[0]
                if isinstance(condition, Compare):
                    opening, closing = fenced("|", "[", "]").split("|")
                    said = said.removeprefix(opening).removesuffix(closing)
                cells = (
                    f"<mtr><mtd>{row(args[1])}</mtd><mtd><mtext>if </mtext>{row(said)}</mtd></mtr>"
                    f"<mtr><mtd>{row(args[2])}</mtd><mtd><mtext>otherwise</mtext></mtd></mtr>"
                )
                return row('<mo fence="true" form="prefix">{</mo>', f'<mtable class="cases">{cells}</mtable>')
            case "maximum" | "minimum":
                return f"<mi>{node.function[:3]}</mi>{_APPLY}{fenced(f'{args[0]}<mo>,</mo>{args[1]}')}"
        return f"<mi>{node.function}</mi>{_APPLY}{fenced(args[0])}"

    def binary(self, node: Binary) -> str:
        match node.op:
            case "**":
                if isinstance(node.left, Call) and node.left.function in _RAISED and isinstance(node.right, Number):
                    argument = fenced(self.show(node.left.args[0]))
                    return (
                        f"<msup><mi>{node.left.function}</mi>{self.number(node.right.value)}</msup>{_APPLY}{argument}"
                    )
                base = self.within(node.left, 6)
                if isinstance(node.left, Reduce | Call | Neg) and "fence" not in base[:30]:
                    base = fenced(self.show(node.left))
                return f"<msup>{base}<mrow>{self.exponent(node.right)}</mrow></msup>"
            case "/":
                return f"<mfrac>{row(self.show(node.left))}{row(self.show(node.right))}</mfrac>"
            case "+" | "-":
                sign = "+" if node.op == "+" else "−"
                left, right = self.within(node.left, 2), self.within(node.right, 2 + (node.op == "-"))
                return f'{left}<mo form="infix">{sign}</mo>{right}'
            case "*":
                left = self.within(node.left, 3)
                if open_ended(node.left) and not (isinstance(node.left, Binary) and node.left.op == "/"):
                    left = self.closed(node.left)
                return f"{left}{self.times(node)}{self.within(node.right, 4 - bare_fraction(node.right))}"
        sign = "<mo>mod</mo>" if node.op == "%" else "<mo>÷</mo>"
        inner = f"{self.within(node.left, 3)}{sign}{self.within(node.right, 4)}"
        return inner if node.op == "%" else fenced(row(self.fraction(node)), "⌊", "⌋")

    def fraction(self, node: Binary) -> str:
        return f'{self.within(node.left, 3)}<mo lspace="0" rspace="0">/</mo>{self.within(node.right, 4)}'

    def exponent(self, node: Node) -> str:
        """Fractions in exponents keep to the line."""
        if isinstance(node, Neg):
            return f'<mo form="prefix">−</mo>{self.exponent(node.operand)}'
        if isinstance(node, Binary) and node.op == "/":
            left = self.exponent(node.left) if isinstance(node.left, Neg) else self.within(node.left, 3)
            return f'{left}<mo lspace="0" rspace="0">/</mo>{self.within(node.right, 4)}'
        return self.show(node)

    def closed(self, node: Node) -> str:
        """A product that ends in a sum, with that sum in parentheses."""
        if isinstance(node, Binary) and node.op == "*":
            return f"{self.within(node.left, 3)}{self.times(node)}{fenced(self.show(node.right))}"
        return fenced(self.show(node))

    def times(self, node: Binary) -> str:
        """Juxtaposition where that reads well; a dot beside words, and between numbers."""
        left, right = last_factor(node.left), first_factor(node.right)
        words = any(isinstance(n, Ref) and self.is_word(n.name) for n in (left, right))
        return _DOT if words or isinstance(right, Number) else _TIMES

    def is_word(self, name: str) -> bool:
        return len(symbol_parts(name, self.adjoints)[1]) > 1


def is_sum(node: Node) -> bool:
    return isinstance(node, Binary) and node.op in ("+", "-")


def bare_fraction(node: Node) -> int:
    """1 for a quotient, which as a fraction needs no parentheses in a product."""
    return int(isinstance(node, Binary) and node.op == "/")


def last_factor(node: Node) -> Node:
    return last_factor(node.right) if isinstance(node, Binary) and node.op == "*" else node


def first_factor(node: Node) -> Node:
    while isinstance(node, Binary) and node.op in ("*", "**"):
        node = node.left
    return node
