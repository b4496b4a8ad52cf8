"""Monitor: what it records is what happened, and what happened is what would have happened without it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npgrad
from npgrad import Tensor, nn, optim
from npgrad.diagnose import Monitor, Record, saturation
from npgrad.functions import cross_entropy

OPTIMIZERS: dict[str, Callable[[nn.Module], optim.Optimizer]] = {
    "sgd": lambda model: optim.SGD(model.parameters(), lr=0.1),
    "momentum": lambda model: optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
    "adam": lambda model: optim.Adam(model.parameters(), lr=0.01),
}
NORMS: dict[str, Callable[[int], list[nn.Module]]] = {
    "none": lambda width: [],
    "batch": lambda width: [nn.BatchNorm1d(width)],
    "layer": lambda width: [nn.LayerNorm(width)],
}


def network(
    seed: int = 0, norm: str = "batch", activation: Callable[[], nn.Module] = nn.Tanh, width: int = 8
) -> nn.Sequential:
    rng = np.random.default_rng(seed)
    layers: list[nn.Module] = [nn.Embedding(5, 3, rng=rng), nn.Flatten()]
    for n_in, n_out in pairwise([6, width, width]):
        layers += [nn.Linear(n_in, n_out, rng=rng), *NORMS[norm](n_out), activation(), nn.Dropout(0.2, rng=rng)]
    return nn.Sequential(*layers, nn.Linear(width, 4, rng=rng))


def train(model: nn.Module, optimizer: optim.Optimizer, monitor: Monitor | None = None, steps: int = 7) -> list[float]:
    rng = np.random.default_rng(1)

    def update(x: Any, y: Any) -> Tensor:
        loss = cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    losses = []
    for step in range(steps):
        x, y = rng.integers(5, size=(6, 2)), rng.integers(4, size=6)
        if monitor is None:
            losses.append(update(x, y).item())
            continue
        with monitor.watch(step) as watch:
            losses.append(update(x, y).item())
            if watch is not None:
                watch.loss = losses[-1]
    return losses


def assert_same(a: Record, b: Record) -> None:
    for name, array in a.to_arrays().items():
        np.testing.assert_array_equal(array, b.to_arrays()[name], err_msg=name)


@given(
    seed=st.integers(0, 100),
    norm=st.sampled_from(sorted(NORMS)),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    every=st.integers(1, 4),
)
def test_watched_training_is_the_same_to_the_bit(seed: int, norm: str, optimizer: str, every: int) -> None:
    plain, watched = network(seed, norm), network(seed, norm)
    plain_losses = train(plain, OPTIMIZERS[optimizer](plain))
    monitor = Monitor(watched, every=every)
    assert train(watched, OPTIMIZERS[optimizer](watched), monitor) == plain_losses
    for name, value in plain.state_dict().items():
        np.testing.assert_array_equal(value, watched.state_dict()[name], err_msg=name)
    record = monitor.record
    assert record.step.tolist() == list(range(0, 7, every))
    assert record.loss.tolist() == plain_losses[::every]


def test_statistics_are_those_of_the_arrays_themselves() -> None:
    model = network()
    optimizer = OPTIMIZERS["sgd"](model)
    monitor = Monitor(model, optimizer, every=1, bins=20)
    outputs: dict[str, np.ndarray] = {}
    gradients: dict[str, np.ndarray] = {}
    for name, module in model.named_modules():
        if name:
            module.register_forward_hook(lambda m, i, out, name=name: outputs.update({name: out.numpy().copy()}))
            module.register_backward_hook(lambda m, dy, name=name: gradients.update({name: dy.copy()}))
    before = model.state_dict()
    train(model, optimizer, monitor, steps=1)
    record = monitor.record
    assert record.layer_name.tolist() == [name for name, _ in model.named_modules() if name]
    modules = dict(model.named_modules())
    for k, name in enumerate(record.layer_name):
        y, dy = outputs[name].astype(float), gradients[name].astype(float)
        assert record.layer_kind[k] == type(modules[name]).__name__
        assert record.activation_mean[0, k] == pytest.approx(y.mean(), abs=1e-12)
        assert record.activation_std[0, k] == pytest.approx(y.std())
        assert record.zero[0, k] == np.mean(y == 0)
        assert record.gradient_mean[0, k] == pytest.approx(dy.mean(), abs=1e-12)
        assert record.gradient_std[0, k] == pytest.approx(dy.std())
        flat = saturation(modules[name], outputs[name])
        for j, threshold in enumerate((0.97, 0.99)):
            assert flat is None or record.saturated[0, k, j] == np.mean(flat > threshold)
        assert np.isnan(record.saturated[0, k]).all() == (flat is None)
        span = (-1, 1) if modules[name].__class__ is nn.Tanh else (y.min(), y.max())
        np.testing.assert_allclose(record.activation_range[0, k], span)
        counts = np.histogram(y, 20, record.activation_range[0, k].tolist())[0]
        assert np.abs(np.cumsum(record.activation_counts[0, k] - counts)).max() <= 1  # a value on an edge
        assert record.activation_counts[0, k].sum() == y.size == record.gradient_counts[0, k].sum()
    for k, name in enumerate(record.parameter_name):
        p = dict(model.named_parameters())[name]
        assert p.grad is not None
        old = before[name].astype(float)
        assert record.data_std[0, k] == pytest.approx(old.std())
        assert record.parameter_gradient_std[0, k] == pytest.approx(p.grad.astype(float).std())
        assert record.update_std[0, k] == pytest.approx((p.numpy().astype(float) - old).std())
        assert record.learning_rate[0, k] == 0.1


class Plane(nn.Module):
    """The mean of x·W: its gradient does not depend on W."""

    def __init__(self, W: np.ndarray) -> None:
        self.W = nn.Parameter(W)

    def forward(self, x: Tensor) -> Tensor:
        return npgrad.sum(x @ self.W)


@given(
    W=st.lists(st.integers(-64, 64), min_size=2, max_size=6, unique=True),
    x=st.lists(st.integers(-8, 8), min_size=6, max_size=6),
    exponent=st.integers(0, 6),
)
def test_plain_sgd_moves_by_rate_times_gradient_exactly(W: list[int], x: list[int], exponent: int) -> None:
    # Whole numbers and powers of two: nothing is ever rounded.
    model = Plane(np.array(W, float)[:, None])
    optimizer = optim.SGD(model.parameters(), lr=0.5**exponent)
    monitor = Monitor(model, optimizer, every=1)
    with monitor.watch(0):
        model(np.array(x[: len(W)], float)[None]).backward()
        optimizer.step()
    record = monitor.record
    assert record.update_std[0, 0] == record.learning_rate[0, 0] * record.parameter_gradient_std[0, 0]
    np.testing.assert_array_equal(record.update_to_data, record.lecture_ratio)


def test_the_two_ratios_part_under_momentum_and_adam() -> None:
    parted = {}
    for name, make in OPTIMIZERS.items():
        model = network(norm="none")
        optimizer = make(model)
        monitor = Monitor(model, optimizer, every=1)
        train(model, optimizer, monitor, steps=20)
        record = monitor.record
        k = record.matrices()
        parted[name] = np.median((record.update_to_data / record.lecture_ratio)[-1, k])
        if name == "momentum":  # the first step has no past
            np.testing.assert_allclose(record.update_to_data[0, k], record.lecture_ratio[0, k], rtol=1e-4)
    assert parted["sgd"] == pytest.approx(1, abs=1e-4)
    assert parted["momentum"] > 1.5
    assert parted["adam"] > 2


def test_without_a_step_nothing_moved() -> None:
    model = network()
    monitor = Monitor(model, every=1)
    with monitor.watch(0):
        cross_entropy(model(np.zeros((4, 2), int)), np.zeros(4, int)).backward()
    record = monitor.record
    assert not record.update_std.any() and np.isnan(record.learning_rate).all()
    assert np.isfinite(record.parameter_gradient_std).all()


def test_running_statistics_drift_is_measured_from_the_batch() -> None:
    model = nn.Sequential(nn.BatchNorm1d(3, momentum=0.5, dtype=np.float64))
    norm: Any = model[0]
    monitor = Monitor(model, every=1)
    rng = np.random.default_rng(0)
    past: list[np.ndarray] = []
    for step in range(3):
        x = rng.normal(step, 2, size=(10, 3))
        with monitor.watch(step):
            model(Tensor(x))
        record = monitor.record
        std, running_std = np.sqrt(x.var(axis=0) + norm.eps), np.sqrt(norm.running_var + norm.eps)
        gap = np.sqrt(np.mean(((norm.running_mean - x.mean(axis=0)) / std) ** 2))
        assert record.running_mean_gap[step, 0] == pytest.approx(gap)
        assert record.running_std_gap[step, 0] == pytest.approx(np.sqrt(np.mean(np.log(running_std / std) ** 2)))
        if past:
            moved = np.sqrt(np.mean(((norm.running_mean - past[-1]) / running_std) ** 2))
            assert record.running_moved[step, 0] == pytest.approx(moved)
        else:
            assert np.isnan(record.running_moved[0, 0])
        past.append(norm.running_mean.copy())


def hooked(model: nn.Module) -> bool:
    return any(module._hooked for module in model.modules())


def test_hooks_are_there_only_while_a_step_is_recorded() -> None:
    model = network()
    monitor = Monitor(model, every=3)
    for step in range(4):
        with monitor.watch(step):
            assert hooked(model) == (step % 3 == 0)
        assert not hooked(model)
    with pytest.raises(KeyError), monitor.watch(6):
        raise KeyError
    assert not hooked(model)
    assert monitor.record.step.tolist() == [0, 3]


def test_a_callback_records_the_steps_that_are_due_and_detach_ends_it() -> None:
    model = network()
    with Monitor(model, every=2) as monitor:
        after = monitor.callback(start=2)
        for step in range(2, 6):
            assert hooked(model) == (step % 2 == 0)
            model(np.zeros((4, 2), int))
            after(step, float(step))
        assert hooked(model)
    assert not hooked(model)
    record = monitor.record
    assert record.step.tolist() == record.loss.tolist() == [2, 4]


def test_calls_under_no_grad_and_second_calls_are_not_recorded() -> None:
    layer = nn.Tanh()
    monitor = Monitor(layer, every=1)
    with monitor.watch(0):
        with npgrad.no_grad():
            layer(Tensor(np.full(4, 9.0)))
        y = layer(Tensor(np.zeros(4), requires_grad=True))
        layer(Tensor(np.ones(4), requires_grad=True)).sum().backward()
        (3.0 * y).sum().backward()
    record = monitor.record
    assert record.activation_mean[0, 0] == 0 and record.gradient_mean[0, 0] == 3
    assert record.activation_counts[0, 0].sum() == 4


def test_layers_can_be_chosen_and_keep_their_depth() -> None:
    model = network()
    monitor = Monitor(model, every=1, layers=lambda name, module: isinstance(module, nn.Tanh))
    with monitor.watch(0):
        model(np.zeros((4, 2), int))
    record = monitor.record
    assert record.layer_kind.tolist() == ["Tanh", "Tanh"] and record.layer_depth.tolist() == [1, 2]
    assert record.depth == 3
    by_name = dict(zip(record.parameter_name.tolist(), record.parameter_depth.tolist(), strict=True))
    assert by_name["0.weight"] == 0 and by_name["2.weight"] == 1 and by_name["10.weight"] == 3


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_counted_out(value: float) -> None:
    layer = nn.ReLU()
    monitor = Monitor(layer, every=1, bins=4)
    with monitor.watch(0):
        layer(Tensor([0.0, 1.0, value, 4.0], requires_grad=True))
    record = monitor.record
    assert not np.isfinite(record.activation_mean[0, 0])
    assert record.activation_counts[0, 0].tolist() == [1, 1, 0, 1]
    assert record.activation_range[0, 0].tolist() == [0, 4]


@pytest.mark.parametrize(
    ("module", "y", "share"),
    [
        (nn.Tanh(), [-0.98, 0.0, 0.995], [0.98, 0.0, 0.995]),
        (nn.Sigmoid(), [0.0, 0.5, 1.0], [1.0, 0.0, 1.0]),
        (nn.ReLU(), [0.0, 0.1, 5.0], [1.0, 0.0, 0.0]),
        (nn.ELU(2.0), [-2.0, -1.0, 3.0], [1.0, 0.5, 0.0]),
        (nn.LeakyReLU(), [-5.0, 0.0, 5.0], [0.0, 0.0, 0.0]),
    ],
)
def test_saturation_says_how_far_into_the_flat_part(module: nn.Module, y: list[float], share: list[float]) -> None:
    found = saturation(module, np.array(y))
    assert found is not None
    np.testing.assert_allclose(found, share, atol=1e-12)


def test_saturation_of_other_modules_is_not_known() -> None:
    assert saturation(nn.Flatten(), np.zeros(3)) is None


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Monitor(network(), every=0)
    with pytest.raises(ValueError, match="no layer to record in Sequential"):
        Monitor(network(), layers=lambda name, module: False)
    with pytest.raises(ValueError, match="nothing was recorded"):
        Monitor(network()).record.row()


def test_a_recorded_step_costs_less_than_ten_plain_ones() -> None:
    """At every=100 that is less than 10 % of the time."""
    model = network(width=100)
    optimizer = OPTIMIZERS["sgd"](model)
    monitor = Monitor(model, optimizer, every=1)
    x, y = np.zeros((32, 2), int), np.zeros(32, int)

    def update() -> Tensor:
        loss = cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    plain, watched = [], []
    for step in range(60):
        begin = perf_counter()
        update()
        plain.append(perf_counter() - begin)
        begin = perf_counter()
        with monitor.watch(step):
            update()
        watched.append(perf_counter() - begin)
    assert min(watched) < 11 * min(plain)
