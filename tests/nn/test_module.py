"""Modules: what they hold, their state, their hooks."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from npgrad import Tensor, nn
from npgrad.engine.arrays import changes
from npgrad.nn import Module, Parameter


class Scale(Module):
    """x·w, the smallest module with a parameter."""

    def __init__(self, n: int = 3) -> None:
        self.w = Parameter(np.arange(1.0, n + 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.w


class Tree(Module):
    """Parameters and modules in every place they may be."""

    def __init__(self) -> None:
        self.own = Parameter(np.ones((2, 3)))
        self.child = Scale(3)
        self.listed = [Scale(1), (Scale(2), Parameter(np.zeros(4)))]
        self.named = {"left": Scale(5)}
        self.again = self.child
        self.number = 3
        self.array = np.ones(7)
        self.tensor = Tensor([1.0], requires_grad=True)
        self.register_buffer("count", np.zeros(2))


NAMES = ["own", "listed.1.1", "child.w", "listed.0.w", "listed.1.0.w", "named.left.w"]


def test_members_are_found_wherever_they_are_and_once() -> None:
    tree = Tree()
    assert [name for name, _ in tree.named_parameters()] == NAMES
    assert [p.size for p in tree.parameters()] == [6, 4, 3, 1, 2, 5]
    assert [name for name, _ in tree.named_modules()] == ["", "child", "listed.0", "listed.1.0", "named.left"]
    assert [name for name, _ in tree.named_buffers()] == ["count"]
    assert [name for name, _ in tree.named_parameters("net")][:2] == ["net.own", "net.listed.1.1"]
    assert len(tree.modules()) == 5 and len(tree.buffers()) == 1


def test_a_module_within_itself_is_no_endless_tree() -> None:
    a = Scale()
    a.parent = a  # type: ignore[attr-defined]
    assert len(a.modules()) == 1 and len(a.parameters()) == 1


def test_shared_parameters_are_listed_once_and_train_as_one() -> None:
    a, b = Scale(), Scale()
    b.w = a.w
    net = nn.Sequential(a, b)
    assert [name for name, _ in net.named_parameters()] == ["0.w"]
    net(np.ones(3)).sum().backward()
    np.testing.assert_allclose(a.w.grad, 2 * np.arange(1.0, 4))
    assert list(net.state_dict()) == ["0.w"]
    net.load_state_dict({"0.w": np.zeros(3)})
    assert not b.w.numpy().any()


def test_attributes_added_and_removed_later() -> None:
    a = Scale()
    a.extra = Scale(2)  # type: ignore[attr-defined]
    assert len(a.parameters()) == 2
    del a.extra  # type: ignore[attr-defined]
    assert len(a.parameters()) == 1


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ([1, 2], np.float32),
        ([1.5], np.float32),
        (2.0, np.float32),
        (np.arange(3), np.float32),
        (np.ones(2, bool), np.float32),
        (np.ones(2), np.float64),
        (np.ones(2, np.float32), np.float32),
        (np.float64(3), np.float64),
    ],
)
def test_dtype_of_parameters(data: Any, dtype: type) -> None:
    p = Parameter(data)
    assert p.dtype == dtype and p.requires_grad and p.is_leaf
    assert Parameter(data, dtype=np.float64).dtype == np.float64
    assert not Parameter(data, requires_grad=False).requires_grad
    t = Tensor(data)
    assert Parameter(t).dtype == (t.dtype if t.dtype.kind == "f" else np.float32)


def test_parameters_copy_their_data() -> None:
    a = np.ones(2)
    p = Parameter(a)
    a[0] = 5
    assert p.numpy()[0] == 1


# -- state -------------------------------------------------------------------------------------------------------------


def test_state_is_a_copy_and_loads_in_place() -> None:
    tree, other = Tree(), Tree()
    tree.child.w.data = np.full(3, 7.0)
    tree.count[...] = 3
    state = tree.state_dict()
    assert list(state) == [*NAMES, "count"]
    held, buffer = other.child.w._array, other.count
    assert other.load_state_dict(state) == ([], [])
    assert other.child.w._array is held and other.count is buffer
    assert np.array_equal(held, np.full(3, 7.0)) and np.array_equal(buffer, [3, 3])
    for array in state.values():
        array[...] = -1
    assert np.array_equal(other.child.w.numpy(), np.full(3, 7.0)) and np.array_equal(tree.count, [3, 3])


def test_loading_is_noticed_by_a_graph() -> None:
    a = Scale()
    loss = (a(np.ones(3)) * a.w).sum()
    a.load_state_dict(a.state_dict())
    with pytest.raises(RuntimeError, match="changed between forward and"):
        loss.backward()


def test_one_message_names_everything_that_is_wrong_and_nothing_is_loaded() -> None:
    tree = Tree()
    before = tree.state_dict()
    state = {name: array + 1 for name, array in before.items()}
    del state["own"]
    state["strange"] = np.ones((4, 4))
    state["child.w"] = np.ones(9)
    state["listed.0.w"] = np.array(["a"])
    with pytest.raises(ValueError) as error:
        tree.load_state_dict(state)
    text = str(error.value)
    for part in (
        "does not fit Tree, and nothing was loaded",
        "missing: own (2, 3)",
        "unexpected: strange (4, 4)",
        "child.w is (9,) in the state and (3,) in the module",
        "listed.0.w is <U1 in the state and float64 in the module",
    ):
        assert part in text
    assert "strict=False" not in text
    for name, array in tree.state_dict().items():
        assert np.array_equal(array, before[name])


def test_without_strict_what_matches_is_loaded() -> None:
    tree = Tree()
    state = {"own": np.full((2, 3), 4.0), "strange": np.ones(1)}
    with pytest.raises(ValueError, match="or pass strict=False"):
        tree.load_state_dict(state)
    keys = tree.load_state_dict(state, strict=False)
    assert keys.missing == [*NAMES[1:], "count"] and keys.unexpected == ["strange"]
    assert np.array_equal(tree.own.numpy(), np.full((2, 3), 4.0))
    with pytest.raises(ValueError, match="misshapen"):
        tree.load_state_dict({"own": np.ones(2)}, strict=False)


def test_state_of_another_precision() -> None:
    a = nn.Linear(2, 3, rng=np.random.default_rng(0))
    state = {name: array.astype(np.float64) for name, array in a.state_dict().items()}
    a.load_state_dict(state)
    assert a.weight.dtype == np.float32
    with pytest.raises(ValueError, match="complex128 in the state and float32 in the module"):
        a.load_state_dict({name: array + 1j for name, array in state.items()})


def test_tensors_as_state() -> None:
    a = Scale()
    a.load_state_dict({"w": Tensor(np.zeros(3), requires_grad=True)})
    assert not a.w.numpy().any()


@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies_are_independent_and_keep_sharing(how: str) -> None:
    tree = Tree()
    twin = copy.deepcopy(tree) if how == "deepcopy" else pickle.loads(pickle.dumps(tree))
    assert twin.again is twin.child
    twin.child.w.data = np.zeros(3)
    twin.count += 1
    assert tree.child.w.numpy().all() and not tree.count.any()
    assert list(twin.state_dict()) == list(tree.state_dict())


def test_names_of_buffers() -> None:
    a = Scale()
    a.register_buffer("n", [1.0, 2.0])
    a.register_buffer("n", np.zeros(3))
    assert [(name, array.shape) for name, array in a.named_buffers()] == [("n", (3,))]
    for name in ("", "a.b"):
        with pytest.raises(ValueError, match="plain attribute name"):
            a.register_buffer(name, np.zeros(1))
    assert Scale().buffers() == []


# -- switches ----------------------------------------------------------------------------------------------------------


def test_train_and_eval_reach_every_module() -> None:
    tree = Tree()
    assert all(m.training for m in tree.modules())
    assert tree.eval() is tree
    assert not any(m.training for m in tree.modules())
    assert all(m.training for m in tree.train().modules())


def test_freezing() -> None:
    a = Scale()
    a.requires_grad_(False)
    assert not a(np.ones(3)).requires_grad
    a.requires_grad_()
    a(np.ones(3)).sum().backward()
    assert a.w.grad is not None
    a.zero_grad()
    assert a.w.grad is None


def test_apply_visits_all_children_first() -> None:
    seen: list[Module] = []
    tree = Tree()
    assert tree.apply(seen.append) is tree
    assert len(seen) == 5 and seen[-1] is tree


def test_a_module_without_forward() -> None:
    with pytest.raises(NotImplementedError, match="Module has no forward method: define forward"):
        Module()(1)


def test_keyword_arguments_reach_forward() -> None:
    class Add(Module):
        def forward(self, x: float, *, by: float = 1.0) -> float:
            return x + by

    a = Add()
    assert a(1, by=4.0) == 5
    a.register_forward_hook(lambda module, inputs, output: output * 10)
    assert a(1, by=4.0) == 50


# -- hooks -------------------------------------------------------------------------------------------------------------


def test_forward_hooks_see_and_replace() -> None:
    a, seen = Scale(), []
    first = a.register_forward_hook(lambda module, inputs, output: seen.append((module, inputs, output)))
    second = a.register_forward_hook(lambda module, inputs, output: output * 2.0)
    x = np.ones(3)
    y = a(x)
    assert seen[0][0] is a and seen[0][1][0] is x
    np.testing.assert_array_equal(y.numpy(), 2 * seen[0][2].numpy())
    first()
    first()
    second()
    assert not a._hooked
    np.testing.assert_array_equal(a(x).numpy(), a.w.numpy())
    assert len(seen) == 1


def test_backward_hooks_see_the_gradient_at_the_output() -> None:
    rng = np.random.default_rng(0)
    inner, outer = Scale(), Scale()
    net = nn.Sequential(inner, outer)
    seen: dict[str, np.ndarray] = {}
    inner.register_backward_hook(lambda module, dy: seen.update(inner=dy.copy()))  # type: ignore[func-returns-value]
    outer.register_backward_hook(lambda module, dy: seen.update(outer=dy.copy()))  # type: ignore[func-returns-value]
    y = net(np.ones(3))
    dy = rng.normal(size=3)
    y.backward(dy)
    np.testing.assert_allclose(seen["outer"], dy)
    np.testing.assert_allclose(seen["inner"], dy * outer.w.numpy())


def test_backward_hooks_replace_and_are_removed() -> None:
    a = Scale()
    remove = a.register_backward_hook(lambda module, dy: dy * 10)
    a(np.ones(3)).sum().backward()
    np.testing.assert_allclose(a.w.grad, [10, 10, 10])
    remove()
    a.zero_grad()
    a(np.ones(3)).sum().backward()
    np.testing.assert_allclose(a.w.grad, [1, 1, 1])


def test_backward_hook_without_gradient_is_not_called() -> None:
    a = Scale().requires_grad_(False)
    a.register_backward_hook(lambda module, dy: pytest.fail("nothing to see"))
    a(np.ones(3))


def test_backward_hook_on_a_module_that_passes_its_input_on() -> None:
    class Nothing(Module):
        def forward(self, x: Tensor) -> Tensor:
            return x

    a, seen = Nothing(), []
    a.register_backward_hook(lambda module, dy: seen.append(dy.copy()))
    x = Tensor(np.ones(3), requires_grad=True)
    for _ in range(3):
        # x is used beside the module, too: the hook must see the module's share alone, once, and leave nothing on x.
        (a(x) * 2.0 + x * 5.0).sum().backward()
    assert len(seen) == 3
    np.testing.assert_array_equal(seen[0], [2, 2, 2])
    np.testing.assert_array_equal(x.grad, [21, 21, 21])
    assert not x._leaf().hooks


def test_backward_hook_needs_one_tensor() -> None:
    class Two(Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x

    a = Two()
    a.register_backward_hook(lambda module, dy: None)
    with pytest.raises(TypeError, match=r"Two returned tuple. Hook its submodules"):
        a(Tensor(np.ones(1)))


# -- description -------------------------------------------------------------------------------------------------------


def test_repr_counts_parameters() -> None:
    rng = np.random.default_rng(0)
    net = nn.Sequential(
        nn.Embedding(27, 10, rng=rng), nn.Sequential(nn.Linear(10, 200, bias=False, rng=rng)), nn.Tanh()
    )
    assert repr(net).splitlines() == [
        "Sequential(",
        "  (0): Embedding(27, 10)                270",
        "  (1): Sequential(",
        "    (0): Linear(10, 200, bias=False)  2,000",
        "  )",
        "  (2): Tanh()",
        ")                                     2,270 parameters",
    ]
    net[0].requires_grad_(False)
    assert repr(net).endswith("2,270 parameters, 270 of them frozen")


def test_repr_shows_parameters_held_directly_and_what_is_shared() -> None:
    assert [" ".join(line.split()) for line in repr(Tree()).splitlines()] == [
        "Tree(",
        "(own): Parameter (2, 3) float64 6",
        "(child): Scale(",
        "(w): Parameter (3,) float64 3",
        ")",
        "(listed.0): Scale(",
        "(w): Parameter (1,) float64 1",
        ")",
        "(listed.1.0): Scale(",
        "(w): Parameter (2,) float64 2",
        ")",
        "(listed.1.1): Parameter (4,) float64 4",
        "(named.left): Scale(",
        "(w): Parameter (5,) float64 5",
        ")",
        "(again): Scale, shared: see above",
        ") 21 parameters",
    ]
    assert repr(nn.Tanh()) == "Tanh()  0 parameters"
    assert repr(Scale(1)).endswith("1 parameter")


def test_repr_of_tied_weights_and_of_a_cycle() -> None:
    rng = np.random.default_rng(0)
    a, b = nn.Linear(2, 2, bias=False, rng=rng), nn.Linear(2, 2, bias=False, rng=rng)
    b.weight = a.weight
    assert [line.split()[-1] for line in repr(nn.Sequential(a, b)).splitlines()[1:3]] == ["4", "bias=False)"]
    c = Scale()
    c.parent = c  # type: ignore[attr-defined]
    c.tied = c.w  # type: ignore[attr-defined]
    text = repr(c)
    assert "(parent): Scale, shared: see above" in text and "(tied): Parameter (3,) float64, shared" in text
    assert text.endswith("3 parameters")


def test_every_change_of_a_module_is_noted() -> None:
    """By this number compiled steps notice that they were recorded from another network."""
    module = nn.Sequential(nn.Linear(2, 2, rng=np.random.default_rng(0)), nn.Tanh())
    x = Tensor(np.ones((1, 2)))

    def noted(act: Any) -> bool:
        before = changes()[0]
        act()
        return changes()[0] != before

    removers: list[Any] = []
    assert noted(module.eval) and not noted(module.eval) and noted(module.train)
    assert noted(lambda: setattr(module, "gain", 2.0)) and not noted(lambda: setattr(module, "gain", module.gain))
    assert noted(lambda: delattr(module, "gain"))
    assert noted(lambda: removers.append(module.register_forward_hook(lambda module, inputs, output: None)))
    assert noted(lambda: removers.append(module.register_backward_hook(lambda module, dy: None)))
    assert all(noted(remove) for remove in removers) and not noted(lambda: module(x))
    assert noted(lambda: module.requires_grad_(False)) and noted(lambda: module.register_buffer("b", np.ones(2)))
    assert module.parameters()[0].requires_grad is False
