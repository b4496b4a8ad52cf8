"""Layers, loss and optimiser together: the lecture's network trains as torch's does."""

from typing import Any

import numpy as np
import pytest

import npgrad
from npgrad import nn, optim

STEPS = 30


def network(dtype: type) -> nn.Sequential:
    rng = np.random.default_rng(0)
    return nn.Sequential(
        nn.Embedding(27, 4, rng=rng, dtype=dtype),
        nn.Flatten(),
        nn.Linear(12, 20, bias=False, rng=rng, gain=5 / 3, dtype=dtype),
        nn.BatchNorm1d(20, dtype=dtype),
        nn.Tanh(),
        nn.Linear(20, 27, rng=rng, dtype=dtype),
    )


def batches() -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [(rng.integers(0, 27, (8, 3)), rng.integers(0, 27, 8)) for _ in range(STEPS)]


def train(model: nn.Sequential, optimizer: optim.Optimizer) -> list[float]:
    def step(x: np.ndarray, y: np.ndarray) -> npgrad.Tensor:
        loss = npgrad.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return [step(x, y).item() for x, y in batches()]


def optimizers(module: Any, name: str, parameters: Any) -> Any:
    options = {"SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}, "AdamW": {"lr": 0.01}}[name]
    return getattr(module, name)(parameters, **options)


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_losses_and_state_are_torchs(torch: Any, name: str) -> None:
    ours = network(np.float64)
    theirs = torch.nn.Sequential(
        torch.nn.Embedding(27, 4),
        torch.nn.Flatten(),
        torch.nn.Linear(12, 20, bias=False),
        torch.nn.BatchNorm1d(20),
        torch.nn.Tanh(),
        torch.nn.Linear(20, 27),
    ).double()
    linear = ("2.weight", "5.weight")
    state = {k: torch.tensor(a.T.copy() if k in linear else a) for k, a in ours.state_dict().items()}
    theirs.load_state_dict(state, strict=False)

    losses = train(ours, optimizers(optim, name, ours.parameters()))
    optimizer = optimizers(torch.optim, name, theirs.parameters())
    expected = []
    for x, y in batches():
        loss = torch.nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    assert losses[-1] != losses[0]
    for key, array in ours.state_dict().items():
        other = theirs.state_dict()[key].numpy()
        np.testing.assert_allclose(array, other.T if key in linear else other, rtol=1e-8, atol=1e-10)


def test_hooks_see_every_step() -> None:
    model = network(np.float64)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    outputs: list[np.ndarray] = []
    gradients: list[np.ndarray] = []
    forward = model[4].register_forward_hook(lambda module, inputs, output: outputs.append(output.numpy()))
    backward = model[4].register_backward_hook(lambda module, dy: gradients.append(dy.copy()))
    losses = train(model, optimizer)
    assert len(outputs) == len(gradients) == STEPS
    assert len({a.tobytes() for a in outputs}) == len({a.tobytes() for a in gradients}) == STEPS
    forward()
    backward()
    twin = network(np.float64)
    assert train(twin, optim.SGD(twin.parameters(), lr=0.1)) == losses


@pytest.mark.parametrize("how", [lambda g: g, lambda g: g[-1:], lambda g: g.T], ids=["whole", "part", "transposed"])
@pytest.mark.parametrize("every", [1, 3])
def test_gradients_a_user_keeps_stay_what_they_were(how: Any, every: int) -> None:
    model = network(np.float32)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    kept: list[tuple[np.ndarray, bytes]] = []

    def step(x: np.ndarray, y: np.ndarray) -> None:
        optimizer.zero_grad()
        npgrad.cross_entropy(model(x), y).backward()
        optimizer.step()

    for k, (x, y) in enumerate(batches()):
        step(x, y)
        if k % every == 0:
            for j, p in enumerate(model.parameters()):
                if (j + k) % 2:
                    assert p.grad is not None
                    kept.append((how(p.grad), how(p.grad).tobytes()))
    for array, then in kept:
        assert array.tobytes() == then
