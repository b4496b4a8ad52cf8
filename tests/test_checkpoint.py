"""Checkpoints come back to the bit, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import pickle
import re
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from npgrad import Tensor, checkpoint, nn
from npgrad.checkpoint import CheckpointError, load, save

arrays = hnp.arrays(
    st.sampled_from(["f4", "f8", ">f8", "c16", "i8", "u1", "?"]), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0)
)
numbers = st.integers() | st.floats() | st.booleans() | st.none() | st.text()
trees = st.recursive(
    numbers | arrays | st.floats(width=32).map(np.float32),
    lambda below: (
        st.lists(below, max_size=4)
        | st.lists(below, max_size=4).map(tuple)
        | st.dictionaries(st.text(), below, max_size=4)
        | st.dictionaries(st.integers() | st.text(), below, max_size=4)
    ),
    max_leaves=12,
)
STATE = {"weights": np.arange(6.0).reshape(2, 3), "step": 7}


def same(a: Any, b: Any) -> bool:
    """Equal in type, dtype and every bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoint") / "state"


@given(trees)
def test_what_is_saved_comes_back(path: Path, tree: Any) -> None:
    sha = save(path, tree)
    assert same(load(path), tree)
    assert sha == hashlib.sha256(path.read_bytes()).hexdigest() == save(path, tree)


@pytest.mark.parametrize("kind", ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"])
def test_generators_go_on_where_they_were(path: Path, kind: str) -> None:
    rng = np.random.Generator(getattr(np.random, kind)(3))
    rng.standard_normal(5)
    save(path, rng.bit_generator.state)
    other = np.random.Generator(getattr(np.random, kind)(0))
    other.bit_generator.state = load(path)
    assert np.array_equal(rng.standard_normal(9), other.standard_normal(9))


def test_tensors_layouts_and_fresh_memory(path: Path) -> None:
    array = np.arange(12.0).reshape(3, 4)
    save(path, [Tensor(array, requires_grad=True), array.T, array[::-2], np.broadcast_to(1.0, (2, 2))])
    loaded = load(path)
    for found, wanted in zip(loaded, [array, array.T, array[::-2], np.ones((2, 2))], strict=True):
        assert np.array_equal(found, wanted)
        found += 1


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": [1, {2}]}, "state['a'][1] is a set"),
        ({"rng": np.random.default_rng(0)}, "state['rng'] is a Generator, which a checkpoint cannot hold: save its"),
        ({"a": np.array(["x"])}, "state['a'] is an array of dtype <U1"),
        ({(1, 2): 3}, "state has a key of type tuple"),
        ([np.ma.array([1.0, 2.0], mask=[0, 1])], "state[0] is a masked array, whose mask a checkpoint would lose"),
        ([np.ma.array([1.0, 2.0])], "state[0] is a masked array"),
    ],
)
def test_what_cannot_be_saved_is_named(path: Path, state: Any, message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        save(path, state)


# -- harm --------------------------------------------------------------------------------------------------------------


@given(st.data())
def test_any_flipped_bit_is_noticed(path: Path, data: st.DataObject) -> None:
    save(path, STATE)
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        load(path)


@given(st.data())
def test_any_missing_or_additional_bytes_are_noticed(path: Path, data: st.DataObject) -> None:
    save(path, STATE)
    content = path.read_bytes()
    length = data.draw(st.integers(0, len(content) + 3).filter(lambda n: n != len(content)))
    path.write_bytes((content + b"\0\0\0")[:length])
    with pytest.raises(CheckpointError):
        load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: b"", "is not an npgrad checkpoint"),
        (lambda content: b"hello, world", "is not an npgrad checkpoint"),
        (lambda content: pickle.dumps(STATE), "is not an npgrad checkpoint"),
        (lambda content: content[:30], "is truncated: it ends after 30 bytes"),
        (lambda content: content[:-5], "is truncated"),
        (lambda content: content[:-1] + b"?", "is damaged: its bytes do not match their checksum"),
        (
            lambda content: content[:8] + b"\x02" + content[9:],
            "has checkpoint format 2, and this npgrad reads format 1",
        ),
    ],
)
def test_refusals_are_one_sentence(path: Path, change: Any, message: str) -> None:
    save(path, STATE)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(CheckpointError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def test_a_forged_checksum_is_no_way_in(path: Path) -> None:
    save(path, STATE)
    for old, new in ((b'"<f8"', b'"|O8"'), (b"[2,3]", b"[9,9]"), (b'"dict"', b'"dcit"'), (b"[2,3]", b"[2,1]")):
        content = path.read_bytes()
        assert old in content
        forged = path.with_name("forged")
        forged.write_bytes(signed(content.replace(old, new)))
        with pytest.raises(CheckpointError, match="content that npgrad never writes"):
            load(forged)


def signed(content: bytes) -> bytes:
    """A checkpoint with the checksum that its content would have."""
    return content[:20] + hashlib.sha256(content[:20] + content[52:]).digest() + content[52:]


def crafted(header: object, arrays: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    body = struct.pack("<Q", len(text)) + text + arrays
    return signed(struct.pack("<8sIQ", b"\x89npgrad\n", 1, 52 + len(body)) + bytes(32) + body)


ONE = {"dtype": "<f8", "shape": [1]}


@pytest.mark.parametrize(
    "header",
    [
        None, [], {}, {"tree": 1}, {"arrays": []}, {"tree": 1, "arrays": {}}, {"tree": 1, "arrays": 3},
        *({"tree": {tag: content}, "arrays": [ONE]} for tag, content in (
            ("dict", [1]), ("dict", None), ("items", {"a": 1}), ("items", [1]), ("items", [[[], 1]]), ("tuple", 5),
            ("array", 1), ("array", -1), ("array", "0"), ("array", [0]), ("scalar", None), ("set", [1]),
            ("tuple", [{"array": 0}, {"array": 0}]), ("tuple", []),
        )),
        {"tree": {}, "arrays": []}, {"tree": {"dict": {}, "tuple": []}, "arrays": []},
        *({"tree": {"array": 0}, "arrays": [{**ONE, **change}]} for change in (
            {"dtype": "f8,,("}, {"dtype": "O"}, {"dtype": "<f3"}, {"dtype": "|V8"}, {"dtype": None}, {"dtype": ["<f8"]},
            {"dtype": {"names": ["a"]}}, {"shape": [-1]}, {"shape": ["1"]}, {"shape": [1.0]}, {"shape": 1},
            {"shape": [2]}, {"shape": [0]}, {"shape": [0, 10**30]}, {"shape": [10**9] * 3}, {"shape": [1] * 99},
        )),
    ],
)  # fmt: skip
def test_whatever_has_a_right_checksum_and_is_no_checkpoint_is_one_error(path: Path, header: object) -> None:
    path.write_bytes(crafted(header, bytes(8)))
    with pytest.raises(CheckpointError, match="has a correct checksum and content that npgrad never writes"):
        load(path)
    path.write_bytes(crafted({"tree": {"array": 0}, "arrays": [ONE]}, bytes(8)))
    assert same(load(path), np.zeros(1))


def test_nesting_without_end(path: Path) -> None:
    text = b'{"tree":' + b"[" * 200_000
    body = struct.pack("<Q", len(text)) + text
    path.write_bytes(signed(struct.pack("<8sIQ", b"\x89npgrad\n", 1, 52 + len(body)) + bytes(32) + body))
    with pytest.raises(CheckpointError, match="content that npgrad never writes"):
        load(path)


@given(st.data())
def test_any_byte_of_the_header_changed_with_a_right_checksum(path: Path, data: st.DataObject) -> None:
    save(path, {"weights": np.arange(6.0).reshape(2, 3), "step": (7, None)})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(52, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(signed(bytes(content)))
    with contextlib.suppress(CheckpointError):
        load(path)


# -- atomicity ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_save_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = tmp_path / "state"
    save(path, STATE)

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        save(path, {"other": np.zeros(1000)})
    monkeypatch.undo()
    assert same(load(path), STATE)
    assert os.listdir(tmp_path) == ["state"]


@pytest.mark.skipif(os.name != "posix", reason="permissions as on Unix")
def test_the_new_file_has_the_permissions_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "state"
    before = os.umask(0o022)
    try:
        save(path, STATE)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
    for mode in (0o600, 0o640, 0o664):
        path.chmod(mode)
        save(path, STATE)
        assert path.stat().st_mode & 0o777 == mode


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    target, link, through = tmp_path / "disk" / "state", tmp_path / "latest", tmp_path / "alias"
    try:
        link.symlink_to(target)
        through.symlink_to(link)
    except OSError:
        pytest.skip("this user may not make symbolic links")
    for state in ({"step": 1}, {"step": 2}):
        save(through, state)
        assert link.is_symlink() and through.is_symlink() and not target.is_symlink()
        assert load(target) == load(link) == state
    assert os.listdir(tmp_path / "disk") == ["state"]


def test_a_file_that_somebody_reads_on_windows_is_replaced_a_moment_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, refusals, rename = tmp_path / "state", [1, 2], os.replace
    save(path, {"step": 1})

    def replace(a: Path, b: Path) -> None:
        if refusals:
            refusals.pop()
            raise PermissionError(13, "The process cannot access the file")
        rename(a, b)

    monkeypatch.setattr(checkpoint, "WINDOWS", True)
    monkeypatch.setattr(os, "replace", replace)
    save(path, {"step": 2})
    assert load(path) == {"step": 2} and not refusals


def test_a_killed_save_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    code = (
        "import sys, numpy as np\nfrom npgrad.checkpoint import save\nk = 0\n"
        "while True:\n    save(sys.argv[1], [k, np.full(200_000, k)])\n    k += 1\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)])
    deadline = time.monotonic() + 30
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    for pause in (0.0, 0.013, 0.0217):
        time.sleep(pause)
        k, array = load(path)
        assert (array == k).all()
    process.kill()
    process.wait()
    k, array = load(path)
    assert (array == k).all()


# -- safetensors -------------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(
        st.text(st.characters(categories=("L", "N", "P")), max_size=6),
        hnp.arrays(
            st.sampled_from(["f2", "f4", "f8", ">f8", "i8", "u1", "?"]),
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
        ),
        max_size=4,
    ),
    st.sampled_from([lambda a: a, np.transpose, lambda a: a[..., None][..., ::-1], Tensor]),
)
def test_safetensors_files_hold_what_was_saved(
    tmp_path_factory: pytest.TempPathFactory, state: dict[str, Any], layout: Any
) -> None:
    path = tmp_path_factory.mktemp("safe") / "model.safetensors"
    laid_out = {name: layout(a) for name, a in state.items() if layout is not Tensor or a.dtype.kind == "f"}
    checkpoint.save_safetensors(path, laid_out)
    found = checkpoint.load_safetensors(path)
    assert found.keys() == laid_out.keys()
    for name, a in laid_out.items():
        a = a.numpy() if isinstance(a, Tensor) else a
        assert found[name].dtype == a.dtype.newbyteorder("=") and found[name].shape == a.shape
        assert found[name].tobytes() == np.ascontiguousarray(a, found[name].dtype).tobytes()
        assert found[name].flags.writeable


def test_weights_travel_to_torch_and_back_in_a_safetensors_file(tmp_path: Path, torch: Any) -> None:
    from safetensors.torch import load_file, save_file

    ours, path = nn.GRU(3, 4, 2, rng=np.random.default_rng(0)), tmp_path / "gru.safetensors"
    checkpoint.save_safetensors(path, nn.torch_state(ours))
    theirs = torch.nn.GRU(3, 4, 2, batch_first=True)
    theirs.load_state_dict(load_file(path))
    x = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    expected = theirs(torch.tensor(x))[0].detach().numpy()
    np.testing.assert_allclose(ours(x)[0].numpy(), expected, rtol=1e-5, atol=1e-6)
    save_file({name: t * 2 for name, t in theirs.state_dict().items()}, path)
    before = ours.state_dict()
    nn.torch_weights(ours, checkpoint.load_safetensors(path))
    assert all(np.array_equal(a, 2 * before[name]) for name, a in ours.state_dict().items())
    save_file({"w": torch.zeros(2, dtype=torch.bfloat16)}, path)
    with pytest.raises(CheckpointError, match="holds numbers of type BF16, which NumPy does not have"):
        checkpoint.load_safetensors(path)


def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    checkpoint.save_safetensors(path, {"w": np.arange(3.0)})
    whole = path.read_bytes()
    for content in (b"", b"no", whole[:-1], whole[:20]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="is not a whole safetensors file"):
            checkpoint.load_safetensors(path)
    with pytest.raises(TypeError, match="only numbers and booleans"):
        checkpoint.save_safetensors(path, {"w": np.array(["a"])})
    with pytest.raises(TypeError, match="cannot be written"):
        checkpoint.save_safetensors(path, {"w": np.zeros(2, np.complex128)})
    with pytest.raises(TypeError, match="w is a masked array"):
        checkpoint.save_safetensors(path, {"w": np.ma.array([1.0, 2.0], mask=[False, True])})
    assert path.read_bytes() == whole[:20] and os.listdir(tmp_path) == [path.name]
    monkeypatch.setitem(sys.modules, "safetensors", None)
    for call in (lambda: checkpoint.load_safetensors(path), lambda: checkpoint.save_safetensors(path, {})):
        with pytest.raises(ModuleNotFoundError, match="need the package safetensors, which is not installed"):
            call()
