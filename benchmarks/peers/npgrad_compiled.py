"""npgrad with one line more: the step is decorated with `npgrad.compile`."""

from __future__ import annotations

import npgrad
from benchmarks.peers import npgrad_eager
from benchmarks.peers.npgrad_eager import Step, convert
from benchmarks.problem import Problem
from models import CharacterModel

__all__ = [
    "convert", "convolution", "function", "instruments", "large", "node", "program", "sequences", "sequences_program",
    "train",
]  # fmt: skip


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


def sequences(problem: Problem) -> Step:
    return npgrad_eager.sequences(problem, npgrad.compile)


def written(model: CharacterModel) -> Step:
    """Each call records the step anew, writes its program, and compares one run of it with the eager step."""
    step = npgrad_eager.update(model, lr=0.0)
    return lambda x, y: npgrad.compile(warm_up=0)(step)(x, y).item()


def program(problem: Problem) -> Step:
    return written(npgrad_eager.build(problem))


def sequences_program(problem: Problem) -> Step:
    return written(npgrad_eager.sequence_model(problem))
