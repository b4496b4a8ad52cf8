"""Models of whole words: their data, losses that padding does not change, sampling that carries the state."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import models
import npgrad
from models.__main__ import main
from models.training import TrainConfig, evaluate, fit, generators, make_optimizer, mean_loss, sample, training_step
from npgrad import data
from npgrad.data import PADDING, Batches, Vocabulary

WORDS = ["emma", "olivia", "ava", "sophia", "isabella", "mia", "noah", "liam", "mason", "jacob", "ana", "eva"]
VOCABULARY = Vocabulary(WORDS)
X, Y = data.sequences(WORDS, VOCABULARY)
OPTIONS: dict[str, dict[str, int]] = {
    "rnn": {"layers": 2}, "lstm": {"layers": 2}, "gru": {"layers": 2},
    "dilated_wavenet": {}, "transformer": {"heads": 2},
}  # fmt: skip
each_model = pytest.mark.parametrize("name", OPTIONS)


def small(name: str, **options: Any) -> Any:
    options = {"hidden": 12, "embedding": 4, **OPTIONS[name], **options}
    return models.build(name, vocab_size=len(VOCABULARY), context=8, rng=generators(0).init, **options)


def test_all_of_them_are_here() -> None:
    assert set(OPTIONS) == {name for name, model in models.MODELS.items() if model.whole_words}


def test_words_are_their_windows_one_after_the_other() -> None:
    """Exactly the same targets as those of the models that see windows, in the same order, and the same inputs."""
    x, y = data.windows(WORDS, VOCABULARY, 3)
    assert X.shape == Y.shape == (12, 9)
    assert np.array_equal(Y[Y != PADDING], y) and np.array_equal(X[Y != PADDING], x[:, -1])
    assert VOCABULARY.decode(X[2]) == ".ava....." and not X[:, 0].any()
    assert [a.shape for a in data.sequences([], VOCABULARY)] == [(0, 1), (0, 1)]
    with pytest.raises(data.DataError, match="'z' was not seen"):
        data.sequences(["zoe"], VOCABULARY)


@each_model
def test_padding_changes_no_number(name: str) -> None:
    model = small(name, dtype=np.float64)

    def loss_and_gradients(x: Any, y: Any) -> list[Any]:
        model.zero_grad()
        loss = mean_loss(model, x, y)
        loss.backward()
        return [loss.numpy(), *(p.grad for p in model.parameters())]

    longer = [np.pad(a, ((0, 0), (0, 5)), constant_values=fill) for a, fill in ((X, 3), (Y, PADDING))]
    for a, b in zip(loss_and_gradients(X, Y), loss_and_gradients(*longer), strict=True):
        assert np.allclose(a, b, rtol=1e-12, atol=1e-15)
    assert evaluate(model, X, Y) == pytest.approx(evaluate(model, *longer), rel=1e-14)
    # One word at a time, without any padding.
    with npgrad.no_grad():
        each = [
            npgrad.cross_entropy(model(x[None, :n])[0], y[:n], reduction="sum").item()
            for x, y, n in zip(X, Y, (len(word) + 1 for word in WORDS), strict=True)
        ]
    assert evaluate(model, X, Y) == pytest.approx(math.fsum(each) / (Y != PADDING).sum(), rel=1e-13)
    assert evaluate(model, X, Y, chunk=20) == pytest.approx(evaluate(model, X, Y), rel=1e-13)


def test_batches_end_with_their_longest_word() -> None:
    """The same words in the same order, and the same loss and gradients, as without trimming."""
    trimmed, whole = (Batches(X, Y, 2, generators(0).batches, trim=trim) for trim in (True, False))
    model = small("gru", dtype=np.float64)
    lengths, state = set(), trimmed.state()
    for k in range(12):
        if k == 5:
            trimmed = Batches(X, Y, 2, generators(0).batches, trim=True)
            trimmed.restore(state)
        (x, y), (a, b) = next(trimmed), next(whole)
        state = trimmed.state()
        n = x.shape[1]
        lengths.add(n)
        assert np.array_equal(x, a[:, :n]) and np.array_equal(y, b[:, :n])
        assert (y[:, -1] != PADDING).any() and (b[:, n:] == PADDING).all()
        gradients = []
        for batch in ((x, y), (a, b)):
            model.zero_grad()
            mean_loss(model, *batch).backward()
            gradients.append([p.grad for p in model.parameters()])
        for p, q in zip(*gradients, strict=True):
            np.testing.assert_allclose(p, q, rtol=1e-11, atol=1e-14)
    assert len(lengths) > 2
    with pytest.raises(ValueError, match="read-only"):
        x[0, 0] = 1


@each_model
def test_the_loss_falls(name: str) -> None:
    model = small(name)
    assert abs(evaluate(model, X, Y) - np.log(len(VOCABULARY))) < 0.2
    losses = fit(model, X, Y, TrainConfig(steps=150, batch_size=8, lr=0.01, optimizer="adam"))
    assert losses[-20:].mean() < losses[:10].mean() - 0.8


@each_model
def test_training_becomes_one_program(name: str) -> None:
    model = small(name)
    step = training_step(model, make_optimizer(model, TrainConfig(lr=0.01)))
    batches = Batches(X, Y, 16, generators(0).batches)
    other = small(name)
    optimizer = make_optimizer(other, TrainConfig(lr=0.01))
    for _ in range(8):
        x, y = next(batches)
        loss = mean_loss(other, x, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert step(x, y).numpy().tobytes() == loss.numpy().tobytes()
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert p.numpy().tobytes() == q.numpy().tobytes()
    told = step.explain()
    assert "stays a call" not in told and "eagerly" not in told
    assert re.findall(r"^variant: .*, (\d+) runs$", told, re.MULTILINE) == ["5"]


@each_model
@pytest.mark.parametrize("prompt", ["", "em"])
def test_sampling_with_the_state_is_sampling_from_the_start_each_time(
    name: str, prompt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small(name, dtype=np.float64)
    fit(model, X, Y, TrainConfig(steps=40, batch_size=8, lr=0.02, optimizer="adam"))

    def words() -> list[str]:
        return sample(model, VOCABULARY, 1000, np.random.default_rng(0), prompt=prompt, max_length=12)

    carried = words()
    assert len(carried) == 1000 and all(word.startswith(prompt) for word in carried) and len(set(carried)) > 50

    def slowly(self: Any, words: Any, state: Any = None) -> tuple[Any, None]:
        return self(words[:, self.context - 1 :])[:, -1], None

    monkeypatch.setattr(type(model), "following", slowly)
    assert words() == carried
    assert sample(model, VOCABULARY, 0, np.random.default_rng(0)) == []


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(WORDS))
    out = str(tmp_path / "run")
    command = ["train", "--data", str(path), "--model", "gru", "--hidden", "8", "--steps", "20"]
    assert main([*command, "--context", "4", "--out", out]) == 2
    assert "gru reads whole words and has no context: leave --context out" in capsys.readouterr().err
    assert main([*command, "--out", out]) == 0
    counts = re.findall(r"(\d+) examples", capsys.readouterr().out)
    parts = data.split(WORDS)
    assert counts == [str(len(data.windows(part, VOCABULARY, 3).y)) for part in parts]
    assert main(["sample", out, "-n", "3"]) == 0 and len(capsys.readouterr().out.splitlines()) == 3
    assert main(["eval", out]) == 0
    assert re.findall(r"(\d+) examples", capsys.readouterr().out) == counts
    assert main(["doctor", out, "--steps", "8"]) in (0, 1)
    assert "examined over 8 steps" in capsys.readouterr().out
    assert main(["program", "gru", "--hidden", "8"]) == 0
    assert "GRUStep (4)" in capsys.readouterr().out
