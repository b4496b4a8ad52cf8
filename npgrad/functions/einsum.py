"""Einstein summation: any sum of products of arrays, and its gradient, which is one too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.function import Function
from npgrad.engine.tensor import Tensor, raw

__all__ = ["Einsum", "einsum"]

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
LARGE = 10_000
"""Multiplications from which it pays to look for matrix products in the sum."""


class Einsum(Function):
    """Name the axes of the operands by letters, multiply, and sum over the letters that the output does not have.

    The output is linear in each operand, so the derivative with respect to one operand is the sum of products of the
    gradient with all the other operands: the same subscripts with this operand's letters and the output's exchanged. In
    "ij,jk->ik" the gradient of "ij" is "ik,jk->ij". No rule for matrix products, traces or outer products is needed.

    Case: letters shared between operands
    Symbols
        a[i,j]    first operand
        b[j,k]    second operand
        subscripts = "ij,jk->ik"    what the axes are called
    Forward
        (1) y[i,k] = sum(j, a[i,j]*b[j,k])
    Backward
        (2) da[i,j] = sum(k, dy[i,k]*b[j,k])
        (3) db[j,k] = sum(i, dy[i,k]*a[i,j])

    Case: a letter of one operand alone
    Symbols
        a[i,j]    first operand; its letter j is in no other operand and not in the output
        b[i]      second operand
        subscripts = "ij,i->i"    what the axes are called
    Forward
        (1) y[i] = sum(j, a[i,j]*b[i])
    Backward
        (2) da[i,j] = dy[i]*b[i]
        (3) db[i]   = sum(j, dy[i]*a[i,j])
    Notes
        A letter that only this operand has was summed over in it: each of its entries counted once, and the gradient is
        the same for all of them. The exchanged subscripts cannot produce such a letter, so the gradient is repeated
        along it.

        A letter an operand has twice (a diagonal, as in "ii->i") reads the diagonal, so the gradient is written to the
        diagonal of zeros.

        An axis of length 1 stretches to the length its letter has elsewhere, so its gradient is summed over the letter.
        The axes of an ellipsis become letters of their own before anything else is done.
    """

    def forward(
        self, a: Array, b: Array | None = None, *more: Array, subscripts: str, optimize: bool | str | None = None
    ) -> Array:
        """`optimize` as in np.einsum; None decides by the amount of work."""
        self.operands = (a,) if b is None else (a, b, *more)
        plan = self.plan = make_plan(subscripts, tuple([x.shape for x in self.operands]))
        self.optimize = plan.large if optimize is None else optimize
        y: Array = np.einsum(plan.subscripts, *self.operands, optimize=self.optimize)  # (1)
        return y

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        gradients: list[Array | None] = [None] * len(self.operands)
        for k, adjoint in enumerate(self.plan.adjoints):
            if not self.needs[k]:
                continue
            shape, others = self.operands[k].shape, self.operands[:k] + self.operands[k + 1 :]
            g = np.einsum(adjoint.subscripts, dy, *others, optimize=self.optimize).reshape(adjoint.shape)
            if adjoint.diagonal is None:
                gradients[k] = np.broadcast_to(g, shape)  # (2) (3)
            else:
                gradients[k] = zeros = np.zeros_like(dy, shape=shape)
                zeros[adjoint.diagonal] = g
        return tuple(gradients)


class Adjoint(NamedTuple):
    """How the gradient of one operand is computed."""

    subscripts: str
    """From dy and the other operands to those letters of this one that they determine."""
    shape: tuple[int, ...]
    """The result's shape, with length 1 for the letters of this operand that they do not determine."""
    diagonal: tuple[Array, ...] | None
    """The index of the entries that were read, if the operand has a letter twice."""


class Plan(NamedTuple):
    """What `subscripts` mean for operands of given shapes."""

    subscripts: str
    shape: tuple[int, ...]
    large: bool
    adjoints: tuple[Adjoint, ...]


@lru_cache(maxsize=512)
def make_plan(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> Plan:
    """Read `subscripts`; raises ValueError if they are malformed or do not fit the shapes."""
    terms, output = spell_out(subscripts, shapes)
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        for letter, n in zip(term, shape, strict=True):
            length = sizes.setdefault(letter, n)
            if length != n and 1 not in (length, n):
                raise ValueError(
                    f"einsum {subscripts!r}: the axes that share one letter have lengths {length} and {n} "
                    f"(operands of shapes {', '.join(map(str, shapes))}). Give axes of one letter one length, or 1."
                )
            if length == 1:
                sizes[letter] = n
    adjoints = []
    for k, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        letters = "".join(dict.fromkeys(term))
        own = dict(zip(term, shape, strict=True))
        if tuple([own[letter] for letter in term]) != shape:
            raise ValueError(
                f"einsum {subscripts!r}: a letter that one operand has twice reads its diagonal, so these axes must be "
                f"equally long; the operand has shape {shape}."
            )
        others = [(output, tuple([sizes[c] for c in output]))]
        others += [(terms[j], shapes[j]) for j in range(len(terms)) if j != k]
        # Letters that stretch elsewhere (have length 1 here) are summed over; those nobody else knows are repeated.
        known = {c for other, dims in others for c, n in zip(other, dims, strict=True) if n != 1}
        wanted = [c for c in letters if c in known and own[c] != 1]
        place = dict(zip(letters, np.ogrid[tuple([slice(own[c]) for c in letters])], strict=True))
        adjoints.append(
            Adjoint(
                subscripts=",".join(other for other, _ in others) + "->" + "".join(wanted),
                shape=tuple([own[c] if c in wanted else 1 for c in letters]),
                diagonal=None if len(letters) == len(term) else tuple([place[c] for c in term]),
            )
        )
    shape = tuple([sizes[c] for c in output])
    return Plan(",".join(terms) + "->" + output, shape, prod(sizes.values()) > LARGE, tuple(adjoints))


def spell_out(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[list[str], str]:
    """The letters of each operand's axes and of the output's, with nothing left to be implied."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(shapes):
        raise ValueError(
            f"einsum {subscripts!r} names {len(terms)} operands, but got {len(shapes)}. "
            "Separate the operands' letters by commas, one group for each."
        )
    for text in [*terms, output]:
        letters = text.replace("...", "", 1)
        if letters and not (letters.isascii() and letters.isalpha()):
            raise ValueError(
                f"einsum {subscripts!r}: cannot read {text!r}. Each operand is a group of letters a-z, A-Z "
                "with at most one ellipsis (...)."
            )
    free = [c for c in LETTERS if c not in subscripts]
    extra = []
    for term, shape in zip(terms, shapes, strict=True):
        named = len(term.replace("...", ""))
        if named > len(shape) or ("..." not in term and named < len(shape)):
            raise ValueError(
                f"einsum {subscripts!r}: {term!r} names {named} axes of an operand of shape {shape}. "
                "Give each axis a letter, or use an ellipsis (...) for the rest."
            )
        extra.append(len(shape) - named)
    most = max(extra)
    if most > len(free):
        raise ValueError(f"einsum {subscripts!r}: too many axes; there are {len(LETTERS)} letters in all.")
    # Ellipses broadcast: they are aligned at their last axis.
    names = "".join(free[:most])
    if not arrow:
        count = Counter("".join(terms).replace(".", ""))
        output = "..." * bool(most) + "".join(sorted(c for c, times in count.items() if times == 1))
    elif most and "..." not in output:
        raise ValueError(
            f"einsum {subscripts!r}: the ellipsis stands for {most} axes, but the output has none. "
            "Put ... into the output; to sum over axes, give them letters."
        )
    for c in output.replace(".", ""):
        if output.count(c) > 1 or c not in inputs:
            raise ValueError(
                f"einsum {subscripts!r}: the output letter {c!r} "
                + ("appears twice." if c in inputs else "belongs to no operand.")
                + " Each output axis takes one letter of the operands."
            )
    spelled = [term.replace("...", names[most - n :]) for term, n in zip(terms, extra, strict=True)]
    return spelled, output.replace("...", names)


def einsum(*arguments: Any, optimize: bool | str | None = None) -> Tensor:
    """einsum(subscripts, *operands): the sum of products over named axes, as np.einsum.

    `subscripts` is a string with a group of letters for each operand: "ij,jk->ik" is the matrix product, "ii" the
    trace. Letters that are not in the output are summed over; without "->" the output has the letters that appear once,
    in alphabetical order. An ellipsis (...) stands for further axes, which broadcast. A letter that one operand has
    twice reads the diagonal. Or the axes are named by integers, in a list after each operand and one for the output:
    einsum(a, [0, 1], b, [1, 2], [0, 2]). `optimize` as in np.einsum; left out, large sums are turned into matrix
    products.

    Raises ValueError if the subscripts are malformed or do not fit the operands.
    """
    if arguments and not isinstance(arguments[0], str):
        arguments = in_letters(arguments)
    subscripts, *operands = arguments or ("",)
    if not operands:
        raise ValueError(f"einsum {subscripts!r} got no operands. Pass one array or tensor per group of letters.")
    numbers = [k for k, x in enumerate(operands) if isinstance(x, int | float | complex)]
    if numbers:
        # They are weak: of the dtype the arrays have together.
        dtype = np.result_type(*[x if k in numbers else raw(x) for k, x in enumerate(operands)])
        operands = [np.asarray(x, dtype) if k in numbers else x for k, x in enumerate(operands)]
    return Einsum.apply(*operands, subscripts=subscripts, optimize=optimize)


def in_letters(arguments: Sequence[Any]) -> tuple[Any, ...]:
    """The arguments of einsum with letters instead of lists of integers, which may contain Ellipsis.

    The letters are in the order of the integers, since NumPy orders an output that is not given by them.
    """
    operands, lists = arguments[:-1:2], arguments[1::2]
    output = arguments[-1:] if len(arguments) % 2 else ()
    named = [*lists, *output]
    if not operands or not all(isinstance(axes, list | tuple) for axes in named):
        raise TypeError(
            "einsum takes the subscripts as a string first, or a list of integers after each operand: "
            f'einsum("ij,jk->ik", a, b) or einsum(a, [0, 1], b, [1, 2], [0, 2]); got {len(arguments)} arguments, '
            f"the first of type {type(arguments[0]).__name__}."
        )
    numbers = sorted({k for axes in named for k in axes if k is not Ellipsis})
    if not all(isinstance(k, int | np.integer) and 0 <= k < len(LETTERS) for k in numbers):
        raise ValueError(f"einsum names axes by integers from 0 to {len(LETTERS) - 1}; got {numbers}.")
    letters = dict(zip(numbers, sorted(LETTERS), strict=False)) | {Ellipsis: "..."}
    groups = ["".join([letters[k] for k in axes]) for axes in named]
    inputs = ",".join(groups[: len(operands)])
    return ("->".join([inputs, *groups[len(operands) :]]), *operands)
