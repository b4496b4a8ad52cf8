"""Reading docstrings: what is understood, and that an error points at the place."""

import pytest

from npgrad.explain import DerivationError, parse
from npgrad.explain.derivation import Block, Equation, Paragraph
from npgrad.explain.syntax import Binary, Index, Number, Ref, Source, read_expression, text

GOOD = """Summary line.

Prose that runs
over two lines.

    a table    as it stands

Symbols
    x[i,k]         input
    s > 0          a positive number
    t[i] in k      a class
    eps = 1e-3     small
    n = size(i)
    size(j) = n + 1
                   one more
Forward
    (1) mu[k] = sum(i, x[i,k])/n   # the mean
              = mean(i,
                     x[i,k])
    A remark between equations.
    (a) sum(i, x[i,k] - mu[k]) = 0
    (2) y[i] = x[i,t[i]] - mu[t[i]]
Backward
    (3) dx[i,k] = dy[i]*delta(k, t[i]) + dmu[k]/n
                  + 0
    (b) dmu[k] = -sum(i, delta(k, t[i])*dy[i])
Notes
    Why.
"""


def reordered(doc: str) -> str:
    """The two backward lines in the order in which they can be evaluated."""
    lines = doc.split("\n")
    k = next(k for k, line in enumerate(lines) if "(3) dx" in line)
    lines[k : k + 3] = [lines[k + 2], *lines[k : k + 2]]
    return "\n".join(lines)


def test_reads_everything_the_notation_has() -> None:
    derivation = parse(reordered(GOOD))
    assert derivation.summary == "Summary line."
    assert isinstance(derivation.prose[0], Paragraph) and derivation.prose[0].text == "Prose that runs over two lines."
    assert isinstance(derivation.prose[1], Block) and derivation.prose[1].lines == ("a table    as it stands",)
    (case,) = derivation.cases
    assert [s.name for s in case.symbols] == ["x", "s", "t", "eps", "n", "j"]
    assert [s.kind for s in case.symbols] == ["array", "array", "array", "constant", "constant", "size"]
    assert case.symbols[5].meaning == "one more"
    first = case.steps[0]
    assert first.label == "1" and first.defines and first.letters == ("k",) and len(first.members) == 2
    assert first.remarks == ("the mean", "")
    assert not case.steps[1].defines and case.steps[1].letters == ("k",)
    assert isinstance(case.forward[1], Paragraph)
    assert case.output == "y"
    assert [e.label for e in case.adjoints] == ["b", "3"]
    assert text(case.adjoints[1].members[0]) == "dy[i]*delta(k,t[i]) + dmu[k]/n + 0"
    assert case.notes == (Paragraph("Why.", case.notes[0].at),)


@pytest.mark.parametrize(
    "old, new, problem",
    [
        ("sum(i, x[i,k])/n", "sum(i, x[j,k])/n", "the index 'j' is neither on the left-hand side nor bound"),
        ("mean(i,", "maen(i,", "there is no function 'maen'"),
        ("- mu[t[i]]", "- muu[t[i]]", "'muu' is neither declared in Symbols nor defined above; did you mean 'mu'?"),
        ("dy[i]*delta", "dy[i]**delta(k)*delta", "delta takes two indices"),
        ("(2) y[i]", "(1) y[i]", "the number (1) is used twice"),
        ("x[i,k] - mu[k]) = 0", "x[i,k] - mu[k] = 0", "an equation needs an '='"),
        ("(2) y[i] = x[i,t[i]] - mu[t[i]]", "(2) y[i]*2 = x[i,t[i]]", "a numbered equation defines a name"),
        ("(2) y[i] = x[i,t[i]] - mu[t[i]]", "(2) y[i,i] = x[i,t[i]]", "an index stands twice"),
        ("x[i,t[i]] - mu[t[i]]", "x[i,t[i]] - - * 2", "this is not an expression"),
        ("x[i,t[i]] - mu[t[i]]", "[i for i in x]", "the notation has no such expression"),
        ("x[i,t[i]] - mu[t[i]]", "where(x[i,0], 1)", "where takes 3 arguments"),
        ("x[i,t[i]] - mu[t[i]]", "sum(x[i,0], 1)", "an index letter (or several in parentheses) belongs here"),
        ("t[i] in k      a class", "t[i] ~ k      a class", "a symbol is declared as"),
        ("t[i] in k      a class", "t[i] < k      a class", "a domain is"),
        ("s > 0          a", "x > 0          a", "'x' is declared twice"),
        ("= 1e-3     small", "= 1e-3*z     small", "'z'"),
    ],
)
def test_errors_point_at_line_and_column(old: str, new: str, problem: str) -> None:
    good = reordered(GOOD)
    assert good.count(old) == 1
    doc = good.replace(old, new)
    with pytest.raises(DerivationError) as caught:
        parse(doc)
    error = caught.value
    assert problem in str(error)
    changed = good[: good.index(old)].count("\n") + 1
    assert changed <= error.line <= changed + new.count("\n")
    line = doc.split("\n")[error.line - 1]
    assert 1 <= error.column <= len(line) + 1
    shown = str(error).split("\n")
    assert shown[-2] == line and shown[-1] == " " * (error.column - 1) + "^"


def test_the_caret_stands_under_the_culprit() -> None:
    with pytest.raises(DerivationError) as caught:
        parse("S.\n\nSymbols\n    x[i]   input\nForward\n    (1) y[i] = x[i] + sum(j, q*x[j])\n")
    line, caret = str(caught.value).split("\n")[-2:]
    assert line[caret.index("^")] == "q"


def test_a_continued_member_is_pointed_at_on_its_own_line() -> None:
    with pytest.raises(DerivationError) as caught:
        parse(
            "S.\n\nSymbols\n    x[i]   input\nForward\n"
            "    (1) y[i] = x[i] +\n               2*x[i]*(\n               3 + q)\n"
        )
    assert caught.value.line == 8
    line, caret = str(caught.value).split("\n")[-2:]
    assert line[caret.index("^")] == "q"


def test_cases_share_symbols_and_notes() -> None:
    doc = (
        "S.\n\nSymbols\n    x[i]   input\n    p = 2   power\n\nCase: one\nForward\n    (1) y[i] = x[i]**p\n\n"
        "Case: two\nSymbols\n    p = 3   other\nForward\n    (1) y[i] = x[i]**p\n\nNotes\n    Both.\n"
    )
    derivation = parse(doc)
    one, two = derivation.cases
    assert [c.name for c in derivation.cases] == ["one", "two"]
    assert one.symbol("p").value == 2 and two.symbol("p").value == 3  # type: ignore[union-attr]
    assert two.symbol("x") is not None
    assert len(derivation.notes) == 1 and not two.notes


def test_a_letter_that_is_bound_is_an_index_whatever_else_has_its_name() -> None:
    doc = "S.\n\nSymbols\n    b[k]   bias\n    x[b,k]   input\nForward\n    (1) y[b,k] = x[b,k] + b[k]*b\n"
    (equation,) = parse(doc).cases[0].steps
    product = equation.members[0]
    assert isinstance(product, Binary) and isinstance(product.right, Binary)
    assert product.right.left == Ref("b", (Index("k"),)) and product.right.right == Index("b")


@pytest.mark.parametrize(
    "string",
    [
        "a + b - c", "a - (b - c)", "-a**2", "(-a)**2", "a/b/c", "a/(b*c)", "2**-x", "a**b**c", "(a**b)**c",
        "-(a + b)*c", "x[i,j+1]", "sum((i,j), x[i]*y[j])", "where(a < b, a, b)", "(i <= j)*x[j]", "a // b % c",
        "0 <= i < 3",
    ],
)  # fmt: skip
def test_printing_and_reading_again_gives_the_same_tree(string: str) -> None:
    source = Source("test", (string,))
    tree = read_expression(string, (1, 0), source)
    assert read_expression(text(tree), (1, 0), source) == tree


def test_numbers_and_constants() -> None:
    assert read_expression("pi", (1, 0), Source("t", ("pi",))) == Number(3.141592653589793)
    assert read_expression("1e-3", (1, 0), Source("t", ("1e-3",))) == Number(0.001)


def test_a_docstring_without_forward_has_no_derivation() -> None:
    assert parse("Only a summary.").cases == ()
    assert all(isinstance(e, Equation) for e in parse(reordered(GOOD)).equations)
