"""The training doctor: what it leaves alone, what it says of the lecture's stages, what it says of the unknown."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import models
import npgrad
from models.training import generators
from npgrad import Tensor, data, nn, optim
from npgrad import functions as F
from npgrad.data import Batches
from npgrad.diagnose import doctor
from npgrad.diagnose.doctor.diagnoses import CAUSES, DIAGNOSES
from npgrad.diagnose.doctor.thresholds import THRESHOLDS
from npgrad.engine.mode import MODE


def network(rng: np.random.Generator, norm: bool = True) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(6, 16, not norm, rng=rng), nn.Tanh(), nn.Dropout(0.2, rng=rng)]
    if norm:
        layers.insert(1, nn.BatchNorm1d(16))
    return nn.Sequential(*layers, nn.Linear(16, 3, rng=rng, gain=0.1))


def examples(seed: int, n: int = 800) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 6)).astype(np.float32)
    return x, (x @ rng.standard_normal((6, 3)) + 0.3 * rng.standard_normal((n, 3))).argmax(1)


def loss(output: Tensor, y: Any) -> Tensor:
    return F.cross_entropy(output, y)


class Plain(nn.Module):
    """Takes arrays."""

    def __init__(self, inner: nn.Module) -> None:
        self.inner = inner

    def forward(self, x: Any) -> Tensor:
        return self.inner(x if isinstance(x, Tensor) else Tensor(x))


def contents(model: nn.Module, optimizer: optim.Optimizer, *generators: np.random.Generator) -> dict[str, Any]:
    """Everything an examination might change, as bytes and identities."""
    found: dict[str, Any] = {}
    for name, p in model.named_parameters():
        found[name] = (id(p), p._array.tobytes(), p.requires_grad, None if p.grad is None else p.grad.tobytes())
    for name, a in model.named_buffers():
        found[name] = (id(a), a.tobytes())
    for name, m in model.named_modules():
        found[f"{name}!"] = {k: id(v) for k, v in vars(m).items()}, m.training, m._forward_hooks, m._backward_hooks
    found["groups"] = [
        {k: v if k != "params" else list(map(id, v)) for k, v in g.items()} for g in optimizer.param_groups
    ]
    found["state"] = {
        id(p): {k: v.tobytes() if isinstance(v, np.ndarray) else v for k, v in entry.items()}
        for p, entry in optimizer.state.items()
    }
    found["generators"] = [str(g.bit_generator.state) for g in generators]
    found["global"] = str(np.random.get_state()), random.getstate()
    found["mode"] = MODE.get()
    return found


@pytest.mark.parametrize("kind", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("trained", [0, 5])
def test_an_examination_leaves_everything_as_it_was(kind: str, trained: int) -> None:
    rng = np.random.default_rng(1)
    model = Plain(network(rng))
    seen: list[int] = []
    model.inner.register_forward_hook(lambda module, inputs, output: seen.append(1))
    parameters = model.parameters()
    optimizer = (
        optim.Adam(parameters, lr=0.01, weight_decay=0.1)
        if kind == "adam"
        else optim.SGD(parameters, lr=3.0, momentum=0.9 if kind == "momentum" else 0.0, weight_decay=0.1)
    )
    batches = Batches(*examples(0), 16, rng)
    schedule = optim.StepLR(optimizer, 3)

    def step(x: Any, y: Any) -> Tensor:
        value = loss(model(x), y)
        value.backward()  # without zero_grad: there is something to diagnose, and a gradient to keep
        optimizer.step()
        return value

    for _ in range(trained):
        step(*next(batches))
    before = contents(model, optimizer, rng), batches.state(), schedule.state_dict(), batches._next
    report = doctor.examine(
        model,
        loss,
        batches,
        optimizer,
        12,
        step=step,
        schedule=schedule,
        evaluate=lambda: model(np.ones((4, 6), np.float32)),
    )
    for finding in report:
        if finding.prescription is not None:
            doctor.treat(finding)
    assert (contents(model, optimizer, rng), batches.state(), schedule.state_dict(), batches._next) == before
    assert seen


def test_training_goes_on_to_the_same_bytes_after_an_examination() -> None:
    ends = []
    for examined in (False, True):
        rng = np.random.default_rng(2)
        model = Plain(network(rng))
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        batches = Batches(*examples(1), 16, rng)

        @npgrad.compile
        def step(x: Any, y: Any, model: Any = model, optimizer: Any = optimizer) -> Tensor:
            value = loss(model(x), y)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            return value

        for k in range(24):
            if examined and k == 12:
                doctor.examine(model, loss, batches, optimizer, 10, step=step)
            step(*next(batches))
        ends.append({name: a.tobytes() for name, a in model.state_dict().items()})
    assert ends[0] == ends[1]


def test_what_raises_on_the_way_leaves_everything_as_it_was_too() -> None:
    rng = np.random.default_rng(3)
    model = Plain(network(rng))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    calls: list[int] = []

    def refusing(output: Tensor, y: Any) -> Tensor:
        calls.append(1)
        if len(calls) > 20:
            raise KeyError("the user's own")
        return loss(output, y)

    batches = Batches(*examples(0), 16, rng)
    before = contents(model, optimizer, rng)
    with pytest.raises(KeyError, match="the user's own"):
        doctor.examine(model, refusing, batches, optimizer, 30)
    assert contents(model, optimizer, rng) == before


def test_batches_that_can_be_read_only_once_are_refused() -> None:
    rng = np.random.default_rng(0)
    model = Plain(network(rng))
    x, y = examples(0)
    with pytest.raises(TypeError, match="cannot be read without using it up"):
        doctor.examine(
            model, loss, ((x[k : k + 8], y[k : k + 8]) for k in range(9)), optim.SGD(model.parameters(), lr=0.1), 10
        )
    with pytest.raises(ValueError, match="no batches"):
        doctor.examine(model, loss, [], optim.SGD(model.parameters(), lr=0.1), 10)
    with pytest.raises(ValueError, match="at least 8 steps"):
        doctor.examine(model, loss, [(x, y)], optim.SGD(model.parameters(), lr=0.1), 3)


@pytest.fixture(scope="module")
def corpus() -> data.Corpus:
    return data.load("data/names.txt", 3)


@pytest.mark.parametrize(
    ("stage", "names"),
    [
        ("original", {"overconfident output", "saturated units"}),
        ("output", {"saturated units"}),
        ("hidden", {"healthy"}),
        ("kaiming", {"healthy"}),
        ("batchnorm", {"healthy"}),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_stages_of_the_lecture(corpus: data.Corpus, stage: str, names: set[str], seed: int) -> None:
    rngs = generators(seed)
    model = models.build("mlp", vocab_size=27, context=3, rng=rngs.init, stage=stage)
    report = doctor.examine(
        model, loss, Batches(*corpus.train, 32, rngs.batches), optim.SGD(model.parameters(), lr=0.1)
    )
    assert set(report.names) == names
    assert report.healthy == (names == {"healthy"})
    where = {finding.name: finding.where for finding in report}
    if "overconfident output" in names:
        assert where["overconfident output"][0] == "output"
    if "saturated units" in names:
        assert where["saturated units"][:2] == ("tanh", "hidden")
    assert all(len(line) <= 80 for line in str(report).splitlines())


def test_a_remedy_that_helps_is_kept_and_one_that_does_not_is_withdrawn(corpus: data.Corpus) -> None:
    rngs = generators(0)
    model = models.build("mlp", vocab_size=27, context=3, rng=rngs.init, stage="original")
    report = doctor.examine(
        model, loss, Batches(*corpus.train, 32, rngs.batches), optim.SGD(model.parameters(), lr=0.1), 60
    )
    finding = next(f for f in report if f.name == "overconfident output")
    cured = doctor.treat(finding)
    assert cured.helps and cured.gone and cured.after < 0.5 * cured.before
    assert "the remedy helps" in str(cured)
    assert all(len(line) <= 80 for line in str(cured).splitlines())
    from dataclasses import replace

    useless = doctor.treat(replace(finding, prescription=lambda patient: None))
    assert not useless.helps and not useless.gone
    assert "withdrawn" in str(useless)
    with pytest.raises(ValueError, match="no remedy"):
        doctor.treat(replace(finding, prescription=None))


def test_what_the_list_does_not_name_is_measured_and_not_guessed_at() -> None:
    class Backwards(npgrad.Function):
        """A rule with the wrong sign."""

        def forward(self, x: Any) -> Any:
            return x * 1

        def backward(self, dy: Any) -> Any:
            return -dy

    class Broken(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            self.inner = inner

        def forward(self, x: Any) -> Tensor:
            return Backwards.apply(self.inner(Tensor(x)))

    rng = np.random.default_rng(0)
    model = Broken(network(rng, norm=False))
    report = doctor.examine(model, loss, Batches(*examples(0), 32, rng), optim.SGD(model.parameters(), lr=0.1), 60)
    assert report.names == ["does not learn"]
    assert report[0].severity == "unknown"
    assert "do not know" in report[0].what
    assert {"first loss", "last loss", "ignorant loss"} <= set(report[0].evidence)


def test_class_imbalance_is_not_overconfidence_and_its_entropy_is_what_counts() -> None:
    x, y = examples(0, 4000)
    keep = (y == 0) | (np.random.default_rng(0).random(len(y)) < 0.03)
    rng = np.random.default_rng(0)
    model = Plain(network(rng, norm=False))
    report = doctor.examine(model, loss, Batches(x[keep], y[keep], 32, rng), optim.SGD(model.parameters(), lr=0.1), 60)
    assert "overconfident output" not in report.names


def test_a_finding_that_explains_others_tells_them_as_its_own() -> None:
    """Weights five times too large: the gain is the finding, what it does to rate and saturation belongs to it."""
    rng = np.random.default_rng(0)
    layers: list[nn.Module] = []
    for a, b in ((6, 32), (32, 32), (32, 32), (32, 32)):
        layers += [nn.Linear(a, b, rng=rng, gain=7.0), nn.ReLU()]
    model = Plain(nn.Sequential(*layers, nn.Linear(32, 3, rng=rng)))
    report = doctor.examine(model, loss, Batches(*examples(0), 32, rng), optim.SGD(model.parameters(), lr=0.1), 60)
    assert report.names == ["signal grows with depth"]
    assert set(report[0].also) & {"overconfident output", "learning rate too high"}


def test_every_threshold_has_a_reason_and_every_cause_is_a_diagnosis() -> None:
    import inspect

    source = "".join(inspect.getsource(diagnosis) for diagnosis in DIAGNOSES)
    for key, threshold in THRESHOLDS.items():
        assert threshold.source and threshold.text, key
    for cause, effects in CAUSES:
        assert cause not in effects
        assert f'"{cause}"' in source, cause


def test_a_detached_layer_never_shows_the_gradient_of_another() -> None:
    """Its nodes are freed during the forward pass, and Python gives their identities to later ones."""

    class Detach(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            x = x.detach()
            return x * Tensor(np.ones(6, np.float32), requires_grad=True) * 0.9 * 1.1 * 0.8 * 1.2  # not layers

    rng = np.random.default_rng(5)
    tanhs: list[nn.Module] = [layer for _ in range(6) for layer in (nn.Linear(6, 6, rng=rng), nn.Tanh())]
    model = Plain(nn.Sequential(*tanhs, Detach(), nn.Linear(6, 3, rng=rng)))
    x, y = examples(0, 64)
    batches = [(x[k : k + 8], y[k : k + 8]) for k in range(0, 64, 8)]
    for _ in range(20):
        patient = doctor.vitals.Patient(model, loss, batches, optim.SGD(model.parameters(), 0.1), 1)
        assert [place.gradient for place in patient.vitals().activations[:6]] == [0.0] * 6
