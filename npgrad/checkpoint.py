"""Checkpoints: the state of a run in one file, written all or not at all, read back exactly or refused.

    save("run.ckpt", {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "batches": batches.state(),
                      "step": step, "config": asdict(config), "data": corpus.digest})
    state = load("run.ckpt")

What is saved is a tree: dictionaries, lists and tuples of arrays, tensors, numbers, strings and None. It comes back
equal to the bit, with the same types (tensors as arrays). There is no pickle, so a stranger's file cannot run code.

The file, all integers little-endian:

    8 bytes    \\x89npgrad\\n
    uint32     format version
    uint64     size of the whole file
    32 bytes   SHA-256 of all bytes but these
    uint64     size of the header
    header     JSON: the tree, with numbers for its arrays, and dtype and shape of each array
    arrays     their bytes in C order, one after the other

Equal trees give equal files, so the digest that `save` returns compares two runs.

Weights alone are exchanged with other libraries as safetensors files, where the package safetensors is installed:

    save_safetensors("model.safetensors", nn.torch_state(model))
    nn.torch_weights(model, load_safetensors("model.safetensors"))
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import secrets
import stat
import struct
import time
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor, TensorLike, raw

__all__ = ["CheckpointError", "load", "load_safetensors", "replace_file", "save", "save_safetensors"]

MAGIC = b"\x89npgrad\n"
VERSION = 1
WINDOWS = os.name == "nt"
# Magic, version, size of the file; SHA-256; size of the header.
_FRONT = struct.Struct("<8sIQ")
_SHA = slice(_FRONT.size, _FRONT.size + 32)
_HEADER_SIZE = struct.Struct("<Q")
_START = _SHA.stop + _HEADER_SIZE.size


class CheckpointError(ValueError):
    """A file that is not a whole, unharmed checkpoint of a format known here; the message says in one sentence why."""


def save(path: str | PathLike[str], state: Any) -> str:
    """Write `state` to `path` and return the SHA-256 of the file, as `sha256sum` prints it.

    Atomic: the bytes go to a temporary file in the same directory, reach the disk, and only then replace the old file.
    A process killed at any moment, or a full disk, leaves the old file or the new one, never half of one. The new file
    has the permissions of the old one; where `path` is a symbolic link, the file it points to is replaced.

    Raises TypeError naming the place of anything in `state` that cannot be saved, OSError if writing fails.
    """
    arrays: list[Array] = []
    tree = _encode(state, "state", arrays)
    kinds = [{"dtype": a.dtype.str, "shape": list(a.shape)} for a in arrays]
    header = json.dumps({"tree": tree, "arrays": kinds}, separators=(",", ":")).encode()
    content = [_HEADER_SIZE.pack(len(header)), header, *(a.tobytes() for a in arrays)]
    front = _FRONT.pack(MAGIC, VERSION, _SHA.stop + sum(map(len, content)))
    sha = hashlib.sha256(front)
    for part in content:
        sha.update(part)
    parts = [front, sha.digest(), *content]
    replace_file(path, parts)
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part)
    return whole.hexdigest()


def load(path: str | PathLike[str]) -> Any:
    """The state that was saved in `path`.

    Raises CheckpointError if the file is truncated, changed, something else, or of another format version; OSError if
    it cannot be read.
    """
    content = Path(path).read_bytes()
    if not content.startswith(MAGIC[: len(content)]) or not content:
        raise CheckpointError(f"{path} is not an npgrad checkpoint.")
    if len(content) < _START:
        raise CheckpointError(f"{path} is truncated: it ends after {len(content)} bytes.")
    _, version, size = _FRONT.unpack_from(content)
    if version != VERSION:
        raise CheckpointError(
            f"{path} has checkpoint format {version}, and this npgrad reads format {VERSION} only"
            + (": use a newer npgrad." if version > VERSION else ".")
        )
    if len(content) < size:
        raise CheckpointError(f"{path} is truncated: {len(content)} of its {size} bytes are there.")
    view = memoryview(content)
    sha = hashlib.sha256(view[: _SHA.start])
    sha.update(view[_SHA.stop :])
    if sha.digest() != content[_SHA]:
        raise CheckpointError(f"{path} is damaged: its bytes do not match their checksum.")
    try:
        (header_size,) = _HEADER_SIZE.unpack_from(content, _SHA.stop)
        header = json.loads(content[_START : _START + header_size])
        arrays: list[Array] = []
        place = _START + header_size
        for kind in header["arrays"]:
            # np.dtype would take much more than `save` writes, objects and Python expressions among it.
            if not re.fullmatch(r"[<>|][biufc]\d{1,2}", kind["dtype"]) or any(n < 0 for n in kind["shape"]):
                raise ValueError(kind)
            dtype, shape = np.dtype(kind["dtype"]), tuple(kind["shape"])
            count = math.prod(shape)
            arrays.append(np.frombuffer(content, dtype, count, place).reshape(shape).copy())
            place += count * dtype.itemsize
        unread = dict(enumerate(arrays))
        tree = _decode(header["tree"], unread)
        if unread or place != len(content):
            raise ValueError("there is more in the file than in the tree")
        return tree
    except MemoryError:
        raise
    except Exception:
        # The checksum is right, so nobody's disk did this: the file was made by something else than `save`.
        raise CheckpointError(f"{path} has a correct checksum and content that npgrad never writes.") from None


def save_safetensors(path: str | PathLike[str], arrays: Mapping[str, TensorLike]) -> None:
    """Write named arrays as a safetensors file, atomically as `save` does.

    Names and layout are those of `arrays`: pass `nn.torch_state(module)` for PyTorch's, `module.state_dict()` for ours.

    Raises ModuleNotFoundError without the package safetensors, TypeError for a dtype that the format does not have, or
    a masked array.
    """
    for name, a in arrays.items():
        if isinstance(a, np.ma.MaskedArray):
            raise TypeError(f"{name} is a masked array, whose mask the file would lose: save its data and its mask.")
    # The package reads memory as it lies, whatever the strides.
    contiguous = {name: np.array(raw(a), dtype=_little(np.asarray(raw(a))), order="C") for name, a in arrays.items()}
    package, error = _safetensors()
    try:
        content = package.save(contiguous)
    except error as reason:
        raise TypeError(f"{path} cannot be written: {reason}.") from None
    replace_file(path, [content])


def load_safetensors(path: str | PathLike[str]) -> dict[str, Array]:
    """The named arrays of a safetensors file.

    Raises ModuleNotFoundError without the package safetensors, CheckpointError for a file that is none, is damaged or
    holds numbers that NumPy does not have (bfloat16 among them), OSError if it cannot be read.
    """
    package, error = _safetensors()
    content = Path(path).read_bytes()
    try:
        return {name: a.copy() for name, a in package.load(content).items()}
    except error as reason:
        raise CheckpointError(f"{path} is not a whole safetensors file: {reason}.") from None
    except KeyError as dtype:
        raise CheckpointError(f"{path} holds numbers of type {dtype.args[0]}, which NumPy does not have.") from None


def _safetensors() -> tuple[Any, type[Exception]]:
    """The package, imported by whoever asks for it, and its error."""
    try:
        import safetensors
        import safetensors.numpy
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "safetensors files need the package safetensors, which is not installed: pip install safetensors."
        ) from None
    return safetensors.numpy, safetensors.SafetensorError


def _little(a: Array) -> np.dtype[Any]:
    if a.dtype.kind not in "biufc":
        raise TypeError(f"an array of dtype {a.dtype} cannot be saved: only numbers and booleans can.")
    return a.dtype.newbyteorder("<")


def _encode(x: Any, where: str, arrays: list[Array]) -> Any:
    """`x` as JSON can hold it: arrays by their place in `arrays`, dictionaries and tuples tagged."""
    if x is None or type(x) in (bool, int, float, str):
        return x
    if isinstance(x, Tensor):
        x = x.numpy()
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{where} is a masked array, whose mask a checkpoint would lose: save its data and its mask.")
    if isinstance(x, np.ndarray | np.generic):
        if x.dtype.kind not in "biufc":
            raise TypeError(f"{where} is an array of dtype {x.dtype}: only numbers and booleans can be saved.")
        arrays.append(np.asarray(x))
        return {"scalar" if isinstance(x, np.generic) else "array": len(arrays) - 1}
    if type(x) is list:
        return [_encode(item, f"{where}[{k}]", arrays) for k, item in enumerate(x)]
    if type(x) is tuple:
        return {"tuple": [_encode(item, f"{where}[{k}]", arrays) for k, item in enumerate(x)]}
    if type(x) is dict:
        for key in x:
            if key is not None and type(key) not in (bool, int, float, str):
                raise TypeError(
                    f"{where} has a key of type {type(key).__name__}: only strings and numbers can be saved."
                )
        values = [_encode(value, f"{where}[{key!r}]", arrays) for key, value in x.items()]
        if all(type(key) is str for key in x):
            return {"dict": dict(zip(x, values, strict=True))}
        # JSON would turn other keys into strings.
        return {"items": [[key, value] for key, value in zip(x, values, strict=True)]}
    advice = "save its bit_generator.state" if isinstance(x, np.random.Generator) else "save what it is made of"
    raise TypeError(f"{where} is a {type(x).__name__}, which a checkpoint cannot hold: {advice}.")


def _decode(x: Any, arrays: dict[int, Array]) -> Any:
    """What `_encode` took apart. Each array is taken out of `arrays`, so that no two places share one."""
    if type(x) is list:
        return [_decode(item, arrays) for item in x]
    if type(x) is not dict:
        return x
    ((tag, content),) = x.items()
    if tag == "array":
        return arrays.pop(content)
    if tag == "scalar":
        return arrays.pop(content)[()]
    if tag == "tuple":
        return tuple([_decode(item, arrays) for item in content])
    if tag == "dict":
        return {key: _decode(value, arrays) for key, value in content.items()}
    if tag == "items":
        return {key: _decode(value, arrays) for key, value in content}
    raise ValueError(tag)


def replace_file(path: str | PathLike[str], parts: Iterable[bytes]) -> None:
    """Make `parts` the content of `path` in one step that survives a crash of the process or of the machine.

    Whoever reads sees the old file or the new one, never a part. Raises OSError if it cannot be written.
    """
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        _rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    # The new name is on the disk only when the directory is; where a directory cannot be opened or flushed (Windows,
    # some network file systems), the system does it in its own time.
    if hasattr(os, "O_DIRECTORY"):
        with contextlib.suppress(OSError):
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)


def _rename(temporary: Path, path: Path) -> None:
    # Windows refuses while anybody, a virus scanner too, has the old file open: mostly for milliseconds.
    for pause in (0.01, 0.05, 0.2, 0.5, 1.0) if WINDOWS else ():
        try:
            os.replace(temporary, path)
            return
        except PermissionError:
            time.sleep(pause)
    os.replace(temporary, path)
