"""Derivations that run: the mathematics of every Function, executed.

    npgrad explain                       every derivation, in reading order
    npgrad explain batch_norm            derivation and code, side by side
    npgrad explain batch_norm --run      the error of each line, against complex steps on random inputs
    npgrad explain batch_norm --trace    every intermediate array of a small example
    npgrad explain --step                a backward pass, node by node; your own: `npgrad.explain.step(loss)`
    npgrad program                       the program that a training step compiles to, with equation numbers
    npgrad.explain.graph(loss)           in a notebook: the computation graph as a picture
    npgrad exercise batch_norm           write its backward pass yourself; `--grade FILE` grades it
    npgrad puzzle                        find the wrong line of a backward pass
    npgrad explain --check [NAME …]      verify; the exit code is 0 if everything holds
    npgrad explain --html site/          the derivations as web pages

The notation
============
A derivation is part of a docstring. Its headings stand at the docstring's own indentation, their contents deeper:

    Symbols
        x[i,k]         input: row i, channel k
        eps = 1e-3     keeps the division finite
        n = size(i)    rows
    Forward
        (1) mu[k]   = sum(i, x[i,k])/n
        (a) xc[i,k] = x[i,k] - mu[k]
        …
    Backward
        (7) dx[i,k] = dxc[i,k] + dmu[k]/n
                    = dxc[i,k] - sum(j, dxc[j,k])/n
    Notes
        Prose.

`Case: NAME` starts one of several derivations in a docstring; symbols and notes before the first case hold for all.

**Symbols.** Two or more spaces separate the declaration from its meaning; deeper indented lines continue the meaning.
  x[i,k]              an array with an axis for each index letter (one letter, or a letter and a digit); `x` is a number
  x[i] > 0            drawn positive; also `x[i] < 0`, `x[i] != 0`, `x[i] in (-1, 1)`, `x[i] in {0, 1}`
  x[i,j] in definite  a symmetric matrix with positive eigenvalues
  t[i] in c           integers, each a value of the index c
  x[b, 2*p + r]       an axis addressed by an expression: as long as the largest place needs it to be
  eps = 1e-3          an option or constant: any literal (numbers, strings, tuples, slices), or an expression in sizes
                      and constants before it; passed to `forward` if that has such a parameter
  size(m) = n + 3     how many values an index takes, where no array says so
An array that is no parameter of `forward` is taken from the attribute of that name after `forward` (a random mask).

**Equations.** `(k) name[i,k] = expression`, and further members of the chain on lines that begin with `=`: all of them
must have the same value. A member may run over lines while a parenthesis is open, or where a line begins with an
operator. Numbers belong to lines that code computes: the code line ends in `# (k)`. Letters mark steps of reasoning; a
letter line may also state an identity between any expressions, `(a) t[i]**2 + 1/cosh(x[i])**2 = 1`. Text after `#`
says why a member follows; lines that are no equation are remarks too. The last definition in Forward is the result,
unless Backward starts from another: it receives `d` + its name. `dx` is the derivative of the loss with respect to x.

**Expressions** are Python's: + - * / // % **, comparisons (1 or 0; also `0 <= i < n`), parentheses, numbers, pi, inf;
  sum(i, e)  mean(i, e)  prod(i, e)  max(i, e)  min(i, e)     over one index or several: sum((i,j), e)
  delta(i, j)         1 where both integers are equal, else 0
  size(i)             the number of values of an index
  exp expm1 log log1p sqrt sin cos tan arcsin arccos arctan sinh cosh tanh sigmoid erf abs sign floor
  maximum(a, b)  minimum(a, b)
  where(c, a, b)      a where c is not 0, else b
An index letter stands for its value, counted from 0, wherever it is not an index: `sum(j, (j <= i)*x[j])`. A letter
that is bound (on the left, or by a reduction) is an index, whatever else has its name. An index may be any integer
expression: `E[t[i], c]`, `x[s*p + r]`, `x[size(i)-1-i]`; a place outside the array reads 0, as padding does. An index
that is neither on the left nor bound is an error. How many values a letter takes follows from Symbols, from the shape
of the variable on the left, from the axes it runs along (of a longer axis it may run along the first part), or from the
index a delta compares it with.

What `verify` checks is listed in `npgrad.explain.verify`; that a wrong line cannot pass, in
`npgrad.explain.equation_mutants`.
"""

from npgrad.explain.derivation import Derivation
from npgrad.explain.graph import Graph, graph
from npgrad.explain.notation import parse
from npgrad.explain.report import Report
from npgrad.explain.step import Walk, step
from npgrad.explain.syntax import DerivationError
from npgrad.explain.verify import verify

__all__ = ["Derivation", "DerivationError", "Graph", "Report", "Walk", "graph", "parse", "step", "verify"]
