"""The desk without a browser: what is trained, what is drawn of it, and what the controls do."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.server.callbacks import NextTickCallback
from hypothesis import given
from hypothesis import strategies as st

import models.__main__
from experiments.__main__ import main
from experiments.desk import controls, pictures
from experiments.desk.page import Page
from experiments.desk.training import CONTEXT, DATA, STEPS, Setting, Training, due
from models.runs import Run
from npgrad import data
from npgrad.diagnose.style import DARK, LIGHT

TABLES = {name: values for name, (_, values) in (controls.SLIDERS | controls.CHOICES).items()}
settings = st.builds(Setting, **{name: st.sampled_from([*values.values()]) for name, values in TABLES.items()})


@pytest.fixture(scope="module")
def corpus() -> data.Corpus:
    return data.load(DATA, CONTEXT)


def trained(setting: Setting, corpus: data.Corpus, steps: int, seed: int = 0) -> Training:
    training = Training(setting, corpus, seed)
    training.advance(steps)
    return training


# -- training ----------------------------------------------------------------------------------------------------------


def test_a_seed_fixes_everything(corpus: data.Corpus) -> None:
    one, same, other = (trained(Setting(depth=3), corpus, 30, seed) for seed in (0, 0, 1))
    assert one.losses == same.losses != other.losses
    for a, b in zip(one.record.to_arrays().values(), same.record.to_arrays().values(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_how_steps_are_grouped_changes_nothing(corpus: data.Corpus) -> None:
    whole, parts = trained(Setting(depth=2), corpus, 25), Training(Setting(depth=2), corpus)
    for steps in (1, 7, 0, 17):
        parts.advance(steps)
    assert whole.losses == parts.losses


def test_two_settings_share_the_seed_and_the_minibatches(corpus: data.Corpus) -> None:
    one, other = Training(Setting(gain=1.0, lr=0.01), corpus), Training(Setting(gain=3.0, norm="layer"), corpus)
    a, b = (training.run.model for training in (one, other))
    np.testing.assert_array_equal(a.embedding.weight.numpy(), b.embedding.weight.numpy())
    np.testing.assert_allclose(3 * a.layers[0].weight.numpy(), b.layers[0].weight.numpy(), rtol=1e-6)
    for training in (one, other):
        training.advance(5)
    for x, y in zip(next(one.run.batches), next(other.run.batches), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    "setting",
    [Setting(), Setting(norm="batch", batch_size=8), Setting(1.0, False, 0.3, 0.03, 16, 4, "layer", "relu")],
    ids=["first", "batch", "all changed"],
)
def test_its_command_trains_the_same(setting: Setting, corpus: data.Corpus, tmp_path: Path) -> None:
    program, *arguments, _ = setting.command("OUT").replace(f"--steps {STEPS}", "--steps 12").split()[2:]
    assert program == "models" and models.__main__.main([*arguments, str(tmp_path / "run")]) == 0
    stored = Run.load(tmp_path / "run").losses
    np.testing.assert_array_equal(stored, np.array(trained(setting, corpus, 12).losses, np.float32))


def test_a_command_says_every_setting() -> None:
    usual = Setting()
    other = Setting(1.0, False, 0.3, 0.03, 16, 4, "layer", "relu")
    for field in fields(Setting):
        assert replace(usual, **{field.name: getattr(other, field.name)}).command("x") != usual.command("x")


def test_what_diverges_ends(corpus: data.Corpus) -> None:
    training = trained(Setting(gain=10.0, lr=10.0, activation="relu"), corpus, 200)
    assert training.diverged and training.done and training.step < 200
    assert np.isfinite(pictures.loss(training)[1]).all()


@given(st.integers(0, STEPS))
def test_steps_are_recorded_as_often_whatever_their_number(step: int) -> None:
    seen = [k for k in range(step, 2 * step) if due(k)]
    assert len(seen) <= 17 and (step < 80 or len(seen) >= 7)
    assert due(0)


# -- pictures ----------------------------------------------------------------------------------------------------------


@given(setting=settings)
def test_every_setting_can_be_drawn(setting: Setting, corpus: data.Corpus) -> None:
    training = trained(setting, corpus, 2)
    for draw, rows in ((pictures.activations, -1), (pictures.gradients, -1), (pictures.weight_gradients, 0)):
        ridges = draw(training)
        assert len(ridges.names) == len(ridges.texts) == len(ridges.measured) == setting.depth + rows
        assert ridges.left < 0 < ridges.right
        for k, (x, y) in enumerate(ridges.measured):
            assert len(x) == len(y) and np.isfinite(x).all()
            assert ((k - 0.9 <= y) & (y <= k)).all()
    assert len(pictures.update_ratio(training).lines) == setting.depth


@pytest.mark.parametrize(("norm", "gain"), [("none", 5 / 3), ("none", 1.0), ("batch", 5 / 3), ("layer", 1.0)])
def test_theory_lies_over_the_first_step(norm: str, gain: float, corpus: data.Corpus) -> None:
    """Not only σ: the whole predicted histogram is close to the measured one."""
    training = trained(Setting(norm=norm, gain=gain, batch_size=512), corpus, 1)
    for draw, near in ((pictures.activations, 0.15), (pictures.gradients, 0.25)):
        ridges = draw(training)
        for k, ((_, there), (_, expected)) in enumerate(zip(ridges.measured, ridges.predicted, strict=True)):
            assert np.abs(there - expected).sum() < near * np.abs(there - k).sum(), (draw.__name__, k)


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_controls_are_the_setting() -> None:
    sheet = controls.InlineStyleSheet(css="")
    made = controls.Controls("a", Setting(), lambda: None, sheet)
    assert made.setting == Setting() and made.widgets.keys() == {field.name for field in fields(Setting)}
    for name, widget in made.widgets.items():
        before = getattr(made.setting, name)
        widget.value = next(text for text, value in TABLES[name].items() if value != before)
        assert getattr(made.setting, name) != before


def test_a_change_begins_its_own_side_again(corpus: data.Corpus) -> None:
    page, document = Page(corpus), Document()
    page.open(document)
    for _ in range(3):
        page.frame()
    a, b = page.sides
    before = a.training, b.training
    drawn = [row.copy() for row in a.activations.measured.data["y"]]
    a.controls.widgets["gain"].value = "10"
    a.controls.widgets["gain"].value = "0.5"
    (soon,) = [one for one in document.session_callbacks if isinstance(one, NextTickCallback)]
    soon.callback()
    assert a.training is not before[0] and b.training is before[1]
    assert a.training.setting.gain == 0.5 and "--gain 0.5 " in a.command.tags[0]
    assert any((x != y).any() for x, y in zip(drawn, a.activations.measured.data["y"], strict=True))


def test_it_can_be_paused_and_begun_again(corpus: data.Corpus) -> None:
    page = Page(corpus)
    page.open(Document())
    page.frame()
    page.play.active = False
    steps = [side.training.step for side in page.sides]
    page.frame()
    assert [side.training.step for side in page.sides] == steps and page.play.label == "train"
    page._restart()
    assert [side.training.step for side in page.sides] == [1, 1]


def test_it_follows_the_theme(corpus: data.Corpus) -> None:
    page = Page(corpus)
    page.open(Document())
    for tag, look in (("dark", DARK), ("light", LIGHT)):
        page.play.tags = [tag]
        assert page.loss.figure.title.text_color == look.ink
        assert page.loss.curves.data["colour"] == [look.hues["blue"], look.hues["vermillion"]]


# -- the command -------------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["desk", "--no-browser", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"port {port}" in said and "--port" in said


@pytest.mark.parametrize("port", ["0", "x", "65536"])
def test_what_is_no_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["desk", "--port", port]) == 2
    assert "from 1 to 65535" in capsys.readouterr().err


def test_without_bokeh_it_names_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    script = """
import sys
sys.modules["bokeh"] = None
from experiments.__main__ import main
sys.exit(main(["desk", "--no-browser"]))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1 and "pip install '.[desk]'" in ended.stderr
