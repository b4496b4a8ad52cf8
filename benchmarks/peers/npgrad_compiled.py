"""npgrad with one line more: the step is decorated with `npgrad.compile`."""

from __future__ import annotations

import npgrad
from benchmarks.peers import npgrad_eager
from benchmarks.peers.npgrad_eager import Step, convert
from benchmarks.problem import Array, Problem
from npgrad import Tensor
from npgrad import functions as F
from npgrad.optim import SGD

__all__ = ["convert", "convolution", "function", "instruments", "large", "node", "program", "train"]


def train(problem: Problem) -> Step:
    return npgrad_eager.train(problem, npgrad.compile)


def instruments(problem: Problem) -> Step:
    return npgrad_eager.instruments(problem, npgrad.compile)


def convolution(problem: Problem) -> Step:
    return npgrad_eager.convolution(problem, npgrad.compile)


def node(problem: Problem) -> Step:
    return npgrad_eager.node(problem, npgrad.compile)


def function(problem: Problem) -> Step:
    return npgrad_eager.function(problem, npgrad.compile)


def large(problem: Problem) -> Step:
    return npgrad_eager.large(problem, npgrad.compile)


def program(problem: Problem) -> Step:
    """Each call records the step anew, writes its program, and compares one run of it with the eager step."""
    model = npgrad_eager.build(problem)
    optimizer = SGD(model.parameters(), lr=0.0)

    def step(x: Array, y: Array) -> Tensor:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return lambda x, y: npgrad.compile(warm_up=0)(step)(x, y).item()
