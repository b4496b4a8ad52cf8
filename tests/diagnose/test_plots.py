"""Pictures: drawn from files alone, in both themes, with every layer in its colour and under its name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

from npgrad import nn
from npgrad.diagnose import (
    Calibration,
    Layer,
    Monitor,
    Propagation,
    Record,
    UnitCensus,
    calibrate,
    census,
    plots,
    predict,
    style,
)
from tests.diagnose.test_monitor import OPTIMIZERS, network, train


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    model = network()
    optimizer = OPTIMIZERS["momentum"](model)
    monitor = Monitor(model, optimizer, every=1)
    train(model, optimizer, monitor)
    path = tmp_path_factory.mktemp("records") / "run.npz"
    monitor.record.save(path)
    return Record.load(path)


@pytest.fixture(scope="module")
def units() -> list[UnitCensus]:
    model = network(activation=nn.ReLU, norm="none")
    first: Any = model[2]
    first.bias.data = np.array([-1e3] * 3 + [0.0] * 5)
    return census(model, np.random.default_rng(0).integers(5, size=(50, 2)))


@pytest.fixture(scope="module")
def calibrated() -> Calibration:
    return calibrate(network(), np.random.default_rng(0).integers(5, size=(50, 2)))


PREDICTED: Propagation = predict([Layer(6, 8, 1.0), Layer(8, 8, 1.0), Layer(8, 4, 1.0, "linear")])
H = np.tanh(np.random.default_rng(0).normal(size=(20, 30)) * 3)

Draw = Callable[[Any, Record], object]
RECORDED: dict[str, Draw] = {
    "activations": plots.activations,
    "activations of all": lambda axes, r: plots.activations(axes, r, 3, r.layers()),
    "gradients": plots.gradients,
    "weight gradients": plots.weight_gradients,
    "update ratio": plots.update_ratio,
    "the lecture's ratio": lambda axes, r: plots.update_ratio(axes, r, which="lecture"),
    "both ratios": lambda axes, r: plots.update_ratio(axes, r, which="both"),
    "all parameters": lambda axes, r: plots.update_ratio(axes, r, range(len(r.parameter_name))),
    "drift": plots.running_drift,
    "propagation": lambda axes, r: plots.propagation(axes, PREDICTED, r),
    "propagation of gradients": lambda axes, r: plots.propagation(axes, PREDICTED, r, "gradient"),
    "prediction alone": lambda axes, r: plots.propagation(axes, PREDICTED),
    "loss": lambda axes, r: plots.loss_curve(axes, r.step, r.loss, expected=np.log(4), smooth=2, name="run"),
    "saturation map": lambda axes, r: plots.saturation_map(axes, H),
}


def drawn(draw: Callable[[Any], object], look: style.Theme = "light") -> Any:
    with style.theme(look):
        figure, axes = style.figure()
        draw(axes)
        figure.canvas.draw()
    return axes


def texts(axes: Any) -> list[str]:
    ticks = [tick.get_text() for tick in axes.get_yticklabels()]
    return [text.get_text() for text in axes.texts] + ticks + [axes.title.get_text(), axes.get_title("left")]


@pytest.mark.parametrize("look", ["light", "dark"])
@pytest.mark.parametrize("name", RECORDED)
def test_every_picture_draws_from_a_loaded_record(name: str, look: style.Theme, record: Record) -> None:
    axes = drawn(lambda axes: RECORDED[name](axes, record), look)
    assert axes.get_title("left") and axes.get_xlabel()


def test_a_layer_has_the_same_colour_in_every_picture(
    record: Record, units: list[UnitCensus], calibrated: Calibration
) -> None:
    hue = plots.layer_colour(2, 3)
    ridges = drawn(lambda axes: plots.activations(axes, record))
    assert [to_hex(patch.get_facecolor()) for patch in ridges.patches] == [plots.layer_colour(1, 3), hue]
    ratio = drawn(lambda axes: plots.update_ratio(axes, record))
    colours = [to_hex(line.get_color()) for line in ratio.lines]
    assert colours[:4] == [plots.layer_colour(k, 3) for k in range(4)]
    for axes in (
        drawn(lambda axes: plots.propagation(axes, PREDICTED, record)),
        drawn(lambda axes: plots.running_drift(axes, record)),
        drawn(lambda axes: plots.calibration(axes, calibrated)),
    ):
        assert hue in [to_hex(line.get_color()) for line in axes.lines]


def test_lines_and_rows_carry_names_and_numbers(record: Record) -> None:
    ratio = texts(drawn(lambda axes: plots.update_ratio(axes, record)))
    assert {"embedding", "layer 1", "layer 2", "output", "a thousandth"} <= set(ratio)
    rows = texts(drawn(lambda axes: plots.activations(axes, record, 0)))
    k = record.activations()[0]
    assert {"layer 1", "layer 2", "σ", "> 0.97", f"{record.activation_std[0, k]:.2g}"} <= set(rows)
    assert "Activations, step 0" in rows


def test_the_line_at_minus_three_is_always_in_sight(record: Record) -> None:
    axes = drawn(lambda axes: plots.update_ratio(axes, record))
    low, high = axes.get_ylim()
    assert low < -3 < high
    assert any(np.allclose(line.get_ydata(), -3) for line in axes.lines)


def test_dead_units_are_counted_and_coloured(units: list[UnitCensus]) -> None:
    axes = drawn(lambda axes: plots.dead_units(axes, units))
    assert "3 of 8 dead" in texts(axes)
    fills = [to_hex(c.get_facecolor()[0]) for c in axes.collections if c.get_array() is None]
    assert style.colour("vermillion") in fills


def test_the_saturation_map_is_white_where_units_are_saturated() -> None:
    h = np.zeros((3, 4))
    h[:, 1] = -1
    h[0, 2] = 0.995
    axes = drawn(lambda axes: plots.saturation_map(axes, h))
    (image,) = axes.images
    np.testing.assert_array_equal(np.asarray(image.get_array()), np.abs(h) > 0.99)
    assert to_hex(image.cmap(1.0)) == "#ffffff" and to_hex(image.cmap(0.0)) != "#ffffff"
    assert axes.get_title("left") == "White: |h| > 0.99, 33 % of all, 1 unit for every example"
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        drawn(lambda axes: plots.saturation_map(axes, np.zeros(3)))


@pytest.mark.parametrize("what", ["mean", "std"])
def test_calibration_is_a_dot_a_channel(what: Any, calibrated: Calibration) -> None:
    axes = drawn(lambda axes: plots.calibration(axes, calibrated, what))
    assert [len(line.get_xdata()) for line in axes.lines] == [8, 8, 2]


def test_runs_that_blew_up_can_still_be_drawn() -> None:
    model = network(norm="none")
    for p in model.parameters():
        p.data = np.full(p.shape, np.nan)
    optimizer = OPTIMIZERS["sgd"](model)
    monitor = Monitor(model, optimizer, every=1)
    train(model, optimizer, monitor, steps=3)
    for name in ("activations", "gradients", "weight gradients", "update ratio", "both ratios", "loss", "propagation"):
        drawn(lambda axes, name=name: RECORDED[name](axes, monitor.record))
    found = census(model, np.zeros((3, 2), int))
    assert "not finite" in texts(drawn(lambda axes: plots.dead_units(axes, found)))


def test_matplotlib_is_imported_to_draw_only() -> None:
    code = "import sys, npgrad.diagnose.plots; assert 'matplotlib' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_same_record_gives_the_same_bytes(record: Record, tmp_path: Path) -> None:
    files = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        with style.theme("light"):
            figure, axes = style.figure()
            plots.activations(axes, record)
            files.append([path.read_bytes() for path in style.save(figure, tmp_path / folder / "picture")])
    assert files[0] == files[1]
