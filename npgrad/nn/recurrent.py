"""Recurrent networks over sequences: RNN, LSTM, GRU.

Truncated back-propagation through time. A sequence too long to be kept as one graph is cut into stretches; the state is
carried from one to the next, the gradient is not:

    state = None
    for x, t in stretches:                            # x (N, T, C)
        y, state = net(x, state)
        loss = npgrad.cross_entropy(head(y).reshape(-1, C), t.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        state = detach(state)                         # else the next backward pass would need this graph again

The gradient then lacks what an input contributes to losses after its own stretch, and memory is that of one stretch.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from npgrad import functions as F
from npgrad.engine.arrays import Array
from npgrad.engine.tensor import Tensor, TensorLike, raw
from npgrad.functions.recurrent import GATES
from npgrad.nn import init
from npgrad.nn.module import Module, Parameter

__all__ = ["GRU", "LSTM", "RNN", "detach"]


class Recurrence(Module):
    """What RNN, LSTM and GRU have in common: layers of one cell, each over the states of the one below."""

    cell: ClassVar[str]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        *,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        name = type(self).__name__
        self.rng = rng = init.generator(rng, f"{name}({input_size}, {hidden_size})")
        if min(input_size, hidden_size, num_layers) < 1:
            raise ValueError(f"{name}({input_size}, {hidden_size}, num_layers={num_layers}): sizes must be at least 1.")
        if not 0 <= dropout <= 1:
            raise ValueError(f"{name} got dropout={dropout}: the probability must be between 0 and 1.")
        self.input_size, self.hidden_size, self.num_layers, self.dropout = input_size, hidden_size, num_layers, dropout
        self.has_bias = bias
        gates = GATES[self.cell]
        for k in range(num_layers):
            fan_in = hidden_size if k else input_size
            std = 1 / math.sqrt(fan_in)
            ih = init.normal((fan_in, gates * hidden_size), 0.0, std, rng=rng, dtype=dtype)
            square = [init.orthogonal((hidden_size, hidden_size), rng=rng, dtype=dtype) for _ in range(gates)]
            setattr(self, f"weight_ih_l{k}", Parameter(ih))
            setattr(self, f"weight_hh_l{k}", Parameter(np.concatenate(square, axis=1)))
            if bias:
                setattr(self, f"bias_ih_l{k}", Parameter(self._bias(hidden_size, dtype)))
                setattr(self, f"bias_hh_l{k}", Parameter(init.zeros(gates * hidden_size, dtype=dtype)))

    def _bias(self, hidden_size: int, dtype: DTypeLike) -> Array:
        return init.zeros(GATES[self.cell] * hidden_size, dtype=dtype)

    def forward(self, x: TensorLike, state: Any = None, lengths: TensorLike | None = None) -> tuple[Tensor, Any]:
        """(N, T, C) and the state before give the hidden states of the last layer, (N, T, H), and the state after.

        With `lengths` (N,) of integers, item i has lengths[i] steps: behind them the output is 0, and the state that is
        returned is the one after its last step. What stands in `x` behind them (finite numbers) has no influence.

        Raises ValueError on other shapes.
        """
        shape = np.shape(raw(x))
        if len(shape) != 3 or shape[2] != self.input_size:
            raise ValueError(
                f"{type(self).__name__}({self.input_size}, {self.hidden_size}) got an input of shape {shape}; it takes "
                f"(N, T, {self.input_size})."
            )
        before = self._states(state, shape[0])
        y: Tensor = x  # type: ignore[assignment]
        after = []
        for k in range(self.num_layers):
            if k and self.dropout:
                y = F.dropout(y, self.dropout, self.training, self.rng)
            y, last = self._layer(k, y, before[k], lengths)
            after.append(last)
        if lengths is not None:
            on = np.arange(shape[1]) < raw(lengths)[:, None]
            y = F.where(on[:, :, None], y, 0.0)
        return y, self._stacked(after)

    def _layer(self, k: int, x: Tensor, s: TensorLike, lengths: TensorLike | None) -> tuple[Tensor, Tensor]:
        """The hidden states of layer k, and its state after the last step."""
        parameters = vars(self)
        W, b_hh = parameters[f"weight_hh_l{k}"], parameters.get(f"bias_hh_l{k}")
        b_ih = parameters.get(f"bias_ih_l{k}")
        if b_ih is not None and self.cell != "gru":
            b_ih, b_hh = b_ih + b_hh, None
        a = F.linear(x, parameters[f"weight_ih_l{k}"], b_ih)
        states = F.recurrent(a, s, W, b_hh, lengths, self.cell)
        return (states[0] if self.cell == "lstm" else states), states[..., -1, :]

    def _states(self, state: Any, items: int) -> list[TensorLike]:
        """The state of each layer before the first step; zeros unless given."""
        shape = (self.num_layers, items, self.hidden_size)
        if state is None:
            return [np.zeros(shape[1:], vars(self)["weight_hh_l0"].dtype)] * self.num_layers
        self._check_state(state, shape)
        return [state[k] for k in range(self.num_layers)]

    def _check_state(self, state: Any, shape: tuple[int, ...]) -> None:
        found = np.shape(raw(state))
        if found != shape:
            raise ValueError(
                f"{type(self).__name__} got a state of shape {found}; it takes (layers, N, H), here {shape}."
            )

    def _stacked(self, after: list[Tensor]) -> Any:
        return F.stack(after)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        text += f", num_layers={self.num_layers}" * (self.num_layers > 1) + ", bias=False" * (not self.has_bias)
        return text + f", dropout={self.dropout:g}" * (self.dropout > 0)


class RNN(Recurrence):
    """h = tanh(x W_ih + b_ih + h W_hh + b_hh), step by step (Elman 1990).

    `net(x, state, lengths)` returns the hidden states (N, T, H) and the state (layers, N, H): see `forward`. Parameters
    of layer k: `weight_ih_l{k}` (fan_in, H), `weight_hh_l{k}` (H, H), `bias_ih_l{k}` and `bias_hh_l{k}` (H,), unless
    `bias=False`. `dropout` drops entries between layers, in training. Names as in PyTorch, whose weights
    `nn.torch_weights` loads. Of PyTorch's options num_layers, bias and dropout are here, and batches always come first;
    bidirectional, proj_size and the nonlinearity relu are not. For the other direction, run a second net on x[:, ::-1].

    At first W_ih is drawn from N(0, 1/fan_in), W_hh is a random orthogonal matrix (why:
    `npgrad explain recurrent_init`), and biases are 0. Raises TypeError without a generator, ValueError if a size is
    not positive.
    """

    cell = "rnn"


class GRU(Recurrence):
    """The gated recurrent unit (Cho et al. 2014, arXiv:1406.1078), with the reset gate after the product, as in cuDNN.

    Calls, options, names and initial values as for `RNN`; the columns of reset gate, update gate and candidate lie side
    by side: `weight_ih_l{k}` (fan_in, 3H), `weight_hh_l{k}` (H, 3H), an orthogonal matrix for each.
    """

    cell = "gru"


class LSTM(Recurrence):
    """The long short-term memory (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000).

    Calls, options and names as for `RNN`, but the state is a pair (hidden, cell), each (layers, N, H); the columns of
    input gate, forget gate, candidate and output gate lie side by side: `weight_ih_l{k}` (fan_in, 4H).

    Initial values as for `RNN`, but the bias of the forget gate is `forget_bias`: at 1 the gate is open at first, and
    keeps 73 % of the cell and of its gradient from step to step instead of 50 % (Jozefowicz et al. 2015; derived in
    `npgrad explain recurrent_init`).
    """

    cell = "lstm"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        *,
        forget_bias: float = 1.0,
        rng: np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.forget_bias = forget_bias
        super().__init__(input_size, hidden_size, num_layers, bias, dropout, rng=rng, dtype=dtype)

    def _bias(self, hidden_size: int, dtype: DTypeLike) -> Array:
        bias = super()._bias(hidden_size, dtype)
        bias[hidden_size : 2 * hidden_size] = self.forget_bias
        return bias

    def _states(self, state: Any, items: int) -> list[TensorLike]:
        shape = (self.num_layers, items, self.hidden_size)
        if state is None:
            return [np.zeros((2, *shape[1:]), vars(self)["weight_hh_l0"].dtype)] * self.num_layers
        if not isinstance(state, tuple | list) or len(state) != 2:
            raise ValueError("the state of an LSTM is a pair: hidden state and cell, each (layers, N, H).")
        for part in state:
            self._check_state(part, shape)
        return [F.stack([part[k] for part in state]) for k in range(self.num_layers)]

    def _stacked(self, after: list[Tensor]) -> Any:
        return F.stack([s[0] for s in after]), F.stack([s[1] for s in after])


def detach(state: Any) -> Any:
    """The state, a tensor or a pair of them, without the graph that computed it: where back-propagation through time is
    to end."""
    return tuple(detach(part) for part in state) if isinstance(state, tuple | list) else state.detach()
