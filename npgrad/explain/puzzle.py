"""Find the wrong gradient: a backward pass with one mistake in it, and a training curve that looks almost right.

    npgrad puzzle               one at random
    npgrad puzzle 3             the third
    npgrad puzzle 3 --line 38   say which line it is
    npgrad puzzle 3 --solve     the answer

The mistakes are those of the catalogue that every check of npgrad has to notice (`npgrad.check.mutants`), as they look
in the lecture's backward pass (`npgrad.explain.topics.network`). A network of that shape is trained with the wrong
rule and with the right one, from the same weights on the same minibatches; the examples come from a random Markov
chain, so that nothing has to be downloaded.
"""

from __future__ import annotations

import argparse
import random
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npgrad.explain.exercise import Exercise, exercise

__all__ = ["PUZZLES", "Puzzle", "main", "train"]

Array = NDArray[Any]
STEPS = 600
PARTS = (
    ("the loss", 12, 19),
    ("the second layer", 10, 11),
    ("batch normalisation", 3, 9),
    ("the embedding and the first layer", 1, 2),
)
"""Stretches of the forward pass, by the numbers of their first and last equation."""
ANSWERS = {"the loss": (20, 27), "the second layer": (28, 31), "batch normalisation": (32, 40),
           "the embedding and the first layer": (41, 44)}  # fmt: skip


@dataclass(frozen=True)
class Puzzle:
    """A mistake of the catalogue, by its Function and name there, as one wrong line of the network's backward pass."""

    target: str
    mistake: str
    label: str
    wrong: tuple[str, ...]
    why: str
    """Why the network learns all the same."""


PUZZLES = (
    Puzzle(
        "BatchNorm", "without the mean path", "40", ("dhprebn = dbndiff",),
        "What is missing is the same for every row: it only shifts the pre-activations, and normalisation takes a "
        "shift out again. The gradient of b1, which should be zero, shows it.",
    ),
    Puzzle(
        "Tanh", "1 − t for 1 − t²", "31", ("dhpreact = dact * (1 - act)",),
        "Both factors have the same sign and are 1 at 0, so every unit still moves downhill, only too far where act is "
        "negative and not far enough where it is positive.",
    ),
    Puzzle(
        "Embedding", "+= loses duplicates", "44", ("dC = np.zeros_like(C)", "dC[x] += demb"),
        "NumPy reads dC[x] once, adds, and writes once: of several rows with the same character the last one counts. "
        "The direction is a sample of the right one, as a smaller minibatch would give it.",
    ),
    Puzzle(
        "Var", "n for n − ddof", "37", ("dbndiff2 = np.broadcast_to(dbnvar / N, bndiff2.shape)",),
        "N and N - 1 differ by 3 % at a batch of 32. No curve shows that; a gradient check does.",
    ),
    Puzzle(
        "BatchNorm", "dgamma without xhat", "32", ("dbngain = dhpreact.sum(0)",),
        "It is the gradient of the bias. The gains move as the biases should, and the other parameters make up for it.",
    ),
    Puzzle(
        "Linear", "bias not summed over the batch", "30", ("db2 = dlogits[0]",),
        "The bias learns from one row of each minibatch: a noisy, smaller step in a right direction.",
    ),
    Puzzle(
        "BatchNorm", "without the variance path", "38", ("dbndiff = dbnraw * bnvar_inv",),
        "What is missing points along the activations themselves: it would change their scale, which normalisation "
        "takes out again.",
    ),
    Puzzle(
        "BatchNorm", "gamma forgotten", "34", ("dbnraw = dhpreact",),
        "The gains begin at 1, where nothing is missing, and stay near it. A check at gamma = 1 would pass, too: draw "
        "every parameter at random.",
    ),
    Puzzle(
        "Var", "the 2 forgotten", "38", ("dbndiff = dbnraw * bnvar_inv + dbndiff2 * bndiff",),
        "Half of the path through the variance is missing; like the whole of it, it changes scales that normalisation "
        "takes out again.",
    ),
    Puzzle(
        "Pow", "p·a^p for p·a^(p−1)", "36", ("dbnvar = -dbnvar_inv * (bnvar + eps) ** -0.5 / 2",),
        "The factor 1/bnvar is missing. Where the variance is near 1, as good initialisation makes it, that is almost "
        "nothing.",
    ),
    Puzzle(
        "Sub", "the second operand's sign", "39", ("dbnmeani = dbndiff.sum(0)",),
        "The shift that this adds to every row alike is taken out by normalisation, whatever its sign.",
    ),
    Puzzle(
        "Linear", "weights averaged over the batch", "29", ("dW2 = act.T @ dlogits / 2",),
        "Half of the learning rate for one matrix: the loss falls a little later.",
    ),
)  # fmt: skip


def lines(of: Exercise, puzzle: Puzzle | None = None) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The label and code of each equation's backward lines, with the mistake of `puzzle` in its place."""
    for code, equation in of.backward:
        yield equation.label, puzzle.wrong if puzzle is not None and equation.label == puzzle.label else code


def program(puzzle: Puzzle | None = None) -> Any:
    """The network's forward and backward pass as code that leaves its variables in a dictionary."""
    of = exercise("network")
    backward = [line for _, code in lines(of, puzzle) for line in code]
    return compile("\n".join([*of.setting, *(line for line, _ in of.forward), *backward]), "puzzle", "exec")


def chain(rng: np.random.Generator, vocab: int, length: int) -> Array:
    """Characters of a Markov chain of order 1 in which each is followed by few others."""
    logits = rng.normal(size=(vocab, vocab)) * 2.5
    p = np.exp(logits - logits.max(1, keepdims=True))
    steps = np.cumsum(p / p.sum(1, keepdims=True), axis=1)
    draws = rng.random(length)
    found = np.zeros(length, np.int64)
    for k in range(1, length):
        found[k] = min(int(np.searchsorted(steps[found[k - 1]], draws[k])), vocab - 1)
    return found


@lru_cache(maxsize=32)
def train(number: int | None, steps: int = STEPS, seed: int = 0) -> tuple[float, ...]:
    """Losses of the network trained with puzzle `number` (from 1), or with the right rules if None."""
    rng = np.random.default_rng(seed)
    V, D, P, H, N = 27, 8, 3, 48, 32
    text = chain(rng, V, 20_000)
    parameters = {
        "C": rng.normal(size=(V, D)),
        "W1": rng.normal(size=(P, D, H)) * (5 / 3) / (P * D) ** 0.5,
        "b1": np.zeros(H),
        "bngain": np.ones(H),
        "bnbias": np.zeros(H),
        "W2": rng.normal(size=(H, V)) * 0.1,
        "b2": np.zeros(V),
    }
    code = program(None if number is None else PUZZLES[number - 1])
    losses = []
    for _ in range(steps):
        at = rng.integers(P, len(text), N)
        space: dict[str, Any] = {"np": np, **parameters, "y": text[at], "x": text[at[:, None] - np.arange(P, 0, -1)]}
        exec(code, space)
        losses.append(float(space["loss"]))
        for name, p in parameters.items():
            p -= 0.2 * space[f"d{name}"]
    return tuple(losses)


def smooth(losses: Sequence[float], points: int) -> Array:
    return np.array([part.mean() for part in np.array_split(np.asarray(losses), points)])


def curve(right: Sequence[float], here: Sequence[float], columns: int = 60, rows: int = 12) -> Iterator[str]:
    """Two training curves in text: `o` with the mistake, `.` without, `8` where they coincide."""
    a, b = smooth(right, columns), smooth(here, columns)
    low, high = min(a.min(), b.min()), max(a.max(), b.max())

    def row(value: float) -> int:
        return round(float(high - value) / float(high - low) * (rows - 1))

    for r in range(rows):
        marks = ["8" if row(x) == row(y) == r else "o" if row(y) == r else "." if row(x) == r else " "
                 for x, y in zip(a, b, strict=True)]  # fmt: skip
        value = high - (high - low) * r / (rows - 1)
        yield f"  {value:5.2f} |{''.join(marks)}".rstrip()
    yield f"        +{'-' * columns}"
    yield f"         0{'steps':^{columns - 6}}{len(here):>5}"


def show(number: int) -> Iterator[str]:
    """The question: forward lines, backward lines with one mistake, and the curves."""
    puzzle, of = PUZZLES[number - 1], exercise("network")
    part = part_of(puzzle)
    first, last = next((a, b) for name, a, b in PARTS if name == part)
    yield f"Puzzle {number} of {len(PUZZLES)}: {part}."
    yield "One line of the backward pass is wrong."
    yield ""
    for line, equation in of.forward:
        if equation is not None and first <= int(equation.label) <= last:
            yield f"    {line:<50}  # ({equation.label})"
    yield ""
    low, high = ANSWERS[part]
    for label, code in lines(of, puzzle):
        if low <= int(label) <= high:
            yield from (f"    {line}" for line in code[:-1])
            yield f"    {code[-1]}  # ({label})"
    yield ""
    right, here = train(None), train(number)
    yield "The loss: o trained with these lines, . with the right ones, 8 both"
    yield from curve(right, here)
    tail = len(here) // 10
    yield f"  the last tenth: o {np.mean(here[-tail:]):.3f}   . {np.mean(right[-tail:]):.3f}"
    yield ""
    yield f"Which line is it?  npgrad puzzle {number} --line {low}"


def part_of(puzzle: Puzzle) -> str:
    return next(name for name, (a, b) in ANSWERS.items() if a <= int(puzzle.label) <= b)


def answer(number: int) -> Iterator[str]:
    """The mistake, what is right, how far off the gradients are, and why the curve does not tell."""
    puzzle, of = PUZZLES[number - 1], exercise("network")
    right = next(code for code, e in of.backward if e.label == puzzle.label)
    yield f"({puzzle.label}) {puzzle.mistake}"
    yield ""
    yield f"    wrong:  {puzzle.wrong[-1]}"
    yield f"    right:  {right[-1]}"
    yield ""
    yield from textwrap.wrap(puzzle.why, 79)
    yield ""
    errors = differences(puzzle)
    told = ", ".join(
        f"d{name}, which should be 0,"
        if error > 10
        else f"d{name} by {error:.0%}"
        if error >= 0.01
        else f"d{name} by {error:.1%}"
        for name, error in errors.items()
    )
    yield from textwrap.wrap(
        f"A gradient check on random numbers tells at once. Off are, relative to the largest entry: {told}.", 79,
    )  # fmt: skip


def differences(puzzle: Puzzle) -> dict[str, float]:
    """For each parameter whose gradient is wrong how far it is from the complex step, relative to its largest entry."""
    of = exercise("network")
    space: dict[str, Any] = {"np": np, **{name: a.copy() for name, a in of.inputs(0).items()}}
    exec(program(puzzle), space)
    found = {}
    for name in of.wanted:
        want = of.truths[0][name]
        error = float(np.max(np.abs(space[name] - want))) / max(float(np.max(np.abs(want))), 1e-3)
        if error > 1e-6:
            found[name[1:]] = error
    return found


def main(argv: Sequence[str]) -> int:
    """`npgrad puzzle`."""
    parser = argparse.ArgumentParser(
        prog="npgrad puzzle",
        description="One line of a backward pass is wrong, yet the network learns. Which line is it?",
        epilog=f"There are {len(PUZZLES)} puzzles; without a number, one is drawn at random.",
    )
    parser.add_argument("number", nargs="?", type=int, metavar="NUMBER", help=f"1 to {len(PUZZLES)}")
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--line", metavar="N", help="your answer: the number at the end of the line")
    ways.add_argument("--solve", action="store_true", help="the answer")
    options = parser.parse_args(argv)
    if options.number is None and (options.line is not None or options.solve):
        parser.error("say which puzzle: for example `puzzle 3 --solve`")
    number = random.randint(1, len(PUZZLES)) if options.number is None else options.number
    if not 1 <= number <= len(PUZZLES):
        parser.error(f"there are puzzles 1 to {len(PUZZLES)}; got {number}")
    puzzle = PUZZLES[number - 1]
    if options.line is not None:
        said = options.line.strip("()")
        low, high = ANSWERS[part_of(puzzle)]
        if not (said.isdecimal() and low <= int(said) <= high):
            parser.error(f"the lines of this puzzle are {low} to {high}; got {options.line}")
        if said != puzzle.label:
            print(f"No: line ({said}) is right. Try another, or --solve.", file=sys.stderr)
            return 1
        print("Yes.")
    for line in answer(number) if options.line is not None or options.solve else show(number):
        print(line)
    return 0
