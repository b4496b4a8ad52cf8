"""Layers and losses with their options, compiled: the same bytes as eager steps, and nothing left to be called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import Tensor, nn, optim

RNG = np.random.default_rng(0)
WEIGHTS = RNG.uniform(0.1, 2, size=5)
CLASSES = RNG.integers(0, 5, size=8)
TARGETS = RNG.uniform(size=(8, 5)).astype(np.float32)
ROWS = RNG.normal(size=(8, 6)).astype(np.float32)
IMAGES = RNG.normal(size=(8, 4, 6, 6)).astype(np.float32)


def mlp(*middle: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    rng = np.random.default_rng(1)
    return lambda: nn.Sequential(nn.Linear(6, 4, rng=rng), *[make() for make in middle], nn.Linear(4, 5, rng=rng))


def images() -> nn.Module:
    rng = np.random.default_rng(1)
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, padding="same", groups=2, rng=rng),
        nn.InstanceNorm2d(8, affine=True),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.ConvTranspose2d(8, 6, 3, 2, 1, 1, 2, rng=rng),
        nn.BatchNorm2d(6, track_running_stats=False),
        nn.Softplus(2.0),
        nn.AdaptiveAvgPool2d((4, 3)),
        nn.AvgPool2d(2, padding=1, count_include_pad=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5, rng=rng),
    )


STEPS: dict[str, tuple[Callable[[], nn.Module], Callable[..., Tensor], Any, Any]] = {
    "mean of batches": (mlp(lambda: nn.BatchNorm1d(4, momentum=None)), npgrad.cross_entropy, ROWS, CLASSES),
    "prelu": (mlp(lambda: nn.PReLU(4), lambda: nn.RMSNorm(4)), npgrad.cross_entropy, ROWS, CLASSES),
    "weights": (mlp(), nn.CrossEntropyLoss(WEIGHTS), ROWS, CLASSES),
    "smoothed": (mlp(), nn.CrossEntropyLoss(WEIGHTS, ignore_index=1, label_smoothing=0.1), ROWS, CLASSES),
    "log softmax": (mlp(nn.LogSoftmax), lambda z, t: npgrad.nll_loss(z, t, WEIGHTS[:5]), ROWS, CLASSES),
    "logistic": (mlp(), nn.BCEWithLogitsLoss(WEIGHTS, pos_weight=WEIGHTS), ROWS, TARGETS),
    "probabilities": (mlp(), lambda z, q: npgrad.binary_cross_entropy(npgrad.sigmoid(z), q), ROWS, TARGETS),
    "divergence": (mlp(), lambda z, q: npgrad.kl_div(npgrad.log_softmax(z), q, "batchmean"), ROWS, TARGETS),
    "huber": (mlp(), nn.HuberLoss(delta=0.3), ROWS, TARGETS),
    "absolute": (mlp(), nn.L1Loss(reduction="sum"), ROWS, TARGETS),
    "images": (images, npgrad.cross_entropy, IMAGES, CLASSES),
}


@pytest.mark.parametrize("name", STEPS)
def test_compiled_steps_write_the_bytes_of_eager_ones(name: str) -> None:
    make, loss, x, t = STEPS[name]
    nets = [make(), make()]
    nets[1].load_state_dict(nets[0].state_dict())

    def stepping(net: nn.Module) -> Callable[..., Tensor]:
        optimizer = optim.SGD(net.parameters(), lr=0.01)

        def step(x: Any, t: Any) -> Tensor:
            optimizer.zero_grad()
            value = loss(net(Tensor(x)), t)
            value.backward()
            optimizer.step()
            return value

        return step

    eager, compiled = stepping(nets[0]), npgrad.compile(stepping(nets[1]))
    for k in range(6):
        order = np.random.default_rng(k).permutation(len(x))
        assert eager(x[order], t[order]).numpy() == compiled(x[order], t[order]).numpy()
    first, second = (net.state_dict() for net in nets)
    for key, array in first.items():
        assert array.tobytes() == second[key].tobytes(), key
    assert ".forward(" not in compiled.source and " called" not in compiled.source


def test_weights_of_a_loss_are_looked_up_at_each_run() -> None:
    loss = nn.CrossEntropyLoss(WEIGHTS)
    z = RNG.normal(size=(8, 5))
    compiled = npgrad.compile(lambda z: loss(Tensor(z), CLASSES))
    for _ in range(3):
        compiled(z)
    loss.load_state_dict({"weight": WEIGHTS[::-1]})
    assert compiled(z).item() == npgrad.cross_entropy(z, CLASSES, WEIGHTS[::-1]).item()
