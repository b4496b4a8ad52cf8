"""Cases for npgrad.functions.recurrent."""

from __future__ import annotations

from typing import Any

import numpy as np

from npgrad.check.case import Case, case


def sizes(rng: np.random.Generator) -> tuple[int, int]:
    return int(rng.integers(1, 5)), int(rng.integers(1, 4))


def rnn(torch: Any, a: Any, s: Any, W: Any, b: Any = None) -> Any:
    return torch.tanh(a + s @ W)


def lstm(torch: Any, a: Any, s: Any, W: Any, b: Any = None) -> Any:
    entrance, forget, candidate, output = (a + s[0] @ W).chunk(4, dim=-1)
    c = torch.sigmoid(forget) * s[1] + torch.sigmoid(entrance) * torch.tanh(candidate)
    return torch.stack((torch.sigmoid(output) * torch.tanh(c), c))


def gru(torch: Any, a: Any, s: Any, W: Any, b: Any = None) -> Any:
    g = s @ W if b is None else s @ W + b
    (ar, au, an), (gr, gu, gn) = a.chunk(3, dim=-1), g.chunk(3, dim=-1)
    update = torch.sigmoid(au + gu)
    return (1 - update) * torch.tanh(an + torch.sigmoid(ar + gr) * gn) + update * s


STEPS = {"rnn": (1, rnn), "lstm": (4, lstm), "gru": (3, gru)}


def drawn(rng: np.random.Generator, cell: str, shape: tuple[int, ...], H: int) -> tuple[Any, Any, Any]:
    """The input's share, the state and the weights of a cell with H units."""
    columns = STEPS[cell][0] * H
    state = (2, shape[0], H) if cell == "lstm" else (shape[0], H)
    return rng.normal(size=(*shape, columns)), rng.normal(size=state), rng.normal(size=(H, columns))


@case("RNNStep")
def rnn_step(rng: np.random.Generator) -> Case:
    n, H = sizes(rng)
    return Case(drawn(rng, "rnn", (n,), H), torch=rnn)


@case("LSTMStep")
def lstm_step(rng: np.random.Generator) -> Case:
    n, H = sizes(rng)
    return Case(drawn(rng, "lstm", (n,), H), torch=lstm)


@case("GRUStep")
def gru_step(rng: np.random.Generator) -> Case:
    n, H = sizes(rng)
    b = rng.normal(size=3 * H) if rng.random() < 0.7 else None
    return Case((*drawn(rng, "gru", (n,), H), b), torch=gru)


def sequence(rng: np.random.Generator, cell: str, padded: bool) -> Case:
    (n, H), T = sizes(rng), int(rng.integers(1, 4))
    b = rng.normal(size=3 * H) if cell == "gru" and rng.random() < 0.7 else None
    lengths = rng.integers(0, T + 1, size=n) if padded else None

    def reference(torch: Any, a: Any, s: Any, W: Any, b: Any = None, lengths: Any = None) -> Any:
        states = []
        for t in range(T):
            new = STEPS[cell][1](torch, a[:, t], s, W, b)
            s = new if lengths is None else torch.where((torch.as_tensor(lengths) > t)[:, None], new, s)
            states.append(s)
        return torch.stack(states, dim=-2)

    return Case((*drawn(rng, cell, (n, T), H), b, lengths), {"cell": cell}, reference)


@case("Recurrent")
def tanh_cell(rng: np.random.Generator) -> Case:
    return sequence(rng, "rnn", False)


@case("Recurrent")
def lstm_cell(rng: np.random.Generator) -> Case:
    return sequence(rng, "lstm", False)


@case("Recurrent")
def gru_cell(rng: np.random.Generator) -> Case:
    return sequence(rng, "gru", False)


@case("Recurrent")
def padded(rng: np.random.Generator) -> Case:
    return sequence(rng, str(rng.choice(list(STEPS))), True)
