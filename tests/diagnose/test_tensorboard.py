"""What is written for TensorBoard, seen by a writer that only takes notes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npgrad.diagnose import Monitor, write_tensorboard
from tests.diagnose.test_monitor import OPTIMIZERS, network, train


class Notes:
    def __init__(self) -> None:
        self.scalars: dict[tuple[str, int], float] = {}
        self.histograms: dict[tuple[str, int], dict[str, Any]] = {}

    def add_scalar(self, tag: str, value: float, global_step: int) -> None:
        self.scalars[tag, global_step] = value

    def add_histogram_raw(self, tag: str, *, global_step: int, **facts: Any) -> None:
        self.histograms[tag, global_step] = facts


def test_every_number_arrives_with_its_step() -> None:
    model = network()
    optimizer = OPTIMIZERS["adam"](model)
    monitor = Monitor(model, optimizer, every=3)
    train(model, optimizer, monitor)
    record, notes = monitor.record, Notes()
    write_tensorboard(record, notes)
    assert {step for _, step in notes.scalars} == {0, 3, 6}
    assert notes.scalars["loss", 6] == record.loss[2]
    tanh = record.activations()[0]
    name = record.layer_name[tanh]
    assert notes.scalars[f"saturated_0.97/{name}", 3] == record.saturated[1, tanh, 0]
    assert notes.scalars[f"gradient_std/{name}", 3] == record.gradient_std[1, tanh]
    k = record.matrices()[1]
    ratio = notes.scalars[f"log10_update_to_data/{record.parameter_name[k]}", 6]
    assert 10**ratio == pytest.approx(record.update_to_data[2, k])
    assert all(np.isfinite(value) for value in notes.scalars.values())
    facts = notes.histograms[f"activation/{name}", 0]
    assert facts["num"] == sum(facts["bucket_counts"]) == record.activation_counts[0, tanh].sum()
    assert len(facts["bucket_limits"]) == len(facts["bucket_counts"]) and facts["bucket_limits"][-1] == facts["max"]


def test_without_tensorboardx_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"pip install 'npgrad\[tensorboard\]'"):
        write_tensorboard(Monitor(network()).record, tmp_path)
