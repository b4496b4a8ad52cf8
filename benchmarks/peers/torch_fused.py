"""PyTorch at its fastest without compiling: fused functions, one call for the whole update."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from benchmarks.peers.torch_eager import Step, convert, logits
from benchmarks.problem import Problem

__all__ = ["convert", "evaluate", "sample", "train"]


def train(problem: Problem) -> Step:
    # Linear weights are stored transposed, as torch.nn.Linear does.
    p = {
        name: torch.tensor(value.T.copy() if name.startswith("W") else value, requires_grad=True)
        for name, value in problem.parameters.items()
    }
    parameters: list[Any] = list(p.values())
    mean = {layer.W: torch.zeros(len(p[layer.W])) for layer in problem.layers}
    var = {layer.W: torch.ones(len(p[layer.W])) for layer in problem.layers}

    def step(x: torch.Tensor, y: torch.Tensor) -> float:
        h = F.embedding(x, p["C"]).view(len(x), -1)
        for layer in problem.layers:
            h = F.linear(h, p[layer.W], p[layer.b] if layer.b else None)
            if layer.gamma and layer.beta:
                h = F.batch_norm(h, mean[layer.W], var[layer.W], p[layer.gamma], p[layer.beta], training=True)
            if layer.tanh:
                h = torch.tanh(h)
        loss = F.cross_entropy(h, y)
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        with torch.no_grad():
            torch._foreach_add_(parameters, [parameter.grad for parameter in parameters], alpha=-problem.lr)
        return loss.item()

    return step


def evaluate(problem: Problem) -> Step:
    """In pieces that stay in the cache."""
    forward = logits(problem)

    @torch.no_grad()
    def step(x: torch.Tensor, y: torch.Tensor) -> float:
        pieces = zip(x.split(8192), y.split(8192), strict=True)
        return sum(F.cross_entropy(forward(a), b, reduction="sum").item() for a, b in pieces) / len(y)

    return step


def sample(problem: Problem) -> Step:
    """All names at once, the finished ones dropped."""
    forward, generator = logits(problem), torch.Generator().manual_seed(0)

    @torch.no_grad()
    def step() -> float:
        length = 0
        context = torch.zeros((problem.names, 3), dtype=torch.long)
        while len(context):
            probabilities = F.softmax(forward(context), dim=1)
            drawn = torch.multinomial(probabilities, 1, generator=generator)
            context = torch.cat([context[:, 1:], drawn], dim=1)[drawn[:, 0] != 0]
            length += len(context)
        return length / problem.names

    return step
