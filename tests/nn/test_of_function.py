"""Modules that are functions with options, padding, pooling, volumes: they compute what PyTorch's of that name do."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from npgrad import nn
from npgrad.nn import of_function, pad, pool

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 3, 4))
SIGNS = np.where(RNG.random((3, 4)) < 0.5, 1.0, -1.0)
VOLUME = RNG.normal(size=(2, 4, 6, 5, 7))

CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any], tuple[Any, ...]]] = {
    "CosineEmbeddingLoss": ((), {"margin": 0.2}, (X, Y, SIGNS[:, 0])),
    "CosineSimilarity": ((0,), {}, (X, Y)),
    "GLU": ((1,), {}, (X,)),
    "GaussianNLLLoss": ((), {"full": True, "reduction": "sum"}, (X, Y, np.abs(X) + 0.1)),
    "HingeEmbeddingLoss": ((0.7,), {}, (X, SIGNS)),
    "MarginRankingLoss": ((0.3,), {}, (X, Y, SIGNS)),
    "MultiLabelSoftMarginLoss": ((np.array([1.0, 2.0, 0.5, 0.1]),), {}, (X, np.maximum(SIGNS, 0))),
    "MultiMarginLoss": ((2,), {"margin": 0.5}, (X, np.array([3, 0, 1]))),
    "PairwiseDistance": ((1.0,), {"keepdim": True}, (X, Y)),
    "PoissonNLLLoss": ((), {"log_input": False}, (np.abs(X), np.round(np.abs(Y)))),
    "SoftMarginLoss": ((), {"reduction": "none"}, (X, SIGNS)),
    "Softmin": ((0,), {}, (X,)),
    "Threshold": ((0.1, 20.0), {}, (X,)),
    "TripletMarginLoss": ((0.5,), {"swap": True}, (X, Y, -Y)),
    "ConstantPad1d": (((1, 2), 0.3), {}, (X,)),
    "ConstantPad2d": ((2, 0.3), {}, (X[None],)),
    "ConstantPad3d": ((1, 0.3), {}, (VOLUME,)),
    "AdaptiveAvgPool3d": (((2, None, 3),), {}, (VOLUME,)),
    "AdaptiveMaxPool3d": ((3, True), {}, (VOLUME,)),
    "AdaptiveMaxPool2d": (((2, 3),), {}, (VOLUME[0],)),
    "AvgPool3d": ((2,), {"divisor_override": 5, "padding": 1}, (VOLUME,)),
    "MaxPool3d": (((1, 2, 3),), {"return_indices": True, "ceil_mode": True}, (VOLUME,)),
    "MaxPool1d": ((3, 2, 1, 2, True), {}, (VOLUME[0, 0],)),
}
DEFAULTS: dict[str, tuple[tuple[Any, ...], dict[str, Any], tuple[Any, ...]]] = (
    {name: ((2,), {}, (VOLUME[0, 0],)) for name in pad.__all__ if name.endswith("1d")}
    | {name: ((2,), {}, (VOLUME[0],)) for name in pad.__all__ if name.endswith("2d")}
    | {name: (((1, 2, 0, 1, 2, 0),), {}, (VOLUME,)) for name in pad.__all__ if name.endswith("3d")}
    | {name: ((2,), {}, (VOLUME[0, 0] if "1d" in name else VOLUME[0],)) for name in pool.__all__ if "3d" not in name}
    | {name: ((), {}, (X,)) for name in of_function.__all__}
)


def several(result: Any) -> tuple[Any, ...]:
    """What a module returned, as a tuple: pooling can give indices too."""
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("name", sorted(DEFAULTS | CALLS))
def test_computes_what_torchs_module_does(torch: Any, name: str) -> None:
    values, options, inputs = (DEFAULTS | CALLS)[name]

    def tensors(xs: Any) -> Any:
        return [torch.tensor(x) if isinstance(x, np.ndarray) else x for x in xs]

    module = getattr(nn, name)(*values, **options)
    theirs = getattr(torch.nn, name)(*tensors(values), **options)(*tensors(inputs))
    again = copy.deepcopy(module)
    for m in (module, again):
        for ours, wanted in zip(several(m(*inputs)), several(theirs), strict=True):
            value = ours if isinstance(ours, np.ndarray) else ours.numpy()
            np.testing.assert_allclose(value, wanted.numpy(), rtol=1e-12, atol=1e-13)
    assert repr(module).startswith(f"{name}(")


@pytest.mark.parametrize("name", ["Conv3d", "ConvTranspose3d"])
def test_convolutions_of_volumes(torch: Any, name: str) -> None:
    options: dict[str, Any] = {"stride": 2, "padding": (1, 0, 1), "groups": 2}
    theirs = getattr(torch.nn, name)(4, 6, (3, 2, 3), **options).double()
    ours = getattr(nn, name)(4, 6, (3, 2, 3), **options, rng=RNG, dtype=np.float64)
    nn.torch_weights(ours, {n: t.numpy() for n, t in theirs.state_dict().items()})
    want = theirs(torch.tensor(VOLUME)).detach().numpy()
    np.testing.assert_allclose(ours(VOLUME).numpy(), want, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.2, None])
def test_batch_norm_of_volumes_goes_on_from_torchs_statistics(torch: Any, momentum: float | None) -> None:
    theirs = torch.nn.BatchNorm3d(4, momentum=momentum).double()
    theirs(torch.tensor(VOLUME))
    ours = nn.BatchNorm3d(4, momentum=momentum, dtype=np.float64)
    nn.torch_weights(ours, {n: t.numpy() for n, t in theirs.state_dict().items()})
    for _ in range(2):
        np.testing.assert_allclose(ours(VOLUME + 1).numpy(), theirs(torch.tensor(VOLUME + 1)).detach().numpy(), 1e-10)
    np.testing.assert_allclose(ours.running_var, theirs.running_var.numpy(), 1e-10)


def test_the_padding_of_an_embedding_is_0_and_stays_so() -> None:
    table = nn.Embedding(4, 3, padding_idx=1, rng=RNG)
    assert not table.weight.numpy()[1].any() and repr(table).startswith("Embedding(4, 3, padding_idx=1)")
    table(np.array([1, 0])).sum().backward()
    assert np.array_equal(table.weight.grad, [[1] * 3, [0] * 3, [0] * 3, [0] * 3])
    with pytest.raises(ValueError, match="no row padding_idx=4"):
        nn.Embedding(4, 3, padding_idx=4, rng=RNG)


def test_options_that_are_not_there() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'alpha'"):
        nn.Hardtanh(alpha=1)
    with pytest.raises(ValueError, match=r"ZeroPad2d\(\(1, 2\)\): give one number, or 4"):
        nn.ZeroPad2d((1, 2))
    assert repr(nn.TripletMarginLoss(0.5, swap=True)).startswith("TripletMarginLoss(margin=0.5, swap=True)")
