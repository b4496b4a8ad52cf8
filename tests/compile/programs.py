"""Random training steps for the fuzzer: source text over all Functions, and the world that it runs in.

`draw(seed)` is a `Script`: the text of a function `step`, and `world()`, which makes everything that the text refers to
(parameters, arrays, numbers, modules, an optimiser), the same numbers each time. So an eager and a compiled run can be
compared byte for byte.
"""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import npgrad
from npgrad import functions as F
from npgrad import nn, optim
from npgrad.check import cases  # noqa: F401 (registers them)
from npgrad.check.case import CASES
from npgrad.compile import CompileError
from npgrad.engine.tensor import Tensor
from tests.strategies import LAYOUTS

OPTIMIZERS: list[Callable[[Any], Any]] = [
    lambda p: optim.SGD(p, lr=0.01),
    lambda p: optim.SGD(p, lr=0.01, momentum=0.9),
    lambda p: optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.1),
    lambda p: optim.SGD(p, lr=0.01, momentum=0.5, dampening=0.3, maximize=True),
    lambda p: optim.Adam(p, lr=0.01),
    lambda p: optim.Adam(p, lr=0.01, amsgrad=True, weight_decay=0.05),
    lambda p: optim.AdamW(p, lr=0.01, betas=(0.5, 0.9), maximize=True),
    lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True, eps=0.1),
    lambda p: optim.Adagrad(p, lr=0.01, lr_decay=0.1),
]
_numbers = itertools.count(1)


def fit(t: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The entries of `t`, over and over, in this shape."""
    size = int(np.prod(shape))
    flat = t.reshape(-1)
    if flat.size >= size:
        return flat[:size].reshape(shape)
    return flat[np.arange(size) % flat.size].reshape(shape)


class Scale(npgrad.Function):
    """A user's Function with a mask, which cannot be recorded."""

    def forward(self, x: Any, *, least: float) -> Any:
        self.mask = x > least
        y = x * 0.5
        y[self.mask] = x[self.mask]
        return y

    def backward(self, dy: Any) -> Any:
        dx = dy * 0.5
        dx[self.mask] = dy[self.mask]
        return dx


class Branch(npgrad.Function):
    """A user's Function whose state depends on a value."""

    def forward(self, x: Any) -> Any:
        if (x > 0.5).any():
            self.factor = 2.0
        else:
            self.factor = 3.0
        return x * self.factor

    def backward(self, dy: Any) -> Any:
        return dy * self.factor


@dataclass
class Script:
    """A random program. `arrays` are the arguments of the first call."""

    seed: int
    source: str = ""
    names: list[str] = field(default_factory=list)
    """Of the arguments."""
    kinds: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    optimizer: int = 0
    grouped: bool = False
    outside: bool = False
    """The loss is returned, and differentiated by the caller."""
    no_grad: bool = False

    def world(self) -> dict[str, Any]:
        """New objects for everything that the source refers to."""
        world: dict[str, Any] = {
            **vars(F),
            "np": np,
            "npgrad": npgrad,
            "fit": fit,
            "Scale": Scale,
            "Branch": Branch,
            "clip_grad_norm": optim.clip_grad_norm,
        }
        world["__name__"] = "fuzzed"
        for name, value in self.values.items():
            kind = self.kinds[name]
            if kind == "parameter":
                world[name] = nn.Parameter(value)
            elif kind == "frozen":
                world[name] = nn.Parameter(value, requires_grad=False)
            elif kind == "constant":
                world[name] = np.array(value)
            elif kind == "number":
                world[name] = value
        rng = np.random.default_rng(self.seed)
        world["generator"] = np.random.default_rng(self.seed + 1)
        world["model"] = nn.Sequential(
            nn.Linear(4, 3, rng=rng), nn.BatchNorm1d(3), nn.Tanh(), nn.Dropout(0.3, rng=world["generator"])
        )
        world["parameters"] = parameters = [
            *[x for name, x in world.items() if self.kinds.get(name) in ("parameter", "frozen")],
            *world["model"].parameters(),
        ]
        given: Any = parameters
        if self.grouped:
            given = [{"params": parameters[::2]}, {"params": parameters[1::2], "lr": 0.003}]
        world["optimizer"] = OPTIMIZERS[self.optimizer](given)
        world["schedule"] = optim.StepLR(world["optimizer"], 3, 0.5)
        filename = f"<fuzzed {self.seed} {next(_numbers)}>"
        linecache.cache[filename] = (len(self.source), None, self.source.splitlines(True), filename)
        exec(compile(self.source, filename, "exec"), world)
        return world


def draw(seed: int) -> Script:
    """The random program number `seed`."""
    rng = np.random.default_rng([seed, 7])
    script = Script(seed)
    wide = rng.random() < 0.3
    dtype = np.dtype(np.float64 if wide else np.float32)
    lines: list[str] = []
    scratch: dict[str, Any] = {}
    pool: list[str] = []
    extra: dict[str, Any] = {}

    def name(kind: str, value: Any) -> str:
        letter = {"parameter": "p", "frozen": "q", "constant": "c", "number": "k", "array": "x", "tensor": "u"}[kind]
        text = f"{letter}{len(script.values)}"
        script.values[text], script.kinds[text] = value, kind
        if kind in ("array", "tensor"):
            script.names.append(text)
        if kind in ("parameter", "frozen"):
            scratch[text] = nn.Parameter(value)
        elif kind == "tensor":
            scratch[text] = npgrad.Tensor(value)
        else:
            scratch[text] = value
        return text

    scratch.update(
        {
            **vars(F),
            "np": np,
            "npgrad": npgrad,
            "fit": fit,
            "Scale": Scale,
            "Branch": Branch,
            "clip_grad_norm": optim.clip_grad_norm,
        }
    )
    scratch["generator"] = np.random.default_rng(0)
    scratch["model"] = _model()

    def run(line: str) -> None:
        exec(line, scratch)
        lines.append(line)

    def floating(x: np.ndarray) -> np.ndarray:
        return x.astype(np.float32 if wide and rng.random() < 0.1 else dtype)

    def operand(x: Any, mixed: bool) -> str:
        if x is None:
            return "None"
        if isinstance(x, bool | int | float | np.generic) and not isinstance(x, np.ndarray):
            return name("number", x)
        x = np.asarray(x)
        if x.dtype.kind != "f":
            return name(str(rng.choice(["array", "constant"])), x)
        kind = str(rng.choice(["parameter", "array", "constant", "tensor", "frozen"], p=[0.55, 0.2, 0.08, 0.1, 0.07]))
        same = [n for n, v in script.values.items() if np.shape(v) == x.shape and script.kinds[n] == "parameter"]
        text = name(kind, floating(x))
        if same and mixed and rng.random() < 0.2:
            text = f"({text} + 0.01 * {rng.choice(same)})"
        if pool and mixed and rng.random() < 0.5 and x.size:
            text = f"({text} * (1 + 0.1 * npgrad.tanh(fit({rng.choice(pool)}, {x.shape}))))"
        return text

    for _ in range(int(rng.integers(1, 5))):
        chosen = str(rng.choice([*sorted(CASES), "Scale", "Branch", "model", "generator", "numpy"]))
        target = f"t{len(pool)}"
        scratch.pop(target, None)  # of an operation that was drawn before and left out again
        try:
            with np.errstate(all="ignore"):
                if chosen == "Scale":
                    run(f"{target} = Scale.apply({operand(rng.normal(size=(3, 2)), True)}, least=0.2)")
                elif chosen == "Branch":
                    run(f"{target} = Branch.apply({operand(0.1 * rng.normal(size=(3, 2)), True)})")
                elif chosen == "model":
                    run(f"{target} = model({operand(rng.normal(size=(5, 4)), True)})")
                elif chosen == "generator":
                    run(f"{target} = npgrad.dropout({operand(rng.normal(size=(4, 3)), True)}, 0.4, True, generator)")
                elif chosen == "numpy":
                    a = operand(rng.normal(size=(2, 3)), True)
                    run(f"{target} = np.exp({a} * 0.1) + np.matmul({a}, np.transpose({a})).sum()")
                else:
                    case = CASES[chosen][int(rng.integers(len(CASES[chosen])))](rng)
                    arguments = [operand(x, chosen not in ("SoftCrossEntropy", "BCEWithLogits")) for x in case.inputs]
                    for key, x in case.options.items():
                        if isinstance(x, np.ndarray):
                            x = x.astype(dtype) if x.dtype.kind == "f" else x
                            extra[key_name := f"o{len(extra)}"] = x
                            script.values[key_name], script.kinds[key_name] = x, "constant"
                        else:
                            extra[key_name := f"o{len(extra)}"] = x
                            script.values[key_name], script.kinds[key_name] = x, "number"
                        scratch[key_name] = x
                        arguments.append(f"{key}={key_name}")
                    run(f"{target} = {chosen}.apply({', '.join(arguments)})")
        except Exception:
            if target in scratch:
                raise
            continue
        pool.append(target)
        t = scratch[target]
        if not isinstance(t, Tensor) or t.dtype.kind != "f":
            pool.pop()
            continue
        after = str(rng.choice(["", "", "", "view", "row", "twice", "self", "T", "where", "detach", "slice"]))
        if after == "view":
            run(f"{target} = {target}.reshape(-1)")
        elif after == "row" and t.ndim and t.shape[0]:
            run(f"{target} = {target}[0]")
        elif after == "twice":
            run(f"{target} = {target} * {target}.sum() + {target}")
        elif after == "self":
            run(f"{target} = {target} * {target}")
        elif after == "T":
            run(f"{target} = {target}.T")
        elif after == "where":
            run(f"{target} = npgrad.where({target}.numpy() > 0, {target}, {target} * 0.5)")
        elif after == "detach":
            run(f"{target} = {target}.detach() * {target}")
        elif after == "slice" and t.ndim:
            run(f"{target} = {target}[..., ::2]")
        if scratch[target].size == 0 or not np.isfinite(scratch[target]._array).all():
            pool.remove(target)
    anchor = name("parameter", floating(rng.normal(size=3)))
    parts = [f"({anchor} * {anchor}).sum()"]
    for t in pool:
        w = rng.normal(size=scratch[t].shape).astype(dtype)
        parts.append(f"({t} * {name('constant', w)}).sum() * {name('number', float(rng.normal()))}")
    order = [int(k) for k in rng.permutation(len(parts))]
    style = str(
        rng.choice(["step", "step", "step", "late", "accumulate", "twice", "clip", "outside", "eval", "schedule"])
    )
    script.optimizer, script.grouped = int(rng.integers(len(OPTIMIZERS))), bool(rng.random() < 0.3)
    body = list(lines)
    loss = " + ".join(parts[k] for k in order)
    returned = "loss"
    if pool and rng.random() < 0.5:
        which = [str(t) for t in rng.choice(pool, size=min(2, len(pool)), replace=False)]
        form = str(rng.choice(["tuple", "dict", "list", "array"]))
        items = [f"{t}.{'detach()' if form != 'array' else 'numpy()'}" for t in which]
        returned = {
            "tuple": f"(loss, {', '.join(items)})",
            "list": f"[{', '.join(items)}, loss]",
            "array": f"(loss, {', '.join(items)})",
            "dict": "{'loss': loss, " + ", ".join(f"{t!r}: {x}" for t, x in zip(which, items, strict=True)) + "}",
        }[form]
    if style == "eval":
        body = ["with npgrad.no_grad():", *[f"    {line}" for line in body], f"    loss = {loss}"]
        script.no_grad = True
    elif style == "late":
        body = ["optimizer.zero_grad()", *body, f"loss = {loss}", "loss.backward()", "optimizer.step()"]
    elif style == "accumulate":
        body += [f"loss = {loss}", "loss.backward()", "if zero:", "    optimizer.step()", "    optimizer.zero_grad()"]
    elif style == "twice":
        body += [f"first = ({anchor} * 0.5).sum()", "first.backward()", f"loss = {loss}", "loss.backward()"]
        body += ["optimizer.step()", "optimizer.zero_grad()"]
    elif style == "outside":
        body += [f"loss = {loss}"]
        script.outside = True
    else:
        body += [f"loss = {loss}", "optimizer.zero_grad()", "loss.backward()"]
        if style == "clip":
            body.append("norm = clip_grad_norm(parameters, 0.7, error_if_nonfinite=False)")
            if returned == "loss":
                returned = "(loss, norm)"
        body.append("optimizer.step()")
        if style == "schedule":
            body.append("schedule.step()")
    if returned == "loss" and style not in ("outside",) and rng.random() < 0.2:
        returned = "None"
    body.append(f"return {returned}")
    script.values["zero"], script.kinds["zero"] = bool(rng.random() < 0.5), "number"
    script.source = f"def step({', '.join(script.names)}):\n" + "".join(f"    {line}\n" for line in body)
    return script


def _model() -> nn.Module:
    rng = np.random.default_rng(0)
    return nn.Sequential(nn.Linear(4, 3, rng=rng), nn.BatchNorm1d(3), nn.Tanh(), nn.Dropout(0.3, rng=rng))


# -- running ------------------------------------------------------------------------------------------------------


EVENTS = (
    "", "", "", "", "lr", "number", "constant", "replace", "write", "assign", "hold grad", "drop grad", "scale grad",
    "freeze", "train", "layout", "dtype", "load", "optimizer", "wrong", "no_grad", "hold data", "momentum", "zero",
    "group", "hook",
)  # fmt: skip


def arguments(script: Script, rng: np.random.Generator) -> list[Any]:
    """New arguments of the same shapes."""
    found = []
    for name in script.names:
        value, kind = script.values[name], script.kinds[name]
        x = (
            np.array(value)
            if value.dtype.kind != "f"
            else np.asarray(value * rng.uniform(0.9, 1.1, size=value.shape).astype(value.dtype))
        )
        found.append(npgrad.Tensor(x) if kind == "tensor" else x)
    return found


def event(what: str, world: dict[str, Any], script: Script, seed: Any) -> None:
    """Change something between two calls, in the same way in every world."""
    rng = np.random.default_rng(seed)
    trained = [x for name, x in world.items() if script.kinds.get(name) == "parameter"]
    p = trained[int(rng.integers(len(trained)))]
    held = world.setdefault("held", [])
    constants = [
        name for name, kind in script.kinds.items() if kind == "constant" and script.values[name].dtype.kind == "f"
    ]
    if what == "lr":
        world["optimizer"].lr = float(rng.uniform(0.001, 0.02))
    elif what == "number":
        names = [
            n for n, k in script.kinds.items() if k == "number" and n[0] == "k" and type(script.values[n]) is float
        ]
        if names:
            name = names[int(rng.integers(len(names)))]
            world[name] = world[name] * 1.25
    elif what == "zero":
        world["zero"] = not world["zero"]
    elif what == "constant" and constants:
        a = world[constants[int(rng.integers(len(constants)))]]
        if a.flags.writeable:
            a *= a.dtype.type(1.125)
    elif what == "replace" and constants:
        name = constants[int(rng.integers(len(constants)))]
        world[name] = world[name] * 1
    elif what == "write":
        p.data[...] = p.data * 0.75
    elif what == "assign":
        p.data = p.numpy() * 0.875
    elif what == "hold grad" and p.grad is not None:
        held.append(p.grad)
        held.append(p.grad.copy())
    elif what == "hold data":
        held.append(a := p.data)
        p.data = p.numpy() * 0.5
        held.append(a.copy())
    elif what == "drop grad":
        p.grad = None
    elif what == "scale grad" and p.grad is not None:
        p.grad *= 0.5
    elif what == "freeze":
        p.requires_grad = not p.requires_grad
    elif what == "train":
        world["model"].train(not world["model"].training)
    elif what == "load":
        world["model"].load_state_dict({k: v * 0.5 for k, v in world["model"].state_dict().items()})
    elif what == "optimizer":
        world["optimizer"].load_state_dict(world["optimizer"].state_dict())
    elif what == "momentum":
        group = world["optimizer"].param_groups[0]
        if "momentum" in group and not group.get("nesterov") and not group.get("dampening"):
            group["momentum"] = 0.0 if group["momentum"] else 0.8
        group["weight_decay"] = 0.0 if group["weight_decay"] else 0.1
    elif what == "group" and "extra" not in world:
        world["extra"] = nn.Parameter(np.ones(2, np.float32))
        world["extra"].grad = np.ones(2, np.float32)
        world["optimizer"].add_param_group({"params": [world["extra"]]})
        world["parameters"].append(world["extra"])
    elif what == "hook":
        if "hook" in world:
            world.pop("hook")()
        elif p.requires_grad:
            world["hook"] = p.register_hook(lambda g: g * 0.5)


def content(a: Any) -> bytes:
    """The bytes of an array, every nan being the same one."""
    a = np.asarray(a)
    return np.where(np.isnan(a), a.dtype.type(np.nan), a).tobytes() if a.dtype.kind == "f" else a.tobytes()


def state(world: dict[str, Any]) -> dict[str, bytes]:
    """The bytes of everything in a world."""
    found: dict[str, bytes] = {}

    def put(name: str, a: Any) -> None:
        found[name] = repr(a).encode() if not isinstance(a, np.ndarray) else f"{a.dtype}{a.shape}".encode() + content(a)

    for name, x in world.items():
        if isinstance(x, npgrad.Tensor):
            put(name, x._array)
            put(f"{name}.grad", x.grad)
        elif isinstance(x, np.ndarray):
            put(name, x)
    for k, p in enumerate(world["model"].parameters()):
        put(f"model.{k}", p._array)
        put(f"model.{k}.grad", p.grad)
    for name, b in world["model"].named_buffers():
        put(f"model.{name}", b)
    found["generator"] = repr(world["generator"].bit_generator.state).encode()
    for k, p in enumerate(world["parameters"]):
        for key, value in world["optimizer"].state.get(p, {}).items():
            put(f"optimizer.{k}.{key}", value)
    for k, group in enumerate(world["optimizer"].param_groups):
        found[f"group.{k}"] = repr({key: x for key, x in group.items() if key != "params"}).encode()
    for k, a in enumerate(world.get("held", ())):
        put(f"held.{k}", a)
    found["schedule"] = repr(world["schedule"].state_dict()).encode()
    return found


def plain(x: Any) -> Any:
    """A result as nested lists of bytes."""
    if isinstance(x, npgrad.Tensor):
        return ("tensor", x.requires_grad, str(x.dtype), x.shape, content(x._array))
    if isinstance(x, np.ndarray | np.generic):
        return (type(x).__name__, str(x.dtype), x.shape, content(x))
    if isinstance(x, dict):
        return {key: plain(item) for key, item in x.items()}
    if isinstance(x, tuple | list):
        return (type(x).__name__, [plain(item) for item in x])
    return (type(x).__name__, repr(x))


def loss_of(x: Any) -> Any:
    if isinstance(x, dict):
        return x["loss"]
    if isinstance(x, list):
        return x[-1]
    return x[0] if isinstance(x, tuple) else x


def buffers(step: Any) -> list[np.ndarray]:
    """The memory of the programs of a compiled function."""
    return [b.bytes for ps in step._state.programs.values() for program in ps for b in program.plan.pool.blocks]


def reachable_arrays(x: Any) -> list[np.ndarray]:
    if isinstance(x, npgrad.Tensor):
        return [x._array]
    if isinstance(x, np.ndarray):
        return [x]
    if isinstance(x, dict):
        return [a for item in x.values() for a in reachable_arrays(item)]
    if isinstance(x, tuple | list):
        return [a for item in x for a in reachable_arrays(item)]
    return []


def attempt(step: Any, world: dict[str, Any], given: list[Any], outside: bool, mode: bool) -> tuple[Any, Any]:
    """(result, None) or (None, the error)."""
    try:
        with np.errstate(all="ignore"):
            if mode:
                with npgrad.no_grad():
                    result = step(*given)
            else:
                result = step(*given)
            kept = plain(result)
            loss = loss_of(result)
            if outside and isinstance(loss, npgrad.Tensor) and loss.requires_grad:
                world["optimizer"].zero_grad()
                loss.backward()
                world["optimizer"].step()
        return (kept, reachable_arrays(result)), None
    except (ValueError, TypeError, RuntimeError, IndexError, AttributeError, FloatingPointError) as error:
        return None, error


def compare(seed: int, calls: int = 9, trusting: bool | None = None) -> dict[str, int]:
    """Run program number `seed` eagerly and compiled, side by side; raise AssertionError where they differ."""
    script = draw(seed)
    rng = np.random.default_rng([seed, 11])
    eager, compiled = script.world(), script.world()
    step = npgrad.compile(compiled["step"], warm_up=int(rng.integers(0, 3)))
    trusting = bool(rng.random() < 0.5) if trusting is None else trusting
    counts = {"runs": 0, "eager": 0, "errors": 0, "refused": 0}
    trail: list[str] = []
    results: list[tuple[np.ndarray, bytes]] = []
    for call in range(calls):
        what = str(rng.choice(EVENTS)) if call else ""
        trail.append(what)
        event(what, eager, script, [seed, call])
        event(what, compiled, script, [seed, call])
        given = arguments(script, np.random.default_rng([seed, call, 3]))
        other = arguments(script, np.random.default_rng([seed, call, 3]))
        if script.names and what in ("layout", "dtype", "wrong"):
            k = int(rng.integers(len(given)))
            layout = str(rng.choice(sorted(LAYOUTS)))
            for xs in (given, other):
                x = xs[k]
                if isinstance(x, np.ndarray):
                    if what == "layout":
                        xs[k] = LAYOUTS[layout](x)
                    elif what == "dtype" and x.dtype.kind in "fi":
                        xs[k] = x.astype({"f": np.float64, "i": np.int32}[x.dtype.kind])
                    elif what == "wrong":
                        xs[k] = np.full_like(x, 99) if x.dtype.kind in "iu" else np.ones((7, *x.shape), x.dtype)
        about = f"program {seed}, call {call} after {trail}\n{script.source}"
        expected, error = attempt(eager["step"], eager, given, script.outside, what == "no_grad")
        found, mine = attempt(step, compiled, other, script.outside, what == "no_grad")
        if isinstance(mine, CompileError):
            raise AssertionError(f"{about}\n{mine}") from mine
        if error is not None or mine is not None:
            counts["errors"] += 1
            assert type(error) is type(mine) and str(error) == str(mine), f"{about}\n{error!r}\n{mine!r}"
        else:
            left, right = expected[0], found[0]
            if not script.outside:
                left, right = without_graph(left), without_graph(right)
            assert left == right, f"{about}\nresults differ: {left} and {right}"
            for a in found[1]:
                assert not any(np.shares_memory(a, b) for b in buffers(step)), (
                    f"{about}\na result in the program's memory"
                )
                if not any(
                    np.shares_memory(a, p._array) for p in compiled["parameters"]
                ):  # a view that eager code gave
                    results.append((a, a.tobytes()))
        a, b = state(eager), state(compiled)
        different = [name for name in {**a, **b} if a.get(name) != b.get(name)]
        assert not different, f"{about}\n{different} differ"
        if rng.random() < 0.5:
            for p in compiled["parameters"]:
                if p.grad is not None:
                    assert not any(np.shares_memory(p.grad, m) for m in buffers(step)), f"{about}\nlent and looked at"
        for array, content in results:
            assert array.tobytes() == content, f"{about}\na result has changed since"
        for xs, ys in zip(given, other, strict=True):
            assert plain(xs) == plain(ys), f"{about}\nan argument was changed"
        if trusting:
            for programs in step._state.programs.values():
                for program in programs:
                    program.next_check = 10**9
    counts["runs"] = sum(p.runs for ps in step._state.programs.values() for p in ps)
    counts["log"] = "; ".join(step._state.log)  # type: ignore[assignment]
    return counts


def without_graph(x: Any) -> Any:
    """A result of a compiled function has no history where its graph was swept."""
    if isinstance(x, dict):
        return {key: without_graph(item) for key, item in x.items()}
    if isinstance(x, tuple) and x[0] == "tensor":
        return ("tensor", None, *x[2:])
    if isinstance(x, tuple) and len(x) == 2 and isinstance(x[1], list):
        return (x[0], [without_graph(item) for item in x[1]])
    return x
