"""The four pictures in one: no text on any other, at any size; and what a monitor says of itself."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from npgrad import nn
from npgrad.diagnose import Monitor, Record, plots, style
from tests.diagnose.test_monitor import OPTIMIZERS, network, train


def recorded(model: nn.Module) -> Record:
    optimizer = OPTIMIZERS["sgd"](model)
    monitor = Monitor(model, optimizer, every=1)
    train(model, optimizer, monitor)
    return monitor.record


def deep() -> nn.Module:
    rng = np.random.default_rng(0)
    layers: list[nn.Module] = [nn.Embedding(5, 3, rng=rng), nn.Flatten()]
    for k in range(9):
        layers += [nn.Linear(6 if k == 0 else 8, 8, rng=rng), nn.BatchNorm1d(8), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(8, 4, rng=rng))


RECORDS = {"three layers": recorded(network()), "ten layers": recorded(deep())}


def words(figure: Any) -> list[tuple[str, Any]]:
    """Every text that is drawn, with the box it takes."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    found = []
    for axes in figure.axes:
        # Matplotlib keeps ticks just outside of an axis, which it does not draw.
        hidden = set()
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            room = 1e-9 * (high - low)
            hidden |= {t.label1 for t in axis.get_major_ticks() if not low - room <= t.get_loc() <= high + room}
        for text in axes.findobj(Text):
            if text not in hidden and text.get_visible() and text.get_text().strip():
                box = Text.get_window_extent(text)
                found.append((text.get_text(), box))
    return found


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("size", [None, (14, 9), (6.4, 4.8), (4, 12), (2, 5.5), (3.7, 13.8), (20, 5), (3, 3)], ids=str)
def test_no_text_lies_on_another(name: str, size: tuple[float, float] | None) -> None:
    figure: Any = plots.dashboard(RECORDS[name], size)
    pixels = figure.get_size_inches() * figure.dpi
    if size is not None:
        np.testing.assert_allclose(pixels, np.array(size) * 100)
    found = words(figure)
    assert len(found) > 30
    for (one, a), (other, b) in combinations(found, 2):
        # Boxes of text include the space above and below its letters; what is left out may touch.
        overlap_x = min(a.x1, b.x1) - max(a.x0, b.x0)
        overlap_y = min(a.y1, b.y1) - max(a.y0, b.y0)
        small = min(a.height, b.height)
        assert overlap_x <= 0.1 * small or overlap_y <= 0.35 * small, (one, other)
    slack = 0.02 * pixels.max()
    for text, box in found:
        inside = box.x0 > -slack and box.y0 > -slack and box.x1 < pixels[0] + slack and box.y1 < pixels[1] + slack
        assert inside, text


def test_it_is_the_four_pictures_in_either_theme() -> None:
    figure: Any = plots.dashboard(RECORDS["three layers"], step=3, theme="dark")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title.split(",")[0] for title in titles] == [
        "Activations", "Gradients", "Weight gradients", "Update : data",
    ]  # fmt: skip
    assert titles[0].endswith("step 3")
    assert figure.get_facecolor()[:3] == pytest.approx([int(style.DARK.paper[k : k + 2], 16) / 255 for k in (1, 3, 5)])


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="both above 0"):
        plots.dashboard(RECORDS["three layers"], (0, 3))


def test_a_monitor_says_what_it_has_recorded() -> None:
    model = network()
    optimizer = OPTIMIZERS["sgd"](model)
    monitor = Monitor(model, optimizer, every=5)
    assert "never asked to record" in repr(monitor) and "every=5" in repr(monitor)
    with pytest.raises(ValueError, match="Put each step inside"):
        plots.dashboard(monitor.record)
    with monitor.watch(3):
        pass
    assert "nothing recorded yet" in repr(monitor)
    train(model, optimizer, monitor)
    assert repr(monitor).startswith("Monitor(Sequential, ")
    assert "2 steps recorded, 0 to 5" in repr(monitor)
