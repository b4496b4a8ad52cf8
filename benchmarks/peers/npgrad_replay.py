"""npgrad with one line more: the step is decorated with `npgrad.replay`."""

from __future__ import annotations

import npgrad
from benchmarks.peers import npgrad_eager
from benchmarks.peers.npgrad_eager import Step, convert
from benchmarks.problem import Problem

__all__ = ["chain", "convert", "convolution", "function", "instruments", "node", "train"]


def train(problem: Problem) -> Step:
    return npgrad_eager.train(problem, npgrad.replay)


def instruments(problem: Problem) -> Step:
    return npgrad_eager.instruments(problem, npgrad.replay)


def convolution(problem: Problem) -> Step:
    return npgrad_eager.convolution(problem, npgrad.replay)


def chain(problem: Problem) -> Step:
    return npgrad_eager.chain(problem, npgrad.replay)


def node(problem: Problem) -> Step:
    return npgrad_eager.node(problem, npgrad.replay)


def function(problem: Problem) -> Step:
    return npgrad_eager.function(problem, npgrad.replay)
