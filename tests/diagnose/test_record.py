"""Record: saved and loaded it is the same, and needs neither model nor monitor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from npgrad import nn
from npgrad.diagnose import Monitor, Record
from tests.diagnose.test_monitor import OPTIMIZERS, assert_same, network, train


@pytest.fixture(scope="module")
def record() -> Record:
    model = network()
    optimizer = OPTIMIZERS["momentum"](model)
    monitor = Monitor(model, optimizer, every=2)
    train(model, optimizer, monitor)
    return monitor.record


def test_a_file_brings_back_the_same_record(record: Record, tmp_path: Path) -> None:
    path = tmp_path / "a run"  # exactly this name, without a suffix
    record.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["a run"]
    assert_same(Record.load(path), record)


def test_an_empty_record_is_a_record_too(tmp_path: Path) -> None:
    empty = Monitor(nn.Sequential(nn.Tanh())).record
    empty.save(tmp_path / "empty.npz")
    assert_same(Record.load(tmp_path / "empty.npz"), empty)
    assert repr(empty) == "Record(0 rows; 0 layers, 0 parameters)"


def test_two_records_fit_into_one_archive(record: Record) -> None:
    other = Monitor(nn.Sequential(nn.Tanh())).record
    arrays = {**record.to_arrays("a/"), **other.to_arrays("b/")}
    assert_same(Record.from_arrays(arrays, "a/"), record)
    assert_same(Record.from_arrays(arrays, "b/"), other)


def test_nothing_of_a_model_is_needed_to_load(record: Record, tmp_path: Path) -> None:
    record.save(tmp_path / "run.npz")
    code = (
        "import sys; from npgrad.diagnose import Record; r = Record.load(sys.argv[1]); print(r);"
        "assert not {'matplotlib', 'models', 'tensorboardX'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run.npz"], capture_output=True, text=True)
    assert done.stdout.strip() == repr(record), done.stderr


def test_a_failed_write_leaves_the_old_file(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.npz"
    record.save(path)
    content = path.read_bytes()

    def fail(file: object, **arrays: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="disk full"):
        record.save(path)
    assert path.read_bytes() == content and len(list(tmp_path.iterdir())) == 1


def test_other_files_are_refused(record: Record, tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "text").write_text("no record at all", encoding="utf-8")
    record.save(tmp_path / "whole")
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:500])
    for name in ("array.npy", "text", "cut"):
        with pytest.raises(ValueError, match=f"{name} is not a record"):
            Record.load(tmp_path / name)
    arrays = record.to_arrays()
    with pytest.raises(ValueError, match=r"prefix 'x/': step, loss"):
        Record.from_arrays(arrays, "x/")
    with pytest.raises(ValueError, match="format 99"):
        Record.from_arrays({**arrays, "record_version": np.array(99)})


def test_things_are_found_by_kind_and_step(record: Record) -> None:
    kinds = record.layer_kind.tolist()
    assert [kinds[k] for k in record.layers("Tanh", "Linear")] == ["Linear", "Tanh"] * 2 + ["Linear"]
    assert record.layers() == list(range(len(kinds)))
    assert [kinds[k] for k in record.activations()] == ["Tanh", "Tanh"]
    with pytest.raises(ValueError, match=r"no layer of kind 'ReLU'.*BatchNorm1d, Dropout"):
        record.layers("ReLU")
    assert [record.parameter_name[k] for k in record.matrices()] == ["0.weight", "2.weight", "6.weight", "10.weight"]
    assert (record.row(), record.row(0), record.row(3), record.row(100)) == (3, 0, 1, 3)
    assert record.depth == 3


def test_ratios_are_nan_where_all_data_are_equal(record: Record) -> None:
    gamma = record.parameter_name.tolist().index("3.weight")  # the scale of batch normalisation begins as ones
    assert np.isnan(record.update_to_data[0, gamma]) and np.isfinite(record.update_to_data[1, gamma])
    np.testing.assert_array_equal(record.lecture_ratio, record.learning_rate * record.gradient_to_data)
