"""Every differentiable function, one family a file, the derivation above the code it derives.

A family is loaded when one of its names is first asked for (PEP 562), and from then on its names are ordinary
attributes. Most programs use a few of the families, and short ones (a command's `--help`, a worker, a test) would spend
more time on importing all of them than on their own work.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from npgrad.functions.activation import *  # noqa: F403
    from npgrad.functions.arithmetic import *  # noqa: F403
    from npgrad.functions.batch_norm import *  # noqa: F403
    from npgrad.functions.conv import *  # noqa: F403
    from npgrad.functions.dropout import *  # noqa: F403
    from npgrad.functions.einsum import *  # noqa: F403
    from npgrad.functions.elementwise import *  # noqa: F403
    from npgrad.functions.extreme import *  # noqa: F403
    from npgrad.functions.group_norm import *  # noqa: F403
    from npgrad.functions.indexing import *  # noqa: F403
    from npgrad.functions.layer_norm import *  # noqa: F403
    from npgrad.functions.loss import *  # noqa: F403
    from npgrad.functions.matmul import *  # noqa: F403
    from npgrad.functions.pool import *  # noqa: F403
    from npgrad.functions.reduction import *  # noqa: F403
    from npgrad.functions.selection import *  # noqa: F403
    from npgrad.functions.shape import *  # noqa: F403
    from npgrad.functions.softmax import *  # noqa: F403

_FAMILIES: dict[str, tuple[str, ...]] = {
    "activation": (
        "Elu", "Gelu", "GeluTanh", "LeakyRelu", "Relu", "Sigmoid", "Silu", "Softplus", "Tanh",
        "elu", "gelu", "leaky_relu", "relu", "sigmoid", "silu", "softplus", "tanh",
    ),
    "arithmetic": ("Add", "Div", "Mul", "Neg", "Pow", "Sub", "add", "div", "mul", "neg", "pow", "sub"),
    "batch_norm": ("BatchNorm", "BatchNormInference", "batch_norm"),
    "conv": ("Conv", "conv1d", "conv2d"),
    "dropout": ("Dropout", "dropout"),
    "einsum": ("Einsum", "einsum"),
    "elementwise": (
        "Abs", "Cos", "Exp", "Expm1", "Log", "Log1p", "Sin", "Sqrt",
        "abs", "cos", "exp", "expm1", "log", "log1p", "sin", "sqrt",
    ),
    "extreme": ("LogSumExp", "Max", "Min", "logsumexp", "max", "min"),
    "group_norm": ("GroupNorm", "group_norm"),
    "indexing": ("Embedding", "GetItem", "Slice", "TakeAlongAxis", "embedding", "getitem", "take_along_axis"),
    "layer_norm": ("LayerNorm", "layer_norm"),
    "loss": (
        "BCEWithLogits", "CrossEntropy", "MSELoss", "NLLLoss", "SoftCrossEntropy",
        "bce_with_logits", "cross_entropy", "mse_loss", "nll_loss",
    ),
    "matmul": ("Linear", "MatMul", "linear", "matmul"),
    "pool": ("AvgPool", "MaxPool", "avg_pool2d", "max_pool2d"),
    "reduction": (
        "CumSum", "Mean", "Prod", "Std", "Sum", "Var",
        "cumsum", "mean", "prod", "std", "sum", "var",
    ),
    "selection": ("Clip", "Maximum", "Minimum", "Where", "clip", "maximum", "minimum", "where"),
    "shape": (
        "BroadcastTo", "Concatenate", "Flip", "Pad", "Reshape", "Stack", "Transpose",
        "broadcast_to", "concatenate", "expand_dims", "flip", "moveaxis", "pad", "ravel", "reshape", "split", "squeeze",
        "stack", "swapaxes", "transpose",
    ),
    "softmax": ("LogSoftmax", "Softmax", "log_softmax", "softmax"),
}  # fmt: skip
"""File -> the public names in it: each file's `__all__`, known before it is read."""

_HOME = {name: family for family, names in _FAMILIES.items() for name in names}


class _Namespace(ModuleType):
    """This package, in which a name of the table always means the function.

    Whoever imports `npgrad.functions.matmul` makes Python hang that file into the package as `matmul`.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Namespace

# Type checkers read the imports above: a computed list they cannot follow, and a `__getattr__` would hide misspellings.
if not TYPE_CHECKING:
    __all__ = list(_HOME)

    def __getattr__(name: str) -> object:
        family = _HOME.get(name)
        if family is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = import_module(f"{__name__}.{family}")
        globals().update({public: getattr(module, public) for public in _FAMILIES[family]})
        return globals()[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *_HOME})
