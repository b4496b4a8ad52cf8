"""einsum: against NumPy and a sum over all letters, for random subscripts; NumPy's own function; errors."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from tests.strategies import FLOATS, arrays, seeds


@st.composite
def sums(draw: st.DrawFn) -> tuple[str, list[tuple[int, ...]]]:
    """Explicit subscripts without ellipsis, repeated letters allowed, and shapes; some axes stretch from 1."""
    size = dict(zip("abcd", draw(st.tuples(*[st.integers(1, 3)] * 4)), strict=True))
    terms = draw(st.lists(st.text("abcd", max_size=3), min_size=1, max_size=3))
    letters = sorted(set("".join(terms)))
    output = draw(st.permutations(letters))[: draw(st.integers(0, len(letters)))]
    shapes = []
    for term in terms:
        short = {c for c in term if draw(st.integers(0, 5)) == 0}
        shapes.append(tuple(1 if c in short else size[c] for c in term))
    return ",".join(terms) + "->" + "".join(output), shapes


def naive(subscripts: str, operands: list[np.ndarray]) -> np.ndarray:
    inputs, output = subscripts.split("->")
    terms = inputs.split(",")
    size: dict[str, int] = {}
    for term, x in zip(terms, operands, strict=True):
        for c, n in zip(term, x.shape, strict=True):
            size[c] = max(n, size.get(c, 1))
    y = np.zeros(tuple(size[c] for c in output))
    for place in product(*[range(size[c]) for c in size]):
        at = dict(zip(size, place, strict=True))
        value = 1.0
        for term, x in zip(terms, operands, strict=True):
            value *= x[tuple(min(at[c], n - 1) for c, n in zip(term, x.shape, strict=True))]
        y[tuple(at[c] for c in output)] += value
    return y


@given(st.data(), sums(), st.sampled_from([None, False, True]))
def test_values_and_gradients_of_random_subscripts(data: Any, drawn: Any, optimize: bool | None) -> None:
    subscripts, shapes = drawn
    operands = [data.draw(arrays(shape)).reshape(shape) for shape in shapes]
    tensors = [Tensor(x, requires_grad=True) for x in operands]
    y = npgrad.einsum(subscripts, *tensors, optimize=optimize)
    assert np.allclose(y.numpy(), naive(subscripts, operands), atol=1e-10)
    dy = data.draw(arrays(y.shape)).reshape(y.shape)
    y.backward(dy)
    # Linear in each operand, so the gradient with respect to it answers for any other value of it.
    for k, t in enumerate(tensors):
        other = data.draw(arrays(shapes[k])).reshape(shapes[k])
        changed = [*operands[:k], other, *operands[k + 1 :]]
        assert np.isclose(np.sum(t.grad * other), np.sum(dy * naive(subscripts, changed)), atol=1e-9)


@given(seeds, FLOATS)
def test_the_same_operand_twice_gets_both_contributions(seed: int, dtype: Any) -> None:
    a = Tensor(np.random.default_rng(seed).normal(size=(3, 4)).astype(dtype), requires_grad=True)
    y = npgrad.einsum("ij,ij->", a, a)
    y.backward()
    assert y.dtype == a.grad.dtype == dtype
    assert np.allclose(a.grad, 2 * a.numpy())


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk", [(2, 3), (3, 4)]),
        ("ba", [(2, 3)]),
        ("ii", [(3, 3)]),
        ("ij , kj", [(2, 3), (4, 3)]),
        ("...ij,...jk", [(5, 1, 2, 3), (4, 3, 2)]),
        ("...,...", [(2, 1), (3,)]),
        ("i...i", [(3, 2, 3)]),
        ("i...->...", [(3, 2, 4)]),
        ("b...a->a...b", [(2, 5, 6, 3)]),
        ("...->...", [(2, 3)]),
        (",i->i", [(), (3,)]),
        ("i,i->", [(0,), (0,)]),
        ("ij->j", [(0, 3)]),
    ],
)
def test_implied_outputs_and_ellipses_are_numpys(subscripts: str, shapes: list[tuple[int, ...]]) -> None:
    rng = np.random.default_rng(0)
    operands = [rng.normal(size=shape) for shape in shapes]
    tensors = [Tensor(x, requires_grad=True) for x in operands]
    expected = np.einsum(subscripts, *operands)
    y = npgrad.einsum(subscripts, *tensors)
    assert y.shape == expected.shape
    assert np.allclose(y.numpy(), expected, atol=1e-12)
    y.backward(np.ones(y.shape))
    assert all(t.grad.shape == shape for t, shape in zip(tensors, shapes, strict=True))


def test_numpys_own_function_gives_tensors_with_gradients() -> None:
    rng = np.random.default_rng(0)
    a, b = Tensor(rng.normal(size=(2, 3)), requires_grad=True), rng.normal(size=(3, 4))
    y = np.einsum("ij,jk->ik", a, b, optimize=True)
    assert isinstance(y, Tensor)
    y.sum().backward()
    assert np.allclose(a.grad, np.broadcast_to(b.sum(axis=1), (2, 3)))


def test_large_sums_become_matrix_products_with_the_same_result() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(40, 50)), rng.normal(size=(50, 60))
    t = Tensor(a, requires_grad=True)
    y = npgrad.einsum("ij,jk->ik", t, b)
    assert y._node.plan.large
    assert np.allclose(y.numpy(), a @ b)
    y.backward(np.ones((40, 60)))
    assert np.allclose(t.grad, np.ones((40, 60)) @ b.T)


def test_the_result_is_no_view_of_an_operand() -> None:
    a = Tensor(np.ones((2, 3)))
    y = npgrad.einsum("ij->ji", a)
    a.data[0, 0] = 5.0
    assert np.array_equal(y.numpy(), np.ones((3, 2)))


def test_a_number_does_not_widen_the_type() -> None:
    assert npgrad.einsum(",i->i", 2.0, np.ones(3, np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("subscripts", "shapes", "words"),
    [
        ("ij,jk->ik", [(2, 3)], "names 2 operands, but got 1"),
        ("ij->i", [(2,)], "'ij' names 2 axes of an operand of shape (2,)"),
        ("i->i", [(2, 3)], "'i' names 1 axes of an operand of shape (2, 3)"),
        ("ij,jk->ik", [(2, 3), (4, 5)], "have lengths 3 and 4 (operands of shapes (2, 3), (4, 5))"),
        ("ii->i", [(2, 3)], "have lengths 2 and 3"),
        ("ii->i", [(1, 3)], "reads its diagonal"),
        ("ij->ik", [(2, 3)], "output letter 'k' belongs to no operand"),
        ("ij->ii", [(2, 3)], "output letter 'i' appears twice"),
        ("i1->i", [(2, 3)], "cannot read 'i1'"),
        ("i.j->i", [(2, 3)], "cannot read 'i.j'"),
        ("ij->i->j", [(2, 3)], "cannot read 'i->j'"),
        ("...i->i", [(2, 3)], "the ellipsis stands for 1 axes, but the output has none"),
        ("i", [], "got no operands"),
    ],
)
def test_errors_name_what_does_not_fit(subscripts: str, shapes: list[tuple[int, ...]], words: str) -> None:
    with pytest.raises(ValueError) as raised:
        npgrad.einsum(subscripts, *[np.zeros(shape) for shape in shapes])
    assert words in str(raised.value)
    assert repr(subscripts) in str(raised.value)


@pytest.mark.parametrize(
    ("lists", "shapes", "subscripts"),
    [
        ([[0, 1], [1, 2], [0, 2]], [(2, 3), (3, 4)], "ij,jk->ik"),
        ([[5, 1], [1, 2]], [(2, 3), (3, 4)], "zj,jk"),
        ([[1, 0]], [(2, 3)], "ba"),
        ([[0, 0]], [(3, 3)], "ii"),
        ([[Ellipsis, 0], [0], [Ellipsis]], [(2, 5, 3), (3,)], "...i,i->..."),
        ([(0,), (1,), (1, 0)], [(2,), (3,)], "i,j->ji"),
    ],
)
def test_axes_named_by_integers(lists: list[Any], shapes: list[tuple[int, ...]], subscripts: str) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in shapes]
    ones, others = ([Tensor(a, requires_grad=True) for a in arrays] for _ in range(2))
    mixed = [x for pair in zip(ones, lists, strict=False) for x in pair] + lists[len(ones) :]
    y, z = np.einsum(*mixed), npgrad.einsum(subscripts, *others)
    plain = [x for pair in zip(arrays, lists, strict=False) for x in pair] + lists[len(ones) :]
    assert np.array_equal(y.numpy(), z.numpy()) and np.allclose(y.numpy(), np.einsum(*plain), rtol=1e-13)
    for t in (y, z):
        t.backward(np.random.default_rng(1).normal(size=y.shape))
    assert all(np.array_equal(a.grad, b.grad) for a, b in zip(ones, others, strict=True))


def test_what_is_neither_letters_nor_integers() -> None:
    a = Tensor(np.zeros((2, 2)), requires_grad=True)
    with pytest.raises(TypeError, match=r"takes the subscripts as a string first, .*of type Tensor"):
        npgrad.einsum(a, a)
    with pytest.raises(ValueError, match=r"integers from 0 to 51; got \[0, 99\]"):
        npgrad.einsum(a, [0, 99])
