"""Run what is missing, through any `concurrent.futures.Executor`, and keep whatever finishes.

Results travel back through the futures and are written here, by one process: workers on other machines need a
checkout, not a shared disk. Local workers are fresh processes with one BLAS thread each: two runs on two cores do not
fight over them, and a result does not depend on how many cores there are.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from experiments.experiment import LESSONS, Mistake, Result, Run, data_digest, load, locate
from experiments.provenance import THREADS, Code, applied_functions, environment
from experiments.store import Store

__all__ = ["Interrupted", "Outcome", "Progress", "cores", "dask", "execute", "processes"]


# -- in the worker -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finished:
    result: Result
    code: dict[str, Any]
    environment: dict[str, Any]
    seconds: float


@dataclass(frozen=True)
class Crashed:
    error: str
    traceback: str


class Progress:
    """Handed to `run`: `progress(step, of)` notes how far the run is, twice a second at most."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._next = 0.0
        self(0, 1)

    def __call__(self, step: float, of: float) -> None:
        now = time.monotonic()
        if self._path is None or now < self._next:
            return
        self._next = now + 0.5
        # A worker on another machine has no such directory; a reader may meet a file half written, and skips it.
        with contextlib.suppress(OSError):
            self._path.write_text(f"{step / max(of, 1):.6f}", encoding="ascii")


def work(
    lesson: str, file: str, values: dict[str, Any], digest: str | None, progress: str | None
) -> Finished | Crashed:
    """Carry out one run; what goes wrong in it is returned, not raised."""
    started = time.perf_counter()
    try:
        note = Progress(Path(progress) if progress else None)
        experiment = load(Path(file) if file else LESSONS / f"{lesson}.py")
        if digest is not None:
            if data_digest(values["data"]) != digest:
                raise RuntimeError(f"{values['data']} holds other words on this worker than where the run was started")
            values = values | {"data": str(locate(values["data"]))}
        config = experiment.module.Config(**values)
        code = _code()
        code.digest(experiment.file, ())  # reads the files now, not when somebody has gone on writing them
        with applied_functions() as functions:
            result = experiment.run(config, note)
        executed = {"functions": sorted(functions), "digest": code.digest(experiment.file, functions)}
        return Finished(result, executed, environment(), time.perf_counter() - started)
    except Exception as error:
        return Crashed(_sentence(error), traceback.format_exc())


_code = functools.cache(Code)


def _sentence(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def _enter_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal; one of them decides

    def follow() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)  # nobody is left to take the result

    threading.Thread(target=follow, daemon=True).start()


# -- executors ---------------------------------------------------------------------------------------------------------


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def processes(jobs: int) -> Iterator[Executor]:
    """Local worker processes with one BLAS thread each."""
    before = {name: os.environ.get(name) for name in THREADS}
    others = set(multiprocessing.active_children())
    os.environ.update(dict.fromkeys(THREADS, "1"))  # BLAS reads these when NumPy is imported: in the worker, after this
    executor = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _enter_worker)
    try:
        yield executor
        executor.shutdown()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for worker in set(multiprocessing.active_children()) - others:
            worker.terminate()
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


PATIENCE = 10.0
"""Seconds to wait for a Dask scheduler and for its first worker."""


@contextlib.contextmanager
def dask(address: str) -> Iterator[Executor]:
    """The workers of a Dask scheduler, on as many machines as it has.

    Each is started in a checkout of the same commit, with one thread: `python -m dask worker ADDRESS --nthreads 1`. A
    run whose worker dies is begun again on another. Raises Mistake if the scheduler does not answer or has no workers.
    """
    try:
        import distributed  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise Mistake("--scheduler needs Dask, which is not installed: pip install '.[cluster]'.") from None
    make_client: Any = distributed.Client
    try:
        client = make_client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise Mistake(f"no Dask scheduler answers at {address}: {_sentence(error)}.") from None
    with client:
        try:
            client.wait_for_workers(1, PATIENCE)
        except TimeoutError:
            hint = f"python -m dask worker {address} --nthreads 1, in a checkout, starts one."
            raise Mistake(f"the Dask scheduler at {address} has no workers: {hint}") from None
        executor = client.get_executor(pure=False, retries=2)
        try:
            yield executor
        finally:
            executor.shutdown(wait=False)  # nothing is left to wait for, unless it was interrupted: that is cancelled


class Workers(Protocol):
    """Opens an executor for a number of jobs; closing it stops whatever still runs."""

    def __call__(self, jobs: int) -> contextlib.AbstractContextManager[Executor]: ...


# -- here --------------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What became of the runs asked for."""

    done: list[Run] = field(default_factory=list)
    kept: list[Run] = field(default_factory=list)
    """Those that were there already."""
    failed: dict[str, str] = field(default_factory=dict)
    """Key of a run → what went wrong."""


class Interrupted(Exception):
    """Ctrl-C: finished runs are stored, the others stopped."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


def execute(
    runs: Sequence[Run], store: Store, *, workers: Workers = processes, jobs: int | None = None, fresh: bool = False
) -> Outcome:
    """Carry out the runs that the store does not hold (all of them if `fresh`), the longest first.

    A run that raises, or whose process dies, is named in `failed` and the others go on. Raises Interrupted on Ctrl-C.
    """
    outcome = Outcome()
    missing: list[Run] = []
    for run in runs:
        (missing if fresh or not store.has(run) else outcome.kept).append(run)
    missing.sort(key=lambda run: -run.cost)
    jobs = min(jobs or cores(), max(len(missing), 1))
    with _Batch(missing, store, outcome) as batch:
        try:
            waiting = missing
            while waiting:
                # A process that dies takes the pool with it and does not say which run it was: those that had begun go
                # again, each alone in a pool of one, so that it is known which to blame; then the rest.
                suspects, rest = batch.go(waiting, workers, jobs)
                for suspect in suspects:
                    if batch.go([suspect], workers, 1) != ([], []):
                        batch.fail(suspect, "its process died", "The process of this run died without a message.")
                waiting = rest
        except KeyboardInterrupt:
            raise Interrupted(outcome) from None
    return outcome


class _Batch:
    """The runs under way: their progress, and what is done with each as it ends."""

    def __init__(self, runs: Sequence[Run], store: Store, outcome: Outcome) -> None:
        self.store, self.outcome = store, outcome
        self.total = sum(run.cost for run in runs)
        self.over = 0.0
        self.notes = Path(tempfile.mkdtemp(prefix="npgrad-progress-"))
        self.display = _display(len(runs), len(outcome.kept))

    def __enter__(self) -> _Batch:
        return self

    def __exit__(self, *exception: object) -> None:
        self.display.close()
        shutil.rmtree(self.notes, ignore_errors=True)

    def go(self, runs: Sequence[Run], workers: Workers, jobs: int) -> tuple[list[Run], list[Run]]:
        """Run them; returns those that had begun and those that had not when the pool broke, both empty if it held."""
        for note in self.notes.iterdir():
            note.unlink()
        with workers(jobs) as executor:
            futures: dict[Future[Any], Run] = {}
            queue = deque(runs)
            lost: list[Run] = []
            try:
                with _deferred_interrupt():  # a worker must not be born with Ctrl-C on its mind
                    while queue:
                        futures[executor.submit(work, *self._task(queue[0]))] = queue[0]
                        queue.popleft()
            except BrokenProcessPool:
                lost += queue
            pending = set(futures)
            while pending:
                ended, pending = concurrent.futures.wait(pending, 0.25, concurrent.futures.FIRST_COMPLETED)
                for future in (f for f in futures if f in ended):  # a set's own order changes from run to run
                    if not self._settle(futures[future], future):
                        lost.append(futures[future])
                self.display.show((self.over + sum(self._part(futures[f]) for f in pending)) / self.total)
        begun = [run for run in lost if self._note(run).exists()]
        return begun or lost[:1], [run for run in lost if run not in (begun or lost[:1])]

    def _task(self, run: Run) -> tuple[Any, ...]:
        values = {entry.name: getattr(run.config, entry.name) for entry in fields(run.config)}
        return run.lesson, "" if run.file.parent == LESSONS else str(run.file), values, run.digest, str(self._note(run))

    def _note(self, run: Run) -> Path:
        return self.notes / run.key

    def _part(self, run: Run) -> float:
        try:
            return run.cost * min(float(self._note(run).read_text(encoding="ascii")), 1.0)
        except (OSError, ValueError):
            return 0.0

    def _settle(self, run: Run, future: Future[Any]) -> bool:
        """Store what a run found, or note how it failed; False if its pool broke."""
        try:
            ended = future.result()
        except BrokenProcessPool:
            return False
        except Exception as error:  # a result that cannot be sent, a cluster that gave up
            ended = Crashed(_sentence(error), "".join(traceback.format_exception(error)))
        if isinstance(ended, Finished):
            try:
                self.store.save(run, ended.result, ended.code, ended.environment, ended.seconds)
            except (ValueError, TypeError) as error:
                ended = Crashed(_sentence(error), traceback.format_exc())
        if isinstance(ended, Crashed):
            self.fail(run, ended.error, ended.traceback)
        else:
            self._end(run, f"{ended.seconds:.1f} s")
            self.outcome.done.append(run)
        return True

    def fail(self, run: Run, error: str, details: str) -> None:
        self.outcome.failed[run.key] = error
        self._end(run, f"FAILED, {error}")
        self.display.say(details.rstrip())

    def _end(self, run: Run, how: str) -> None:
        self.over += run.cost
        self.display.end(f"{run.title}: {how}")


@contextlib.contextmanager
def _deferred_interrupt() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# -- progress ----------------------------------------------------------------------------------------------------------


class _Lines:
    """Progress for a log: a line a run."""

    def __init__(self, count: int, kept: int) -> None:
        self.count, self.ended = count, 0
        if kept:
            self.say(f"{kept} {'run is' if kept == 1 else 'runs are'} there already; {count or 'nothing'} to do")

    def show(self, part: float) -> None:
        pass

    def end(self, line: str) -> None:
        self.ended += 1
        self.say(f"[{self.ended}/{self.count}] {line}")

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class _Bar(_Lines):
    """Progress for a person: one bar over all runs, with the time left."""

    def __init__(self, count: int, kept: int, tqdm: Callable[..., Any]) -> None:
        form = "{percentage:3.0f}% {bar} {desc}  {elapsed} passed, {remaining} left"
        self.bar = tqdm(total=1.0, bar_format=form, desc=f"0 of {count} runs", leave=False, miniters=0)
        super().__init__(count, kept)

    def show(self, part: float) -> None:
        self.bar.n = min(max(part, self.bar.n), 1.0)
        self.bar.refresh()

    def end(self, line: str) -> None:
        super().end(line)
        self.bar.set_description_str(f"{self.ended} of {self.count} runs")

    def say(self, text: str) -> None:
        self.bar.write(text, file=sys.stderr)

    def close(self) -> None:
        self.bar.close()


def _display(count: int, kept: int) -> _Lines:
    if count and sys.stderr.isatty():
        try:
            from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]
        except ImportError:
            return _Lines(count, kept)
        return _Bar(count, kept, tqdm)
    return _Lines(count, kept)
