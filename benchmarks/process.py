"""A worker seen from outside: started on fixed cores with fixed threads, asked, and ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["Failed", "Process", "cores"]

ROOT = Path(__file__).parents[1]
THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
PATIENCE = 600.0


class Failed(Exception):
    """A peer could not do what it was asked to; `absent` says that it never does."""

    def __init__(self, reason: str, absent: bool = False) -> None:
        super().__init__(reason)
        self.absent = absent


def cores(count: int) -> list[int]:
    """The last `count` cores this process may use (the first ones are busier with interrupts)."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return sorted(usable)[-count:]


def environment(count: int) -> dict[str, str]:
    """Variables that make every library use `count` threads."""
    one = " intra_op_parallelism_threads=1" if count == 1 else ""
    return {
        **os.environ,
        **dict.fromkeys(THREADS, str(count)),
        "BENCHMARK_CORES": ",".join(map(str, cores(count))),
        "XLA_FLAGS": f"--xla_cpu_multi_thread_eigen={'false' if count == 1 else 'true'}{one}",
        "JAX_PLATFORMS": "cpu",
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONPATH": str(ROOT),
    }


class Process:
    """One worker; a context manager that ends it."""

    def __init__(self, peer: str, count: int, data: Path, verbose: bool = False) -> None:
        self.peer, self.data = peer, data
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if verbose else subprocess.DEVNULL,
            env=environment(count),
            cwd=ROOT,
        )

    def ask(self, do: str, **details: Any) -> dict[str, Any]:
        """The answer to one command. Raises Failed if there is none."""
        if do in ("setup", "memory"):
            details |= {"data": str(self.data)}
        assert self.process.stdin is not None and self.process.stdout is not None
        overdue = threading.Event()
        # Killing the process ends the wait for its answer; `select` does not know pipes on Windows.
        clock = threading.Timer(PATIENCE, lambda: (overdue.set(), self.process.kill()))
        clock.daemon = True
        clock.start()
        try:
            self.process.stdin.write((json.dumps({"do": do, "peer": self.peer, **details}) + "\n").encode())
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            line = b""
        finally:
            clock.cancel()
        if overdue.is_set():
            self.end()
            raise Failed(f"no answer within {PATIENCE:g} s")
        if not line:
            self.process.wait()
            raise Failed(f"its process ended with code {self.process.returncode}; --verbose shows what it printed")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"], answer["absent"])
        return answer

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with suppress(OSError):  # a command that nobody read
                    stream.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()
