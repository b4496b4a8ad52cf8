"""conv1d, conv2d: against a loop over windows, gradients by the transpose, awkward geometry, and errors."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor
from tests.strategies import LAYOUTS, arrays, layouts


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, Any]:
    """Sizes of a two-dimensional convolution, of kernels larger than the unpadded input too."""
    pair = lambda low, high: draw(st.tuples(st.integers(low, high), st.integers(low, high)))  # noqa: E731
    kernel, padding = pair(1, 4), pair(0, 2)
    spatial = tuple(max(1, k - 2 * p) + n for k, p, n in zip(kernel, padding, pair(0, 4), strict=True))
    items, channels, filters = (draw(st.integers(1, 3)) for _ in range(3))
    return {
        "x": (items, channels, *spatial),
        "W": (filters, channels, *kernel),
        "stride": pair(1, 4),
        "padding": padding,
    }


def naive(x: np.ndarray, W: np.ndarray, b: np.ndarray, stride: tuple[int, int], padding: tuple[int, int]) -> np.ndarray:
    x = np.pad(x, ((0, 0), (0, 0), *[(p, p) for p in padding]))
    kernel = W.shape[2:]
    counts = [(n - k) // s + 1 for n, k, s in zip(x.shape[2:], kernel, stride, strict=True)]
    y = np.empty((len(x), len(W), *counts))
    for p, q in product(*map(range, counts)):
        window = x[:, :, p * stride[0] : p * stride[0] + kernel[0], q * stride[1] : q * stride[1] + kernel[1]]
        y[:, :, p, q] = (window[:, None] * W).sum(axis=(2, 3, 4)) + b
    return y


@given(st.data(), geometries())
def test_window_by_window(data: Any, g: dict[str, Any]) -> None:
    x, W, b = data.draw(arrays(g["x"])), data.draw(arrays(g["W"])), data.draw(arrays(g["W"][:1]))
    y = npgrad.conv2d(x, W, b, stride=g["stride"], padding=g["padding"]).numpy()
    assert np.allclose(y, naive(x, W, b, g["stride"], g["padding"]), atol=1e-12)


@given(st.data(), geometries())
def test_the_gradients_are_the_transpose_of_a_bilinear_map(data: Any, g: dict[str, Any]) -> None:
    options = {"stride": g["stride"], "padding": g["padding"]}
    x = Tensor(data.draw(arrays(g["x"])), requires_grad=True)
    W = Tensor(data.draw(arrays(g["W"])), requires_grad=True)
    b = Tensor(data.draw(arrays(g["W"][:1])), requires_grad=True)
    y = npgrad.conv2d(x, W, b, **options)
    dy = data.draw(arrays(y.shape))
    y.backward(dy)
    u, v = data.draw(arrays(g["x"])), data.draw(arrays(g["W"]))
    nothing = np.zeros(g["W"][0])
    assert np.isclose(np.sum(x.grad * u), np.sum(dy * naive(u, W.numpy(), nothing, **options)), atol=1e-9)
    assert np.isclose(np.sum(W.grad * v), np.sum(dy * naive(x.numpy(), v, nothing, **options)), atol=1e-9)
    assert np.allclose(b.grad, dy.sum(axis=(0, 2, 3)), atol=1e-12)


@given(st.data(), st.integers(1, 3), st.integers(1, 4), st.integers(0, 4), st.integers(1, 3), st.integers(0, 2))
def test_one_axis_is_two_with_a_row_of_one(
    data: Any, channels: int, kernel: int, more: int, stride: int, padding: int
) -> None:
    x, W = data.draw(arrays((2, channels, kernel + more))), data.draw(arrays((3, channels, kernel)))
    line = npgrad.conv1d(x, W, stride=stride, padding=padding).numpy()
    plane = npgrad.conv2d(x[:, :, None], W[:, :, None], stride=(1, stride), padding=(0, padding)).numpy()
    assert np.array_equal(line, plane[:, :, 0])


@given(st.data(), layouts, st.sampled_from([np.float32, np.float64]))
def test_the_dtype_stays(data: Any, layout: str, dtype: Any) -> None:
    x = Tensor(LAYOUTS[layout](data.draw(arrays((2, 2, 4, 3), dtype))), requires_grad=True)
    W = Tensor(data.draw(arrays((3, 2, 2, 2), dtype)), requires_grad=True)
    y = npgrad.conv2d(x, W, padding=1)
    y.backward(np.ones(y.shape))
    assert y.dtype == x.grad.dtype == W.grad.dtype == dtype


def test_lists_and_numpy_integers_are_as_good_as_tuples() -> None:
    x, W = np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2))
    expected = npgrad.conv2d(x, W, stride=(2, 2), padding=(1, 1)).numpy()
    assert np.array_equal(npgrad.conv2d(x, W, stride=[2, 2], padding=np.int64(1)).numpy(), expected)


def test_valid_is_no_padding() -> None:
    x, W = np.ones((1, 1, 5)), np.ones((1, 1, 3))
    assert np.array_equal(npgrad.conv1d(x, W, padding="valid").numpy(), npgrad.conv1d(x, W).numpy())


def test_an_input_without_a_batch_axis_is_a_batch_of_one() -> None:
    rng = np.random.default_rng(0)
    x, W = rng.normal(size=(3, 5, 4)), rng.normal(size=(2, 3, 3, 3))
    single = Tensor(x, requires_grad=True)
    y = npgrad.conv2d(single, W, padding="same")
    assert np.array_equal(y.numpy(), npgrad.conv2d(x[None], W, padding="same").numpy()[0])
    y.backward(np.ones(y.shape))
    assert single.grad is not None and single.grad.shape == (3, 5, 4)


@given(st.data(), st.integers(1, 3), st.integers(1, 2), st.integers(1, 3))
def test_each_group_is_a_convolution_of_its_own(data: Any, groups: int, channels: int, filters: int) -> None:
    x = data.draw(arrays((2, groups * channels, 5)))
    W = data.draw(arrays((groups * filters, channels, 2)))
    y = npgrad.conv1d(x, W, groups=groups).numpy()
    parts = [npgrad.conv1d(a, b).numpy() for a, b in zip(np.split(x, groups, 1), np.split(W, groups), strict=True)]
    assert np.allclose(y, np.concatenate(parts, 1), atol=1e-12)


@given(st.data(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 6))
def test_dilation_is_a_kernel_with_zeros_between(data: Any, kernel: int, dilation: int, size: int) -> None:
    x, W = data.draw(arrays((1, 2, size))), data.draw(arrays((2, 2, kernel)))
    spread = np.zeros((2, 2, dilation * (kernel - 1) + 1))
    spread[:, :, ::dilation] = W
    y = npgrad.conv1d(x, W, padding="same", dilation=dilation).numpy()
    assert y.shape[2] == size
    assert np.allclose(y, npgrad.conv1d(x, spread, padding="same").numpy(), atol=1e-12)


def test_of_an_odd_number_of_zeros_one_more_is_at_the_end() -> None:
    y = npgrad.conv1d(np.array([[[1.0, 2.0, 3.0]]]), np.ones((1, 1, 2)), padding="same").numpy()
    assert np.array_equal(y, [[[3, 5, 3]]])


def test_a_batch_of_none() -> None:
    x, W = Tensor(np.zeros((0, 2, 5)), requires_grad=True), Tensor(np.ones((3, 2, 2)), requires_grad=True)
    y = npgrad.conv1d(x, W)
    y.backward(np.zeros(y.shape))
    assert y.shape == (0, 3, 4)
    assert np.array_equal(W.grad, np.zeros((3, 2, 2)))


def test_backward_twice_through_a_retained_graph_adds_the_same_again() -> None:
    rng = np.random.default_rng(0)
    x, W = Tensor(rng.normal(size=(2, 2, 5, 5)), requires_grad=True), Tensor(rng.normal(size=(3, 2, 3, 3)), True)
    y = npgrad.conv2d(x, W, padding=1)
    dy = rng.normal(size=y.shape)
    y.backward(dy, retain_graph=True)
    once = x.grad.copy(), W.grad.copy()
    y.backward(dy)
    assert np.array_equal(x.grad, 2 * once[0])
    assert np.array_equal(W.grad, 2 * once[1])


@pytest.mark.parametrize(
    ("function", "arguments", "options", "words"),
    [
        ("conv2d", ((3, 4), (1, 3, 2, 2)), {}, "takes an input of shape (N, C, H, W)"),
        ("conv1d", ((2, 3, 4), (1, 3, 2, 2)), {}, "a weight of shape (F, C, k); got (2, 3, 4) and (1, 3, 2, 2)"),
        (
            "conv2d",
            ((2, 3, 4, 4), (1, 2, 2, 2)),
            {},
            "an input with 3 channels (shape (2, 3, 4, 4)) and a weight for 2",
        ),
        ("conv2d", ((2, 3, 4, 4), (5, 3, 2, 2), (1,)), {}, "bias of shape (1,) for 5 output channels"),
        ("conv2d", ((2, 3, 4, 4), (5, 3, 5, 2)), {}, "kernel of shape (5, 2), larger than its input"),
        (
            "conv2d",
            ((2, 3, 4, 4), (5, 3, 2, 2)),
            {"stride": 0},
            "stride=0. Pass an integer of at least 1, or 2 of them",
        ),
        ("conv2d", ((2, 3, 4, 4), (5, 3, 2, 2)), {"stride": (1, 2, 3)}, "stride=(1, 2, 3)"),
        ("conv2d", ((2, 3, 4, 4), (5, 3, 2, 2)), {"padding": -1}, "padding=-1. Pass an integer of at least 0"),
        ("conv2d", ((2, 3, 4, 4), (5, 3, 2, 2)), {"padding": 0.5}, "padding=0.5"),
        ("conv2d", ((2, 3, 4, 4), (5, 3, 2, 2)), {"padding": "full"}, "padding='full'. Pass an integer"),
        ("conv2d", ((2, 3, 4, 4), (5, 3, 2, 2)), {"padding": "same", "stride": 2}, "stride=2. Use a stride of 1"),
        ("conv2d", ((2, 3, 4, 4), (5, 3, 2, 2)), {"dilation": 4}, "Dilation makes it extend over (5, 5)"),
        ("conv2d", ((2, 4, 4, 4), (5, 2, 2, 2)), {"groups": 2}, "groups=2 for 4 input and 5 output channels"),
        ("conv2d", ((2, 4, 4, 4), (6, 4, 2, 2)), {"groups": 2}, "a weight for 4 (shape (6, 4, 2, 2)) in each of 2"),
    ],
)
def test_errors_name_the_shapes(function: str, arguments: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError) as raised:
        getattr(npgrad, function)(*[np.zeros(shape) for shape in arguments], **options)
    assert words in str(raised.value)


# -- transposed --------------------------------------------------------------------------------------------------------


@st.composite
def stamps(draw: st.DrawFn) -> tuple[int, tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """The number of axes, shapes of input and kernel, and options that leave something of the output."""
    axes, groups = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    numbers = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(axes))  # noqa: E731
    spatial, kernel, stride, dilation = numbers(1, 4), numbers(1, 3), numbers(1, 3), numbers(1, 2)
    full = [(q - 1) * s + d * (k - 1) + 1 for q, s, d, k in zip(spatial, stride, dilation, kernel, strict=True)]
    options: dict[str, Any] = {
        "stride": stride,
        "padding": tuple(draw(st.integers(0, (n - 1) // 2)) for n in full),
        "output_padding": tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)),
        "groups": groups,
        "dilation": dilation,
    }
    channels, filters = groups * draw(st.integers(1, 2)), draw(st.integers(1, 2))
    return axes, (draw(st.integers(1, 2)), channels, *spatial), (channels, filters, *kernel), options


@given(st.data(), stamps(), st.booleans())
def test_transposed_as_torch_has_it(torch: Any, data: Any, drawn: Any, batch: bool) -> None:
    axes, shape, kernel, options = drawn
    name = f"conv_transpose{axes}d"
    inputs = [data.draw(arrays(s)) for s in (shape if batch else shape[1:], kernel, (kernel[1] * options["groups"],))]
    mine = [Tensor(x, requires_grad=True) for x in inputs]
    theirs = [torch.tensor(np.array(x, float, order="C"), requires_grad=True) for x in inputs]
    y = getattr(npgrad, name)(*mine, **options)
    z = getattr(torch.nn.functional, name)(*theirs, **options)
    assert y.shape == tuple(z.shape)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-10, atol=1e-11)
    dy = data.draw(arrays(y.shape))
    y.backward(dy)
    z.backward(torch.tensor(np.array(dy, float, order="C")))
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-10, atol=1e-11)


@given(st.data(), stamps())
def test_it_is_the_transpose_of_the_convolution(data: Any, drawn: Any) -> None:
    """<conv_transpose(x), u> = <x, conv(u)>, the kernel being one array in the layouts of both."""
    axes, shape, kernel, options = drawn
    x, W = data.draw(arrays(shape)), data.draw(arrays(kernel))
    # More would be another length of u for the convolution too.
    strides = zip(options["output_padding"], options["stride"], strict=True)
    options["output_padding"] = tuple(min(o, s - 1) for o, s in strides)
    y = getattr(npgrad, f"conv_transpose{axes}d")(x, W, **options).numpy()
    u = data.draw(arrays(y.shape))
    del options["output_padding"]
    back = getattr(npgrad, f"conv{axes}d")(u, W, **options).numpy()
    assert back.shape == x.shape
    assert np.sum(y * u) == pytest.approx(np.sum(x * back), rel=1e-9, abs=1e-9)


def test_a_transposed_batch_of_none_and_single_precision() -> None:
    x = Tensor(np.zeros((0, 2, 3), np.float32), requires_grad=True)
    W = Tensor(np.ones((2, 1, 2), np.float32), requires_grad=True)
    y = npgrad.conv_transpose1d(x, W, stride=2)
    y.backward(np.zeros(y.shape))
    assert y.shape == (0, 1, 6) and y.dtype == np.float32
    assert W.grad is not None and W.grad.dtype == np.float32 and not W.grad.any()


@pytest.mark.parametrize(
    ("shapes", "options", "words"),
    [
        (((1, 2, 3), (3, 2, 2)), {}, "an input with 2 channels (shape (1, 2, 3)) and a weight for 3 (shape (3, 2, 2))"),
        (((1, 2, 3), (2, 2)), {}, "a weight of shape (C, F, k); got (1, 2, 3) and (2, 2)"),
        (((1, 2, 3), (2, 2, 2), (3,)), {}, "a bias of shape (3,) for 2 output channels"),
        (((1, 2, 3), (2, 2, 2)), {"groups": 3}, "groups=3 for 2 input and 6 output channels"),
        (((1, 2, 3), (2, 2, 2)), {"output_padding": 1}, "output_padding=1 for stride=1 and dilation=1: it must"),
        (((1, 2, 1), (2, 2, 2)), {"padding": 1}, "leaves nothing: shape (0,). Use less padding"),
    ],
)
def test_errors_of_transposed_convolutions(shapes: Any, options: Any, words: str) -> None:
    with pytest.raises(ValueError) as raised:
        npgrad.conv_transpose1d(*[np.ones(shape) for shape in shapes], **options)
    assert words in str(raised.value)
