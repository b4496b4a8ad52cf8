"""Lessons on a cluster: a real Dask scheduler and two real worker processes, which talk over TCP.

One worker is killed while it trains. The other does its run again, and what is stored is, byte for byte, what local
processes store.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments import runner
from experiments.__main__ import main
from experiments.experiment import Experiment, load
from experiments.provenance import ROOT, THREADS
from experiments.store import Store

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes as on Unix")

LESSON = '''
"""A short training, one of which waits in its middle until somebody has come by."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import models
from experiments import style
from experiments.claim import Claim
from experiments.experiment import Picture, Result
from models.training import TrainConfig, evaluate, fit, generators
from npgrad import data

ORDER = 1
QUESTION = "Does it learn?"
EXPECTATION = "A little."


@dataclass(frozen=True)
class Config:
    gain: float = 1.0
    steps: int = 60
    meeting: str = ""
    data: str = "data/names.txt"
    seed: int = 0


SWEEP = {"gain": (0.5, 1.0, 2.0, 3.0)}
SEEDS = {"default": 1}


def run(config, progress):
    corpus = data.load(config.data)
    model = models.build("deep_mlp", vocab_size=27, context=3, rng=generators(config.seed).init, gain=config.gain)

    def step(k, loss):
        progress(k, config.steps)
        if config.gain == 2.0 and k == config.steps // 2:
            meeting = Path(config.meeting)
            (meeting / f"{os.getpid()}.here").touch()
            while not (meeting / "go").exists():
                time.sleep(0.02)

    losses = fit(model, *corpus.train, TrainConfig(steps=config.steps, seed=config.seed), on_step=step)
    summary = {"loss": evaluate(model, corpus.val.x[:500], corpus.val.y[:500])}
    return Result(summary, {"loss": losses}, {"weights": model.embedding.weight.numpy()})


def measure(records):
    return {"loss": records.values("loss", gain=1.0)}


CLAIMS = [Claim("learns", "It learns.", source=1, quantity="loss", high=3.3, why="Ignorance.")]


def plot(records):
    figure, axes = style.figure(height=2.0)
    axes.plot([r.config.gain for r in records], records.values("loss"))
    yield Picture("loss", figure, "The loss.")
'''


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """A directory with the lesson above in it."""
    made = tmp_path / "lessons"
    made.mkdir()
    (made / "short.py").write_text(textwrap.dedent(LESSON).lstrip(), encoding="utf-8")
    return made


@contextlib.contextmanager
def daemon(*words: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Dask's, started in the checkout as a user would start it, and certainly gone at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "dask", *words], cwd=ROOT, stderr=subprocess.DEVNULL, env=os.environ | environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def scheduler() -> Iterator[str]:
    """The address of a scheduler without workers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with daemon("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show"):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield f"tcp://127.0.0.1:{port}"


def worker(address: str) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    # Without a nanny nobody starts it again once it is killed. One BLAS thread, as the nanny would have it.
    options = ("--host", "127.0.0.1", "--no-nanny", "--nthreads", "1", "--no-dashboard")
    return daemon("worker", address, *options, **dict.fromkeys(THREADS, "1"))


def kill_in_mid_run(workers: list[int], meeting: Path, killed: list[int]) -> None:
    """Wait until a worker is in the middle of a run, and kill it there."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not killed:
        for pid in (int(file.stem) for file in meeting.glob("*.here")):
            assert pid in workers
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
        time.sleep(0.02)
    (meeting / "go").touch()


def stored(store: Store, lesson: Experiment) -> dict[str, list[bytes]]:
    """What the runs found out, by the name of their folder."""
    files = ("summary.json", "metrics.csv", "arrays.npz")
    folders = [r.folder for r in store.records(lesson)]
    return {folder.name: [(folder / name).read_bytes() for name in files] for folder in folders}


def test_a_worker_killed_in_mid_run_changes_nothing(
    short: Path, scheduler: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    command = ["run", "short", "--set", f"meeting={meeting}", "--out"]
    with worker(scheduler) as one, worker(scheduler) as other:
        pids, killed = [one.pid, other.pid], list[int]()
        killer = threading.Thread(target=kill_in_mid_run, args=(pids, meeting, killed))
        killer.start()
        assert main([*command, str(tmp_path / "cluster"), "--scheduler", scheduler], short) == 0
        killer.join()
        survivors = [pid for pid, process in zip(pids, (one, other), strict=True) if process.poll() is None]
    assert len(killed) == 1 and sorted(killed + survivors) == sorted(pids)
    assert sorted(int(file.stem) for file in meeting.glob("*.here")) == sorted(pids)  # the survivor did the run again
    assert "[4/4]" in capfd.readouterr().err

    assert main([*command, str(tmp_path / "local"), "--jobs", "2"], short) == 0
    lesson = load(short / "short.py")
    cluster, local = (stored(Store(tmp_path / name), lesson) for name in ("cluster", "local"))
    assert len(local) == 4 and cluster == local
    assert (tmp_path / "cluster" / "report.html").is_file()


def test_a_scheduler_without_workers_is_not_waited_for_in_vain(
    short: Path, scheduler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "PATIENCE", 0.2)
    assert main(["run", "short", "--scheduler", scheduler, "--out", str(tmp_path / "out")], short) == 2
    error = capsys.readouterr().err
    assert f"the Dask scheduler at {scheduler} has no workers" in error and "Traceback" not in error


def test_nobody_answers(short: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(runner, "PATIENCE", 0.2)
    assert main(["run", "short", "--scheduler", "tcp://127.0.0.1:9", "--out", str(tmp_path / "out")], short) == 2
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err
