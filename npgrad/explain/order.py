"""What there is to read, in an order in which it can be understood."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from npgrad.explain.place import applied_by
from npgrad.explain.source import Subject, subject_of
from npgrad.functions import registry

__all__ = ["Group", "UnknownName", "find", "groups", "name_of", "subjects"]


@dataclass(frozen=True)
class Group:
    """A chapter: a title, what to look for in it, and the names of its subjects in order."""

    title: str
    text: str
    names: tuple[str, ...]


_GROUPS = (
    Group(
        "One rule per line",
        "A backward rule says how a small change of an input moves the result, times dy, what a small change of the "
        "result does to the loss. Look here for broadcasting: what was copied on the way forward is summed on the way "
        "back.",
        ("Add", "Mul", "Sub", "Neg", "Div", "Pow", "Remainder"),
    ),
    Group(
        "Elementary functions",
        "Rules known from school, written so that the forward result is used again wherever it saves work.",
        ("Exp", "Log", "Sqrt", "Cbrt", "Abs", "Expm1", "Log1p", "Exp2", "Log2", "Log10", "Erf", "Erfc", "AsType"),
    ),
    Group(
        "Angles and hyperbolas",
        "An inverse function is differentiated by way of the function itself: both sides of sin(arcsin x) = x.",
        (
            "Sin", "Cos", "Tan", "ArcSin", "ArcCos", "ArcTan", "ArcTan2", "Hypot",
            "Sinh", "Cosh", "ArcSinh", "ArcCosh", "ArcTanh",
        ),
    ),
    Group(
        "Steps",
        "Constant between their jumps: no gradient passes.",
        ("Sign", "Floor", "Ceil", "Trunc", "Round"),
    ),
    Group(
        "Activations",
        "The slope decides how much of the gradient survives a layer: 1 − t² of a saturated tanh is almost nothing, "
        "and a dead relu passes nothing at all.",
        ("Tanh", "Sigmoid", "Relu", "LeakyRelu", "Prelu", "Elu", "Softplus", "Silu", "Gelu", "GeluTanh"),
    ),
    Group(
        "Choosing",
        "Where forward selects, backward sends the gradient to what was selected, and shares it among ties.",
        ("Maximum", "Minimum", "Clip", "Where", "Max", "Min"),
    ),
    Group(
        "Sums and statistics",
        "A sum copies its gradient to every term. The variance is the first rule with two paths from input to result.",
        ("Sum", "Mean", "Var", "Std", "Prod", "CumSum", "CumProd", "Norm", "LogSumExp", "LogAddExp"),
    ),
    Group(
        "Moving values",
        "Nothing is computed, only rearranged: backward puts the gradients back where the values came from, and adds "
        "them up where one value went to several places.",
        (
            "Reshape", "Transpose", "BroadcastTo", "Concatenate", "Stack", "Pad", "Flip", "Roll",
            "Slice", "GetItem", "TakeAlongAxis", "Embedding",
        ),
    ),
    Group(
        "Products of matrices",
        "Each entry meets many others, and its gradient collects from all of them: a product of matrices again.",
        ("MatMul", "Linear", "Einsum"),
    ),
    Group(
        "Linear systems",
        "What is defined by an equation is differentiated by differentiating that equation.",
        ("Solve", "Inv", "Det", "LogAbsDet", "Cholesky", "QR", "Eigh", "SVD", "PInv"),
    ),
    Group(
        "From scores to a loss",
        "Softmax, logarithm and mean by themselves are laborious; together they cancel to p − onehot.",
        ("Softmax", "LogSoftmax", "NLLLoss", "CrossEntropy", "SoftCrossEntropy", "BCELoss",
         "BCEWithLogits", "MSELoss", "Huber"),
    ),
    Group(
        "Normalisation",
        "The summit: every value of a batch depends on every other. First each intermediate adjoint, one line at a "
        "time, then the closed form, in which the gradient loses what normalisation makes pointless.",
        ("BatchNorm", "BatchNormInference", "LayerNorm", "RMSNorm", "GroupNorm"),
    ),
    Group(
        "Windows and masks",
        "A convolution is a linear layer over windows that overlap: a pixel's gradient is a sum over the windows it is "
        "in.",
        ("Conv", "ConvTranspose", "AvgPool", "MaxPool", "Dropout"),
    ),
    Group(
        "Sequences",
        "The same weights at every step: their gradient is a sum over time, and the state's a product of many factors. "
        "Look for the path on which a gate is the only factor; attention needs no such path.",
        ("RNNStep", "LSTMStep", "GRUStep", "Recurrent", "ScaledDotProductAttention", "Rotary"),
    ),
)  # fmt: skip

_TOPICS = (
    "Networks and optimisers",
    "Beyond single functions: what the whole network does to the scale of values and gradients, and what an optimiser "
    "does with them. The same notation, executed in the same way.",
)
_TOPIC_ORDER = (
    "initial_loss", "linear_variance", "kaiming_gain", "recurrent_init", "running_statistics", "network",
    "sgd", "momentum", "adam", "update_ratio",
)  # fmt: skip


class UnknownName(LookupError):
    """A name that nothing here has; the message offers the nearest."""


def name_of(thing: Any) -> str:
    """The name a subject is asked for by: that of the public function, or of the topic."""
    if not isinstance(thing, type):
        return str(thing.__name__.rpartition(".")[2])
    flat = thing.__name__.lower()
    for function in applied_by(thing.__name__):
        if function.replace("_", "") == flat:
            return function
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", thing.__name__).lower()


def topics() -> dict[str, Any]:
    """The topic modules by name."""
    package = importlib.import_module("npgrad.explain.topics")
    found = {m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")}
    names = [name for name in _TOPIC_ORDER if name in found] + sorted(found - set(_TOPIC_ORDER))
    return {name: importlib.import_module(f"npgrad.explain.topics.{name}") for name in names}


def groups() -> list[Group]:
    """The chapters; Functions no chapter names come last, in a chapter of their own."""
    found = [Group(g.title, g.text, tuple(n for n in g.names if n in registry)) for g in _GROUPS]
    placed = {name for g in found for name in g.names}
    rest = tuple(name for name in registry if name not in placed)
    if rest:
        found.append(Group("More", "Further Functions.", rest))
    title, text = _TOPICS
    return [*(g for g in found if g.names), Group(title, text, tuple(topics()))]


@lru_cache(maxsize=1)
def things() -> dict[str, Any]:
    """Everything that has a derivation, by name, in the order of reading."""
    taught = topics()
    every = [registry.get(name) or taught[name] for group in groups() for name in group.names]
    return {name_of(thing): thing for thing in every}


def subjects() -> Iterator[Subject]:
    """Every subject in the order of reading."""
    return (subject_of(thing) for thing in things().values())


def own(name: str) -> Any:
    """The class `package.module:Class`, imported from where Python finds it."""
    module, _, attribute = name.partition(":")
    try:
        thing: Any = importlib.import_module(module)
    except ImportError as error:
        raise UnknownName(f"{name!r} cannot be imported: {error}.") from error
    if not isinstance(getattr(thing, attribute, None), type):
        raise UnknownName(f"{module} has no class {attribute!r}; write package.module:Class.")
    return getattr(thing, attribute)


def find(name: str) -> Any:
    """The subject called `name`: a function, a Function class, or a topic; capitals and underscores do not matter.

    `package.module:Class` is a class of the user's own. Raises UnknownName with close matches.
    """
    if ":" in name:
        return own(name)
    known = things()
    flat = name.lower().replace("_", "").replace("-", "")
    for candidate, thing in known.items():
        if flat in (candidate.replace("_", ""), thing.__name__.rpartition(".")[2].lower().replace("_", "")):
            return thing
    for class_name, thing in registry.items():
        if name in applied_by(class_name):
            return thing
    close = difflib.get_close_matches(name.lower(), list(known), 3, 0.6)
    hint = f"; close to it: {', '.join(close)}" if close else "; `npgrad explain` lists what there is"
    raise UnknownName(f"there is no derivation called {name!r}{hint}.")
