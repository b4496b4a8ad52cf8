"""PyTorch's own samples of its operators, modules and optimisers, run on npgrad and compared with PyTorch.

    python -m benchmarks.operators                     # everything: five minutes on one core
    python -m benchmarks.operators --only linalg.qr sort nn.Conv1d --details

Samples come from `op_db`, `module_db` and `optim_db` of torch.testing, in float64. Each is called as one writes it with
npgrad (`benchmarks/in_npgrad.py`); value and gradient, for a random cotangent, are compared with PyTorch's.

A sample is *right*; right but at a *kink*, where the function has no gradient, both give another subgradient, and they
agree beside it; *refused* by an error that says something; *wrong*; or *crashed*. Left out, by rule, are

- operators whose names begin with an underscore (private) or that have no docstring (undocumented), and those ending
  in _copy or beginning with as_strided, which differ from others in the memory they use only
- samples without a float64 result that depends on a float64 input: integers, booleans, half precision, complex numbers
- samples whose result is random, and sparse tensors
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import textwrap
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.in_npgrad import counterpart, module_of, optimizer_of

__all__ = ["OUTCOMES", "Sample", "judge", "main", "operators", "tasks"]

OUTCOMES = ("right", "kink", "refused", "wrong", "crashed", "left out")
REFUSALS = (TypeError, ValueError, NotImplementedError, AttributeError, ImportError)
TOLERANCE = 1e-8
"""Largest difference from PyTorch, relative to the largest entry, or absolute if that is below 1."""
SECONDS = 120
"""How long one operator may take before it counts as crashed."""


class Sample(NamedTuple):
    """One call: `theirs` on torch tensors, `ours` on npgrad's, both with the arguments `given`."""

    given: Any
    theirs: Callable[..., Any]
    ours: Callable[..., Any]
    after: Callable[[Any], Any] = lambda y: y
    """What makes of the results numbers that do not depend on a choice (the signs of eigenvectors)."""


def mapped(f: Callable[[Any], Any], x: Any) -> Any:
    """`x` with f applied to everything that is not a tuple, list or dictionary."""
    if isinstance(x, dict):
        return {key: mapped(f, value) for key, value in x.items()}
    if isinstance(x, tuple | list):
        items = [mapped(f, item) for item in x]
        return items if isinstance(x, list) else tuple(items)
    return f(x)


def leaves(x: Any) -> Iterator[Any]:
    if isinstance(x, dict | tuple | list):
        for item in x.values() if isinstance(x, dict) else x:
            yield from leaves(item)
    else:
        yield x


def close(mine: Any, theirs: Any) -> bool:
    mine, theirs = np.asarray(mine), np.asarray(theirs)
    if mine.shape != theirs.shape:
        return False
    finite = np.isfinite(theirs)
    size = max(1.0, float(np.max(np.abs(theirs), initial=0.0, where=finite)))
    same = np.equal(mine, theirs) | (np.isnan(mine) & np.isnan(theirs))
    return bool(
        np.all(
            same
            | (np.abs(np.subtract(mine, theirs, where=finite, out=np.zeros(mine.shape))) <= TOLERANCE * size) & finite
        )
    )


class LeftOut(Exception):
    """The rule by which a sample is left out."""


def by_torch(sample: Sample, seed: int = 0) -> tuple[list[Any], list[Any], list[Any]]:
    """The results that are compared, their cotangents, and the gradients of the float64 inputs."""
    import torch

    torch.manual_seed(seed)
    try:
        found = [
            y for y in leaves(sample.after(sample.theirs(*sample.given[0], **sample.given[1]))) if torch.is_tensor(y)
        ]
    except Exception as error:  # whatever it is: samples that PyTorch refuses ask nothing of npgrad
        raise LeftOut(f"PyTorch raises {type(error).__name__}") from error
    inside = [x for x in leaves(sample.given) if torch.is_tensor(x)]
    if any(y.is_complex() or y.layout != torch.strided for y in [*inside, *found]):
        raise LeftOut("complex or sparse")
    ys = [y for y in found if y.is_floating_point()]
    if not any(y.requires_grad and y.dtype == torch.float64 for y in ys):
        raise LeftOut("no float64 result with a gradient")
    rng = np.random.default_rng(1)
    dys = [rng.normal(size=tuple(y.shape)) * y.requires_grad for y in ys]
    live = [(y, torch.tensor(dy, dtype=y.dtype)) for y, dy in zip(ys, dys, strict=True) if y.requires_grad]
    xs = variables(sample.given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gs = torch.autograd.grad([y for y, _ in live], xs, [dy for _, dy in live], allow_unused=True)
    return (
        [y.detach().numpy() for y in ys], dys,
        [np.zeros(tuple(x.shape)) if g is None else g.numpy(force=True) for x, g in zip(xs, gs, strict=True)],
    )  # fmt: skip


def variables(given: Any) -> list[Any]:
    """The torch tensors that a gradient is asked of, each once."""
    import torch

    return list({id(x): x for x in leaves(given) if torch.is_tensor(x) and x.requires_grad}.values())


def by_npgrad(sample: Sample, dys: list[Any]) -> tuple[list[Any], list[Any]]:
    """The same results and gradients from npgrad."""
    import torch

    import npgrad

    made: dict[int, Any] = {}

    def converted(x: Any) -> Any:
        if isinstance(x, torch.dtype):
            return np.dtype(str(x).removeprefix("torch."))
        if not torch.is_tensor(x):
            return x
        array = x.detach().numpy().copy()
        if not x.is_floating_point():
            return array
        return made.setdefault(id(x), npgrad.Tensor(array, requires_grad=x.requires_grad))

    args, kwargs = mapped(converted, sample.given)
    results = sample.after(sample.ours(*args, **kwargs))
    ys = [y for y in leaves(results) if isinstance(y, npgrad.Tensor | np.ndarray | np.floating) and y.dtype.kind == "f"]
    if len(ys) < len(dys):
        raise Different(f"{len(ys)} results instead of {len(dys)}")
    ys = ys[: len(dys)]
    values = [np.asarray(y.numpy() if isinstance(y, npgrad.Tensor) else y) for y in ys]
    if any(y.shape != dy.shape for y, dy in zip(values, dys, strict=True)):
        raise Different(f"shapes {[y.shape for y in values]} instead of {[dy.shape for dy in dys]}")
    live = [(y * dy).sum() for y, dy in zip(ys, dys, strict=True) if isinstance(y, npgrad.Tensor) and y.requires_grad]
    if live:
        sum(live[1:], live[0]).backward()
    xs = [made.get(id(x)) for x in variables(sample.given)]
    return values, [None if x is None else np.zeros(x.shape) if x.grad is None else x.grad for x in xs]


class Different(Exception):
    """How npgrad's results differ."""


def compare(sample: Sample) -> str:
    """What differs: "value", "gradient" or nothing. Raises what npgrad raises, LeftOut and Different."""
    ys, dys, gs = by_torch(sample)
    again, _, _ = by_torch(sample, 1)
    if not all(close(a, b) for a, b in zip(ys, again, strict=True)):
        raise LeftOut("random")
    mine, grads = by_npgrad(sample, dys)
    if not all(close(a, b) for a, b in zip(mine, ys, strict=True)):
        return "value"
    return "" if all(close(a, b) for a, b in zip(grads, gs, strict=True)) else "gradient"


def judge(sample: Sample) -> tuple[str, str]:
    """The outcome of one sample, and why."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = compare(sample)
            if found != "gradient":
                return ("wrong", found) if found else ("right", "")
            beside = compare(sample._replace(given=nudged(sample.given)))
        return ("wrong", "gradient") if beside else ("kink", "another subgradient")
    except LeftOut as rule:
        return "left out", str(rule)
    except Different as error:
        return "wrong", str(error)
    except REFUSALS as error:
        return "refused" if str(error) else "crashed", f"{type(error).__name__}: {error}"
    except Exception as error:  # an outcome that is counted, of whatever kind it is
        return "crashed", f"{type(error).__name__}: {error}"


def nudged(given: Any) -> Any:
    """The same arguments, a hundred-thousandth beside: off any kink."""
    import torch

    rng = np.random.default_rng(2)
    made: dict[int, Any] = {}

    def moved(x: Any) -> Any:
        if not (torch.is_tensor(x) and x.requires_grad):
            return x
        if id(x) not in made:
            step = torch.tensor(1e-5 * rng.normal(size=tuple(x.shape)))
            made[id(x)] = (x.detach() + step).requires_grad_()
        return made[id(x)]

    return mapped(moved, given)


# -- the samples -------------------------------------------------------------------------------------------------------


def operators(count: int) -> Iterator[tuple[str, Callable[[], list[Sample]]]]:
    """The name of each operator within the rules, and what draws its samples."""
    import torch
    from torch.testing._internal import common_methods_invocations as invocations

    # What draws random numbers would get the same seed at each call.
    setattr(invocations, "wrapper_set_seed", lambda op, *args, **kwargs: op(*args, **kwargs))  # noqa: B010
    for op in invocations.op_db:
        plain = op.name.rpartition(".")[2]
        private = op.name.startswith(("_", "torch.ops")) and not op.name.startswith("__")
        memory = plain.endswith("_copy") or plain.startswith("as_strided")
        if private or memory or op.name.startswith("masked.") or not documented(op.name):
            continue
        if torch.float64 not in op.dtypes or not op.supports_autograd:
            continue
        title = f"{op.name} ({op.variant_test_name})" if op.variant_test_name else op.name
        yield title, lambda op=op: [of_operator(op, s) for s in drawn(op, count)]


def documented(name: str) -> bool:
    import torch

    if name.startswith("__"):
        return True
    thing: Any = torch
    for part in name.split("."):
        thing = getattr(thing, part, None)
    return bool(getattr(thing if thing is not None else getattr(torch.Tensor, name, None), "__doc__", None))


def drawn(op: Any, count: int) -> list[Any]:
    """At most `count` samples, evenly spread over the first 500."""
    import torch

    torch.manual_seed(0)
    np.random.seed(0)
    found = list(islice(op.sample_inputs("cpu", torch.float64, requires_grad=True), 500))
    return [found[k] for k in sorted(set(np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)))]


def of_operator(op: Any, sample: Any) -> Sample:
    kwargs = {name: x for name, x in sample.kwargs.items() if name != "device"}
    ours, theirs = counterpart(op.name), op.op
    if op.gradcheck_wrapper.__name__ == "gradcheck_wrapper_hermitian_input":
        # Which triangle is read differs, and so does where the gradient is: both are asked about symmetric matrices.
        ours, theirs = (
            lambda x, *args, f=f, **kwargs: f(x + x.swapaxes(-1, -2), *args, **kwargs) for f in (ours, theirs)
        )
    after = positive_diagonal if op.name in ("qr", "linalg.qr") else sample.output_process_fn_grad
    return Sample(((sample.input, *sample.args), kwargs), theirs, ours, after)


def positive_diagonal(results: Any) -> Any:
    """A QR decomposition with the signs that make the diagonal of R positive: both are free to choose them."""
    q, r = results
    sign = 2 * (r.diagonal(0, -2, -1) >= 0) - 1
    return q * sign[..., None, :], r * sign[..., None]


def mirrored(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *args, **kwargs: f(x + x.swapaxes(-1, -2), *args, **kwargs)


def modules(count: int) -> Iterator[tuple[str, Callable[[], list[Sample]]]]:
    import torch
    from torch.testing._internal.common_modules import module_db

    def draw(info: Any) -> list[Sample]:
        found = []
        for training in (True, False):
            torch.manual_seed(0)
            given = info.module_inputs_func(info, "cpu", torch.float64, True, training)
            found += [module_of(info.module_cls, m, training) for m in islice(given, count) if m.forward_input]
        return [Sample(*parts) for parts in found]

    for info in module_db:
        if not info.module_cls.__name__.startswith("Lazy"):
            yield info.name, lambda info=info: draw(info)


def optimizers(count: int) -> Iterator[tuple[str, Callable[[], list[Sample]]]]:
    from torch.testing._internal.common_optimizers import optim_db

    for info in optim_db:
        name = info.optim_cls.__name__
        yield (
            f"optim.{name}",
            lambda info=info: [
                Sample(*optimizer_of(info.optim_cls, i.kwargs)) for i in islice(info.optim_inputs_func("cpu"), count)
            ],
        )


SUITES = {"operators": operators, "modules": modules, "optimisers": optimizers}


# -- the run -----------------------------------------------------------------------------------------------------------


def tasks(count: int, only: Sequence[str] = ()) -> Iterator[tuple[str, str, Callable[[], list[Sample]]]]:
    """Suite, name and samples of everything there is, or of the names in `only`."""
    for suite, entries in SUITES.items():
        for name, draw in entries(count):
            if not only or name.partition(" ")[0] in only:
                yield suite, name, draw


def outcomes(draw: Callable[[], list[Sample]]) -> list[tuple[str, str]]:
    """What became of each sample, judged in a process of its own, so that a crash ends nothing else."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=lambda: there.send([judge(sample) for sample in draw()]))
    process.start()
    there.close()
    try:
        return here.recv() if here.poll(SECONDS) else [("crashed", f"no answer in {SECONDS} s")]
    except EOFError:
        return [("crashed", "the process ended")]
    finally:
        process.kill()
        process.join()


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 if anything is wrong or crashed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operators", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="of operators, modules and optimisers")
    parser.add_argument("--samples", type=int, default=20, help="samples of each, at most (default: 20)")
    parser.add_argument("--details", action="store_true", help="why samples are refused or wrong")
    parser.add_argument("--checkout", type=Path, metavar="DIR", help="the npgrad of another checkout")
    parser.add_argument("--out", type=Path, metavar="FILE", help="writes every outcome, as JSON")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compares with what --out wrote")
    options = parser.parse_args(arguments)
    missing = [name for name in ("torch", "expecttest") if find_spec(name) is None]
    if missing:
        parser.error(f"{' and '.join(missing)} not installed: pip install '.[bench]'")
    if options.checkout:
        sys.path.insert(0, str(options.checkout.resolve()))
    import torch

    torch.set_num_threads(1)
    for name in ("npgrad.nn", "npgrad.optim"):  # once, before the processes begin
        import_module(name)
    found: dict[str, dict[str, list[tuple[str, str]]]] = {suite: {} for suite in SUITES}
    for suite, name, draw in tasks(options.samples, options.only):
        seen = found[suite][name] = outcomes(draw)
        report = Counter(seen if options.details else [(outcome, "") for outcome, _ in seen])
        for (outcome, why), n in report.items():
            if options.details or outcome in ("wrong", "crashed"):
                print(textwrap.shorten(f"{name}: {n} {outcome}. {why}", 400), flush=True)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(table(found))
    if options.against:
        print(table(json.loads(options.against.read_text(encoding="utf-8"))))
    return int(any(o in ("wrong", "crashed") for suite in found.values() for seen in suite.values() for o, _ in seen))


def table(found: dict[str, dict[str, list[Any]]]) -> str:
    """How many samples of each suite came out how, and how many operators have no sample that is right."""
    lines = [f"{'':<12}" + "".join(f"{name:>10}" for name in ("of them", *OUTCOMES, "no answer", "partly"))]
    for suite, entries in found.items():
        counts = Counter(outcome for seen in entries.values() for outcome, _ in seen)
        asked = {n: [o for o, _ in seen if o != "left out"] for n, seen in entries.items()}
        asked = {n: seen for n, seen in asked.items() if seen}
        none = sum(not {"right", "kink"} & set(seen) for seen in asked.values())
        partly = sum(bool({"right", "kink"} & set(seen)) and "refused" in seen for seen in asked.values())
        cells = [len(asked), *(counts[o] for o in OUTCOMES), none, partly]
        lines.append(f"{suite:<12}" + "".join(f"{n:>10}" for n in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
