"""Cases for npgrad.functions.einsum."""

from __future__ import annotations

import numpy as np

from npgrad.check.case import Case, case

SUBSCRIPTS = (
    "ij,jk->ik", "bij,bjk->bik", "i,j->ij", "ij,ij->", "ij->ji", "ij->i", "ij->", "i,i", "ij,kj", "ba",
    "ij,i->i", "ijk,j->ik", "ij,jk,kl->il", "i,i,i->i", "i,j,k->kji", "ijk->ki", "ij,k->", "ji,ki->jk",
)  # fmt: skip
DIAGONALS = ("ii->i", "ii", "iij->j", "iij,jk->ik", "ij,ii->j", "iii->i", "iijj->ij")
ELLIPSES = ("...ij,...jk->...ik", "...i->...", "i...->i...", "...,...->...", "i...,i->...", "...ii->...i", "...i,...i")


def drawn(rng: np.random.Generator, subscripts: str) -> Case:
    """Operands for `subscripts`: letters of random sizes, now and then an axis of length 1 that stretches."""
    size = {c: int(n) for c, n in zip("abcdefghijklmnopqrstuvwxyz", rng.integers(1, 5, size=26), strict=True)}
    around = tuple(int(n) for n in rng.integers(1, 4, size=rng.integers(0, 3)))
    inputs = []
    for term in subscripts.partition("->")[0].split(","):
        left, dots, right = term.partition("...")
        # Operands of an ellipsis may have fewer axes than others: they are aligned at the last.
        more = around[int(rng.integers(0, len(around) + 1)) :] if dots else ()
        shape = (*[size[c] for c in left], *more, *[size[c] for c in right])
        inputs.append(rng.normal(size=shape))
    return Case(tuple(inputs), {"subscripts": subscripts}, lambda torch, *operands: torch.einsum(subscripts, *operands))


@case("Einsum")
def products(rng: np.random.Generator) -> Case:
    return drawn(rng, SUBSCRIPTS[rng.integers(len(SUBSCRIPTS))])


@case("Einsum")
def diagonals(rng: np.random.Generator) -> Case:
    return drawn(rng, DIAGONALS[rng.integers(len(DIAGONALS))])


@case("Einsum")
def ellipses(rng: np.random.Generator) -> Case:
    return drawn(rng, ELLIPSES[rng.integers(len(ELLIPSES))])


@case("Einsum")
def stretched(rng: np.random.Generator) -> Case:
    n, m = int(rng.integers(2, 5)), int(rng.integers(1, 4))
    shapes = ((1, m), (n, m)) if rng.random() < 0.5 else ((n, 1), (n, m))
    subscripts = ("ij,ij->i", "ij,ij->ij", "ij,ij->", "ij,ij->j")[rng.integers(4)]
    inputs = tuple(rng.normal(size=shape) for shape in shapes)
    return Case(inputs, {"subscripts": subscripts}, lambda torch, a, b: torch.einsum(subscripts, a, b))


@case("Einsum")
def as_matrix_products(rng: np.random.Generator) -> Case:
    subscripts = ("ij,jk->ik", "bij,bkj->ibk", "ij,jk,k->i", "ijk,kl->", "...ij,jk->...k")[rng.integers(5)]
    drawing = drawn(rng, subscripts)
    return Case(drawing.inputs, {**drawing.options, "optimize": True}, drawing.torch)
