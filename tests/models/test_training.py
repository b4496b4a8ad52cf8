"""Training is a function of its seed, can stop and go on anywhere, and sampling draws from the model's distribution."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import models
from models.character_model import CharacterModel
from models.deep_mlp import NORMS
from models.mlp import STAGES
from models.training import (
    OPTIMIZERS,
    TrainConfig,
    evaluate,
    fit,
    generators,
    make_optimizer,
    sample,
    training_step,
)
from npgrad import checkpoint, data
from npgrad.data import Batches, DataError, Vocabulary
from npgrad.functions import cross_entropy
from npgrad.nn import ACTIVATIONS

WORDS = ["emma", "olivia", "ava", "sophia", "isabella", "mia", "noah", "liam", "mason", "jacob", "ana", "eva"]
VOCABULARY = Vocabulary(WORDS)
X, Y = data.windows(WORDS, VOCABULARY, 3)


def small(seed: int = 0, name: str = "mlp", **options: Any) -> CharacterModel:
    options = {"hidden": 12, "embedding": 4, **options}
    return models.build(name, vocab_size=len(VOCABULARY), context=3, rng=generators(seed).init, **options)


def digest(model: CharacterModel) -> bytes:
    return b"".join(array.tobytes() for array in model.state_dict().values())


@pytest.mark.smoke
def test_the_loss_falls() -> None:
    model = small()
    losses = fit(model, X, Y, TrainConfig(steps=300, batch_size=16))
    assert losses.shape == (300,) and losses.dtype == np.float32
    assert losses[-50:].mean() < losses[:10].mean() - 0.5
    assert evaluate(model, X, Y) < np.log(len(VOCABULARY)) - 0.5


EVERY: list[tuple[str, dict[str, Any], str]] = [
    *(("mlp", {"stage": stage}, "sgd") for stage in STAGES),
    *(("mlp", {}, optimizer) for optimizer in OPTIMIZERS),
    *(("deep_mlp", {"depth": 3, "norm": norm, "groups": 4}, "sgd") for norm in NORMS),
    *(("deep_mlp", {"depth": 3, "activation": activation}, "sgd") for activation in ACTIVATIONS),
    ("conv_net", {"blocks": 2}, "sgd"),
]


@pytest.mark.parametrize(("name", "options", "optimizer"), EVERY)
def test_every_model_becomes_one_program(name: str, options: dict[str, Any], optimizer: str) -> None:
    options = options if name == "conv_net" else {"hidden": 12, "embedding": 4, **options}
    model = models.build(name, vocab_size=len(VOCABULARY), context=3, rng=generators(0).init, **options)
    step = training_step(model, make_optimizer(model, TrainConfig(optimizer=optimizer, lr=0.01)))
    batches = Batches(X, Y, 16, generators(0).batches)
    for _ in range(8):  # the fourth is recorded
        step(*next(batches))
    told = step.explain()
    assert "stays a call" not in told and "eagerly" not in told
    assert re.findall(r"^variant: .*, (\d+) runs$", told, re.MULTILINE) == ["5"]


def test_the_seed_fixes_everything() -> None:
    runs = []
    for seed in (0, 0, 1):
        model = small(seed)
        losses = fit(model, X, Y, TrainConfig(steps=40, seed=seed))
        words = sample(model, VOCABULARY, 5, generators(seed).sampling)
        runs.append((losses.tobytes(), digest(model), words))
    assert runs[0] == runs[1]
    assert all(ours != other for ours, other in zip(runs[0], runs[2], strict=True))


@given(
    st.integers(0, 30),
    st.sampled_from(OPTIMIZERS),
    st.sampled_from([("mlp", {}), ("mlp", {"stage": "original"}), ("deep_mlp", {"depth": 3})]),
)
def test_a_run_resumes_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, at: int, optimizer: str, model: tuple[str, dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("run") / "state"
    config = TrainConfig(
        steps=30,
        batch_size=8,
        optimizer=optimizer,
        momentum=0.9 if optimizer == "sgd" else 0.0,
        weight_decay=0.01,
        seed=3,
    )
    name, options = model
    whole = small(3, name, **options)
    losses = fit(whole, X, Y, config)

    first = small(3, name, **options)
    first_optimizer = make_optimizer(first, config)
    batches = Batches(X, Y, config.batch_size, generators(3).batches)
    before = fit(
        first, X, Y, config, optimizer=first_optimizer, batches=batches, on_step=lambda step, loss: step + 1 >= at
    )
    state = {"model": first.state_dict(), "optimizer": first_optimizer.state_dict(), "batches": batches.state()}
    checkpoint.save(path, state)

    state = checkpoint.load(path)
    second = small(99, name, **options)
    second.load_state_dict(state["model"])
    second_optimizer = make_optimizer(second, config)
    second_optimizer.load_state_dict(state["optimizer"])
    batches = Batches(X, Y, config.batch_size, generators(3).batches)
    batches.restore(state["batches"])
    after = fit(second, X, Y, config, start=len(before), optimizer=second_optimizer, batches=batches)
    assert np.array_equal(np.concatenate([before, after]), losses)
    assert digest(second) == digest(whole)


def test_the_step_is_the_lectures() -> None:
    """`fit` against the same steps with the update written out: p -= lr * p.grad."""
    config = TrainConfig(steps=20, batch_size=8)
    model, plain = small(), small()
    losses = fit(model, X, Y, config)
    batches = Batches(X, Y, 8, generators(0).batches)
    for step in range(20):
        x, y = next(batches)
        loss = cross_entropy(plain(x), y)
        plain.zero_grad()
        loss.backward()
        for p in plain.parameters():
            assert p.grad is not None
            p.data = p.numpy() - (0.1 if step < 10 else 0.01) * p.grad
        np.testing.assert_allclose(losses[step], loss.item(), rtol=1e-5)


def test_the_learning_rate_drops_once() -> None:
    config = TrainConfig(steps=10, lr=0.5, lr_decay_at=0.3, lr_decay=0.1)
    assert [config.lr_at(step) for step in range(10)] == [0.5] * 3 + [0.05] * 7
    lrs = []
    optimizer = make_optimizer(model := small(), config)
    fit(model, X, Y, config, optimizer=optimizer, on_step=lambda step, loss: lrs.append(optimizer.lr))
    assert lrs == [0.5] * 3 + [0.05] * 7


def test_on_step_sees_every_loss_and_may_stop() -> None:
    seen = []
    losses = fit(small(), X, Y, TrainConfig(steps=9), on_step=lambda step, loss: seen.append((step, loss)) or step == 4)
    assert [step for step, _ in seen] == [0, 1, 2, 3, 4]
    assert np.array_equal(losses, np.float32([loss for _, loss in seen]))
    assert len(fit(small(), X, Y, TrainConfig(steps=0))) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": -1}, "number of steps must be 0 or more; got -1"),
        ({"batch_size": 0}, "batch size must be 1 or more; got 0"),
        ({"lr": float("nan")}, "learning rate must be a finite number, 0 or more; got nan"),
        ({"lr_decay": -0.1}, "learning-rate decay must be"),
        ({"lr_decay_at": 1.5}, "decay point must be between 0 and 1; got 1.5"),
        ({"momentum": 2.0}, "momentum must be between 0 and 1"),
        ({"weight_decay": -1.0}, "weight decay must be"),
        ({"optimizer": "lion"}, "no optimizer 'lion'; there are sgd, adam, adamw"),
        ({"optimizer": "adam", "momentum": 0.9}, "momentum is an option of sgd; adam has its own"),
        ({"seed": -1}, "seed must be 0 or more"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainConfig(**settings)


# -- evaluation --------------------------------------------------------------------------------------------------------


@given(st.integers(1, 80))
def test_evaluation_does_not_depend_on_the_chunk(chunk: int) -> None:
    model = small()
    np.testing.assert_allclose(evaluate(model, X, Y, chunk), evaluate(model, X, Y), rtol=1e-6)


def test_evaluation_leaves_no_trace() -> None:
    model = small()
    model.hidden.eval()  # type: ignore[operator]
    before = digest(model), [module.training for module in model.modules()]
    evaluate(model, X, Y)
    assert before == (digest(model), [module.training for module in model.modules()])
    assert True in before[1] and False in before[1]
    with pytest.raises(ValueError, match="no examples to evaluate on"):
        evaluate(model, X[:0], Y[:0])


# -- sampling ----------------------------------------------------------------------------------------------------------


def test_samples_follow_the_models_distribution() -> None:
    model = small(stage="hidden", output_scale=0.8)
    words = sample(model, VOCABULARY, 20_000, np.random.default_rng(0), temperature=0.7, max_length=1)
    counts = np.bincount([VOCABULARY.encode(word)[0] if word else 0 for word in words], minlength=len(VOCABULARY))
    logits = model.eval()(np.zeros((1, 3), dtype=np.intp)).numpy()[0].astype(float) / 0.7
    expected = 20_000 * np.exp(logits) / np.exp(logits).sum()
    assert ((counts - expected) ** 2 / expected).sum() < 40  # chi-square, 14 degrees of freedom: 1 in 4000


@given(st.text(st.sampled_from(VOCABULARY.characters[1:]), max_size=6), st.integers(0, 5), st.integers(1, 8))
def test_samples_begin_with_the_prompt_and_end_in_time(prompt: str, n: int, length: int) -> None:
    words = sample(small(), VOCABULARY, n, np.random.default_rng(0), prompt=prompt, max_length=length)
    assert len(words) == n
    for word in words:
        assert word.startswith(prompt) and "." not in word
        assert len(word) <= max(length, len(prompt))


def test_temperature_zero_takes_the_likeliest() -> None:
    model = small()
    fit(model, X, Y, TrainConfig(steps=100))
    greedy = sample(model, VOCABULARY, 2, np.random.default_rng(0), temperature=0, prompt="em")
    word, context = "em", [0, *VOCABULARY.encode("em")]
    model.eval()
    while len(word) < 64 and (k := int(model(np.array([context[-3:]])).numpy().argmax())) != 0:
        word, context = word + VOCABULARY.characters[k], [*context, k]
    assert greedy == [word, word]
    cold = sample(model, VOCABULARY, 2, np.random.default_rng(0), temperature=1e-300, prompt="em")
    assert cold == greedy


def test_sampling_leaves_the_mode_alone() -> None:
    model = small()
    sample(model, VOCABULARY, 3, np.random.default_rng(0))
    assert model.training and all(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"temperature": -1.0}, ValueError, "temperature must be a finite number, 0 or more; got -1"),
        ({"temperature": float("nan")}, ValueError, "temperature"),
        ({"n": -1}, ValueError, "number of words must be 0 or more; got -1"),
        ({"prompt": "xyz"}, DataError, "the characters 'x', 'y', 'z' were not seen at training time"),
        ({"prompt": "e."}, DataError, "contains '.', which marks the end of words"),
    ],
)
def test_samples_that_cannot_be_drawn(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        sample(**{"model": small(), "vocabulary": VOCABULARY, "n": 1, "rng": np.random.default_rng(0), **options})
