"""A record for TensorBoard, beside whatever else a run writes there."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from npgrad.diagnose.record import Record
from npgrad.engine.arrays import Array

__all__ = ["write_tensorboard"]


def write_tensorboard(record: Record, writer: Any) -> None:
    """Write every number and histogram of `record` as scalars and histograms with the step they belong to.

    `writer` is a folder, in which a tensorboardX event file is made, or an open writer with the methods `add_scalar`
    and `add_histogram_raw`, which stays open. Numbers that are not finite are left out.

    Raises ImportError if a folder is given and tensorboardX is not installed.
    """
    if isinstance(writer, str | os.PathLike):
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "writing for TensorBoard needs tensorboardX, which is not installed: pip install 'npgrad[tensorboard]'."
            ) from error
        with SummaryWriter(os.fspath(writer)) as opened:
            write_tensorboard(record, opened)
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        true_ratio, lecture_ratio = np.log10(record.update_to_data), np.log10(record.lecture_ratio)
    layers = [str(name) or str(kind) for name, kind in zip(record.layer_name, record.layer_kind, strict=True)]
    parameters = [str(name) for name in record.parameter_name]
    norms = [str(name) for name in record.norm_name]
    tables: list[tuple[str, list[str], Array]] = [
        ("activation_mean", layers, record.activation_mean),
        ("activation_std", layers, record.activation_std),
        ("zero", layers, record.zero),
        ("gradient_mean", layers, record.gradient_mean),
        ("gradient_std", layers, record.gradient_std),
        ("weight_gradient_std", parameters, record.parameter_gradient_std),
        ("gradient_to_data", parameters, record.gradient_to_data),
        ("log10_update_to_data", parameters, true_ratio),
        ("log10_lecture_ratio", parameters, lecture_ratio),
        ("running_moved", norms, record.running_moved),
        ("running_mean_gap", norms, record.running_mean_gap),
        ("running_std_gap", norms, record.running_std_gap),
    ]
    tables += [
        (f"saturated_{threshold:g}", layers, record.saturated[:, :, k]) for k, threshold in enumerate(record.threshold)
    ]
    histograms: list[tuple[str, list[str], Array, Array]] = [
        ("activation", layers, record.activation_counts, record.activation_range),
        ("gradient", layers, record.gradient_counts, record.gradient_range),
        ("weight_gradient", parameters, record.parameter_gradient_counts, record.parameter_gradient_range),
    ]
    for t, step in enumerate(record.step.tolist()):
        if np.isfinite(record.loss[t]):
            writer.add_scalar("loss", float(record.loss[t]), step)
        for title, names, table in tables:
            for name, value in zip(names, table[t].tolist(), strict=True):
                if np.isfinite(value):
                    writer.add_scalar(f"{title}/{name}", value, step)
        for title, names, counts, spans in histograms:
            for name, count, (low, high) in zip(names, counts[t], spans[t].tolist(), strict=True):
                if count.any():
                    _histogram(writer, f"{title}/{name}", count, low, high, step)


def _histogram(writer: Any, tag: str, counts: Array, low: float, high: float, step: int) -> None:
    edges = np.linspace(low, high, len(counts) + 1)
    centres = (edges[1:] + edges[:-1]) / 2
    writer.add_histogram_raw(
        tag,
        min=low,
        max=high,
        num=int(counts.sum()),
        sum=float(counts @ centres),
        sum_squares=float(counts @ centres**2),
        bucket_limits=edges[1:].tolist(),
        bucket_counts=counts.tolist(),
        global_step=step,
    )
