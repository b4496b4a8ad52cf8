"""What one writes with npgrad for an operator of PyTorch whose name, order of arguments or defaults are others here.

in_npgrad.txt has an expression for each, from NumPy's names and npgrad's; names and options that only need another
word are in `NAMES` and `OPTIONS`. An operator in none of them is looked for by its own name. Everything is looked up
when it is called, so that any version of npgrad can be asked.
"""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["counterpart", "module_of", "optimizer_of"]

NAMES: dict[str, str] = dict(
    pair.split("=")
    for line in (
        "acos=arccos acosh=arccosh asin=arcsin asinh=arcsinh atan=arctan atan2=arctan2 atanh=arctanh cat=concatenate",
        "movedim=moveaxis true_divide=div multiply=mul subtract=sub ger=outer sgn=sign msort=sort trapz=trapezoid",
        "clamp_min=maximum clamp_max=minimum bmm=matmul mm=matmul mv=matmul broadcast_tensors=broadcast_arrays",
        "fix=trunc absolute=abs negative=neg pinverse=linalg.pinv cholesky=linalg.cholesky qr=linalg.qr",
        "MultiheadAttention=MultiHeadAttention TransformerEncoderLayer=TransformerBlock",
    )
    for pair in line.split()
)
AS_PYTORCH = {"TransformerEncoderLayer": {"norm_first": False, "activation": "relu"}}
"""What is the default in PyTorch, and another is here."""
OPTIONS = {"dim": "axis", "keepdim": "keepdims", "dims": "axis", "dim0": "axis1", "dim1": "axis2"}


def along(x: Any, dim: int, index: Any) -> Any:
    """x[:, …, index] with `index` at axis `dim`."""
    return x[(slice(None),) * (dim % x.ndim) + (index,)] if x.ndim else x


def cut(g: Any, x: Any, sizes: Any, dim: int = 0) -> Any:
    n = x.shape[dim]
    sizes = [sizes] * -(-n // sizes) if isinstance(sizes, int) else sizes
    return g.split(x, [int(k) for k in np.cumsum(sizes)[:-1]], dim)


def ddof(dim: Any, unbiased: bool, correction: float | None = None) -> tuple[Any, float]:
    """PyTorch's two signatures: (unbiased) and (dim, unbiased)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return dim or (0 if dim == 0 else None), float(unbiased) if correction is None else float(correction)


def moments(f: Any, x: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, **options: Any) -> Any:
    axis, less = ddof(dim, unbiased, **options)
    return f(x, axis, ddof=less, keepdims=keepdim), x.mean(axis, keepdims=keepdim)


def extreme(one: Any, two: Any, x: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return one(x, dim, keepdim) if dim is None or isinstance(dim, int) else two(x, dim)


def sorted_at(g: Any, x: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    y = along(g.sort(x, dim), dim, slice(k, k + 1)) if x.ndim else x
    return y if keepdim or not x.ndim else y.sum(dim)


def lower_median(g: Any, x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    x, dim = (x.reshape(-1), 0) if dim is None else (x, dim)
    return sorted_at(g, x, (x.shape[dim] - 1) // 2 if x.ndim else 0, dim, keepdim)


def shape(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], list | tuple) else sizes


def expand(g: Any, x: Any, *sizes: Any) -> Any:
    new = shape(sizes)
    old = (1,) * (len(new) - x.ndim) + x.shape
    return g.broadcast_to(x, tuple(m if n == -1 else n for n, m in zip(new, old, strict=True)))


def flatten(g: Any, x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    start, stop = (start_dim % x.ndim, end_dim % x.ndim) if x.ndim else (0, 0)
    return x.reshape(*x.shape[:start], -1, *x.shape[stop + 1 :])


def squeeze(g: Any, x: Any, dim: Any = None) -> Any:
    dims = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    return g.squeeze(x, tuple(d for d in dims if x.ndim and x.shape[d] == 1))


def top(g: Any, x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    y = g.sort(x, dim)
    n = x.shape[dim] if x.ndim else 1
    return along(y, dim, slice(n - 1, n - 1 - k if k < n else None, -1) if largest else slice(0, k))


def ordered(g: Any, x: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    y = g.sort(x, dim) if x.ndim else x
    return g.flip(y, dim) if descending and x.ndim else y


def chosen(x: Any, dim: int, index: Any) -> Any:
    """The mask of the places along `dim` that `index` names."""
    mask = np.zeros(x.shape[dim] if x.ndim else 1, bool)
    mask[np.asarray(index)] = True
    return mask.reshape([-1 if d == dim % x.ndim else 1 for d in range(x.ndim)])


def norm(g: Any, x: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False) -> Any:
    if dim is None and p != "nuc":
        y = g.linalg.norm(x.reshape(-1), None if p == "fro" else p)
        return y.reshape((1,) * x.ndim) if keepdim else y
    return g.linalg.norm(x, None if p == "fro" else p, dim, keepdim)


def linalg_norm(g: Any, x: Any, ord: Any = None, dim: Any = None, keepdim: bool = False) -> Any:
    if ord is None and dim is None:
        y = g.linalg.norm(x.reshape(-1))
        return y.reshape((1,) * x.ndim) if keepdim else y
    return g.linalg.norm(x, ord, dim, keepdim)


def pairs(g: Any, a: Any, b: Any, p: float = 2.0, compute_mode: str = "") -> Any:
    return g.linalg.norm(a[..., :, None, :] - b[..., None, :, :], p, -1)


def solve(g: Any, a: Any, b: Any, left: bool = True) -> Any:
    vector = b.ndim == 1 or (b.shape == a.shape[:-1])
    b = b.reshape(*b.shape, 1) if vector else b
    t = (lambda x: x) if left or vector else (lambda x: g.swapaxes(x, -1, -2))
    y = t(g.linalg.solve(t(a), t(b)))
    return y.reshape(y.shape[:-1]) if vector else y


def diag_embed(g: Any, x: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    n = x.shape[-1] + abs(offset)
    places = np.arange(x.shape[-1])
    hot = np.zeros((x.shape[-1], n, n))
    hot[places, places + max(-offset, 0), places + max(offset, 0)] = 1
    return g.moveaxis(g.einsum("...k,kij->...ij", x, hot), (-2, -1), (dim1, dim2))


@cache
def table() -> dict[str, Callable[..., Any]]:
    """What in_npgrad.txt has: "names(parameters) | expression", or "names | function of this module"."""
    g = import_module("npgrad")
    space = globals() | {"npgrad": g, "itertools": itertools}
    rows: dict[str, Callable[..., Any]] = {}
    for line in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        left, expression = line.split(" | ", 1)
        names, bracket, parameters = left.partition("(")
        f = eval(f"lambda {parameters[:-1]}: {expression}", space) if bracket else partial(space[expression], g)
        rows |= dict.fromkeys(names.split(), f)
    return rows


def counterpart(name: str) -> Callable[..., Any]:
    """The function of npgrad's arguments that answers for PyTorch's operator. AttributeError, when called, for none."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if name != "__getitem__":
            args = tuple(axes(a) for a in args)
        kwargs = {key: axes(value) for key, value in kwargs.items()}
        dtype = kwargs.get("dtype")
        if name in table():
            kwargs.pop("dtype", None)
            y = table()[name](*args, **kwargs)
            return y if dtype is None else y.astype(dtype)
        f = namesake(import_module("npgrad"), name, args[0])
        own = parameters_of(f)
        spared = [key for key, value in kwargs.items() if key not in own and (key == "dtype" or value is None)]
        options = {k if k in own else OPTIONS.get(k, k): v for k, v in kwargs.items() if k not in spared}
        y = f(*args, **options)
        return y if dtype is None or "dtype" in own else y.astype(dtype)

    return call


def axes(x: Any) -> Any:
    """Lists of integers, which PyTorch takes for axes and shapes, as the tuples that NumPy takes."""
    return tuple(x) if isinstance(x, list) and all(isinstance(i, int) for i in x) else x


def parameters_of(f: Callable[..., Any]) -> set[str]:
    try:
        return set(inspect.signature(f).parameters)
    except ValueError:  # a ufunc
        return set()


def namesake(g: Any, name: str, x: Any) -> Callable[..., Any]:
    space, _, plain = name.rpartition(".")
    plain = NAMES.get(name, NAMES.get(plain, plain))
    owners: list[Any] = [g, np, x]
    if space == "nn.functional":
        owners = [getattr(g.nn, "functional", g), g]
    elif space:
        owners = [o for o in (getattr(g, space, None), getattr(np, space, None)) if o] + (
            [g] if space == "special" else []
        )
    if plain.startswith("linalg."):
        return getattr(g.linalg, plain.removeprefix("linalg."))
    for owner in owners:
        if callable(f := getattr(owner, plain, None)) and not isinstance(f, type):
            return f
    return getattr(owners[0] if owners else g, plain)


def module_of(cls: type, given: Any, training: bool) -> tuple[Any, ...]:
    """Arguments, PyTorch's call and npgrad's for one sample of a module: its parameters are arguments like others."""
    import torch

    made, call = given.constructor_input, given.forward_input
    module = cls(*made.args, **made.kwargs).double().train(training)
    parameters = {name: p.detach().clone().requires_grad_() for name, p in module.named_parameters()}

    def theirs(values: Any, *args: Any, **kwargs: Any) -> Any:
        return torch.func.functional_call(copy.deepcopy(module), values, args, kwargs)

    def ours(values: Any, *args: Any, **kwargs: Any) -> Any:
        nn = import_module("npgrad.nn")
        layer = getattr(nn, NAMES.get(cls.__name__, cls.__name__))
        own = parameters_of(layer)
        drawn = {"rng": np.random.default_rng(0), "dtype": np.float64}
        given = AS_PYTORCH.get(cls.__name__, {}) | made.kwargs
        spared = {"device": None, "dtype": torch.float64, "batch_first": None} | defaults(cls)
        options = {k: v for k, v in given.items() if k in own - drawn.keys() or (k not in spared or v != spared[k])}
        options.pop("batch_first", None)
        net = layer(*made.args, **options, **{k: v for k, v in drawn.items() if k in own})
        state = {name: t.numpy() for name, t in module.state_dict().items()}
        if hasattr(nn, "torch_weights"):
            nn.torch_weights(net, state)
        elif state:
            turned = {k: a.T if cls.__name__ == "Linear" and a.ndim == 2 else a for k, a in state.items()}
            net.load_state_dict({k: a for k, a in turned.items() if k != "num_batches_tracked"})
        (net.train if training else net.eval)()
        for name, p in net.named_parameters():
            p.register_hook(handed_to(values[name], p))
        if "batch_first" not in defaults(cls) or made.kwargs.get("batch_first"):
            return net(*args, **kwargs)
        y = net(*map(batch_first, args), **{k: v if "mask" in k else batch_first(v) for k, v in kwargs.items()})
        return (batch_first(y[0]), *y[1:]) if isinstance(y, tuple) else batch_first(y)

    return ((parameters, *call.args), call.kwargs), theirs, ours


def batch_first(x: Any) -> Any:
    """PyTorch has the steps of a sequence first, npgrad the sequences of the batch."""
    return x.transpose(1, 0, 2) if getattr(x, "ndim", 0) == 3 else x


def defaults(cls: type) -> dict[str, Any]:
    """PyTorch's defaults, which need not be passed."""
    signatures = [inspect.signature(base.__init__).parameters for base in cls.__mro__[:3]]
    return {p.name: p.default for own in signatures[::-1] for p in own.values() if p.default is not p.empty}


def handed_to(value: Any, p: Any) -> Callable[[Any], None]:
    """A hook of the parameter p that gives its gradient to `value`, which may be its transpose."""

    def hook(g: Any) -> None:
        value.grad = np.array(g if p.shape == value.shape and np.array_equal(p.numpy(), value.numpy()) else g.T)

    return hook


def optimizer_of(cls: type, kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Five steps of least squares with each optimiser; what is compared is where they lead."""
    import torch

    a, b = np.random.default_rng(0).normal(size=(2, 4, 3))
    kwargs = {k: v.item() if torch.is_tensor(v) else v for k, v in kwargs.items()}
    switches = ("foreach", "fused", "capturable", "differentiable")

    def theirs(x: Any) -> Any:
        p = torch.nn.Parameter(x.detach().clone())
        optimizer = cls([p], **kwargs)

        def closure() -> Any:
            optimizer.zero_grad()
            loss = ((torch.tensor(a) @ p - torch.tensor(b)) ** 2).sum()
            loss.backward()
            return loss

        for _ in range(5):
            optimizer.step(closure)
        return p.detach() + 0 * x

    def ours(x: Any) -> Any:
        g = import_module("npgrad")
        p = g.nn.Parameter(x.numpy().copy())
        optimizer = getattr(g.optim, cls.__name__)([p], **{k: v for k, v in kwargs.items() if k not in switches})
        for _ in range(5):
            optimizer.zero_grad()
            ((a @ p - b) ** 2).sum().backward()
            optimizer.step()
        return p.numpy() + 0 * x

    start = torch.tensor(np.random.default_rng(1).normal(size=(3, 3)), requires_grad=True)
    return ((start,), {}), theirs, ours
