"""max_pool2d, avg_pool2d: against a loop over windows, ties, overlaps, and errors."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from tests.strategies import arrays


@st.composite
def geometries(draw: st.DrawFn) -> tuple[tuple[int, ...], dict[str, Any]]:
    pair = lambda low, high: draw(st.tuples(st.integers(low, high), st.integers(low, high)))  # noqa: E731
    kernel = pair(1, 4)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    spatial = tuple(k + n for k, n in zip(kernel, pair(0, 5), strict=True))
    options = {"kernel_size": kernel, "stride": draw(st.none() | st.just(pair(1, 4))), "padding": padding}
    return (draw(st.integers(1, 2)), draw(st.integers(1, 3)), *spatial), options


def windows(shape: tuple[int, ...], kernel_size: Any, stride: Any, padding: Any) -> Any:
    """For every output place, the slices of the padded input that its window covers."""
    stride = kernel_size if stride is None else stride
    padded = [n + 2 * p for n, p in zip(shape[2:], padding, strict=True)]
    counts = [(n - k) // s + 1 for n, k, s in zip(padded, kernel_size, stride, strict=True)]
    for place in product(*map(range, counts)):
        yield place, tuple(slice(p * s, p * s + k) for p, s, k in zip(place, stride, kernel_size, strict=True))


def frame(x: np.ndarray, padding: Any, fill: float) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), *[(p, p) for p in padding]), constant_values=fill)


def crop(x: np.ndarray, padding: Any) -> np.ndarray:
    return x[(..., *[slice(p, n - p) for p, n in zip(padding, x.shape[2:], strict=True)])]


@given(st.data(), geometries(), st.booleans())
def test_maxima_window_by_window(data: Any, geometry: Any, ties: bool) -> None:
    shape, options = geometry
    values = data.draw(arrays(shape))
    values = np.round(values) if ties else values
    x = Tensor(values, requires_grad=True)
    y = npgrad.max_pool2d(x, **options)
    dy = data.draw(arrays(y.shape))
    y.backward(dy)
    padded = frame(values, options["padding"], -np.inf)
    dx = np.zeros_like(padded)
    for place, window in windows(shape, **options):
        part = padded[(..., *window)]
        largest = part.max(axis=(2, 3), keepdims=True)
        assert np.array_equal(y.numpy()[(..., *place)], largest[:, :, 0, 0])
        share = (part == largest) / (part == largest).sum(axis=(2, 3), keepdims=True)
        dx[(..., *window)] += share * dy[(..., *place)][:, :, None, None]
    assert np.allclose(x.grad, crop(dx, options["padding"]), atol=1e-12)


@given(st.data(), geometries(), st.sampled_from([1, 2, 3]), st.booleans())
def test_indices_are_those_of_torch(torch: Any, data: Any, geometry: Any, axes: int, ceil_mode: bool) -> None:
    """Rounded, so that there are ties, of which the first counts; -inf, which ties with the padding; without N."""
    shape, options = geometry
    options = {name: v if v is None else (v * 2)[:axes] for name, v in options.items()} | {"ceil_mode": ceil_mode}
    shape = (*shape[:2], *(shape[2:] * 2)[:axes])[data.draw(st.integers(0, 1)) :]
    x = np.round(data.draw(arrays(shape)))
    x[data.draw(arrays(shape)) > 0.5] = -np.inf
    y, indices = getattr(npgrad, f"max_pool{axes}d")(Tensor(x, requires_grad=True), return_indices=True, **options)
    name = f"max_pool{axes}d"
    best, places = getattr(torch.nn.functional, name)(torch.tensor(x), return_indices=True, **options)
    assert np.array_equal(y.numpy(), best.numpy()) and indices.dtype == np.int64
    assert np.array_equal(indices, places.numpy()) and y.requires_grad


@given(st.data(), geometries(), st.sampled_from([1, 2, 3]))
def test_indices_of_adaptive_pooling_are_those_of_torch(torch: Any, data: Any, geometry: Any, axes: int) -> None:
    shape, options = geometry
    shape = (*shape[:2], *(shape[2:] * 2)[:axes])[data.draw(st.integers(0, 1)) :]
    x = np.round(data.draw(arrays(shape)))
    name, size = f"adaptive_max_pool{axes}d", (options["kernel_size"] * 2)[:axes]
    y, indices = getattr(npgrad, name)(x, size, return_indices=True)
    best, places = getattr(torch.nn.functional, name)(torch.tensor(x), size, return_indices=True)
    assert np.array_equal(y.numpy(), best.numpy()) and indices.dtype == np.int64
    assert np.array_equal(indices, places.numpy())


@given(st.data(), geometries())
def test_means_window_by_window(data: Any, geometry: Any) -> None:
    shape, options = geometry
    values = data.draw(arrays(shape))
    x = Tensor(values, requires_grad=True)
    y = npgrad.avg_pool2d(x, **options)
    dy = data.draw(arrays(y.shape))
    y.backward(dy)
    padded = frame(values, options["padding"], 0)
    dx = np.zeros_like(padded)
    for place, window in windows(shape, **options):
        part = padded[(..., *window)]
        assert np.allclose(y.numpy()[(..., *place)], part.mean(axis=(2, 3)), atol=1e-12)
        dx[(..., *window)] += dy[(..., *place)][:, :, None, None] / part[0, 0].size
    assert np.allclose(x.grad, crop(dx, options["padding"]), atol=1e-12)


def test_equal_maxima_share_the_gradient_equally() -> None:
    x = Tensor(np.array([[[[1.0, 3.0], [3.0, 3.0]]]]), requires_grad=True)
    npgrad.max_pool2d(x, 2).backward([[[[6.0]]]])
    assert np.array_equal(x.grad, [[[[0, 2], [2, 2]]]])


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
def test_values_that_are_no_numbers_pass_without_a_warning(value: float) -> None:
    x = Tensor(np.full((1, 1, 2, 2), value), requires_grad=True)
    y = npgrad.max_pool2d(x, 2)
    assert np.array_equal(y.numpy(), [[[[value]]]], equal_nan=True)
    y.backward([[[[1.0]]]])
    assert np.array_equal(x.grad, np.full((1, 1, 2, 2), 0.25))


def test_one_nan_is_the_maximum_of_its_window_alone() -> None:
    x = np.arange(8.0).reshape(1, 1, 2, 4)
    x[0, 0, 0, 0] = np.nan
    assert np.array_equal(npgrad.max_pool2d(x, 2).numpy(), [[[[np.nan, 7]]]], equal_nan=True)


@pytest.mark.parametrize("pool", [npgrad.max_pool2d, npgrad.avg_pool2d])
def test_an_input_without_a_batch_axis_is_a_batch_of_one(pool: Any) -> None:
    x = np.random.default_rng(0).normal(size=(3, 5, 4))
    single = Tensor(x, requires_grad=True)
    y = pool(single, 2)
    assert np.array_equal(y.numpy(), pool(x[None], 2).numpy()[0])
    y.backward(np.ones(y.shape))
    assert single.grad is not None and single.grad.shape == x.shape


def test_a_rest_is_pooled_with_what_it_has() -> None:
    x = np.arange(5.0).reshape(1, 1, 1, 5)
    assert np.array_equal(npgrad.max_pool2d(x, (1, 2), ceil_mode=True).numpy(), [[[[1, 3, 4]]]])
    assert np.array_equal(npgrad.avg_pool2d(x, (1, 2), ceil_mode=True).numpy(), [[[[0.5, 2.5, 4]]]])
    padded = npgrad.avg_pool2d(x, (1, 3), 2, padding=(0, 1), count_include_pad=False).numpy()
    assert np.array_equal(padded, [[[[0.5, 2, 3.5]]]])


@pytest.mark.parametrize("pool", [npgrad.max_pool2d, npgrad.avg_pool2d])
def test_single_precision_and_a_batch_of_none(pool: Any) -> None:
    x = Tensor(np.zeros((0, 2, 4, 4), np.float32), requires_grad=True)
    y = pool(x, 2)
    y.backward(np.zeros(y.shape))
    assert y.shape == (0, 2, 2, 2)
    assert y.dtype == x.grad.dtype == np.float32


@pytest.mark.parametrize("pool", [npgrad.max_pool2d, npgrad.avg_pool2d])
@pytest.mark.parametrize(
    ("x", "options", "error", "words"),
    [
        (np.zeros((4, 4)), {"kernel_size": 2}, ValueError, "(N, C, H, W); got (4, 4)"),
        (np.zeros((1, 1, 4, 4)), {"kernel_size": 5}, ValueError, "larger than its input of shape (1, 1, 4, 4)"),
        (np.zeros((1, 1, 4, 4)), {"kernel_size": 0}, ValueError, "kernel_size=0"),
        (np.zeros((1, 1, 4, 4)), {"kernel_size": 2, "stride": -1}, ValueError, "stride=-1"),
        (np.zeros((1, 1, 4, 4)), {"kernel_size": 2, "padding": 2}, ValueError, "Pad by at most half the kernel"),
        (np.zeros((1, 1, 4, 4), int), {"kernel_size": 2}, TypeError, "pools floating-point numbers; got int64"),
    ],
)
def test_errors_name_the_numbers(pool: Any, x: Any, options: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as raised:
        pool(x, **options)
    assert words in str(raised.value)


# -- beside PyTorch ----------------------------------------------------------------------------------------------------


def assert_same(torch: Any, ours: Any, theirs: Any, x: np.ndarray) -> None:
    """The same values and, for a random cotangent, the same gradient."""
    x = np.array(x, float, order="C")
    t, u = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = ours(t), theirs(u)
    assert y.shape == tuple(z.shape)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-12, atol=1e-13)
    dy = np.random.default_rng(0).normal(size=y.shape)
    y.backward(dy)
    z.backward(torch.tensor(dy))
    np.testing.assert_allclose(t.grad, u.grad.numpy(), rtol=1e-12, atol=1e-13)


@given(st.data(), geometries(), st.booleans(), st.integers(1, 2), st.booleans())
def test_all_options(torch: Any, data: Any, geometry: Any, ceil_mode: bool, dilation: int, line: bool) -> None:
    shape, options = geometry
    shape = (*shape[:2], *[n + k for n, k in zip(shape[2:], options["kernel_size"], strict=True)])
    if line:
        shape = shape[:3]
        options = {name: value[0] if isinstance(value, tuple) else value for name, value in options.items()}
    d = "1d" if line else "2d"
    x, F = data.draw(arrays(shape)), torch.nn.functional
    options["ceil_mode"] = ceil_mode
    for k, more in (("max", {"dilation": dilation}), ("avg", {"count_include_pad": dilation == 1})):
        ours, theirs = getattr(npgrad, f"{k}_pool{d}"), getattr(F, f"{k}_pool{d}")
        for values in (x, x[0]):
            assert_same(torch, partial(ours, **options, **more), partial(theirs, **options, **more), values)


@given(st.data(), st.tuples(*[st.integers(1, 7)] * 2), st.tuples(*[st.integers(1, 8) | st.none()] * 2))
def test_windows_that_cover_an_image_evenly(torch: Any, data: Any, size: Any, output_size: Any) -> None:
    x, F = data.draw(arrays((2, 3, *size))), torch.nn.functional
    for values in (x, x[0]):
        for out in (output_size, 1, 3):
            assert_same(
                torch,
                lambda x, out=out: npgrad.adaptive_avg_pool2d(x, out),
                lambda x, out=out: F.adaptive_avg_pool2d(x, out),
                values,
            )
        out = output_size[0] or 2
        line = values[..., 0]
        assert_same(
            torch,
            lambda x, out=out: npgrad.adaptive_avg_pool1d(x, out),
            lambda x, out=out: F.adaptive_avg_pool1d(x, out),
            line,
        )


def test_a_nan_stays_in_its_windows() -> None:
    x = np.ones((1, 1, 5))
    x[0, 0, 0] = np.nan
    assert np.array_equal(npgrad.adaptive_avg_pool1d(x, 3).numpy(), [[[np.nan, 1, 1]]], equal_nan=True)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: npgrad.max_pool1d(np.ones(4), 2),
            ValueError,
            "max_pool1d takes an input of shape (N, C, L); got (4,)",
        ),
        (lambda: npgrad.avg_pool1d(np.ones((1, 4), int), 2), TypeError, "avg_pool1d pools floating-point numbers"),
        (
            lambda: npgrad.adaptive_avg_pool2d(np.ones((1, 4, 4)), (1, 2, 3)),
            ValueError,
            "Pass one number, or one for each axis",
        ),
        (lambda: npgrad.adaptive_avg_pool2d(np.ones((1, 4, 4)), 0), ValueError, "0 windows for an axis of length 4"),
        (lambda: npgrad.adaptive_avg_pool1d(np.ones((1, 0)), 2), ValueError, "for an axis of length 0"),
        (lambda: npgrad.adaptive_avg_pool1d(np.ones((1, 3), int), 2), TypeError, "got int64"),
    ],
)
def test_errors_of_lines_and_of_even_windows(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as raised:
        call()
    assert words in str(raised.value)
