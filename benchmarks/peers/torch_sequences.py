"""Networks over sequences as PyTorch users write them: torch.nn's layers, fused attention, torch.optim.SGD."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.problem import GATES, Problem

__all__ = ["sequences"]

nn = torch.nn


class Recurrent(nn.Module):
    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.embedding = nn.Embedding(27, problem.embedding)
        layer = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[problem.net]
        self.recurrent = layer(problem.embedding, problem.hidden, batch_first=True)
        self.output = nn.Linear(problem.hidden, 27)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.recurrent(self.embedding(x))[0])


class WaveNet(nn.Module):
    """Neighbours side by side, as makemore does it, and batch normalisation over all positions at once."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        C, H = problem.embedding, problem.hidden
        self.embedding = nn.Embedding(27, C)
        self.fuse = nn.ModuleList(nn.Linear(2 * n, H, bias=False) for n in (C, H, H))
        self.norm = nn.ModuleList(nn.BatchNorm1d(H) for _ in range(3))
        self.output = nn.Linear(H, 27)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.embedding(x)
        for fuse, norm in zip(self.fuse, self.norm, strict=True):
            h = torch.tanh(norm(fuse(h.view(-1, 2 * h.shape[-1]))))
        return self.output(h)


class Block(nn.Module):
    def __init__(self, C: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj, self.out_proj = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.linear1, self.linear2 = nn.Linear(C, hidden), nn.Linear(hidden, C)
        self.norm1, self.norm2 = nn.LayerNorm(C), nn.LayerNorm(C)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        def turned(x: torch.Tensor) -> torch.Tensor:
            a, b = x.chunk(2, dim=-1)
            return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)

        N, T, C = x.shape
        q, k, v = self.in_proj(self.norm1(x)).view(N, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(turned(q), turned(k), v, is_causal=True)
        x = x + self.out_proj(y.transpose(1, 2).reshape(N, T, C))
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, problem: Problem, heads: int = 4) -> None:
        super().__init__()
        C, h = problem.embedding, problem.embedding // heads // 2
        self.embedding = nn.Embedding(27, C)
        self.blocks = nn.ModuleList(Block(C, problem.hidden, heads) for _ in range(4))
        self.norm, self.output = nn.LayerNorm(C), nn.Linear(C, 27)
        angle = torch.arange(problem.length)[:, None] * 10000 ** (-torch.arange(h) / h)
        self.cos, self.sin = angle.cos(), angle.sin()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.embedding(x)
        for block in self.blocks:
            h = block(h, self.cos, self.sin)
        return self.output(self.norm(h))


def network(problem: Problem) -> Any:
    """The network with the problem's parameters, whose matrices are transposed for torch.nn's layers."""
    kind = Recurrent if problem.net in GATES else {"wavenet": WaveNet, "transformer": Transformer}[problem.net]
    made: Any = kind(problem)  # type: ignore[operator]
    for theirs, (name, value) in zip(made.parameters(), problem.parameters.items(), strict=True):
        theirs.data = torch.tensor(value if name == "C" or value.ndim == 1 else value.T.copy())
    return made


def sequences(problem: Problem) -> Callable[[Any, Any], float]:
    model = network(problem)
    optimizer = torch.optim.SGD(model.parameters(), lr=problem.lr)

    def step(x: torch.Tensor, y: torch.Tensor) -> float:
        loss = F.cross_entropy(model(x).view(-1, 27), y.view(-1), ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
