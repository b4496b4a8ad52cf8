"""What one step does to parameters, gradients and state, and that it can be recorded."""

import copy
import pickle
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.mixins import NDArrayOperatorsMixin

from npgrad import Tensor, optim
from tests.optim.conftest import OPTIMISERS, each_optimiser, leaves, make, steps


def three(rng: np.random.Generator) -> list[Tensor]:
    return leaves(*(rng.normal(size=shape) for shape in [(2, 3), (4,), (3, 2)]))


@pytest.mark.parametrize("layout", ["fortran", "reversed", "sliced", "readonly"])
def test_gradients_of_any_layout(layout: str) -> None:
    g = np.arange(6.0).reshape(2, 3)
    laid_out = {
        "fortran": np.asfortranarray(g),
        "reversed": g[::-1, ::-1].copy()[::-1, ::-1],
        "sliced": np.repeat(g, 2, axis=1)[:, ::2],
        "readonly": g.copy(),
    }[layout]
    laid_out.flags.writeable = False
    (p,) = leaves(np.asfortranarray(np.ones((2, 3))))
    optimizer = optim.SGD([p], lr=1.0)
    p.grad = laid_out
    optimizer.step()
    assert np.array_equal(p.numpy(), 1 - g)


def test_a_gradient_that_stays_has_no_negative_variance() -> None:
    """In `centered`, the mean of squares minus the square of the mean is rounded, to below 0 for some of these."""
    g = np.linspace(0.01, 3, 2000).astype(np.float32)
    (p,) = leaves(np.zeros_like(g))
    optimizer = optim.RMSprop([p], lr=1e-9, alpha=0.9, centered=True)
    for _ in range(300):
        p.grad = g
        optimizer.step()
    assert np.isfinite(p.numpy()).all()


@each_optimiser
def test_without_a_gradient_nothing_moves(name: str, rng: np.random.Generator) -> None:
    parameters = three(rng)
    optimizer = make(name, parameters, lr=0.1, weight_decay=0.5)
    for present in ([], [0], [1], [2], [0, 2], [0, 1], [1, 2]):
        before = [(p.numpy().copy(), p._leaf().storage.read()) for p in parameters]
        optimizer.zero_grad()
        for k in present:
            parameters[k].grad = np.full(parameters[k].shape, 2.0)
        optimizer.step()
        for k, (p, (value, reading)) in enumerate(zip(parameters, before, strict=True)):
            moved = not np.array_equal(p.numpy(), value)
            assert moved == (k in present)
            assert reading.is_current() == (k not in present)
    assert [optimizer.state[p]["step"] for p in parameters] == [3, 3, 3]


def test_a_step_between_forward_and_backward_is_noticed() -> None:
    (p,) = leaves(np.ones(3))
    optimizer = optim.SGD([p])
    loss = (p * p).sum()
    p.grad = np.ones(3)
    optimizer.step()
    with pytest.raises(RuntimeError, match="changed between forward and"):
        loss.backward()


@each_optimiser
def test_the_array_of_a_parameter_stays_its_own(name: str, rng: np.random.Generator) -> None:
    parameters = three(rng)
    arrays = [p.data for p in parameters]
    optimizer = make(name, parameters)
    steps(parameters, optimizer, rng, 3)
    assert all(p.data is a for p, a in zip(parameters, arrays, strict=True))


@each_optimiser
def test_assigning_data_reaches_the_optimiser(name: str, rng: np.random.Generator) -> None:
    parameters = three(rng)
    optimizer = make(name, parameters)
    parameters[1].data = np.full(4, 7.0)
    parameters[0].data += 1.0
    fresh = leaves(*(p.numpy() for p in parameters))
    other = make(name, fresh)
    for p, q in zip(parameters, fresh, strict=True):
        p.grad = q.grad = rng.normal(size=p.shape)
    optimizer.step()
    other.step()
    for p, q in zip(parameters, fresh, strict=True):
        assert np.array_equal(p.numpy(), q.numpy())


def test_two_optimisers_may_take_turns() -> None:
    (p,) = leaves(np.zeros(2))
    first, second = optim.SGD([p], lr=1.0), optim.SGD([p], lr=10.0)
    p.grad = np.ones(2)
    for optimizer in (first, second, second, first, second):
        optimizer.step()
    assert np.array_equal(p.numpy(), np.full(2, -32.0))


@pytest.mark.parametrize(
    ("array", "words"),
    [(np.zeros(3), r"had shape \(2,\).*shape \(3,\)"), (np.zeros(2, np.float32), "dtype float64.*dtype float32 now")],
)
def test_a_replaced_array_of_another_kind_is_an_error(array: np.ndarray, words: str) -> None:
    p, q = leaves(np.zeros(2), np.zeros(1))
    optimizer = optim.SGD([q, p])
    p._array = array
    p.grad, q.grad = np.ones_like(array), np.ones(1)
    with pytest.raises(RuntimeError, match=words + ".*Make a new optimiser"):
        optimizer.step()
    assert q.numpy()[0] == 0 and not optimizer.state
    # Nor does another group make the old one valid.
    optimizer.add_param_group({"params": leaves(np.zeros(1))})
    with pytest.raises(RuntimeError, match="Make a new optimiser"):
        optimizer.step()
    # Nor does taking it out and in again, which would leave it with the old state.
    del optimizer.param_groups[0]["params"][1]
    optimizer.zero_grad()
    optimizer.param_groups[0]["params"].append(p)
    p.grad = np.ones_like(array)
    with pytest.raises(RuntimeError, match="Make a new optimiser"):
        optimizer.step()


@pytest.mark.parametrize(
    ("g", "words"),
    [
        (np.zeros((3, 2)), r"gradient of shape \(3, 2\) .* a tensor of shape \(2, 3\)"),
        (np.zeros((2, 3), complex), "dtype complex128 was assigned to a tensor .* dtype float64"),
    ],
)
def test_a_gradient_that_does_not_fit_cannot_be_assigned(g: np.ndarray, words: str) -> None:
    (p,) = leaves(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=words):
        p.grad = g
    assert p.grad is None


def test_an_assigned_gradient_is_copied_in_the_dtype_of_its_tensor() -> None:
    a, b = leaves(np.zeros(2, np.float32), np.zeros(2))
    a.grad = np.ones(2)
    b.grad = a.grad
    assert a.grad is not None and a.grad.dtype == np.float32 and not np.shares_memory(a.grad, b.grad)


@each_optimiser
@pytest.mark.parametrize("how", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_copies_are_complete_and_independent(name: str, how: Any, rng: np.random.Generator) -> None:
    parameters = three(rng)
    optimizer = make(name, parameters)
    steps(parameters, optimizer, rng, 3)
    twins, twin = how((parameters, optimizer))
    for p, q in zip(parameters, twins, strict=True):
        assert not np.shares_memory(p.numpy(), q.numpy())
        p.grad = rng.normal(size=p.shape)
        q.grad = p.grad.copy()
    before = [p.numpy().copy() for p in parameters]
    twin.step()
    assert all(np.array_equal(p.numpy(), value) for p, value in zip(parameters, before, strict=True))
    optimizer.step()
    assert all(np.array_equal(p.numpy(), q.numpy()) for p, q in zip(parameters, twins, strict=True))


def test_gradients_are_not_held_on_to() -> None:
    (p,) = leaves(np.zeros(4))
    optimizer = optim.SGD([p])
    p.grad = np.ones(4)
    gone = weakref.ref(p.grad)
    optimizer.step()
    p.grad = None
    assert gone() is None


# -- what a compiled step relies on ------------------------------------------------------------------------------------


class Recorded(NDArrayOperatorsMixin):
    """Stands in for an array or a number: it knows NumPy's calls, operators and truth, and nothing else."""

    def __init__(self, value: Any, calls: list[str]) -> None:
        self.value, self.calls = value, calls

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: tuple[Any, ...] = (), **kw: Any) -> Any:
        assert method == "__call__"
        self.calls.append(ufunc.__name__)
        in_place = bool(out) and isinstance(out[0].value, np.ndarray)  # NumPy's scalars are replaced
        if in_place:
            kw["out"] = out[0].value
        result = ufunc(*(x.value if isinstance(x, Recorded) else x for x in inputs), **kw)
        return out[0] if in_place else Recorded(result, self.calls)

    def __array_function__(self, function: Any, types: Any, args: Any, kw: Any) -> Any:
        self.calls.append(function.__name__)
        return Recorded(function(*(x.value if isinstance(x, Recorded) else x for x in args), **kw), self.calls)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __float__(self) -> float:
        self.calls.append("float")
        return float(self.value)

    def __array__(self, *args: Any, **kw: Any) -> np.ndarray:
        raise AssertionError("a recorded array was taken for an array")


@each_optimiser
@given(st.data())
def test_updates_can_be_recorded(name: str, data: st.DataObject) -> None:
    rng = np.random.default_rng(0)
    parameters = leaves(rng.normal(size=(3, 2)).astype(np.float32), rng.normal(size=()))
    optimizer = make(name, parameters, **data.draw(OPTIMISERS[name].options))
    steps(parameters, optimizer, rng, 2)
    (group,) = optimizer.param_groups
    for p in parameters:
        p.grad = np.asarray(rng.normal(size=p.shape), p.dtype)
    twins, twin = copy.deepcopy((parameters, optimizer))
    optimizer.step()
    for p, q, n in zip(parameters, twins, twin._advance(twin.param_groups[0], twins), strict=True):
        calls: list[str] = []
        state = twin._arrays(q, group)
        arrays = {key: Recorded(value, calls) for key, value in state.items() if key != "step"}
        assert all(type(x) in (float, bool) for x in n.values())
        numbers: Any = {key: Recorded(x, calls) for key, x in n.items()}
        twin.update(Recorded(q._array, calls), Recorded(q.grad, calls), arrays, numbers)  # type: ignore[arg-type]
        assert calls and "float" not in calls
        assert q.numpy().tobytes() == p.numpy().tobytes()
        for key, value in optimizer.state[p].items():
            assert np.array_equal(value, state[key])


def test_plain_descent_is_two_calls() -> None:
    optimizer = optim.SGD(leaves(np.ones(3)))
    calls: list[str] = []
    p: Any = Recorded(np.ones(3), calls)
    g: Any = Recorded(np.ones(3), calls)
    optimizer.update(p, g, {}, optimizer.numbers(optimizer.param_groups[0], 1))
    assert calls == ["multiply", "subtract"]


def test_clipping_can_be_recorded(rng: np.random.Generator) -> None:
    gradients = [rng.normal(size=(3, 4)), rng.normal(size=())]
    plain, recorded = leaves(*gradients), leaves(*gradients)
    calls: list[str] = []
    for p, q, g in zip(plain, recorded, gradients, strict=True):
        p.grad = g
        q._leaf()._grad = Recorded(g.copy(), calls)  # type: ignore[assignment]
    assert optim.clip_grad_norm(plain, 0.1) == optim.clip_grad_norm(recorded, 0.1)
    assert calls.count("float") == 1 and calls[-1] == "float"
    for p, q in zip(plain, recorded, strict=True):
        assert p.grad is not None and p.grad.tobytes() == q.grad.value.tobytes()  # type: ignore[union-attr]


@each_optimiser
def test_parameters_updated_equally_often_share_their_numbers(name: str) -> None:
    a, b, c = leaves(*[np.ones(1)] * 3)
    optimizer = make(name, [a, b, c])
    (group,) = optimizer.param_groups
    first, second = optimizer._advance(group, [a, b])
    assert first is second
    first, second = optimizer._advance(group, [b, c])
    assert first == optimizer.numbers(group, 2) and second == optimizer.numbers(group, 1)


@each_optimiser
def test_all_counts_advance_before_any_array_changes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    p, q = leaves(np.ones(1), np.ones(1))
    optimizer = make(name, [{"params": p}, {"params": q}])
    seen: list[list[int]] = []
    monkeypatch.setattr(
        optimizer, "update", lambda *arguments: seen.append([state["step"] for state in optimizer.state.values()])
    )
    p.grad = q.grad = np.ones(1)
    optimizer.step()
    assert seen == [[1, 1], [1, 1]]


@each_optimiser
def test_a_snapshot_brings_back_counts_and_options(name: str, rng: np.random.Generator) -> None:
    parameters = three(rng)
    optimizer = make(name, parameters)
    schedule = optim.StepLR(optimizer, 1)
    parameters[0].grad = np.ones((2, 3))
    optimizer.step()
    schedule.step()
    back = [optimizer._snapshot(), schedule._snapshot()]
    before = copy.deepcopy((optimizer.param_groups[0]["lr"], schedule.state_dict()))
    steps(parameters, optimizer, rng, 3)
    optimizer.lr = 7.0
    schedule.step()
    optimizer.param_groups[0]["weight_decay"] = 0.7
    for restore in back:
        restore()
    assert [optimizer.state.get(p, {"step": 0})["step"] for p in parameters] == [1, 0, 0]
    assert (optimizer.param_groups[0]["lr"], schedule.state_dict()) == before
    assert optimizer.param_groups[0]["weight_decay"] == OPTIMISERS[name].example.get(
        "weight_decay", optimizer.defaults["weight_decay"]
    )
    assert set(optimizer.state_dict()["state"]) == {0}
