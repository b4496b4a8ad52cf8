"""The diagnoses: each a function from an examination to what it found of one illness.

They are independent of each other; `CAUSES` says which finding explains which.
"""

from __future__ import annotations

from collections.abc import Callable

from npgrad.diagnose.doctor.exam import Exam, Found
from npgrad.diagnose.doctor.faults import columns, repeated_batches, scales, targets
from npgrad.diagnose.doctor.fit import overfitting, short_context, underfitting
from npgrad.diagnose.doctor.gradients import (
    gradients_that_never_arrive,
    overconfident_output,
    stale_gradients,
    summed_loss,
)
from npgrad.diagnose.doctor.normalisation import batch_norm_statistics, norm_modes, useless_bias
from npgrad.diagnose.doctor.units import dead_units, depth, identical_units, saturated_units
from npgrad.diagnose.doctor.updates import early_decay, learning_rate, uneven_updates, weight_decay

__all__ = ["CAUSES", "DIAGNOSES"]

DIAGNOSES: list[Callable[[Exam], Found]] = [
    summed_loss,
    overconfident_output,
    saturated_units,
    dead_units,
    depth,
    identical_units,
    gradients_that_never_arrive,
    stale_gradients,
    useless_bias,
    norm_modes,
    batch_norm_statistics,
    columns,
    scales,
    repeated_batches,
    targets,
    weight_decay,
    early_decay,
    learning_rate,
    uneven_updates,
    overfitting,
    underfitting,
    short_context,
]

_UNITS = {"saturated units", "dead units", "units knocked out"}
_RATE = {"learning rate too high", "units knocked out", "uneven updates"}
CAUSES: list[tuple[str, set[str]]] = [
    ("running statistics not settled", {"underfitting"}),
    ("underfitting", {"saturated units", "dead units", "does not learn", "context too short"}),
    (
        "unscaled input",
        {
            "overconfident output",
            "saturated units",
            "dead units",
            "learning rate too low",
            "signal grows with depth",
            "signal shrinks with depth",
            "weight decay too strong",
        }
        | _RATE,
    ),
    ("summed loss", _RATE | {"overconfident output"}),
    ("stale gradients", _RATE),
    (
        "identical units",
        {
            "overconfident output",
            "signal shrinks with depth",
            "signal grows with depth",
            "uneven updates",
            "learning rate too low",
            "detached parameter",
            "learning rate too high",
        }
        | _UNITS,
    ),
    (
        "signal grows with depth",
        {"saturated units", "overconfident output", "dead units", "weight decay too strong"} | _RATE,
    ),
    ("saturated units", {"signal grows with depth", "signal shrinks with depth"} | _RATE),
    ("dead units", {"signal shrinks with depth", "uneven updates", "learning rate too low", "units knocked out"}),
    (
        "signal shrinks with depth",
        {"uneven updates", "learning rate too low", "learning rate too high", "units knocked out"},
    ),
    (
        "overconfident output",
        {"learning rate too high", "uneven updates", "units knocked out", "learning rate too low"},
    ),
    (
        "weight decay too strong",
        {"learning rate too low", "uneven updates", "learning rate too high", "units knocked out"},
    ),
    ("learning rate too high", {"units knocked out", "uneven updates"}),
    ("learning rate too low", {"uneven updates"}),
    ("schedule decays too early", {"learning rate too low", "uneven updates"}),
    ("shuffled labels", {"overfitting", "learning rate too low", "learning rate too high"}),
    ("label leak", {"overfitting"}),
    ("shifted targets", {"overfitting", "shuffled labels", "label leak"}),
    ("duplicated batches", {"overfitting", "shuffled labels", "label leak"}),
    (
        "batch too small for norm",
        {"learning rate too high", "running statistics too fast", "overfitting", "units knocked out"},
    ),
    ("training in evaluation mode", {"bias useless before norm"}),
]
"""(cause, what it explains): of findings present together, the explained ones are told as part of their cause."""
