"""What a healthy case may have about it without being ill."""

from __future__ import annotations

import numpy as np

from npgrad import Tensor, optim
from tests.ward.case import STEPS, Array, Case, hold_back, multiply, rebatch, train, weighted


def imbalanced(case: Case, rng: np.random.Generator) -> None:
    x, y = case.batches.x, case.batches.y
    keep = (y == 0) | (rng.random(len(y)) < 0.1)
    rebatch(case, x[keep], y[keep])


def zero_output(case: Case, rng: np.random.Generator) -> None:
    multiply(weighted(case)[-1][1], 0.0)


def ordinary_output(case: Case, rng: np.random.Generator) -> None:
    multiply(weighted(case)[-1][1], 6.0)


def mild_decay(case: Case, rng: np.random.Generator) -> None:
    for group in case.optimizer.param_groups:
        group["weight_decay"] = 1e-4


def late_schedule(case: Case, rng: np.random.Generator) -> None:
    case.options["schedule"] = optim.CosineAnnealingLR(case.optimizer, 20 * STEPS)


def own_step(case: Case, rng: np.random.Generator) -> None:
    model, loss_of, optimizer = case.model, case.loss, case.optimizer

    def step(x: Array, y: Array) -> Tensor:
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    case.options["step"] = step


def good_evaluation(case: Case, rng: np.random.Generator) -> None:
    x, y = case.batches.x, case.batches.y

    def evaluate() -> float:
        case.model.eval()
        found = case.loss(case.model(x[:200]), y[:200]).item()
        case.model.train()
        return found

    case.options["evaluate"] = evaluate
    case.options["validation"] = (x[-500:], y[-500:])


def trained(case: Case, rng: np.random.Generator, steps: int = 200) -> None:
    """Healthy, and already trained."""
    hold_back(case)
    train(case, steps)


def annealed(case: Case, rng: np.random.Generator, steps: int = 1600, end: float = 0.05, times: float = 1) -> None:
    """Trained while the rate fell, in a line, to a share `end` of it, where it stays; `times` that for comparison."""
    hold_back(case)
    rate = case.optimizer.param_groups[0]["lr"]
    for k in range(1, 41):
        case.optimizer.lr = rate * (1 - (1 - end) * k / 40)
        train(case, steps // 40)
    case.optimizer.lr *= times


def wrong_labels(case: Case, rng: np.random.Generator) -> None:
    x, y = case.batches.x, case.batches.y
    rebatch(case, x, np.where(rng.random(len(y)) < 0.2, rng.permutation(y), y))


def small_batches(case: Case, rng: np.random.Generator) -> None:
    rebatch(case, case.batches.x, case.batches.y, 8)


def listed(case: Case, rng: np.random.Generator) -> None:
    case.batches = [next(case.batches) for _ in range(STEPS)]
