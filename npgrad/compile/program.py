"""A program: the NumPy code that a recorded function has become, and what it takes to trust and to run it."""

from __future__ import annotations

import builtins
import copy
import dis
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakSet

import numpy as np

from npgrad.compile.guards import Dependencies, changed, content, current, differs, members
from npgrad.compile.plan import Plan, with_copies
from npgrad.compile.recorder import Recording
from npgrad.compile.stand_in import RecordingArray
from npgrad.compile.trace import Call, CompileError, Memory, Value, values_in
from npgrad.compile.write import Writer, define
from npgrad.engine.arrays import Array, changes, tick
from npgrad.engine.function import Function
from npgrad.engine.mode import Mode
from npgrad.engine.node import Leaf, Loan
from npgrad.engine.tensor import Tensor

__all__ = ["PROGRAMS", "Program"]

PROGRAMS: WeakSet[Program] = WeakSet()
"""All that there are, for whoever asks which Functions have been at work: a program computes without calling them."""


class Program:
    """One variant of a compiled function.

    `run(*arguments)` returns what the function would, or `STALE` if these are not the arguments, or not the state of
    the world, that it was recorded with; nothing has been changed then.
    """

    def __init__(
        self,
        name: str,
        recording: Recording,
        split: int,
        arguments: Sequence[tuple[Any, Value | None]],
        result: Any,
        dependencies: Dependencies,
        mode: Mode,
        cotangent: Value | None,
        tiles: bool,
    ) -> None:
        self.mode, self.dependencies, self.recording_opaque = mode, dependencies, dict(recording.opaque)
        self.functions = frozenset(recording.functions)
        """The Functions that its calls were recorded of."""
        self.runs = 0
        self.running = False
        self.started = [0]
        """How many runs have begun to write into the program's memory, if a backward pass for later needs it."""
        self.next_check = 0
        self.keys: Any = None
        """How arguments are nested, if they are."""
        self.count = len(arguments)
        self.generators = [generator for generator, _ in recording.generators.values()]
        self.hosts = recording.hosts
        self.leaves = [leaf for leaf in recording.leaves.values() if leaf not in recording.local]
        self.local = recording.local
        self.trained = [leaf.requires_grad for leaf in self.leaves]
        self.lent: dict[Leaf, Value] = {}
        self.steps: list[SameSteps] = []
        self.cleared: list[Leaf] = []
        for leaf in recording.gradients:
            if leaf in recording.local:
                continue
            now = leaf._grad
            if isinstance(now, RecordingArray):
                if recording.gradients_read.get(leaf) is not now.value:
                    self.lent[leaf] = now.value
            elif now is None:
                self.cleared.append(leaf)
        self.captured = recording.captured or {}
        calls: Sequence[Call] = recording.calls
        if cotangent is not None:
            calls, split = with_copies(calls, split, cotangent, self.captured.values())
        self.known = {id(value) for _, _, _, _, value in dependencies.guards}
        self.known |= {id(a) for module in dependencies.modules.values() for a in vars(module).values()}
        self.known |= {id(given) for given, _ in arguments}
        self.results: list[Value] = []
        self.result = self.flatten(result)
        single = isinstance(result, Tensor) and len(self.results) == 1 and cotangent is None
        self.plain_tensor = single and isinstance(result._array.sample, np.ndarray)
        """The result is one tensor without a graph."""
        wanted = [*self.results, *self.lent.values(), *[g.value for g in self.captured.values()]]
        self.name_arrays(recording)
        self.plan = Plan(calls, split, wanted, self.lent.values(), tiles)
        values = [value for _, value in arguments if value is not None]
        self.writer = writer = Writer(
            self.plan, [*values, *([cotangent] if cotangent is not None else [])], [name, f"{name}_backward"]
        )
        gradients = [(leaf, value) for leaf, value in recording.gradients_read.items()]
        self.source = self.write(name, arguments, gradients, cotangent)
        self.run: Callable[..., Any] = define(name, self.source, writer.namespace)
        self.backward: Callable[..., Any] | None = None
        if cotangent is not None:
            self.source += "\n\n" + (text := self.write_backward(f"{name}_backward", cotangent))
            self.backward = define(f"{name}_backward", text, writer.namespace)
        self.captured = dict.fromkeys(self.captured)
        self.forget()
        PROGRAMS.add(self)

    def forget(self) -> None:
        """Let go of the arrays that the recorded call computed."""
        waiting = [value for call in self.plan.calls for value in values_in((call.args, call.kwargs, call.out))]
        seen: set[int] = set()
        while waiting:
            value = waiting.pop()
            if id(value) not in seen:
                seen.add(id(value))
                value.sample = None
                waiting += [value.memory.value] if value.memory.value is not None else []
                waiting += [*values_in((value.view.args, value.view.kwargs))] if value.view is not None else []

    def name_arrays(self, recording: Recording) -> None:
        """Call arrays of the user's what modules and variables call them, and gradients after them."""
        known: dict[int, str] = {}
        for text, _, _, _, value in self.dependencies.guards:
            if isinstance(value, Tensor | np.ndarray):
                known[id(value._array if isinstance(value, Tensor) else value)] = text
        for module in reversed(self.dependencies.modules.values()):
            known |= {id(p._array): name for name, p in module.named_parameters()}
            known |= {id(a): name for name, a in module.named_buffers()}
        for memory in recording.memories.values():
            if memory.value is not None and not memory.value.name:
                memory.value.name = known.get(id(memory.array), "p" if memory.leaf is not None else "")
        for leaf, value in self.lent.items():
            name = known.get(id(leaf.storage.array))
            if name and value.view is None:
                value.name = f"d_{name}"

    # -- results -------------------------------------------------------------------------------------------------------

    def flatten(self, result: Any) -> Callable[[Sequence[Array], Any], Any]:
        """A function that builds the result of a run from copies of its arrays (and a node, if it has a graph)."""
        if isinstance(result, Tensor) and isinstance(result._array, RecordingArray):
            k = self.place(result._array.value)
            graph = result._node is not None and result._node.requires_grad and not isinstance(result._node, Leaf)
            return lambda arrays, node: Tensor._of(np.asarray(arrays[k]), of(node, arrays[k]) if graph else None)
        if isinstance(result, RecordingArray):
            k = self.place(result.value)
            if isinstance(result.value.sample, np.ndarray):
                return lambda arrays, node: np.asarray(arrays[k])
            if isinstance(result.value.sample, np.generic):
                return lambda arrays, node: arrays[k][()]
            return lambda arrays, node: arrays[k]
        if isinstance(result, tuple | list):
            parts = [self.flatten(item) for item in result]
            kind = type(result)
            if hasattr(kind, "_fields"):
                return lambda arrays, node: kind(*[part(arrays, node) for part in parts])
            return lambda arrays, node: kind([part(arrays, node) for part in parts])
        if isinstance(result, dict):
            named, like = {key: self.flatten(item) for key, item in result.items()}, copy.copy(result)
            like.clear()

            def filled(arrays: Sequence[Array], node: Any) -> Any:
                new = copy.copy(like)
                new.update({key: part(arrays, node) for key, part in named.items()})
                return new

            return filled
        if isinstance(result, np.ndarray) and id(result) not in self.known:  # made by the function, in each run anew
            kept = result.copy()
            return lambda arrays, node: kept.copy()
        if isinstance(result, Tensor) and result._node in self.local:
            kept, trained = result._array.copy(), result.requires_grad
            return lambda arrays, node: type(result)(kept, trained)
        return lambda arrays, node: result

    def place(self, value: Value) -> int:
        self.results.append(value)
        return len(self.results) - 1

    # -- source --------------------------------------------------------------------------------------------------------

    def write(
        self,
        name: str,
        arguments: Sequence[tuple[Any, Value | None]],
        gradients: Sequence[tuple[Leaf, Value | None]],
        cotangent: Value | None,
    ) -> str:
        writer = self.writer
        names, checks = [], []
        for k, (given, value) in enumerate(arguments):
            if value is None:
                names.append(writer.fresh(f"given{k}"))
                checks.append(f"if {names[-1]} is not {writer.bind(given, f'given{k}_', ('given', k))} and "
                              f"{writer.bind(differs, 'differs')}({names[-1]}, {writer.bind(given, '', ('given', k))})"
                              ": return STALE")  # fmt: skip
                continue
            names.append(n := writer.names[value])
            if isinstance(given, Tensor):
                tensor = writer.bind(type(given), type(given).__name__)
                checks += [f"if type({n}) is not {tensor} or {n}.requires_grad: return STALE", f"{n} = {n}._array"]
            elif value.memory.kind == "number":
                checks.append(f"if type({n}) is not {type(given).__name__}: return STALE")
                continue
            sample = np.asarray(value.sample)
            kind = "generic" if isinstance(value.sample, np.generic) else "ndarray"
            array = writer.bind(getattr(np, kind), kind)
            test = f"not isinstance({n}, generic)" if kind == "generic" else f"type({n}) is not {array}"
            dtype = writer.argument(sample.dtype)
            checks.append(
                f"if {test} or {n}.shape != {sample.shape} or {n}.dtype is not {dtype} "
                f"or {n}.strides != {sample.strides}: return STALE"
            )
        arrays = [value for _, value in arguments if value is not None and isinstance(value.sample, np.ndarray)]
        written_to = {memory for call in self.plan.calls for memory in call.writes}
        for a, b in itertools.combinations(arrays, 2):
            if a.memory in written_to or b.memory in written_to:
                overlap = writer.bind(np.may_share_memory, "may_share_memory")
                checks.append(f"if {overlap}({writer.names[a]}, {writer.names[b]}): return STALE")
        counter = writer.bind(changes(), "changes")
        noted = writer.bind([changes()[0]], "noted", "noted")
        self.noted = writer.namespace[noted]
        unchanged = writer.bind(self.unchanged, "unchanged")
        checks.append(f"if {counter}[0] != {noted}[0] and not {unchanged}(): return STALE")
        for text, form, container, key, value in self.dependencies.guards:
            if form == "members":
                held = writer.bind(container, text.partition(".")[0], ("container", id(container)))
                then = writer.bind(value, "members_before", ("was", text, id(container)))
                checks.append(f"if {writer.bind(members, 'members')}({held}) != {then}: return STALE")
                continue
            if form == "length":
                held = writer.bind(container, text[4:-1], ("container", id(container)))
                checks.append(f"if len({held}) != {value}: return STALE")
                continue
            before = writer.bind(value, f"was_{text}", ("was", text, form, id(container)))
            holder = writer.bind(container, f"{text}_{form}", ("container", id(container)))
            if form == "content":
                read = (
                    f"{holder}.tobytes()"
                    if isinstance(container, np.ndarray)
                    else (f"{writer.bind(content, 'content')}({holder})")
                )
                checks.append(f"if {read} != {before}: return STALE")
                continue
            now = {
                "cell": f"{holder}.cell_contents", "global": f"{holder}[{key!r}]", "item": f"{holder}[{key!r}]",
                "attribute": f"{holder}.{key}", "truth": f"{holder}[{key!r}]",
            }[form]  # fmt: skip
            if form == "truth":
                checks.append(f"if {'not ' if value else ''}{now}: return STALE")
                continue
            checks.append(
                f"if {now} is not {before} and {writer.bind(differs, 'differs')}({now}, {before}): return STALE"
            )
        for call in self.plan.forward:
            if call.form == "host" and call.args:
                optimizer = call.function.__self__
                self.steps.append(steps := SameSteps(optimizer, call.args[1]))
                seen = writer.bind(steps, "steps", ("steps", id(call)))
                held = writer.bind(optimizer, "optimizer", ("container", id(optimizer)))
                checks.append(f"if {held}._uneven != {seen}.seen and not {seen}.same(): return STALE")
                checks += self.same_state(optimizer, call.args[1], held)
        for leaf, value in gradients:
            owner = writer.bind(leaf, "leaf", ("leaf", id(leaf)))
            if value is None:
                checks.append(f"if {owner}._grad is not None: return STALE")
            else:
                value.name = value.name or "g"
                writer.names[value] = n = writer.fresh(value.name)
                a = value.sample
                kind, dtype = writer.bind(np.ndarray, "ndarray"), writer.argument(a.dtype)
                same = f"type({n}) is {kind} and {n}.shape == {a.shape} and {n}.dtype is {dtype}"
                same += f" and {n}.strides == {a.strides}"
                checks.append(f"{n} = {owner}.grad")
                checks.append(f"if not ({same}): return STALE")
        lines = writer.lines(self.plan.forward)
        first_effect = len(lines) if writer.first_effect is None else writer.first_effect
        if cotangent is not None:
            later = writer.lines(self.plan.backward)
            wanted = [name for name in missing(later, writer.namespace) if name != writer.names[cotangent]]
            if wanted:
                saved = writer.bind([], "saved", "kept for backward")
                lines += ["", f"{saved}[:] = {', '.join(wanted)}{',' * (len(wanted) == 1)}"]
                later = [f"{', '.join(wanted)}{',' * (len(wanted) == 1)} = {saved}", *later]
            self.later = later
            checks.append(f"{writer.bind(self.started, 'started')}[0] += 1")
        effects = self.effects()
        self.first_effect = 1 + len(checks) + first_effect
        copies = [
            f"{writer.value(value)}{'.copy()' if value.memory.kind != 'number' else ''}" for value in self.results
        ]
        if self.plain_tensor:
            returned = f"return {writer.bind(Tensor._of, 'tensor')}({copies[0]})"
        else:
            returned = f"return {writer.bind(self.finish, 'result')}(({', '.join(copies)}{',' * (len(copies) == 1)}))"
        body = [*checks, *lines, "", *effects, returned]
        return f"def {name}({', '.join(names)}):\n" + "\n".join(f"    {line}" if line else "" for line in body) + "\n"

    def same_state(self, optimizer: Any, parameters: Sequence[Tensor], held: str) -> list[str]:
        """A line that looks whether the optimiser's state was cleared or replaced, if arrays are in it."""
        for p in parameters:
            state = optimizer.state[p]
            for name, array in state.items():
                if isinstance(array, np.ndarray):
                    key = ("container", id(state))
                    mine = self.writer.bind(state, "state", key)
                    q, a = (
                        self.writer.bind(p, "p"),
                        self.writer.bind(array, f"{name}_array", ("state array", id(array))),
                    )
                    return [
                        f"if len({held}.state) != {len(optimizer.state)} or {held}.state.get({q}) is not {mine} "
                        f"or {mine}.get({name!r}) is not {a}: return STALE"
                    ]
        return []

    def effects(self) -> list[str]:
        """What outsiders look at: when a leaf has changed, and its gradient."""
        writer = self.writer
        written = {memory for call in self.plan.forward for memory in call.writes if memory.kind == "external"}
        lines = []
        storages = [
            writer.bind(m.leaf.storage, "storage", ("storage", id(m.leaf)))
            for m in ordered(written)
            if m.leaf is not None
        ]
        if storages:
            lines.append(
                " = ".join(f"{s}._reading" for s in storages) + " = None  # what was read of these is out of date"
            )
        self.loans: list[tuple[Leaf, Loan]] = []
        for leaf, value in self.lent.items():
            loan = Loan(None)  # type: ignore[arg-type]
            self.loans.append((leaf, loan))
            owner, name = writer.bind(leaf, "leaf", ("leaf", id(leaf))), writer.bind(loan, "loan", ("loan", id(leaf)))
            text = writer.value(value)
            if value.memory.kind in ("planned", "constant", "external"):
                loan.array = writer.namespace[text]
            else:
                lines.append(f"{name}.array = {text}")
            lines.append(f"{owner}._grad = {name}")
        for leaf in self.cleared:
            lines.append(f"{writer.bind(leaf, 'leaf', ('leaf', id(leaf)))}._grad = None")
        return lines

    def write_backward(self, name: str, cotangent: Value) -> str:
        writer = self.writer
        grads = [f"{writer.value(g.value)}.copy()" for g in self.captured.values()]
        body = [*self.later, "", f"return ({', '.join(grads)}{',' * (len(grads) == 1)})"]
        return f"def {name}({writer.names[cotangent]}):\n" + "\n".join(f"    {x}" if x else "" for x in body) + "\n"

    # -- running -------------------------------------------------------------------------------------------------------

    def unchanged(self) -> bool:
        """Asked after some module, flag or hook has changed: whether it matters here."""
        if any(leaf.hooks for leaf in self.leaves) or not self.dependencies.unchanged():
            return False
        if [leaf.requires_grad for leaf in self.leaves] != self.trained:
            return False
        if any(memory.array is not leaf.storage.array for leaf, memory in self.arrays_of_leaves()):
            return False
        self.noted[0] = changes()[0]
        return True

    def arrays_of_leaves(self) -> list[tuple[Leaf, Memory]]:
        if not hasattr(self, "_arrays"):
            memories = {m for call in self.plan.calls for m in (*call.reads, *call.writes)}
            self._arrays = [(m.leaf, m) for m in memories if m.kind == "external" and m.leaf is not None]
        return self._arrays

    def finish(self, arrays: Sequence[Array]) -> Any:
        return self.result(arrays, self.node())

    def node(self) -> Any:
        """The node of a result that is to be differentiated outside."""
        if self.backward is None:
            return None
        node = Compiled(self)
        return node

    def arrays(self) -> list[Array]:
        """Every array outside that a run may change or that a module keeps."""
        found = {id(m.array): m.array for call in self.plan.calls for m in call.writes if m.kind == "external"}
        found |= {id(leaf.storage.array): leaf.storage.array for leaf in self.leaves}
        for module in self.dependencies.modules.values():
            for name in getattr(module, "_buffers", ()):
                found[id(getattr(module, name))] = getattr(module, name)
        return [a for a in found.values() if isinstance(a, np.ndarray) and a.flags.writeable]

    def changer(self, array: Array) -> str:
        """The line of the user's that changes this array, if it is not a leaf's."""
        for call in self.plan.calls:
            if any(memory.array is array and memory.leaf is None for memory in call.writes):
                return call.place.section
        return ""

    def hooked(self) -> bool:
        """Whether somebody watches the modules or leaves."""
        return any(leaf.hooks for leaf in self.leaves) or any(
            getattr(module, "_hooked", False) for module in self.dependencies.modules.values()
        )

    def changed_before(self, error: BaseException) -> bool:
        """Whether the run had changed anything outside when it raised `error`."""
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code is self.run.__code__:
                return trace.tb_lineno > self.first_effect
            trace = trace.tb_next
        return True

    def why_stale(self, arguments: Sequence[Any]) -> str:
        """Which of the things that the program depends on is another now."""
        for text, form, container, key, before in self.dependencies.guards:
            if changed(form, before, current(form, container, key)):
                return text
        return "" if self.dependencies.unchanged() else "an attribute of a module"

    def summary(self) -> str:
        lines = sum(bool(line.strip()) for line in self.source.splitlines())
        opaque = "".join(f", {f.__name__} called" for f in self.recording_opaque)
        return f"{lines} lines, {self.plan.pool.nbytes / 1024:,.0f} KB of memory{opaque}"

    def abandon(self) -> None:
        """A run was interrupted: gradients that lie in its memory are lost."""
        for leaf, loan in self.loans:
            if leaf._grad is loan:
                leaf._grad = None
        for steps in self.steps:
            steps.seen = -1


class SameSteps:
    """Whether the step counts of an optimiser's parameters are as far apart as they were while recording."""

    def __init__(self, optimizer: Any, parameters: Sequence[Tensor]) -> None:
        self.optimizer, self.parameters = optimizer, parameters
        # All of them have just been counted once more, which changes no lead.
        self.leads: list[int] = optimizer._leads(parameters)
        self.seen = -1

    def same(self) -> bool:
        if self.optimizer._leads(self.parameters) != self.leads:
            return False
        self.seen = self.optimizer._uneven
        return True


def of(node: Any, array: Array) -> Any:
    """`node` as the one that made `array`."""
    if node is not None:
        node.out_shape, node.out_dtype = array.shape, array.dtype
    return node


class Compiled(Function):
    """The node of what a compiled function returned: `backward()` runs the program's second half."""

    def __init__(self, program: Program) -> None:
        self.program, self.run = program, program.started[0]
        self.swept = False
        self.edges = tuple(program.captured)
        self.readings = tuple([leaf.storage.read() for leaf in program.leaves])
        self.needs = (True,) * len(self.edges)
        self.seq = tick()

    def backward(self, dy: Array) -> tuple[Array, ...]:
        if self.program.started[0] != self.run:
            raise CompileError(
                "backward() on a result of a compiled function that was called again since: what its backward pass "
                "needs was in memory that the later call used. Call backward() before the next call, or inside the "
                "function."
            )
        if self.swept:
            raise CompileError(
                "backward() a second time on a result of a compiled function, whose memory the first one has used. "
                "Add up the losses and call backward() once, or call the function again."
            )
        self.swept = True
        assert self.program.backward is not None
        gradients: tuple[Array, ...] = self.program.backward(dy)
        return gradients


def missing(lines: Sequence[str], namespace: Mapping[str, Any]) -> list[str]:
    """The names that these lines use and that neither they nor the namespace define."""
    body = "".join(f"    {line}\n" for line in lines if line)
    code = compile(f"def f():\n    pass\n{body}", "<backward>", "exec").co_consts[0]
    used = {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    return sorted(used - namespace.keys() - vars(builtins).keys())


def ordered(memories: set[Memory]) -> list[Memory]:
    return sorted(memories, key=lambda memory: memory.leaf.seq if memory.leaf is not None else 0)
