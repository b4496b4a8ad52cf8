"""The peers: one small file each, with a function for every kind of work it does.

Such a function takes a `benchmarks.problem.Problem` and returns `step(*feed)`, whose result is a number (or an array,
which is added up, or a function that returns one, called where results are compared). `convert(array)` makes a peer's
own array of a NumPy array: batches are converted before the clock starts. To add a peer, write its file and name it
here.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import NamedTuple

__all__ = ["PEERS", "Peer"]


class Peer(NamedTuple):
    title: str
    requires: str
    """The package it needs."""

    def missing(self) -> bool:
        return find_spec(self.requires) is None


PEERS = {
    "numpy_plain": Peer("NumPy by hand, plain", "numpy"),
    "numpy_preallocated": Peer("NumPy by hand, preallocated", "numpy"),
    "npgrad_eager": Peer("npgrad, eager", "numpy"),
    "npgrad_compiled": Peer("npgrad, compiled", "numpy"),
    "npgrad_unwatched": Peer("npgrad, compiled, unwatched", "numpy"),
    "torch_eager": Peer("PyTorch, as the lecture", "torch"),
    "torch_fused": Peer("PyTorch, fused functions", "torch"),
    "torch_compile": Peer("torch.compile", "torch"),
    "jax_jit": Peer("JAX, jit", "jax"),
    "jax_jit_read": Peer("JAX, jit, losses read", "jax"),
    "mygrad": Peer("MyGrad", "mygrad"),
    "autograd": Peer("autograd (HIPS)", "autograd"),
}
