"""What one writes with npgrad for an operator of PyTorch whose name, order of arguments or defaults are others here.

`TABLE` has an expression for each, from NumPy's names and npgrad's; names and options that only need another word are
in `NAMES` and `OPTIONS`. An operator in none of them is looked for by its own name. Everything is looked up when it is
called, so that any version of npgrad can be asked.
"""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

__all__ = ["counterpart", "module_of", "optimizer_of"]

NAMES = dict(
    pair.split("=")
    for pair in (
        "acos=arccos acosh=arccosh asin=arcsin asinh=arcsinh atan=arctan atan2=arctan2 atanh=arctanh cat=concatenate "
        "movedim=moveaxis true_divide=div multiply=mul subtract=sub ger=outer sgn=sign msort=sort logit=logit "
        "clamp_min=maximum clamp_max=minimum bmm=matmul mm=matmul mv=matmul broadcast_tensors=broadcast_arrays "
        "tensor_split=array_split unbind=unstack fix=trunc absolute=abs negative=neg trapz=trapezoid "
        "repeat_interleave=repeat MultiheadAttention=MultiHeadAttention "
        "TransformerEncoderLayer=TransformerBlock"
    ).split()
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


def ddof(dim: Any, unbiased: Any, correction: Any) -> tuple[Any, float]:
    """PyTorch's two signatures: (unbiased) and (dim, unbiased)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return dim or (0 if dim == 0 else None), float(unbiased) if correction is None else float(correction)


def moment(name: str) -> Callable[..., Any]:
    def call(
        g: Any, x: Any, dim: Any = None, unbiased: Any = True, keepdim: bool = False, correction: Any = None
    ) -> Any:
        axis, less = ddof(dim, unbiased, correction)
        second = getattr(g, name[:3])(x, axis, ddof=less, keepdims=keepdim)
        return (second, g.mean(x, axis, keepdims=keepdim)) if name.endswith("mean") else second

    return call


def extreme(name: str) -> Callable[..., Any]:
    def call(g: Any, x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if dim is not None and not isinstance(dim, int):
            return getattr(g, name + "imum")(x, dim)
        return getattr(g, name)(x, dim, keepdim)

    return call


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
    flat = not isinstance(dim, list | tuple) or len(dim) == 1
    return g.linalg.norm(x, None if p == "fro" else p, dim if flat or p == "nuc" else tuple(dim), keepdim)


def linalg_norm(g: Any, x: Any, ord: Any = None, dim: Any = None, keepdim: bool = False) -> Any:
    if ord is None and dim is None:
        y = g.linalg.norm(x.reshape(-1))
        return y.reshape((1,) * x.ndim) if keepdim else y
    return g.linalg.norm(x, ord, tuple(dim) if isinstance(dim, list) else dim, keepdim)


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


TABLE: dict[str, Callable[..., Any]] = {
    "add": lambda g, a, b, alpha=1: a + alpha * b,
    "sub": lambda g, a, b, alpha=1: a - alpha * b,
    "rsub": lambda g, a, b, alpha=1: b - alpha * a,
    "div": lambda g, a, b, rounding_mode=None: (
        a / b if rounding_mode is None else a // b if rounding_mode == "floor" else g.trunc(a / b)
    ),
    "__radd__": lambda g, a, b: b + a,
    "__rsub__": lambda g, a, b: b - a,
    "__rmul__": lambda g, a, b: b * a,
    "__rdiv__": lambda g, a, b: b / a,
    "__rmod__": lambda g, a, b: b % a,
    "__rpow__": lambda g, a, b: b**a,
    "__rmatmul__": lambda g, a, b: b @ a,
    "__getitem__": lambda g, x, i: x[tuple(i) if isinstance(i, list) and not all(isinstance(k, int) for k in i) else i],
    "addmm": lambda g, c, a, b, beta=1, alpha=1: beta * c + alpha * (a @ b),
    "addmv": lambda g, c, a, b, beta=1, alpha=1: beta * c + alpha * (a @ b),
    "baddbmm": lambda g, c, a, b, beta=1, alpha=1: beta * c + alpha * (a @ b),
    "addbmm": lambda g, c, a, b, beta=1, alpha=1: beta * c + alpha * (a @ b).sum(0),
    "addr": lambda g, c, a, b, beta=1, alpha=1: beta * c + alpha * a[:, None] * b,
    "addcmul": lambda g, c, a, b, value=1: c + value * a * b,
    "addcdiv": lambda g, c, a, b, value=1: c + value * a / b,
    "atleast_1d": lambda g, *xs: g.atleast_1d(*(xs[0] if isinstance(xs[0], list | tuple) else xs)),
    "atleast_2d": lambda g, *xs: g.atleast_2d(*(xs[0] if isinstance(xs[0], list | tuple) else xs)),
    "atleast_3d": lambda g, *xs: g.atleast_3d(*(xs[0] if isinstance(xs[0], list | tuple) else xs)),
    "aminmax": lambda g, x, dim=None, keepdim=False: (g.min(x, dim, keepdim), g.max(x, dim, keepdim)),
    "block_diag": lambda g, *xs: g.block(
        [[x if i == j else np.zeros((x.shape[0], y.shape[1])) for j, y in enumerate(ys)] for i, x in enumerate(ys)]
        if (ys := [g.reshape(x, (1, -1)) if x.ndim < 2 else x for x in xs])
        else []
    ),
    "broadcast_to": lambda g, x, size: g.broadcast_to(x, size),
    "cartesian_prod": lambda g, *xs: (
        g.stack([x[i] for x, i in zip(xs, np.indices([len(x) for x in xs]).reshape(len(xs), -1), strict=True)], -1)
        if len(xs) > 1
        else xs[0]
    ),
    "cdist": pairs,
    "chunk": lambda g, x, n, dim=0: cut(g, x, max(-(-x.shape[dim] // n), 1), dim),
    "clamp": lambda g, x, min=None, max=None: g.clip(x, min, max),
    "clone": lambda g, x, **memory: x + 0,
    "combinations": lambda g, x, r=2, with_replacement=False: x[
        np.array(
            [
                *(itertools.combinations_with_replacement if with_replacement else itertools.combinations)(
                    range(len(x)), r
                )
            ],
            int,
        ).reshape(-1, r)
    ],
    "constant_pad_nd": lambda g, x, pad, value=0: g.nn.functional.pad(x, pad, "constant", value),
    "contiguous": lambda g, x, **memory: x + 0,
    "copysign": lambda g, a, b: g.copysign(a, b),
    "cov": lambda g, x, correction=1, fweights=None, aweights=None: g.cov(
        x, ddof=correction, fweights=fweights, aweights=aweights
    ),
    "cross": lambda g, a, b, dim=-1: g.cross(*g.broadcast_arrays(a, b), axis=dim),
    "linalg.cross": lambda g, a, b, dim=-1: g.cross(*g.broadcast_arrays(a, b), axis=dim),
    "cumsum": lambda g, x, dim: g.cumsum(x, dim).reshape(x.shape),
    "cumprod": lambda g, x, dim: g.cumprod(x, dim).reshape(x.shape),
    "cumulative_trapezoid": lambda g, y, x=None, dx=1.0, dim=-1: g.cumsum(
        (along(y, dim, slice(1, None)) + along(y, dim, slice(None, -1)))
        / 2
        * (dx if x is None else along(x, dim, slice(1, None)) - along(x, dim, slice(None, -1))),
        dim,
    ),
    "diag_embed": diag_embed,
    "diagonal": lambda g, x, offset=0, dim1=0, dim2=1: g.diagonal(x, offset, dim1, dim2),
    "linalg.diagonal": lambda g, x, offset=0, dim1=-2, dim2=-1: g.diagonal(x, offset, dim1, dim2),
    "diff": lambda g, x, n=1, dim=-1, prepend=None, append=None: g.diff(
        x, n, dim, **{k: v for k, v in (("prepend", prepend), ("append", append)) if v is not None}
    ),
    "dist": lambda g, a, b, p=2: g.linalg.norm((a - b).reshape(-1), p),
    "einsum": lambda g, xs, equation: g.einsum(equation, *xs),
    "expand": expand,
    "expand_as": lambda g, x, y: g.broadcast_to(x, y.shape),
    "fill": lambda g, x, value: x * 0 + value,
    "flatten": flatten,
    "flip": lambda g, x, dims: g.flip(x, tuple(dims) if isinstance(dims, list) else dims),
    "float_power": lambda g, x, p: x**p,
    "frac": lambda g, x: x - g.trunc(x),
    "gather": lambda g, x, dim, index: (
        g.take_along_axis(x[tuple(slice(n) for n in index.shape[: dim % x.ndim])], index, dim)
        if x.ndim
        else x.reshape(1)[index]
    ),
    "gradient": lambda g, x, spacing=None, dim=None, edge_order=1: g.gradient(
        x,
        *(spacing if isinstance(spacing, list | tuple) else [spacing or 1.0]),
        axis=tuple(dim) if isinstance(dim, list) else dim,
        edge_order=edge_order,
    ),
    "H": lambda g, x: x.T,
    "T": lambda g, x: x.T,
    "t": lambda g, x: x.T,
    "mT": lambda g, x: g.swapaxes(x, -1, -2),
    "mH": lambda g, x: g.swapaxes(x, -1, -2),
    "index_fill": lambda g, x, dim, index, value: g.where(chosen(x, dim, index), value, x),
    "index_select": lambda g, x, dim, index: along(x, dim, index) if x.ndim else x,
    "kthvalue": lambda g, x, k, dim=-1, keepdim=False: sorted_at(g, x, k - 1, dim, keepdim),
    "ldexp": lambda g, x, n: x * 2.0**n,
    "lerp": lambda g, a, b, t: a + t * (b - a),
    "linalg.cond": lambda g, x, p=None: g.linalg.cond(x, p),
    "linalg.norm": linalg_norm,
    "linalg.solve": solve,
    "linalg.vander": lambda g, x, N=None: g.vander(x, N, True),
    "linalg.vector_norm": lambda g, x, ord=2, dim=None, keepdim=False: g.linalg.vector_norm(
        x, ord=ord, axis=tuple(dim) if isinstance(dim, list) else dim, keepdims=keepdim
    ),
    "linalg.matrix_norm": lambda g, x, ord="fro", dim=(-2, -1), keepdim=False: g.linalg.norm(
        x, ord, tuple(dim), keepdim
    ),
    "linalg.inv_ex": lambda g, x, check_errors=False: g.linalg.inv(x),
    "linalg.cholesky_ex": lambda g, x, upper=False, check_errors=False: g.linalg.cholesky(x, upper=upper),
    "linalg.tensorsolve": lambda g, a, b, dims=None: g.linalg.tensorsolve(a, b, dims),
    "cholesky": lambda g, x, upper=False: g.linalg.cholesky(x, upper=upper),
    "logdet": lambda g, x: g.linalg.slogdet(x)[1],
    "pinverse": lambda g, x, rcond=1e-15: g.linalg.pinv(x, rcond),
    "masked_fill": lambda g, x, mask, value: g.where(mask, value, x),
    "masked_select": lambda g, x, mask: g.broadcast_to(x, np.broadcast_shapes(x.shape, mask.shape))[
        np.broadcast_to(mask, np.broadcast_shapes(x.shape, mask.shape))
    ],
    "max": extreme("max"),
    "min": extreme("min"),
    "median": lower_median,
    "meshgrid": lambda g, *xs, indexing="ij": g.meshgrid(
        *(xs[0] if isinstance(xs[0], list | tuple) else xs), indexing=indexing
    ),
    "msort": lambda g, x: g.sort(x, 0),
    "nan_to_num": lambda g, x, nan=0.0, posinf=None, neginf=None: g.nan_to_num(
        x, nan=nan or 0.0, posinf=posinf, neginf=neginf
    ),
    "narrow": lambda g, x, dim, start, length: along(x, dim, slice(int(start) % x.shape[dim] if length else 0, None))[
        (slice(None),) * (dim % x.ndim) + (slice(length),)
    ],
    "norm": norm,
    "nn.functional.linear": lambda g, x, w, b=None: (
        g.linear(x, w.T, b) if w.ndim == 2 else x @ w + (0 if b is None else b)
    ),
    "nn.functional.embedding": lambda g, i, w, padding_idx=None: g.embedding(w, i, padding_idx),
    "nn.functional.pdist": lambda g, x, p=2: (lambda i, j: g.linalg.norm(x[i] - x[j], p, -1))(
        *np.triu_indices(len(x), 1)
    ),
    "permute": lambda g, x, *dims: g.transpose(x, shape(dims)),
    "positive": lambda g, x: x + 0,
    "quantile": lambda g, x, q, dim=None, keepdim=False, interpolation="linear": g.quantile(
        x, q, dim, keepdims=keepdim, method=interpolation
    ),
    "repeat": lambda g, x, *reps: g.tile(x, shape(reps)),
    "repeat_interleave": lambda g, x, repeats, dim=None, output_size=None: g.repeat(x, repeats, dim),
    "reshape": lambda g, x, *size: x.reshape(shape(size)),
    "view": lambda g, x, *size: x.reshape(shape(size)),
    "reshape_as": lambda g, x, y: x.reshape(y.shape),
    "view_as": lambda g, x, y: x.reshape(y.shape),
    "real": lambda g, x: x + 0,
    "resolve_conj": lambda g, x: x + 0,
    "resolve_neg": lambda g, x: x + 0,
    "conj": lambda g, x: x + 0,
    "conj_physical": lambda g, x: x + 0,
    "roll": lambda g, x, shifts, dims=None: g.roll(x, shifts, dims or (0 if dims == 0 else None)),
    "rot90": lambda g, x, k=1, dims=(0, 1): g.rot90(x, k, tuple(dims)),
    "rsqrt": lambda g, x: x**-0.5,
    "select": lambda g, x, dim, i: along(x, dim, i),
    "slice": lambda g, x, dim=0, start=None, end=None, step=None: along(x, dim, slice(start, end, step)),
    "sort": ordered,
    "split": cut,
    "split_with_sizes": cut,
    "unsafe_split": cut,
    "squeeze": squeeze,
    "std": moment("std"),
    "var": moment("var"),
    "std_mean": moment("std_mean"),
    "var_mean": moment("var_mean"),
    "sum_to_size": lambda g, x, *size: g.sum(
        g.sum(x, tuple(range(x.ndim - len(shape(size))))),
        tuple(i for i, n in enumerate(shape(size)) if n == 1),
        keepdims=True,
    ),
    "take": lambda g, x, i: x.reshape(-1)[i],
    "take_along_dim": lambda g, x, i, dim=None: (
        x.reshape(-1)[i.reshape(-1)] if dim is None else g.take_along_axis(x, i, dim)
    ),
    "tensordot": lambda g, a, b, dims=2: g.tensordot(a, b, dims),
    "tensor_split": lambda g, x, places, dim=0: g.array_split(
        x, places.tolist() if isinstance(places, np.ndarray) else places, dim
    ),
    "tile": lambda g, x, *reps: g.tile(x, shape(reps)),
    "to": lambda g, x, *where, **memory: x.astype(next((w for w in where if isinstance(w, np.dtype)), x.dtype)),
    "topk": top,
    "transpose": lambda g, x, a, b: g.swapaxes(x, a, b) if x.ndim else x,
    "trapezoid": lambda g, y, x=None, dx=1.0, dim=-1: g.trapezoid(y, x, dx, dim),
    "unbind": lambda g, x, dim=0: [along(x, dim, i) for i in range(x.shape[dim])],
    "unflatten": lambda g, x, dim, sizes: x.reshape(*x.shape[: dim % x.ndim], *sizes, *x.shape[dim % x.ndim + 1 :]),
    "unsqueeze": lambda g, x, dim: g.expand_dims(x, dim),
    "where": lambda g, x, c, y: g.where(c, x, y),
    "xlogy": lambda g, x, y: g.xlogy(x, y),
    "zero_": lambda g, x: x * 0,
}
TABLE["unsafe_chunk"] = TABLE["chunk"]


def counterpart(name: str) -> Callable[..., Any]:
    """The function of npgrad's arguments that answers for PyTorch's operator. AttributeError, when called, for none."""

    def call(*args: Any, **kwargs: Any) -> Any:
        g = import_module("npgrad")
        if name in TABLE:
            dtype = kwargs.pop("dtype", None)
            y = TABLE[name](g, *args, **kwargs)
            return y if dtype is None else y.astype(dtype)
        f = namesake(g, name, args[0])
        own = parameters_of(f)
        options = {
            OPTIONS.get(k, k) if k not in own else k: tuple(v) if isinstance(v, list) and k == "dim" else v
            for k, v in kwargs.items()
            if not (k == "dtype" and k not in own) and not (v is None and k not in own)
        }
        y = f(*[tuple(a) if isinstance(a, list) and all(isinstance(i, int) for i in a) else a for a in args], **options)
        dtype = kwargs.get("dtype")
        return y if dtype is None or "dtype" in own else y.astype(dtype)

    return call


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
