"""npgrad with one line more: the step is decorated with `npgrad.compile`."""

from __future__ import annotations

import npgrad
from benchmarks.peers import npgrad_eager
from benchmarks.peers.npgrad_eager import Step, convert
from benchmarks.problem import Problem

__all__ = ["chain", "convert", "convolution", "function", "instruments", "node", "train"]


def train(problem: Problem) -> Step:
    return npgrad_eager.train(problem, npgrad.compile)


def instruments(problem: Problem) -> Step:
    return npgrad_eager.instruments(problem, npgrad.compile)


def convolution(problem: Problem) -> Step:
    return npgrad_eager.convolution(problem, npgrad.compile)


def chain(problem: Problem) -> Step:
    return npgrad_eager.chain(problem, npgrad.compile)


def node(problem: Problem) -> Step:
    return npgrad_eager.node(problem, npgrad.compile)


def function(problem: Problem) -> Step:
    return npgrad_eager.function(problem, npgrad.compile)
