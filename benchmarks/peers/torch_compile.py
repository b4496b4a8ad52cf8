"""PyTorch as the lecture writes it, forward pass and loss compiled (and with them the backward pass)."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from benchmarks.peers.torch_eager import Network, Step, convert
from benchmarks.problem import Problem

__all__ = ["convert", "train"]


def train(problem: Problem) -> Step:
    network, lr = Network(problem), problem.lr

    @torch.compile(dynamic=False)
    def forward(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(network(x), y)

    def step(x: torch.Tensor, y: torch.Tensor) -> float:
        loss = forward(x, y)
        for p in network.parameters:
            p.grad = None
        loss.backward()
        for p in network.parameters:
            p.data += -lr * p.grad
        return loss.item()

    return step
