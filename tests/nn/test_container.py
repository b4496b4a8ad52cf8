"""Sequential, ModuleList, Flatten."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad import Tensor, nn


def linears(n: int) -> list[nn.Module]:
    rng = np.random.default_rng(0)
    return [nn.Linear(3, 3, rng=rng, dtype=np.float64) for _ in range(n)]


def test_sequential_composes_and_is_a_list() -> None:
    layers = linears(3)
    net = nn.Sequential(*layers)
    x = np.random.default_rng(1).normal(size=(4, 3))
    y = x
    for layer in layers:
        y = layer(y)
    np.testing.assert_array_equal(net(x).numpy(), y.numpy())
    assert len(net) == 3 and list(net) == layers and net[-1] is layers[2]
    assert list(net[:-1]) == layers[:2] and isinstance(net[:-1], nn.Sequential)
    assert list(net.state_dict())[:2] == ["0.weight", "0.bias"]
    assert nn.Sequential()(x) is x


def test_module_list() -> None:
    modules = nn.ModuleList(linears(2)).append(nn.Tanh())
    assert [name for name, _ in modules.named_parameters()] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert len(modules[1:]) == 2


@pytest.mark.parametrize(
    ("wrong", "words"),
    [(np.tanh, "got ufunc as number 1"), (nn.Tanh, r"got Tanh \(the class\).*write Tanh\(\) rather than Tanh")],
)
def test_what_is_not_a_module(wrong: nn.Module, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        nn.Sequential(*linears(1), wrong)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), st.data())
def test_flatten(shape: list[int], data: st.DataObject) -> None:
    start = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = Tensor(np.random.default_rng(0).normal(size=shape), requires_grad=True)
    end = data.draw(st.integers(start % len(shape), len(shape) - 1))
    y = nn.Flatten(start, data.draw(st.sampled_from([end, end - len(shape)])))(x)
    start %= len(shape)
    assert y.shape == (*shape[:start], int(np.prod(shape[start : end + 1])), *shape[end + 1 :])
    assert np.array_equal(y.numpy().ravel(), x.numpy().ravel())


def test_flatten_without_the_axis() -> None:
    with pytest.raises(ValueError, match=r"start_dim=1, end_dim=-1\) got an input of shape \(3,\)"):
        nn.Flatten()(Tensor(np.ones(3)))
    with pytest.raises(ValueError, match=r"start_dim=2, end_dim=1\) got an input of shape \(3, 4, 5\)"):
        nn.Flatten(2, 1)(Tensor(np.ones((3, 4, 5))))
