"""PyTorch as the lecture writes it: batch normalisation spelt out, parameters updated one by one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.peers.torch_sequences import sequences as sequences
from benchmarks.problem import Problem

convert = torch.from_numpy

Step = Callable[..., Any]


class Network:
    """Parameters, running statistics and the forward pass with the lecture's expressions."""

    def __init__(self, problem: Problem) -> None:
        self.layers = problem.layers
        self.p = {name: torch.tensor(value, requires_grad=True) for name, value in problem.parameters.items()}
        self.parameters = list(self.p.values())
        norms = [layer for layer in self.layers if layer.gamma]
        self.mean = {layer.W: torch.zeros(self.p[layer.W].shape[1]) for layer in norms}
        self.var = {layer.W: torch.ones(self.p[layer.W].shape[1]) for layer in norms}
        self.outputs: list[torch.Tensor] = []

    def __call__(self, x: torch.Tensor, keep: bool = False) -> torch.Tensor:
        p = self.p
        self.outputs = []
        h = p["C"][x].view(len(x), -1)
        for layer in self.layers:
            h = h @ p[layer.W]
            if layer.b:
                h = h + p[layer.b]
            if keep:
                self.outputs.append(h)
            if layer.gamma and layer.beta:
                mean = h.mean(0, keepdim=True)
                var = h.var(0, keepdim=True, unbiased=False)
                h = p[layer.gamma] * (h - mean) / torch.sqrt(var + 1e-5) + p[layer.beta]
                with torch.no_grad():
                    self.mean[layer.W] = 0.9 * self.mean[layer.W] + 0.1 * mean
                    self.var[layer.W] = 0.9 * self.var[layer.W] + 0.1 * var * (len(x) / (len(x) - 1))
                if keep:
                    self.outputs.append(h)
            if layer.tanh:
                h = torch.tanh(h)
                if keep:
                    self.outputs.append(h)
        return h


def train(problem: Problem) -> Step:
    network, lr = Network(problem), problem.lr

    def step(x: torch.Tensor, y: torch.Tensor) -> float:
        loss = F.cross_entropy(network(x), y)
        for p in network.parameters:
            p.grad = None
        loss.backward()
        for p in network.parameters:
            p.data += -lr * p.grad
        return loss.item()

    return step


def logits(problem: Problem) -> Step:
    """The trained network in evaluation."""
    p = {name: torch.tensor(value) for name, value in problem.parameters.items()}
    mean, var = torch.tensor(problem.running_mean), torch.tensor(problem.running_var)

    def forward(x: torch.Tensor) -> torch.Tensor:
        pre = p["C"][x].view(len(x), -1) @ p["W1"]
        h = torch.tanh(p["gamma"] * (pre - mean) / torch.sqrt(var + 1e-5) + p["beta"])
        return h @ p["W2"] + p["b2"]

    return forward


def evaluate(problem: Problem) -> Step:
    """The whole split in one pass, as the lecture does."""
    forward = logits(problem)

    @torch.no_grad()
    def step(x: torch.Tensor, y: torch.Tensor) -> float:
        return F.cross_entropy(forward(x), y).item()

    return step


def sample(problem: Problem) -> Step:
    """A name at a time, a character at a time, as the lecture does."""
    forward, generator = logits(problem), torch.Generator().manual_seed(0)

    @torch.no_grad()
    def step() -> float:
        length = 0
        for _ in range(problem.names):
            context = [0, 0, 0]
            while True:
                probabilities = F.softmax(forward(torch.tensor([context])), dim=1)
                k = int(torch.multinomial(probabilities, 1, generator=generator).item())
                context = [*context[1:], k]
                if k == 0:
                    break
                length += 1
        return length / problem.names

    return step


def convolution(problem: Problem) -> Step:
    p = {name: torch.tensor(value, requires_grad=True) for name, value in problem.parameters.items()}
    running = [(torch.zeros(8), torch.ones(8)), (torch.zeros(16), torch.ones(16))]

    def step(x: torch.Tensor, y: torch.Tensor) -> float:
        for k, (mean, var) in enumerate(running, 1):
            x = F.conv2d(x, p[f"K{k}"], padding=1)
            x = F.relu(F.batch_norm(x, mean, var, p[f"gamma{k}"], p[f"beta{k}"], training=True))
        loss = F.cross_entropy(x.mean((2, 3)) @ p["W"] + p["b"], y)
        for parameter in p.values():
            parameter.grad = None
        loss.backward()
        for parameter in p.values():
            parameter.data += -problem.lr * parameter.grad
        return loss.item()

    return step


def chain(problem: Problem) -> Step:
    def step(start: torch.Tensor) -> float:
        x = start.detach().requires_grad_()
        y = x
        for _ in range(problem.nodes // 2):
            y = y * 0.9999 + 0.001
        y.backward()
        return x.grad.item()

    return step


NODES: dict[str, Step] = {"tanh": torch.tanh, "multiply": lambda x: x * 0.999, "negative": lambda x: -x}


def node(problem: Problem) -> Step:
    operation = NODES[problem.operation]

    def step(start: torch.Tensor, dy: torch.Tensor) -> torch.Tensor | None:
        x = start.detach().requires_grad_()
        y = x
        for _ in range(problem.nodes):
            y = operation(y)
        y.backward(dy)
        return x.grad

    return step


def function(problem: Problem) -> Step:
    from benchmarks.cases import draw

    case = draw(problem)
    if case.torch is None:
        raise NotImplementedError("PyTorch has no such function")
    inputs = [tensor(x) for x in case.inputs]
    leaves = [x for x in inputs if isinstance(x, torch.Tensor) and x.requires_grad]
    reference = case.torch
    dy = torch.from_numpy(np.random.default_rng(0).standard_normal(reference(torch, *inputs).shape))

    def step() -> torch.Tensor:
        for leaf in leaves:
            leaf.grad = None
        y = reference(torch, *inputs)
        y.backward(dy)
        return y.detach()

    return step


LARGE: dict[str, Step] = {
    "softmax": lambda x: F.softmax(x, dim=1),
    "layer_norm": lambda x, w, b: F.layer_norm(x, w.shape, w, b),
    "group_norm": lambda x, w, b: F.group_norm(x, 32, w, b),
    "gelu": F.gelu,
    "conv2d": lambda x, w: F.conv2d(x, w, padding=1),
}


def large(problem: Problem) -> Step:
    leaves = [torch.tensor(value, requires_grad=True) for value in problem.parameters.values()]
    operation = LARGE[problem.operation]

    def step(dy: torch.Tensor) -> Any:
        for leaf in leaves:
            leaf.grad = None
        y = operation(*leaves)
        y.backward(dy)
        total = y.detach().sum()
        return lambda: total.item() + leaves[0].grad.sum().item()

    return step


def tensor(x: Any) -> Any:
    if not isinstance(x, np.ndarray):
        return x
    x = np.array(x)
    return torch.tensor(x, requires_grad=x.dtype.kind == "f")


def instruments(problem: Problem) -> Step:
    """Training with what the lecture records: the gradient of each layer's output, and how far each parameter moves."""
    network, lr = Network(problem), problem.lr
    ratios: list[list[float]] = []
    count = itertools.count()

    def step(x: torch.Tensor, y: torch.Tensor) -> float:
        recorded = next(count) % problem.every == 0
        loss = F.cross_entropy(network(x, keep=recorded), y)
        for output in network.outputs:
            output.retain_grad()
        for p in network.parameters:
            p.grad = None
        loss.backward()
        for p in network.parameters:
            p.data += -lr * p.grad
        if recorded:
            with torch.no_grad():
                ratios.append([((lr * p.grad).std() / p.data.std()).log10().item() for p in network.parameters])
        return loss.item()

    return step
