"""Recurrent networks that read whole words: simple, LSTM and GRU.

    x (N, T) ── embedding ── (N, T, embedding) ── cell, one step a character ── (N, T, hidden) ── W ── logits (N, T, 27)
                                                  └─ state ─┘

        logits    e ?     m ?     m ?     a ?     . ?
                  |       |       |       |       |
        0 ──── [cell] ─ [cell] ─ [cell] ─ [cell] ─ [cell] ──── the state: all that is known of the word so far
                  |       |       |       |       |
        x         .       e       m       m       a

The same cell at every step, so that a word may have any length, and no character is out of sight as behind a window;
what is far back must have been carried all the way in the state. The three cells differ in how they carry it:

    rnn     tanh of a product: everything is written anew at each step
    gru     a gate chooses between the old value and a new one
    lstm    gates to forget, to let in and to show; a cell of its own beside what is shown

Sources: Elman 1990, "Finding structure in time"; Hochreiter & Schmidhuber 1997, "Long short-term memory"; Cho et al.
2014, arXiv:1406.1078. On words one character at a time: Graves 2013, arXiv:1308.0850.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from models.character_model import CharacterModel
from npgrad import Tensor, nn

__all__ = ["GRU", "LSTM", "RNN"]


class RNN(CharacterModel):
    """Logits of each next character, shape (N, T, vocab_size), for words of shape (N, T) that begin with a boundary.

    `layers` cells lie above each other. The weights of the last layer are a tenth of 1/√fan_in, so that the first loss
    is near ln 27. `context` belongs to the models that see windows, and changes nothing here.

    Raises ValueError for a size that is not positive.
    """

    whole_words = True
    cell: ClassVar[Any] = nn.RNN

    def __init__(
        self,
        vocab_size: int = 27,
        context: int = 1,
        *,
        rng: np.random.Generator,
        embedding: int = 10,
        hidden: int = 200,
        layers: int = 1,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.vocab_size, self.context = vocab_size, 1
        self.embedding = nn.Embedding(vocab_size, embedding, rng=rng, dtype=dtype)
        self.recurrent = self.cell(embedding, hidden, layers, rng=rng, dtype=dtype)
        self.output = nn.Linear(hidden, vocab_size, rng=rng, gain=0.1, dtype=dtype)

    def forward(self, x: NDArray[np.intp]) -> Tensor:
        h, _ = self.recurrent(self.embedding(x))
        logits: Tensor = self.output(h)
        return logits

    def following(self, words: NDArray[np.intp], state: Any = None) -> tuple[Tensor, Any]:
        """As in CharacterModel; a step reads the last character alone, and what came before it from `state`."""
        unread = words if state is None else words[:, -1:]
        if state is not None and self.cell is not nn.LSTM:
            (state,) = state
        h, state = self.recurrent(self.embedding(unread), state)
        return self.output(h[:, -1]), state if isinstance(state, tuple) else (state,)


class GRU(RNN):
    """As `RNN`, with the gated recurrent unit for a cell."""

    cell = nn.GRU


class LSTM(RNN):
    """As `RNN`, with the long short-term memory for a cell."""

    cell = nn.LSTM
