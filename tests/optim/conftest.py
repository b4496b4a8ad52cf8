"""The optimisers under test, typed once: every test over all of them derives from this table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from npgrad import Tensor, optim

unit = st.floats(0.01, 0.99)
rates = st.floats(1e-4, 0.5)
decays = st.one_of(st.just(0.0), st.floats(1e-4, 0.3))


@st.composite
def sgd_options(draw: st.DrawFn) -> dict[str, Any]:
    momentum = draw(st.one_of(st.just(0.0), unit))
    nesterov = draw(st.booleans()) if momentum else False
    dampening = 0.0 if nesterov else draw(st.one_of(st.just(0.0), unit))
    return {
        "lr": draw(rates),
        "momentum": momentum,
        "dampening": dampening,
        "weight_decay": draw(decays),
        "nesterov": nesterov,
        "maximize": draw(st.booleans()),
    }


@st.composite
def adam_options(draw: st.DrawFn) -> dict[str, Any]:
    # Without a memory of squares (beta2 near 0) every gradient near 0 amplifies rounding: nothing to compare then.
    return {
        "lr": draw(rates),
        "betas": (draw(st.floats(0.0, 0.99)), draw(st.floats(0.5, 0.9999))),
        "eps": draw(st.sampled_from([1e-8, 1e-3, 0.1])),
        "weight_decay": draw(decays),
        "amsgrad": draw(st.booleans()),
        "maximize": draw(st.booleans()),
    }


def sgd_formula(p: np.ndarray, gradients: list[np.ndarray], o: dict[str, Any]) -> np.ndarray:
    b: Any = None
    for g in gradients:
        g = (-g if o["maximize"] else g) + o["weight_decay"] * p
        b = g if b is None else o["momentum"] * b + (1 - o["dampening"]) * g
        p = p - o["lr"] * (g + o["momentum"] * b if o["nesterov"] else b if o["momentum"] else g)
    return p


def adam_formula(p: np.ndarray, gradients: list[np.ndarray], o: dict[str, Any], decoupled: bool) -> np.ndarray:
    (beta1, beta2), lr = o["betas"], o["lr"]
    m = v = largest = np.zeros_like(p)
    for t, g in enumerate(gradients, 1):
        g = -g if o["maximize"] else g
        if decoupled:
            p = (1 - lr * o["weight_decay"]) * p
        else:
            g = g + o["weight_decay"] * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        largest = np.maximum(largest, v) if o["amsgrad"] else v
        p = p - lr * (m / (1 - beta1**t)) / (np.sqrt(largest / (1 - beta2**t)) + o["eps"])
    return p


@st.composite
def adagrad_options(draw: st.DrawFn) -> dict[str, Any]:
    eps = draw(st.sampled_from([1e-6, 0.1]))
    common = {"lr": draw(rates), "eps": eps, "weight_decay": draw(decays), "maximize": draw(st.booleans())}
    return {**common, "lr_decay": draw(decays)}


@st.composite
def rmsprop_options(draw: st.DrawFn) -> dict[str, Any]:
    # With eps near 0 and few gradients, the variance in `centered` is what rounding has left of it.
    return {
        "lr": draw(rates),
        "alpha": draw(st.floats(0.5, 0.999)),
        "eps": 0.1,
        "weight_decay": draw(decays),
        "momentum": draw(st.one_of(st.just(0.0), unit)),
        "centered": draw(st.booleans()),
        "maximize": draw(st.booleans()),
    }


def adagrad_formula(p: np.ndarray, gradients: list[np.ndarray], o: dict[str, Any]) -> np.ndarray:
    s = np.zeros_like(p)
    for t, g in enumerate(gradients, 1):
        g = (-g if o["maximize"] else g) + o["weight_decay"] * p
        s = s + g**2
        p = p - o["lr"] / (1 + (t - 1) * o["lr_decay"]) * g / (np.sqrt(s) + o["eps"])
    return p


def rmsprop_formula(p: np.ndarray, gradients: list[np.ndarray], o: dict[str, Any]) -> np.ndarray:
    v = m = b = np.zeros_like(p)
    for g in gradients:
        g = (-g if o["maximize"] else g) + o["weight_decay"] * p
        v, m = (o["alpha"] * a + (1 - o["alpha"]) * x for a, x in ((v, g**2), (m, g)))
        b = o["momentum"] * b + g / (np.sqrt(v - m**2 if o["centered"] else v) + o["eps"])
        p = p - o["lr"] * b
    return p


@st.composite
def radam_options(draw: st.DrawFn) -> dict[str, Any]:
    options = {k: v for k, v in draw(adam_options()).items() if k != "amsgrad"}
    return {**options, "decoupled_weight_decay": draw(st.booleans())}


def radam_formula(p: np.ndarray, gradients: list[np.ndarray], o: dict[str, Any]) -> np.ndarray:
    (beta1, beta2), lr, decay = o["betas"], o["lr"], o["weight_decay"]
    m = v = np.zeros_like(p)
    for t, g in enumerate(gradients, 1):
        g = -g if o["maximize"] else g
        p, g = ((1 - lr * decay) * p, g) if o["decoupled_weight_decay"] else (p, g + decay * p)
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        whole = 2 / (1 - beta2) - 1
        rho = whole - 2 * t * beta2**t / (1 - beta2**t)
        step = m / (1 - beta1**t)
        if rho > 5:
            r = np.sqrt((rho - 4) * (rho - 2) * whole / ((whole - 4) * (whole - 2) * rho))
            step = step * r * np.sqrt(1 - beta2**t) / (np.sqrt(v) + o["eps"])
        p = p - lr * step
    return p


@st.composite
def adamax_options(draw: st.DrawFn) -> dict[str, Any]:
    return {k: v for k, v in draw(adam_options()).items() if k != "amsgrad"}


def adamax_formula(p: np.ndarray, gradients: list[np.ndarray], o: dict[str, Any]) -> np.ndarray:
    beta1, beta2 = o["betas"]
    m = u = np.zeros_like(p)
    for t, g in enumerate(gradients, 1):
        g = (-g if o["maximize"] else g) + o["weight_decay"] * p
        m, u = beta1 * m + (1 - beta1) * g, np.maximum(beta2 * u, np.abs(g) + o["eps"])
        p = p - o["lr"] / (1 - beta1**t) * m / u
    return p


@st.composite
def adadelta_options(draw: st.DrawFn) -> dict[str, Any]:
    common = {"lr": draw(rates), "weight_decay": draw(decays), "maximize": draw(st.booleans())}
    return {**common, "rho": draw(st.floats(0.5, 0.999)), "eps": draw(st.sampled_from([1e-4, 0.1]))}


def adadelta_formula(p: np.ndarray, gradients: list[np.ndarray], o: dict[str, Any]) -> np.ndarray:
    v = a = np.zeros_like(p)
    for g in gradients:
        g = (-g if o["maximize"] else g) + o["weight_decay"] * p
        v = o["rho"] * v + (1 - o["rho"]) * g**2
        d = np.sqrt((a + o["eps"]) / (v + o["eps"])) * g
        a = o["rho"] * a + (1 - o["rho"]) * d**2
        p = p - o["lr"] * d
    return p


@st.composite
def nadam_options(draw: st.DrawFn) -> dict[str, Any]:
    return {**draw(radam_options()), "momentum_decay": draw(st.floats(0.0, 0.1))}


def nadam_formula(p: np.ndarray, gradients: list[np.ndarray], o: dict[str, Any]) -> np.ndarray:
    (beta1, beta2), lr, decay = o["betas"], o["lr"], o["weight_decay"]
    m = v = np.zeros_like(p)
    mu = beta1 * (1 - 0.96 ** (np.arange(1, len(gradients) + 2) * o["momentum_decay"]) / 2)
    for t, g in enumerate(gradients, 1):
        g = -g if o["maximize"] else g
        p, g = ((1 - lr * decay) * p, g) if o["decoupled_weight_decay"] else (p, g + decay * p)
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        ahead = (1 - mu[t - 1]) / (1 - mu[:t].prod()) * g + mu[t] / (1 - mu[: t + 1].prod()) * m
        p = p - lr * ahead / (np.sqrt(v / (1 - beta2**t)) + o["eps"])
    return p


@dataclass(frozen=True)
class Case:
    options: st.SearchStrategy[dict[str, Any]]
    """Every option, under torch's names."""
    example: dict[str, Any]
    """Options that make use of every array it keeps."""
    formula: Callable[[np.ndarray, list[np.ndarray], dict[str, Any]], np.ndarray]
    """Where the equations in the docstring take a parameter under given gradients and options (all of them)."""


OPTIMISERS = {
    "SGD": Case(sgd_options(), {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}, sgd_formula),
    "Adam": Case(
        adam_options(),
        {"lr": 0.01, "betas": (0.8, 0.99), "amsgrad": True},
        lambda p, g, o: adam_formula(p, g, o, False),
    ),
    "Adagrad": Case(adagrad_options(), {"lr": 0.1, "lr_decay": 0.01}, adagrad_formula),
    "RMSprop": Case(rmsprop_options(), {"lr": 0.01, "momentum": 0.5, "centered": True, "eps": 0.1}, rmsprop_formula),
    "Adadelta": Case(adadelta_options(), {"lr": 0.5, "rho": 0.8, "eps": 0.01}, adadelta_formula),
    "NAdam": Case(nadam_options(), {"lr": 0.01, "betas": (0.8, 0.99), "momentum_decay": 0.01}, nadam_formula),
    "Adamax": Case(adamax_options(), {"lr": 0.01, "betas": (0.8, 0.99)}, adamax_formula),
    "RAdam": Case(radam_options(), {"lr": 0.01, "betas": (0.8, 0.9)}, radam_formula),
    "AdamW": Case(adam_options(), {"lr": 0.01, "amsgrad": True}, lambda p, g, o: adam_formula(p, g, o, True)),
}

each_optimiser = pytest.mark.parametrize("name", list(OPTIMISERS))


def make(name: str, params: Any, **options: Any) -> optim.Optimizer:
    """An optimiser with the given options, or else those of its example."""
    made: optim.Optimizer = getattr(optim, name)(params, **(options or OPTIMISERS[name].example))
    return made


def leaves(*values: np.ndarray) -> list[Tensor]:
    return [Tensor(value, requires_grad=True) for value in values]


def steps(parameters: list[Tensor], optimizer: optim.Optimizer, rng: np.random.Generator, n: int) -> None:
    """n steps with random gradients, each of which is absent now and then."""
    for _ in range(n):
        for p in parameters:
            p.grad = np.asarray(rng.normal(size=p.shape), p.dtype) if rng.random() < 0.8 else None
        optimizer.step()
