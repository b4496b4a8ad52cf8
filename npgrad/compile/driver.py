"""The decorator: which variant of the program runs, when one is recorded, and how it is checked against eager code."""

from __future__ import annotations

import builtins
import contextvars
import functools
import keyword
import os
import sys
import threading
import types
import warnings
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, overload

import numpy as np

from npgrad.compile.arguments import (
    argument_names,
    describe,
    detached,
    flattened,
    has_graph,
    layout,
    rebuilt,
    signature,
    tensors,
)
from npgrad.compile.compare import Different, State, different, same_bytes
from npgrad.compile.guards import COMPARED, Dependencies, changed, current, differs, put_back, shown
from npgrad.compile.program import Program
from npgrad.compile.recorder import Eager, Recording, Unrecordable
from npgrad.compile.runtime import STALE
from npgrad.compile.stand_in import RecordingArray
from npgrad.compile.tiles import Tiles
from npgrad.compile.trace import CompileError, Memory, Value
from npgrad.engine.backward import sweep
from npgrad.engine.function import Function
from npgrad.engine.mode import MODE, Mode, switch
from npgrad.engine.tensor import Tensor

__all__ = ["CompiledFunction", "compile"]

P = ParamSpec("P")
R = TypeVar("R")
WARM_UP = 3
"""A step that runs no more often is not compiled."""
VARIANTS = 8
"""A function of more variants, for arguments of the same shapes, depends on something that changes all the time."""


@overload
def compile(function: Callable[P, R]) -> CompiledFunction[P, R]: ...
@overload
def compile(
    function: None = None, *, check: bool = False, warm_up: int = WARM_UP
) -> Callable[[Callable[P, R]], CompiledFunction[P, R]]: ...
def compile(function: Any = None, *, check: bool = False, warm_up: int = WARM_UP) -> Any:
    """Decorate a function that is called again and again: after `warm_up` calls it runs as one NumPy program.

    The program computes the same bytes as the function, which is compared at calls 1, 2, 4, 8, … and then at every
    thousandth, or at every call with `check=True`. It is written anew for arguments of other shapes or dtypes, and
    where a number or flag that the function closes over, a module's attribute or the mode (`train`, `no_grad`) has
    changed. Learning rates, step counts and random generators are looked up at each run. Tensors that the function
    returns are copies without history, unless their graph was not swept: then `backward()` works on them, until the
    next call.

    `step.source` is the program; `step.explain()` says what was recorded and why.

    Raises CompileError where the function reads a value (`item()`, `if loss > 3`) or changes something that a program
    could not change, or if a check finds another result.
    """
    if function is None:
        return lambda f: CompiledFunction(f, check, warm_up)
    return CompiledFunction(function, check, warm_up)


class _State(threading.local):
    """What one thread knows: programs write into memory of their own, so each thread has its own."""

    def __init__(self) -> None:
        self.program: Program | None = None
        """The one that ran last."""
        self.programs: dict[Any, list[Program]] = {}
        self.calls: dict[Any, int] = {}
        self.next_try: dict[Any, int] = {}
        self.floats: dict[Any, tuple[Any, ...]] = {}
        self.varying: dict[Any, set[int]] = {}
        self.running = False
        self.failed: Exception | None = None
        """What a run raised before it had changed anything."""
        self.log: list[str] = []


class CompiledFunction(Generic[P, R]):
    """What `npgrad.compile` makes of a function: call it as before."""

    def __init__(self, function: Callable[P, R], check: bool, warm_up: int) -> None:
        update_wrapper(self, function)
        self.function = function
        self.check, self.warm_up = check, warm_up
        self._state = _State()
        self._opaque: dict[type[Function], str] = {}
        self._warned = False
        self._tiles = True

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        state = self._state
        mode = MODE.get()
        program = state.program
        if (
            program is not None
            and not kwargs
            and program.keys is None
            and program.count == len(args)
            and program.runs < program.next_check
            and (mode is program.mode or mode == program.mode)
            and not program.running
        ):
            result = self._run(program, args)
            if result is not STALE:
                return result  # type: ignore[no-any-return]
        return self._slowly(args, kwargs, mode)  # type: ignore[no-any-return]

    def _run(self, program: Program, arguments: Sequence[Any]) -> Any:
        try:
            program.running = True
            result = program.run(*arguments)
            if result is not STALE:
                program.runs += 1
            return result
        except (CompileError, NameError, AssertionError):
            program.abandon()
            raise
        except Exception as error:
            if program.changed_before(error):
                program.abandon()
                raise
            # If it is the user's, the eager run raises it where it belongs.
            self._state.failed = error
            return STALE
        except BaseException:
            program.abandon()
            raise
        finally:
            program.running = False

    # -- choosing ------------------------------------------------------------------------------------------------------

    def _slowly(self, args: tuple[Any, ...], kwargs: dict[str, Any], mode: Mode) -> Any:
        state = self._state
        if mode.recorder is not None or mode.inlined:
            return self.function(*args, **kwargs)
        if state.running or any(p.running for programs in state.programs.values() for p in programs):
            state.running = self._under_way()  # an interrupt may have left it said so
            for programs in state.programs.values():
                for program in programs:
                    program.running = state.running
        if mode.holomorphic or mode.differentiating or state.running:
            return self.function(*args, **kwargs)
        keys = layout(args, kwargs)
        flat = flattened(args, kwargs)
        if any(
            x.requires_grad or not x.is_leaf
            if isinstance(x, Tensor)
            else isinstance(x, np.ndarray) and type(x) is not np.ndarray
            for x in flat
        ):
            return self._eagerly(args, kwargs)
        key = (keys, mode, *[signature(x) for x in flat])
        calls = state.calls[key] = state.calls.get(key, 0) + 1
        programs = state.programs.setdefault(key, [])
        for program in programs:
            if program.runs >= program.next_check:
                result = self._checked(program, args, kwargs, flat)
            else:
                result = self._run(program, flat)
            if result is not STALE:
                programs.remove(program)
                programs.insert(0, program)
                state.program = program
                return result
        if state.failed is not None:
            failed, state.failed = state.failed, None
            result = self._eagerly(args, kwargs)
            self._give_up(key, f"its program raised {type(failed).__name__}: {failed}")
            return result
        if calls <= self.warm_up or calls < state.next_try.get(key, 0) or any(p.hooked() for p in programs):
            return self._eagerly(args, kwargs)
        if len(programs) >= VARIANTS:
            why = programs[0].why_stale(flat)
            if any(form == "content" and text == why for text, form, *_ in programs[0].dependencies.guards):
                self._give_up(key, f"the content of {why} changes, which is no argument")
                return self._eagerly(args, kwargs)
            raise CompileError(
                f"{self._name()} has been compiled {VARIANTS} times for arguments of the same shapes, because "
                f"{why or 'what it depends on'} changes. Give what changes to the function as "
                "an argument (an array or a float), or leave it out."
            )
        program_ = self._record(args, kwargs, flat, keys, key, mode)
        if program_ is None:
            return self._eagerly(args, kwargs)
        programs.insert(0, program_)
        try:
            result = self._checked(program_, args, kwargs, flat)
        except Different as error:
            if not any(isinstance(call, Tiles) for call in program_.plan.calls):
                raise
            # Whether the product of some rows has the bytes of the product of all is up to the BLAS.
            self._tiles = False
            state.log.append("large arrays stay whole: in tiles the bytes were others")
            return error.eager
        if not program_.runs:
            programs.remove(program_)
            self._give_up(
                key, f"its program does not apply to the call it was recorded in ({program_.why_stale(flat)})"
            )
        else:
            state.program = program_
        return result

    def _under_way(self) -> bool:
        """Whether this function is being run or recorded: an interrupt may have left it said so."""
        frame = sys._getframe(1).f_back
        while frame is not None:
            if frame.f_code in _MAIN and frame.f_locals.get("self") is self:
                return True
            frame = frame.f_back
        return False

    def _eagerly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return detached(self.function(*args, **kwargs))

    def _name(self) -> str:
        return getattr(self.function, "__name__", "function")

    # -- recording -----------------------------------------------------------------------------------------------------

    def _record(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], flat: list[Any], keys: Any, key: Any, mode: Mode
    ) -> Program | None:
        """The program of this call; None if it is to run eagerly. Nothing has been changed in either case."""
        state = self._state
        floats = tuple(x for x in flat if type(x) is float)
        varying = state.varying.setdefault(key, set())
        if key in state.floats:
            positions = [k for k, x in enumerate(flat) if type(x) is float]
            varying.update(k for k, a, b in zip(positions, floats, state.floats[key], strict=True) if differs(a, b))
        state.floats[key] = floats
        opaque = dict(self._opaque)
        while True:
            recording = Recording(opaque)
            try:
                dependencies = Dependencies(self.function, tuple(flat))
                if dependencies.hooked():
                    self._give_up(key, "there are hooks")
                    return None
                dry = functools.partial(self._dry_run, recording, dependencies, args, kwargs, flat, varying, mode)
                state.running = True
                # In a context of its own, so that no interrupt can leave the recording switched on.
                arguments, result, split, cotangent = contextvars.copy_context().run(dry)
                name = self._name()
                if not name.isidentifier() or keyword.iskeyword(name) or hasattr(builtins, name):
                    name = "function"
                program = Program(name, recording, split, arguments, result, dependencies, mode, cotangent, self._tiles)
                program.keys = keys if kwargs or any(isinstance(x, tuple | list | dict) for x in args) else None
                program.count = len(flat)
                for function in opaque.keys() - self._opaque.keys():
                    self._opaque[function] = opaque[function]
                    state.log.append(f"{function.__name__} stays a call of its methods: it {opaque[function]}")
                state.log.append(
                    f"recorded for {', '.join(map(describe, flat)) or 'no arguments'}: {program.summary()}"
                )
                return program
            except Unrecordable as error:
                if error.function in opaque:
                    raise CompileError(f"{error.function.__name__} {error.why}, and cannot be left out.") from None
                opaque[error.function] = error.why  # if the run is not about to raise anyway
            except Eager as reason:
                self._give_up(key, str(reason))
                return None
            except CompileError:
                raise
            except Exception as error:
                if os.environ.get("NPGRAD_COMPILE_DEBUG"):
                    raise
                # An error of the user's is raised by the eager run, where it belongs.
                self._give_up(key, f"recording it failed ({type(error).__name__}: {error})")
                return None
            finally:
                try:
                    recording.take_back()
                finally:  # an interrupted one goes on
                    recording.take_back()
                    state.running = False

    def _dry_run(
        self,
        recording: Recording,
        dependencies: Dependencies,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        flat: list[Any],
        varying: set[int],
        mode: Mode,
    ) -> tuple[list[tuple[Any, Value | None]], Any, int, Value | None]:
        """Run the function on stand-ins. Returns its arguments, its result, and how many calls come before a backward
        pass for later, with the value that starts that."""
        before = {id(g): g.bit_generator.state for g in dependencies.generators.values()}
        MODE.set(mode._replace(recorder=recording))
        arguments, given = self._arguments(recording, flat, varying)
        result = self.function(*rebuilt(args, kwargs, given)[0], **rebuilt(args, kwargs, given)[1])
        self._unmoved(recording, dependencies, before)
        self._compare(recording, dependencies, flat)
        split, cotangent = len(recording.calls), None
        roots = [t for t in tensors(result) if has_graph(t)]
        if len(roots) > 1:
            raise Eager("it returns several tensors that can be differentiated")
        if roots:
            recording.captured = {}
            cotangent = Value(np.ones_like(roots[0]._array.sample), Memory("argument"))  # type: ignore[attr-defined]
            cotangent.memory.value, cotangent.name = cotangent, "dy"
            assert roots[0]._node is not None
            sweep(roots[0]._node, RecordingArray(recording, cotangent))  # type: ignore[arg-type]
        return arguments, result, split, cotangent

    def _arguments(
        self, recording: Recording, flat: list[Any], varying: set[int]
    ) -> tuple[list[tuple[Any, Value | None]], list[Any]]:
        """For each argument (what was given, the value that stands for it), and what the function gets."""
        names = argument_names(self.function)
        arguments: list[tuple[Any, Value | None]] = []
        given: list[Any] = []
        for k, x in enumerate(flat):
            array = x._array if isinstance(x, Tensor) else x
            if isinstance(array, np.ndarray | np.generic) or (k in varying and type(x) is float):
                memory = Memory("argument" if isinstance(array, np.ndarray | np.generic) else "number")
                memory.value = value = Value(array, memory)
                value.name = names[k] if k < len(names) else f"x{k}"
                stand_in: Any = RecordingArray(recording, value)
                if isinstance(x, Tensor):  # another tensor: this one may also be known to the function by itself
                    stand_in = type(x)._of(stand_in)
                    vars(stand_in).update({key: own for key, own in vars(x).items() if key not in ("_array", "_node")})
                arguments.append((x, value))
                given.append(stand_in)
            else:
                arguments.append((x, None))
                given.append(x)
        return arguments, given

    def _unmoved(self, recording: Recording, dependencies: Dependencies, before: dict[int, Any]) -> None:
        """Raise CompileError if the run has changed what it depends on, and put that back."""
        for text, form, container, key, value in dependencies.guards:
            now = current(form, container, key)
            if changed(form, value, now):
                put_back(form, container, key, value)
                raise CompileError(
                    f"{self._name()} changes {text} (from {shown(value)} to {shown(now)}) and depends on it, which "
                    "only Python could "
                    "do at each call. Leave that line out of the compiled function, or give the number as an argument."
                )
        for identity, generator in dependencies.generators.items():
            if identity not in recording.generators and generator.bit_generator.state != before[identity]:
                generator.bit_generator.state = before[identity]
                raise CompileError(
                    f"{self._name()} draws random numbers from a generator itself, which would be the same in every "
                    "run. Draw them before the call and give them as an argument; Functions such as dropout may draw."
                )
        name = dependencies.put_back()
        if name:
            raise CompileError(
                f"{self._name()} changes the attribute {name} of a module while it runs, as a program would not. Set "
                "it outside the compiled function, or return what is to be kept."
            )

    def _compare(self, recording: Recording, dependencies: Dependencies, flat: list[Any]) -> None:
        """Arrays outside that the recording does not write stay what they are: raise CompileError if the function has
        changed one itself; small ones are compared at each run, since it may have read them itself."""
        written = [m.array for m in recording.memories.values() if id(m) in recording.saved and m.array is not None]
        written += [leaf.storage.array for leaf in recording.leaves.values()]
        written += [x._array if isinstance(x, Tensor) else x for x in flat if isinstance(x, Tensor | np.ndarray)]
        for text, array, copied in dependencies.arrays:
            if any(isinstance(a, np.ndarray) and np.may_share_memory(a, array) for a in written):
                continue
            if array.tobytes() != copied.tobytes():
                array[...] = copied
                raise CompileError(
                    f"{self._name()} changes the array {text} itself, which only Python could do at each call. Give "
                    "it as an argument, or leave that line out of the compiled function."
                )
            if array.nbytes <= COMPARED:
                dependencies.guards.append((text, "content", array, None, array.tobytes()))

    def _give_up(self, key: Any, reason: str) -> None:
        state = self._state
        calls = state.calls[key]
        again = state.next_try.get(key, 0) > 0
        state.next_try[key] = 2 * calls
        state.log.append(f"call {calls} ran eagerly: {reason}")
        if again and calls > 16 and not self._warned:
            self._warned = True
            warnings.warn(f"{self._name()} keeps running eagerly: {reason}.", RuntimeWarning, stacklevel=4)

    # -- checking ------------------------------------------------------------------------------------------------------

    def _checked(self, program: Program, args: tuple[Any, ...], kwargs: dict[str, Any], flat: list[Any]) -> Any:
        """Run eagerly and as a program, from the same state, and compare the bytes of everything."""
        program.next_check = program.runs + 1 if self.check else min(2 * program.runs + 1, program.runs + 1000)
        state = State(program)
        start = state.copy()
        inputs = [x.copy() if isinstance(x, np.ndarray) else x for x in flat]
        try:
            with switch(inlined=True):
                eager = self.function(*args, **kwargs)
        except BaseException:
            program.next_check = program.runs
            raise
        after, gradients = state.copy(), state.gradients_of(eager, program)
        changed = [
            (x, x.copy(), old)
            for x, old in zip(flat, inputs, strict=True)
            if isinstance(x, np.ndarray) and x.flags.writeable
        ]

        def finish() -> None:
            """Let what was computed eagerly stand."""
            state.restore(after)
            for x, new, _ in changed:
                x[...] = new

        result: Any = STALE
        try:
            state.restore(start)
            for x, _, old in changed:
                x[...] = old
            result = self._run(program, flat)
            if result is not STALE:
                found = state.copy()
                difference = after.difference(found) or different(eager, result)
                if not difference and program.backward is not None and gradients is None:
                    difference = "whether it can be differentiated"
                if not difference and gradients is not None:
                    assert program.backward is not None
                    mine = program.backward(np.ones_like(next(t for t in tensors(eager) if has_graph(t))._array))
                    pairs = zip(gradients, mine, strict=True)
                    difference = next(("a gradient" for a, b in pairs if not same_bytes(a, b)), "")
                if difference:
                    self._drop(program)
                    raise Different(self._name(), difference, detached(eager))
        finally:
            try:
                finish()
            finally:  # an interrupted one goes on
                finish()
        return detached(eager)

    def _drop(self, program: Program) -> None:
        """Never run this program again."""
        state = self._state
        program.abandon()
        for programs in state.programs.values():
            programs[:] = [other for other in programs if other is not program]
        if state.program is program:
            state.program = None

    # -- for readers ---------------------------------------------------------------------------------------------------

    @property
    def source(self) -> str:
        """The program that ran last, as text. Raises CompileError if nothing has been compiled yet."""
        program = self._state.program
        if program is None:
            raise CompileError(
                f"{self._name()} has not been compiled yet: call it {self.warm_up + 1} times with arguments of equal "
                f"shapes. So far: {'; '.join(self._state.log) or 'nothing was recorded'}."
            )
        return program.source

    def explain(self) -> str:
        """What was recorded in this thread, why variants were made, and what fell back to eager code."""
        state = self._state
        lines = [f"{self._name()}: {sum(state.calls.values())} calls outside the last program"]
        lines += state.log
        for programs in state.programs.values():
            lines += [f"variant: {program.summary()}, {program.runs} runs" for program in programs]
        return "\n".join(lines)


_MAIN = {CompiledFunction._run.__code__, CompiledFunction._record.__code__}
