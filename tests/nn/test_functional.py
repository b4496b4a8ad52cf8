"""npgrad.nn.functional: what is there under PyTorch's names takes PyTorch's arguments in its order."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import npgrad
import npgrad.nn.functional as F
from npgrad import nn

RETIRED = {"size_average", "reduce", "inplace", "threshold", "_stacklevel", "dtype"}
OURS = {"ddof", "divisor_override", "num_batches_tracked", "rng"}
ELSEWHERE = {"linear", "dropout", "instance_norm", "threshold"}
"""Functions that differ in more than names: the docstring says so, or options are given by name."""


def test_every_name_is_pytorchs(torch: Any) -> None:
    for name in F.__all__:
        assert callable(getattr(F, name)) and callable(getattr(torch.nn.functional, name)), name


@pytest.mark.parametrize("name", sorted(set(F.__all__) - ELSEWHERE))
def test_positional_arguments_come_in_pytorchs_order(torch: Any, name: str) -> None:
    """Torch's retired options aside, argument k means the same: checked by name from the third argument on."""
    function = getattr(torch.nn.functional, name)
    if "max_pool" in name:  # chooses between two functions
        function = getattr(torch.nn.functional, f"{name}_with_indices")
    try:
        theirs = [p for p in inspect.signature(function).parameters if p not in RETIRED]
    except ValueError:  # written in C++: the documentation begins with the signature
        line = function.__doc__.strip().split(" ->")[0]
        theirs = [p.split("=")[0].strip() for p in line[line.index("(") + 1 : line.rindex(")")].split(",")]
    ours = [p for p in inspect.signature(getattr(F, name)).parameters if p not in OURS]
    assert ours[2:] == [p for p in theirs if p not in RETIRED][2 : len(ours)]


def test_softmax_takes_dim_and_embedding_the_indices_first() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4))
    assert np.array_equal(F.softmax(x, dim=0).numpy(), npgrad.softmax(x, axis=0).numpy())
    assert np.array_equal(F.log_softmax(x, dim=1).numpy(), npgrad.log_softmax(x, axis=1).numpy())
    assert np.array_equal(F.embedding(np.array([2, 0]), x).numpy(), x[[2, 0]])
    assert nn.functional is F


def test_the_package_exports_every_module() -> None:
    for file in (nn.activation, nn.batch_norm, nn.container, nn.conv, nn.group_norm, nn.loss, nn.module, nn.pool):
        assert set(file.__all__) <= set(nn.__all__)


def test_one_hot(torch: Any) -> None:
    t = np.random.default_rng(0).integers(0, 4, size=(3, 2))
    for classes in (-1, 6):
        want = torch.nn.functional.one_hot(torch.tensor(t), classes).numpy()
        got = F.one_hot(t, classes)
        assert got.dtype == want.dtype and np.array_equal(got, want)
    with pytest.raises(IndexError, match="indices from 0 to 3; with 3 classes: 0 to 2"):
        F.one_hot([0, 3], 3)
    with pytest.raises(TypeError, match="takes integers; got float64"):
        F.one_hot([0.0])


@pytest.mark.parametrize("pad", [(1, 2), (0, 1, 2, 0), (1, 0, 0, 2, 3, 1), ()])
def test_pad_begins_with_the_last_axis(torch: Any, pad: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    want = torch.nn.functional.pad(torch.tensor(x), pad, value=1.5).numpy()
    assert np.array_equal(F.pad(x, pad, value=1.5).numpy(), want)


@pytest.mark.parametrize(
    ("pad", "mode"),
    [
        ((-3, 2), "reflect"), ((2, -3), "reflect"), ((-4, 5), "replicate"), ((-1, 2, 0, -2), "replicate"),
        ((-1, 2), "circular"), ((3, -1), "circular"), ((-2, 1, -1, 0), "constant"), ((-4, 3), "constant"),
    ],
)  # fmt: skip
def test_what_a_negative_pad_cuts_off_is_still_mirrored(torch: Any, pad: tuple[int, ...], mode: str) -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    if len(pad) == 4:
        x = x[None]
    want = torch.nn.functional.pad(torch.tensor(x), pad, mode).numpy()
    assert np.array_equal(F.pad(x, pad, mode).numpy(), want)


def test_numbers_of_pad_come_in_pairs_and_leave_something() -> None:
    with pytest.raises(ValueError, match="more than there is"):
        F.pad(np.ones((2, 3)), (-2, -2))
    for pad in ((1,), (1, 1) * 3):
        with pytest.raises(ValueError, match="two numbers for each axis, the last axis first"):
            F.pad(np.ones((2, 2)), pad)
