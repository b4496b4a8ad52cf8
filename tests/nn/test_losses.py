"""Loss modules: the values of torch's modules of the same names, with every option."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad import Tensor, nn
from tests.functions.test_loss import REDUCTIONS
from tests.strategies import seeds

Options = dict[str, Any]
LOSSES: dict[str, tuple[str, Callable[[np.random.Generator], Options]]] = {
    "CrossEntropyLoss": (
        "classes",
        lambda rng: {"weight": rng.uniform(0.2, 2, 4), "ignore_index": 1, "label_smoothing": rng.uniform()},
    ),
    "NLLLoss": ("classes", lambda rng: {"weight": rng.uniform(0.2, 2, 4), "ignore_index": 1}),
    "BCEWithLogitsLoss": (
        "probabilities",
        lambda rng: {"weight": rng.uniform(0.2, 2, 4), "pos_weight": rng.uniform(0.2, 2, 4)},
    ),
    "BCELoss": ("two probabilities", lambda rng: {"weight": rng.uniform(0.2, 2, 4)}),
    "KLDivLoss": ("probabilities", lambda rng: {"log_target": bool(rng.integers(2))}),
    "MSELoss": ("numbers", lambda rng: {}),
    "L1Loss": ("numbers", lambda rng: {}),
    "HuberLoss": ("numbers", lambda rng: {"delta": rng.uniform(0.1, 2)}),
    "SmoothL1Loss": ("numbers", lambda rng: {"beta": rng.uniform(0, 2)}),
}
"""Name -> what is compared, and how to draw the options."""


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("name", LOSSES)
@given(seeds, REDUCTIONS, st.booleans())
def test_as_torchs_modules(torch: Any, name: str, seed: int, reduction: str, optional: bool) -> None:
    rng = np.random.default_rng(seed)
    kind, draw = LOSSES[name]
    options: Options = {"reduction": reduction} | (draw(rng) if optional else {})
    a, b = rng.normal(size=(3, 4)), rng.uniform(0.05, 0.95, size=(3, 4))
    if kind == "two probabilities":
        a = rng.uniform(0.05, 0.95, size=(3, 4))
    target: Any = np.array([0, *rng.integers(0, 4, size=2)]) if kind == "classes" else b
    theirs = {key: torch.tensor(x) if isinstance(x, np.ndarray) else x for key, x in options.items()}
    x, z = Tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
    y = getattr(nn, name)(**options)(x, target)
    want = getattr(torch.nn, name)(**theirs)(z, torch.tensor(target))
    np.testing.assert_allclose(y.numpy(), want.detach().numpy(), rtol=1e-11, atol=1e-12)
    dy = np.asarray(rng.normal(size=y.shape))
    y.backward(dy)
    want.backward(torch.tensor(dy))
    np.testing.assert_allclose(x.grad, z.grad.numpy(), rtol=1e-10, atol=1e-11)


def test_every_loss_module_is_tested() -> None:
    assert set(nn.loss.__all__) == set(LOSSES)


def test_weights_are_part_of_the_state_and_are_not_trained() -> None:
    loss = nn.CrossEntropyLoss([1.0, 2.0, 3.0])
    assert not loss.parameters()
    loss.load_state_dict({"weight": np.array([3.0, 2.0, 1.0])})
    z, t = np.random.default_rng(0).normal(size=(2, 3)), [0, 2]
    assert loss(z, t).item() == nn.CrossEntropyLoss([3.0, 2.0, 1.0])(z, t).item()
    assert nn.CrossEntropyLoss().state_dict() == {}


def test_batchmean() -> None:
    logp, q = np.log(np.full((2, 4), 0.25)), np.eye(4)[:2]
    assert nn.KLDivLoss(reduction="batchmean")(logp, q).item() == pytest.approx(np.log(4))
    assert repr(nn.KLDivLoss(reduction="batchmean")).startswith("KLDivLoss(reduction='batchmean')")
