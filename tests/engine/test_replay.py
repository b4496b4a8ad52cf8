"""A replayed step and the same step run plainly: the same bytes, whatever the step does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import npgrad
from npgrad import Tensor, optim

RNG = np.random.default_rng(0)
DY = RNG.normal(size=(2, 3))


class Same(npgrad.Function):
    """The result is the input itself."""

    def forward(self, x: Any) -> Any:
        return x

    def backward(self, dy: Any) -> Any:
        return dy


# -- gradients in the node's own memory, and backward passes that would write there ------------------------------------


def twice(p: Tensor, k: int) -> None:
    y = npgrad.softmax(p)
    y.backward(DY, retain_graph=True)
    (y * 2.0).backward(DY * DY)


def twice_with_a_new_operation(p: Tensor, k: int) -> None:
    y = npgrad.softmax(p)
    y.backward(DY, retain_graph=True)
    (y * 2.0 if k % 2 else np.tanh(y)).backward(DY * DY)


def derivative_through_the_graph(p: Tensor, k: int) -> None:
    y = npgrad.softmax(p)
    y.backward(DY, retain_graph=True)
    npgrad.grad(lambda q: (y * q * q).sum())(DY)


def held(p: Tensor, k: int) -> None:
    y = npgrad.softmax(p)
    y.backward(DY, retain_graph=True)
    assert p.grad is not None
    first, before = p.grad[:1], p.grad[:1].copy()
    p.grad = None
    (y * 2.0).backward(DY * DY)
    assert np.array_equal(first, before)


@pytest.mark.parametrize("body", [twice, twice_with_a_new_operation, derivative_through_the_graph, held])
def test_a_gradient_survives_other_backward_passes_through_its_node(body: Callable[[Tensor, int], None]) -> None:
    plain, replayed = Tensor(DY + 1, requires_grad=True), Tensor(DY + 1, requires_grad=True)
    step = npgrad.replay(body)
    for k in (0, 0, 0, 1, 1, 0, 0, 0):
        plain.grad = replayed.grad = None
        body(plain, k)
        step(replayed, k)
        assert np.array_equal(plain.grad, replayed.grad)  # type: ignore[arg-type]


def test_a_gradient_survives_a_backward_pass_after_the_step() -> None:
    p = Tensor(DY, requires_grad=True)
    kept: list[Tensor] = []

    @npgrad.replay
    def step() -> None:
        y = (npgrad.softmax(p) * DY).sum()
        y.backward(retain_graph=True)
        kept.append(y)

    for _ in range(4):
        p.grad = None
        step()
        assert p.grad is not None
        once = p.grad.copy()
        kept.pop().backward(3.0)
        np.testing.assert_allclose(p.grad, 4 * once, rtol=1e-12)


def test_a_kept_tensor_in_its_inputs_memory_keeps_its_numbers() -> None:
    kept: list[tuple[Tensor, Any]] = []

    @npgrad.replay
    def step(p: Tensor, k: float) -> None:
        y = Same.apply(p * k)
        kept.append((y, y.numpy()))

    p = Tensor(DY, requires_grad=True)
    for k in (1.0, 2.0, 3.0):
        step(p, k)
    assert all(np.array_equal(y.numpy(), before) for y, before in kept)
    assert [before[0, 0] / DY[0, 0] for _, before in kept] == pytest.approx([1, 2, 3])


# -- random steps ------------------------------------------------------------------------------------------------------


class World:
    """Parameters, an optimiser, and what a step keeps from one call to the next."""

    def __init__(self, optimised: bool) -> None:
        rng = np.random.default_rng(1)
        self.p, self.W, self.b = (Tensor(rng.normal(size=s), requires_grad=True) for s in [(2, 3), (3, 3), (3,)])
        self.parameters = [self.p, self.W, self.b]
        self.optimizer = optim.SGD(self.parameters, lr=0.01, momentum=0.5) if optimised else None
        self.array = np.zeros((2, 3))
        self.statistics = np.zeros(3), np.ones(3)
        self.kept: list[tuple[Any, Any]] = []

    def keep(self, x: Any, a: Any) -> None:
        if not any(np.shares_memory(a, p._data) for p in self.parameters):
            self.kept.append((x, np.array(a)))


def _refill(w: World, x: Tensor, rng: np.random.Generator) -> Tensor:
    w.array[...] = rng.normal(size=(2, 3))
    return x * w.array


def _constant(w: World, x: Tensor, rng: np.random.Generator) -> Tensor:
    with npgrad.no_grad():
        c = np.tanh(x) * 2.0
    return x * c


OPERATIONS: dict[str, Callable[[World, Tensor, Tensor, np.random.Generator], Tensor]] = {
    "add": lambda w, x, y, rng: x + y,
    "mul": lambda w, x, y, rng: np.tanh(x) * y,
    "div": lambda w, x, y, rng: x / (np.abs(y) + 2.0),
    "maximum": lambda w, x, y, rng: np.maximum(x, y),
    "tanh": lambda w, x, y, rng: np.tanh(x),
    "square": lambda w, x, y, rng: np.tanh(x) ** 2,
    "matmul": lambda w, x, y, rng: x @ w.W,
    "bias": lambda w, x, y, rng: x + w.b,
    "gather": lambda w, x, y, rng: x[rng.integers(0, 2, 2)],
    "row": lambda w, x, y, rng: x + y[1],
    "reverse": lambda w, x, y, rng: x[::-1],
    "transpose": lambda w, x, y, rng: x.reshape(3, 2).T,
    "same": lambda w, x, y, rng: Same.apply(x),
    "where": lambda w, x, y, rng: npgrad.where(x.numpy() > 0, x, y),
    "softmax": lambda w, x, y, rng: npgrad.softmax(x),
    "layer_norm": lambda w, x, y, rng: npgrad.layer_norm(x, 3, w.b, None),
    "batch_norm": lambda w, x, y, rng: npgrad.batch_norm(x, *w.statistics, w.b, None, True),
    "concatenate": lambda w, x, y, rng: npgrad.concatenate([x[:1], y[1:]]),
    "stack": lambda w, x, y, rng: npgrad.stack([x, y])[0],
    "loss": lambda w, x, y, rng: x * npgrad.cross_entropy(y, rng.integers(0, 3, 2)),
    "number": lambda w, x, y, rng: x * float(rng.normal()),
    "array": lambda w, x, y, rng: x * rng.normal(size=(2, 3)),
    "refilled array": lambda w, x, y, rng: _refill(w, x, rng),
    "constant tensor": lambda w, x, y, rng: x * Tensor(rng.normal(size=(2, 3))),
    "constant result": lambda w, x, y, rng: _constant(w, x, rng),
    "detached": lambda w, x, y, rng: x.detach() * y,
    "data-dependent": lambda w, x, y, rng: np.tanh(x) if x.numpy()[0, 0] > 0 else x * y,
}
ACTIONS = (
    "backward", "backward again", "hook", "retain", "keep", "keep array", "keep gradient", "assign", "write",
    "optimise", "forget gradients", "fail", "fail in backward",
)  # fmt: skip


def perform(w: World, program: list[tuple[str, int, int]], seed: int) -> tuple[Any, list[Any]]:
    """Run a program: each instruction works on two of the results so far, mostly the last. What could be seen."""
    rng = np.random.default_rng(seed)
    results, seen, retaining = [w.p], [], []
    removers: list[Callable[[], None]] = []
    factor = float(rng.normal())
    try:
        for name, i, j in program:
            x, y = results[-1 if i % 3 else i % len(results)], results[j % len(results)]
            p = w.parameters[i % 3]
            if name in OPERATIONS:
                results.append(OPERATIONS[name](w, x, y, rng))
                seen.append(results[-1].numpy().copy())
            elif name in ("backward", "backward again") and x.requires_grad:
                root = x if j % 2 else x.sum()
                dy = rng.normal(size=root.shape)
                root.backward(dy, retain_graph=True)
                if name == "backward again":
                    root.backward(dy * dy, retain_graph=True)
            elif name == "hook" and x.requires_grad:
                removers.append(x.register_hook(lambda dy: (seen.append(dy.copy()), dy * factor)[1]))
            elif name == "retain":
                x.retain_grad()
                retaining.append(x)
            elif name == "keep":
                w.keep(x, x._data)
            elif name == "keep array":
                array = x.numpy()
                w.keep(array, array)
            elif name == "keep gradient" and p.grad is not None:
                part = p.grad[j % 2 :]
                w.keep(part, part)
            elif name == "assign":
                p.data += 0.01 * factor
            elif name == "write":
                p.data[...] = p.data * 0.9
            elif name == "optimise" and w.optimizer is not None:
                w.optimizer.step()
            elif name == "forget gradients":
                for q in w.parameters:
                    q.grad = None
            elif name == "fail" and j % 4 == 0:
                raise KeyboardInterrupt
            elif name == "fail in backward" and x._node is not None:
                remove = x.register_hook(_raise)
                with pytest.raises(KeyboardInterrupt):
                    x.sum().backward(retain_graph=True)
                remove()
        return results[-1], seen
    finally:
        seen += [t.grad for t in retaining]
        for remove in removers:
            remove()


def _raise(dy: Any) -> None:
    raise KeyboardInterrupt


def outcome(run: Callable[..., Any], w: World, program: list[tuple[str, int, int]], seed: int) -> list[Any]:
    try:
        y, seen = run(w, program, seed)
        arrays = [y.numpy(), *seen]
    except KeyboardInterrupt:
        arrays = []
    except RuntimeError as error:
        assert "changed between forward and backward" in str(error)
        return ["refused"]
    arrays += [a for p in w.parameters for a in (p.numpy(), p.grad)]
    for x, before in w.kept:
        assert np.array_equal(x._data if isinstance(x, Tensor) else x, before), "what was kept has changed"
    return [None if a is None else a.tobytes() for a in arrays]


INSTRUCTIONS = st.tuples(
    st.sampled_from([*OPERATIONS, *OPERATIONS, *ACTIONS, "backward"]), st.integers(0, 11), st.integers(0, 11)
)
PROGRAMS = st.lists(INSTRUCTIONS, min_size=1, max_size=12)


@settings(deadline=None)
@given(st.data(), PROGRAMS, st.booleans())
def test_replayed_steps_give_the_bytes_of_plain_ones(data: st.DataObject, program: Any, optimised: bool) -> None:
    """Over several calls, with other numbers each time and in some of them other operations from some point on."""
    cut = data.draw(st.integers(0, len(program)), label="cut")
    other = program[:cut] + data.draw(st.lists(INSTRUCTIONS, max_size=4), label="other ending")
    plain, replayed = World(optimised), World(optimised)
    step = npgrad.replay(perform)
    for seed, version in enumerate(data.draw(st.lists(st.sampled_from([0, 0, 1]), min_size=3, max_size=6))):
        chosen = (program, other)[version]
        for w in (plain, replayed):
            if seed % 3:
                for p in w.parameters:
                    p.grad = None
        a, b = outcome(perform, plain, chosen, seed), outcome(step, replayed, chosen, seed)
        assert a == b
        if a == ["refused"]:
            return
