"""Whether more units would help: a network with a hidden layer beside it, and the network alone, for the same steps.

What a network could learn from its inputs if it were larger is not known; whether it is its size that keeps it from it
is. Units are added whose outputs begin at 0, as Net2Net widens a network without a change of what it computes (Chen et
al. 2016, arXiv:1511.05641), and both are trained alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad.diagnose.doctor.exam import Exam
from npgrad.diagnose.doctor.fresh import GAINS, redraw
from npgrad.diagnose.doctor.vitals import Course, Patient
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor
from npgrad.functions import relu
from npgrad.nn import Embedding, Linear, Module, Parameter
from npgrad.optim import Adam

__all__ = ["LARGEST", "UNITS", "Widened", "anew", "as_it_is", "trained_on", "with_more_units"]

UNITS = 128
LARGEST = 4096
"""Numbers in an input, at most."""
STEPS = 640
RATE = 0.01
"""Of Adam at the first step; it falls to 0 in a line, so that the end is settled."""
SYMBOLS = 8192
"""Whole numbers are symbols if there are no more of them than this, over all columns."""


class Widened(Module):
    """The outputs of a network plus those of a hidden layer over the same inputs, which begin at 0.

    Inputs are (rows, …) numbers, standardised as `x`, the examples at hand, or (rows, columns) of symbols; outputs
    are (rows, `outputs`).
    """

    def __init__(self, network: Module, x: Array, outputs: int, rng: np.random.Generator) -> None:
        self.network = network
        rows = x.reshape(len(x), -1)
        self.symbols = 0
        if x.dtype.kind in "iu" and rows.min() >= 0 and (int(rows.max()) + 1) * rows.shape[1] <= SYMBOLS:
            self.symbols = int(rows.max()) + 1
            # A sum over columns of one vector a symbol is a linear layer over one-hot columns.
            self.first: Module = Embedding(self.symbols * rows.shape[1], UNITS, rng=rng)
            self.first.weight.data = self.first.weight.data / np.sqrt(np.float32(rows.shape[1]))
        else:
            self.mean, spread = rows.mean(0), rows.std(0)
            self.spread = np.where(spread > 0, spread, 1)
            self.first = Linear(rows.shape[1], UNITS, rng=rng, gain=GAINS["Relu"])
            self.first.bias = Parameter(0.5 * rng.standard_normal(UNITS).astype(np.float32))  # bends at various places
        self.last = Linear(UNITS, outputs, rng=rng)
        self.last.weight.data = np.zeros_like(self.last.weight.data)

    def forward(self, x: Any) -> Tensor:
        rows = np.asarray(x._array if isinstance(x, Tensor) else x).reshape(len(x), -1)
        if self.symbols:
            columns = self.symbols * np.arange(rows.shape[1])
            hidden = self.first(np.clip(rows, 0, self.symbols - 1) + columns).sum(axis=1)
        else:
            hidden = self.first(Tensor(((rows - self.mean) / self.spread).astype(np.float32)))
        output: Tensor = self.network(x) + self.last(relu(hidden))
        return output


def with_more_units(exam: Exam) -> Callable[[Patient], None]:
    """What adds the units to a patient and gives it an optimiser for all of it."""
    x, _ = exam.whole
    outputs = exam.early.outputs[0].shape[1]

    def apply(patient: Patient) -> None:
        patient.model = Widened(patient.model, x, outputs, np.random.default_rng(0))
        as_it_is(patient)

    return apply


def as_it_is(patient: Patient) -> None:
    """The usual steps, by an Adam that begins here."""
    patient.optimizer = Adam(patient.model.parameters(), lr=RATE)
    patient.step, patient.schedule = None, None


def anew(exam: Exam) -> Callable[[Patient], None]:
    """What draws the weights again: a network that is stuck is not too small."""

    def apply(patient: Patient) -> None:
        layers = [place for place in exam.early.places if place.parameters and place.kind != "Embedding"]
        redraw(patient, layers, GAINS["Relu"], np.random.default_rng(0))
        as_it_is(patient)

    return apply


def trained_on(exam: Exam, change: Callable[[Patient], None], look: Callable[[], None] | None = None) -> Course:
    """`STEPS` steps of the changed patient at a rate that falls to 0; `look` is called at the end."""

    def changed(patient: Patient) -> None:
        change(patient)
        patient.schedule = lambda t: RATE * (1 - t / STEPS)

    return exam.patient.train(STEPS, changed, look)
