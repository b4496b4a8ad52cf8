"""What other libraries call otherwise, in one table: error messages and documentation read it.

`Tensor([1.0]).view(-1)` is an AttributeError that says "Tensor has no attribute 'view': use reshape(…)", because the
table has an entry for it. `python -m npgrad --spellings` prints the table. What npgrad has under the
same name is not in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from types import FunctionType
from typing import Any, NamedTuple, NoReturn

from npgrad import functions as F
from npgrad.engine.tensor import Tensor

__all__ = ["DIFFERENT", "Spelling", "spelling", "spellings", "unknown"]


class Spelling(NamedTuple):
    """One name that somebody types, and what npgrad has for it."""

    owner: str
    """What it is looked for on: "Tensor", "npgrad", "Module", "npgrad.nn" or "npgrad.optim"."""
    name: str
    ours: str
    """What to write; empty if there is nothing."""
    reason: str

    @property
    def advice(self) -> str:
        """The end of a message that says that the name is not there."""
        return f": use {self.ours} ({self.reason})." if self.ours else f": {self.reason}."


def _rows(owner: str, text: str) -> list[Spelling]:
    """A spelling from each line "names | what to write | why", `names` being one or several, each a {name}."""
    rows = []
    for line in text.strip().splitlines():
        names, ours, reason = (part.strip() for part in line.split("|"))
        if ours in _FUNCTIONS and not (owner == "Tensor" and hasattr(Tensor, ours)):
            ours = f"npgrad.{ours}"
        rows += [Spelling(owner, name, ours.replace("{name}", name), reason) for name in names.split()]
    return rows


_FUNCTIONS = frozenset(name for name, f in vars(F).items() if isinstance(f, FunctionType))


_EVERYWHERE = """
acos | arccos | NumPy's name
acosh | arccosh | NumPy's name
asin | arcsin | NumPy's name
asinh | arcsinh | NumPy's name
atan | arctan | NumPy's name
atan2 | arctan2 | NumPy's name
atanh | arctanh | NumPy's name
absolute fabs | abs | NumPy has both names, npgrad one
addbmm | c + (a @ b).sum(0) | it is an expression
addcdiv | c + value * a / b | it is an expression
addcmul | c + value * a * b | it is an expression
addmm | linear(x, W, b) | or c + a @ b
addmv baddbmm | c + a @ b | it is an expression
addr | c + npgrad.outer(a, b) | it is an expression
aminmax | min and max | two calls
block_diag | block | zeros fill what is beside the diagonal
broadcast_tensors | broadcast_arrays | NumPy's name
cartesian_prod | meshgrid | stack(meshgrid(a, b, indexing="ij"), -1).reshape(-1, 2)
cdist | npgrad.linalg.vector_norm(x[:, None] - y, axis=-1) | it is an expression
chunk split_with_sizes unsafe_chunk unsafe_split | split | NumPy's name; it takes the places to cut at
clamp | clip | NumPy's name
clamp_max | minimum | NumPy's name
clamp_min | maximum | NumPy's name
clone | npgrad.copy(x) | gradients go through it; the method copy makes a new leaf
conj conj_physical conjugate positive real resolve_conj resolve_neg | the tensor itself | tensors are real
cumulative_trapezoid | npgrad.cumsum((y[..., 1:] + y[..., :-1]) / 2, -1) | it is an expression
cat concat | concatenate | NumPy's name
diag_embed | npgrad.where(np.eye(n, dtype=bool), x[..., None], 0) | it is an expression
dist | npgrad.linalg.norm(x - y) | it is an expression
fix | trunc | NumPy deprecates it
float_power | x.astype(np.float64) ** p | it is an expression
frac | x % 1 | the part after the point, never negative
ger | outer | NumPy's name
index_select | take | NumPy's name; the axis comes last
gather take_along_dim | take_along_axis | NumPy's name; the index has the dimensions of x
cummax cummin frexp i0 logcumsumexp mode nanmedian nanquantile renorm unwrap | | it has no rule yet
digamma erfinv lgamma mvlgamma polygamma | | it has no rule yet
cholesky | npgrad.linalg.cholesky | as in NumPy
svd | npgrad.linalg.svd | it gives vh, and needs full_matrices=False
cholesky_inverse | npgrad.linalg.inv(L @ L.T) | it is an expression
cholesky_solve | npgrad.linalg.solve(L @ L.T, b) | it is an expression
lu lu_solve matrix_exp | | it has no rule yet
qr | npgrad.linalg.qr | as in NumPy
pinverse | npgrad.linalg.pinv | NumPy's name
triangular_solve | npgrad.linalg.solve(npgrad.triu(A), b) | it is an expression
kthvalue | sort | sort(x)[..., k - 1]; argsort(x) gives the places
ldexp | x * 2.0**n | it is an expression
logdet | npgrad.linalg.slogdet(x).logabsdet | of a positive determinant
logit | npgrad.log(x / (1 - x)) | it is an expression
lerp | a + t*(b - a) | it is an expression
index_fill masked_fill | npgrad.where(mask, value, x) | a function
masked_select | x[mask] | indexing by booleans
mm bmm mv | matmul | or the operator @
movedim | moveaxis | NumPy's name
msort | npgrad.sort(x, 0) | along the first axis
multiply | mul | or the operator *
narrow | x[:, start:stop] | a slice
negative | neg | or the operator -
permute permute_dims | transpose | NumPy's name
power | pow | or the operator **
rsqrt | x ** -0.5 | it is an expression
repeat_interleave | repeat | NumPy's name
rsub | y - x | it is an expression
index_add index_copy index_put masked_scatter diagonal_scatter | where, or indexing | tensors are not written in place
scatter scatter_add | where, or indexing | tensors are not written in place; the gradient of indexing scatters
select_scatter slice_scatter | where, or indexing | tensors are not written in place
sgn | sign | tensors are real
std_mean | std and mean | two calls
subtract | sub | or the operator -
tensor_split | array_split | NumPy's name
trapz | trapezoid | NumPy's name
unflatten | reshape(…) | of the whole shape
divide true_divide | div | or the operator /
t | x.T | for matrices
topk | sort | sort(x)[..., -k:]; argsort(x) gives the places
unsqueeze | expand_dims | NumPy's name; or x[None]
var_mean | var and mean | two calls
xlogy | npgrad.where(x == 0, 0.0, x * npgrad.log(y)) | it is an expression
"""
_TENSOR = """
add_ sub_ mul_ div_ zero_ fill_ copy_ clamp_ | t.data … | the array of a leaf; results are not written in place
contiguous | the tensor itself | the layout of memory makes no difference
cpu cuda | the tensor itself | everything is on the CPU
to | astype(dtype) | everything is on the CPU
device is_cuda get_device | | everything is on the CPU
detach_ | detach() | nothing is done in place
dim | ndim | an attribute, as in NumPy
double | astype(np.float64) | as in NumPy
float | astype(np.float32) | as in NumPy
half | astype(np.float16) | as in NumPy
int | astype(np.int32) | integers have no gradient
long | astype(np.int64) | integers have no gradient
bool | t != 0 | comparisons are NumPy arrays
itemsize nbytes strides flags base ctypes tobytes tofile dump dumps | t.numpy() | the array has it
searchsorted argpartition | t.numpy() | the array has it, indices have no gradient
choose | npgrad.choose(t, choices) | a function
compress | npgrad.compress(condition, t) | a function
byteswap getfield to_device newbyteorder | t.numpy() | the array has it, without a gradient
element_size | t.dtype.itemsize | as in NumPy
flat | ravel() | iterating over it gives numbers
ptp | t.max() - t.min() | it is an expression
H | T | tensors are real
mH | t.mT | tensors are real
eq ne lt le gt ge | the operators == != < <= > >= | they give arrays
expand expand_as | npgrad.broadcast_to(t, shape) | NumPy's name
grad_fn | repr(t) | it names the Function that made t; npgrad.explain.step(t) shows the graph
is_contiguous | | the layout of memory makes no difference
new_zeros new_ones new_full | npgrad.zeros, ones, full | functions of a shape
nelement numel | size | an attribute, as in NumPy
normal_ uniform_ | npgrad.nn.init | initial values are drawn from a generator
norm | npgrad.linalg.norm(t) | as in NumPy
fill put partition resize setfield setflags itemset | t.data | the array; tensors are not written in place
pin_memory share_memory_ | | everything is on the CPU
imag angle | | tensors are real
select | x[:, i] | indexing
requires_grad_ | t.requires_grad = True | an attribute
retains_grad | retain_grad() | asks for it
storage untyped_storage data_ptr | t.data | the array
type type_as | astype(dtype) | as in NumPy
unbind | list(t), or npgrad.split | iterating goes over the first axis
unfold | npgrad.nn.Conv2d | windows are a matter of convolution and pooling
view view_as reshape_as | reshape(…) | it is a view wherever NumPy can make one
"""
_NPGRAD = """
FloatTensor LongTensor DoubleTensor from_numpy as_tensor array asarray | tensor(data, dtype=…) | one way in; it copies
empty | zeros(shape) | there is no reason to leave numbers undefined
autograd | Function, grad, jvp, hvp | they are in npgrad itself
bool int8 uint8 int16 int32 int64 float16 float32 float64 | np.{name} | dtypes are NumPy's
partition | sort | what is sorted is partitioned too
half | np.float16 | dtypes are NumPy's
float | np.float32 | dtypes are NumPy's
double | np.float64 | dtypes are NumPy's
int | np.int32 | dtypes are NumPy's
long | np.int64 | dtypes are NumPy's
cuda device mps set_default_device | | everything is on the CPU
eq ne lt le gt ge | the operators == != < <= > >= | they give arrays
from_dlpack | tensor(np.from_dlpack(x)) | by way of NumPy
functional | npgrad itself | functions of arrays are in npgrad, those of networks too
divmod | x // y and x % y | two operators
insert | npgrad.concatenate([x[:k], values, x[k:]]) | it is an expression
linspace | a + (b - a) * np.linspace(0, 1, n) | it is an expression
polyval | npgrad.vander(x, len(p)) @ p | it is an expression
piecewise | select | chooses between arrays by conditions
isnan isinf isfinite allclose any all argmax argmin argsort nonzero | np.{name} | it takes tensors and gives arrays
equal | np.array_equal | it takes tensors
is_tensor | isinstance(x, npgrad.Tensor) | a class
jit | compile | npgrad.compile(step)
complex polar view_as_complex view_as_real imag angle | | tensors are real
manual_seed seed random | randn(…, rng=np.random.default_rng(seed)) | there is no global random state
rand_like randn_like | randn(*x.shape, rng=rng) | there is no global random state
multinomial | rng.choice | as NumPy draws
set_grad_enabled inference_mode | no_grad(), enable_grad() | context managers and decorators
set_num_threads | OPENBLAS_NUM_THREADS=1 | an environment variable of NumPy's BLAS
Variable | Tensor | a class
utils | npgrad.data | minibatches and splits
"""
_MODULE = """
add_module register_parameter register_module | self.name = … | attributes need no registration
bfloat16 double float half to type | Module(…, dtype=…) | layers take a dtype when they are made
children named_children | modules(), named_modules() | which begin with the module itself
compile | npgrad.compile(step) | of a function
cpu cuda | | everything is on the CPU
get_parameter get_submodule | dict(module.named_parameters())[name] | or attributes
register_full_backward_hook | register_backward_hook | one kind
"""
_NN = """
AlphaDropout Dropout1d Dropout2d Dropout3d | Dropout | one kind
GRUCell LSTMCell RNNCell | npgrad.gru_step, lstm_step, rnn_step | functions
MultiheadAttention | MultiHeadAttention | with a capital H
Transformer TransformerDecoderLayer TransformerDecoder | | build it from MultiHeadAttention and Linear
TransformerEncoderLayer TransformerEncoder | TransformerBlock | defaults are norm_first=True, activation="gelu"
ParameterList ParameterDict ModuleDict | a list or a dict | attributes are found inside lists and dictionaries
Upsample | npgrad.repeat | a function
utils | npgrad.optim.clip_grad_norm | the only one offered
"""
_OPTIM = """
ASGD Adafactor LBFGS Muon Rprop | | subclass Optimizer and define numbers and update
lr_scheduler | npgrad.optim itself | schedules are beside the optimisers
LambdaLR ExponentialLR CosineAnnealingWarmRestarts OneCycleLR ReduceLROnPlateau | Schedule | subclass it
"""


@cache
def spellings() -> tuple[Spelling, ...]:
    """Every spelling, in the order of the documentation. Read when first asked for: importing npgrad need not wait."""
    return (
        *_rows("Tensor", _EVERYWHERE), *_rows("Tensor", _TENSOR), *_rows("npgrad", _EVERYWHERE),
        *_rows("npgrad", _NPGRAD), *_rows("Module", _MODULE), *_rows("npgrad.nn", _NN), *_rows("npgrad.optim", _OPTIM),
    )  # fmt: skip


DIFFERENT: dict[str, str] = {
    "Linear.weight": "is (fan_in, fan_out): y = x @ W, where PyTorch has x @ W.T",
    "Tensor, tensor": "copy the data and keep its dtype: a list of floats is float64, a float32 array float32",
    "data": "is an array, not a tensor; so is grad",
    "grad": "is a NumPy array; zero_grad() makes it None",
    "gradient": "of one axis gives a tensor, where PyTorch gives a tuple of one",
    "max, min": "give the values alone; argmax and argmin give the places. Ties share the gradient equally",
    "median": "is the mean of the two values in the middle, where PyTorch takes the smaller",
    "meshgrid": 'has the first two axes exchanged unless told indexing="ij", as NumPy\'s',
    "numpy()": "is read-only, and works on tensors that require a gradient too",
    "randn, rand": "need rng=, a numpy.random.Generator; so do layers that are drawn, and dropout",
    "repeat": "repeats entry by entry, as NumPy's; what PyTorch calls repeat is tile",
    "save": "takes the path first: save(path, state)",
    "select": "chooses between arrays by conditions, as NumPy's; one entry along an axis is x[:, i]",
    "sort": "gives the values alone; argsort gives the places",
    "split": "takes the number of sections, or the places to cut at; PyTorch takes the size of a section",
    "std, var": "divide by n, as NumPy's; ddof=1 divides by n - 1, as PyTorch does",
    "transpose": "takes an order of all axes, as NumPy's; swapaxes exchanges two",
    "where": "takes a condition of booleans and two values, never the condition alone",
}
"""What has the same name as in PyTorch and does something else."""


def spelling(owner: str, name: str) -> Spelling | None:
    """The row of the table for what somebody looks for on `owner`, if there is one."""
    return next((row for row in spellings() if (row.owner, row.name) == (owner, name)), None)


class UnknownName(AttributeError):
    """There is no such name on `owner`.

    What to write instead is looked up when the message is read, which takes longer than the error itself: `hasattr` and
    `getattr` with a default never read it.
    """

    def __init__(self, owner: str, name: str, known: Callable[[], Iterable[str]], subject: str) -> None:
        super().__init__(name)
        self._asked = owner, known, subject

    def __str__(self) -> str:
        owner, known, subject = self._asked
        name = self.args[0]
        row = spelling(owner, name)
        if row is not None:
            advice = row.advice
        elif owner == "Tensor" and name in _FUNCTIONS:
            advice = f": it is a function, npgrad.{name}(t)."
        else:
            from difflib import get_close_matches  # which costs an import a millisecond, and only an error needs it

            # A name of a few letters is near to everything; the same letters in another order are nearest.
            public = [n for n in known() if not n.startswith("_")]
            close = get_close_matches(name, public, 5, 0.6 if len(name) > 3 else 0.8)
            close.sort(key=lambda n: sorted(n) != sorted(name))
            advice = f". Did you mean {close[0]!r}?" if close else "."
        return f"{subject} has no attribute {name!r}{advice}"

    def __reduce__(self) -> tuple[type[AttributeError], tuple[str]]:
        return AttributeError, (str(self),)


def unknown(owner: str, name: str, known: Callable[[], Iterable[str]], subject: str | None = None) -> NoReturn:
    """Raise the AttributeError of a name that `owner` has not, with what to write instead.

    `known` gives the names there are, for misspellings; `subject` is how the message calls the owner.
    """
    raise UnknownName(owner, name, known, subject or owner)


def _getattr(self: Tensor, name: str) -> Any:
    if name.startswith("_"):  # what NumPy, copy and pickle ask for
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
    unknown("Tensor", name, lambda: dir(type(self)), type(self).__name__)


Tensor.__getattr__ = _getattr  # type: ignore[attr-defined]
