"""Train a model, sample from it, evaluate, examine it: `python -m models train|sample|eval|program|doctor --help`."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

import models
from models.lock import LOCK, Busy, Lock
from models.manual_mlp import engine_step, initial
from models.options import (
    BAD_INPUT,
    BUSY,
    DEFAULTS,
    OPTIONS,
    SEE_ALL,
    SETTINGS,
    TRAIN_DEFAULTS,
    WHOLE_WORDS,
    parser,
)
from models.runs import FILE, Run
from models.training import (
    TrainConfig,
    evaluate,
    generators,
    make_optimizer,
    sample,
    targets,
    training_step,
)
from npgrad import data, nn
from npgrad.checkpoint import CheckpointError
from npgrad.data import DataError


class Refused(Exception):
    """Input that cannot be worked with; the message is one sentence for the user."""


# -- commands ----------------------------------------------------------------------------------------------------------

LEFTOVERS = f".{FILE}.*.tmp"
"""The temporary files of saves that were killed."""
LONGEST = 15
"""Characters of the longest of the names."""


def train(arguments: dict[str, Any]) -> int:
    out = Path(arguments["out"])
    every = arguments.get("checkpoint_every", TRAIN_DEFAULTS["checkpoint_every"])
    if every < 1:
        raise Refused(f"--checkpoint-every must be 1 or more steps; got {every}.")
    if arguments["resume"]:
        if arguments["doctor"]:
            raise Refused("--doctor examines a model before its training begins: leave it out with --resume.")
        Run.file(out)
        with Lock(out):
            return advance(resume(out, arguments), out, every)
    run = begin(out, arguments)
    if arguments["doctor"]:
        print(run.examined(keep=True), end="\n\n", flush=True)
    with Lock(out):
        refuse_old_run(out)  # another process may have begun one meanwhile
        return advance(run, out, every)


def advance(run: Run, out: Path, every: int) -> int:
    """Train `run` to its end, or until it is interrupted, saving it in `out`."""
    digest = run.save(out)
    # Overflow on the way to an infinite loss is told by the loss.
    with Interrupt() as interrupt, Progress(run) as progress, np.errstate(over="ignore", invalid="ignore"):
        while run.step < run.config.steps and not interrupt.number:
            run.advance(every, lambda step, loss: progress(step, loss) or interrupt.number != 0)
            if progress.diverged:
                break
            digest = run.save(out)
            progress.saved()
    if progress.diverged:
        print(
            f"the loss became {run.losses[-1]} at step {run.step - 1}: begin again with a learning rate below "
            f"{run.config.lr}.",
            file=sys.stderr,
        )
        return 1
    if interrupt.number:
        print(
            f"stopped at step {run.step} of {run.config.steps}; saved in {out}, continue with --resume.",
            file=sys.stderr,
        )
        return 128 + interrupt.number
    print(f"{run.state['model']} after {run.step} steps, saved in {out}")
    report(run, run.corpus)
    print(f"digest {digest}")
    return 0


def begin(out: Path, arguments: dict[str, Any]) -> Run:
    """A new run in a directory that this makes."""
    refuse_old_run(out)
    run = new(arguments)
    out.mkdir(parents=True, exist_ok=True)
    return run


def new(arguments: dict[str, Any]) -> Run:
    """A run at step 0, as the arguments describe it, nowhere on disk."""
    path = arguments.get("data", TRAIN_DEFAULTS["data"])
    config = TrainConfig(**{key: value for key, value in arguments.items() if key in SETTINGS})
    model = arguments.get("model", TRAIN_DEFAULTS["model"])
    # The options not given are recorded too: a run must not change when a default does.
    options = {key: DEFAULTS[model][key] for key in OPTIONS if key in DEFAULTS[model]}
    options.update((key, value) for key, value in arguments.items() if key in OPTIONS)
    context = context_of(model, arguments)
    corpus = read(path, model, context)
    run = Run.start(model, options, path, corpus, context, config)
    normalised = any(isinstance(module, nn.BatchNorm1d) for module in run.model.modules())
    if run.config.batch_size < 2 and normalised:
        raise Refused("batch normalisation needs minibatches of 2 or more: one example has no variance.")
    return run


def context_of(model: str, arguments: dict[str, Any]) -> int:
    """The context that was asked for, or the model's own."""
    if model in SEE_ALL and "context" in arguments:
        raise Refused(f"{model} reads whole words and has no context: leave --context out.")
    return int(arguments.get("context", DEFAULTS.get(model, {"context": 3})["context"]))


def refuse_old_run(out: Path) -> None:
    """Raise Refused if `out` holds anything but what a training leaves that was killed before its first save."""
    if out.exists() and not (out.is_dir() and all(p.name == LOCK or p.match(LEFTOVERS) for p in out.iterdir())):
        raise Refused(f"{out} already exists: continue it with --resume, or choose another --out.")


def resume(out: Path, arguments: dict[str, Any]) -> Run:
    """The run in `out`, which must be the one that the arguments, where given, describe."""
    run = Run.load(out)
    state = run.state
    recorded = {**state["config"], **state["options"], "model": state["model"], "context": state["context"]}
    for key in (*SETTINGS, *OPTIONS, "model", "context"):
        if key in arguments and arguments[key] != recorded.get(key):
            flag = "--" + key.replace("_", "-")
            begun = f"with {flag} {recorded[key]}, not {arguments[key]}" if key in recorded else f"without {flag}"
            raise Refused(f"{out} was begun {begun}: resume it without {flag}.")
    path = arguments.get("data", state["data"]["path"])
    for leftover in out.glob(LEFTOVERS):  # nobody else saves here: the directory is locked
        leftover.unlink()
    run.feed(read(path, state["model"], state["context"]))
    return run


def draw(arguments: dict[str, Any]) -> int:
    run = Run.load(Path(arguments["run"]))
    seed = arguments["seed"]
    if seed is not None and seed < 0:
        raise Refused(f"the seed must be 0 or more; got {seed}.")
    if arguments["max_length"] < 1:
        raise Refused(f"--max-length must be 1 or more; got {arguments['max_length']}.")
    rng = generators(run.config.seed).sampling if seed is None else np.random.default_rng(seed)
    words = sample(
        run.model, run.vocabulary, arguments["n"], rng,
        arguments["temperature"], arguments["prompt"], arguments["max_length"],
    )  # fmt: skip
    print("".join(f"{word}\n" for word in words), end="")
    return 0


def measure(arguments: dict[str, Any]) -> int:
    run = Run.load(Path(arguments["run"]))
    path = arguments["data"] or run.state["data"]["path"]
    corpus = read(path, run.state["model"], run.state["context"], run.vocabulary)
    note = "" if corpus.digest == run.state["data"]["digest"] else ", not the data it was trained on"
    print(f"{run.state['model']} after {run.step} of {run.config.steps} steps, on {path}{note}")
    report(run, corpus)
    for finding in run.state.get("doctor", ()):
        print(f"before training, the doctor: {finding.splitlines()[0]}")
    return 0


def diagnosed(arguments: dict[str, Any]) -> int:
    from npgrad.diagnose import doctor

    steps, directory = arguments["steps"], arguments["run"]
    if steps < 8:
        raise Refused(f"--steps must be 8 or more; got {steps}.")
    given = sorted({"data", "seed", "batch_size", "lr", "optimizer", "model", "context", *OPTIONS} & set(arguments))
    if directory is None:
        run = new({key: value for key, value in arguments.items() if key != "steps"})
    elif given:
        raise Refused(f"--{given[0].replace('_', '-')} describes a new model, and {directory} is a run: leave one out.")
    else:
        run = Run.load(Path(directory))
        run.feed(read(run.state["data"]["path"], run.state["model"], run.state["context"]))
    report = run.examined(steps)
    print(report)
    for finding in report if arguments["treat"] else ():
        if finding.prescription is not None:
            print(f"\n{doctor.treat(finding)}")
    return 0 if report.healthy else 1


def read(path: str, model: str, context: int, vocabulary: data.Vocabulary | None = None) -> data.Corpus:
    try:
        return data.load(path, None if model in WHOLE_WORDS else context, vocabulary)
    except OSError as error:
        raise Refused(f"cannot read the data {path}: {error.strerror}.") from None


def report(run: Run, corpus: data.Corpus) -> None:
    """Print loss and size of the three parts of the data."""
    for name, part in (("train", corpus.train), ("val", corpus.val), ("test", corpus.test)):
        loss = f"{evaluate(run.model, *part):.4f}" if len(part.y) else "none"
        print(f"{name:<6}{loss:>8}   {targets(part.y)} examples")


def show(arguments: dict[str, Any]) -> int:
    # The other commands start faster without these.
    from npgrad.explain.program import minibatch, page, record
    from npgrad.explain.terminal import Style

    name, batch, optimizer = (arguments[key] for key in ("model", "batch", "optimizer"))
    options = {key: value for key, value in arguments.items() if key in OPTIONS}
    context = context_of(name, arguments)
    if batch < 2:
        raise Refused(f"--batch must be 2 or more, since batch normalisation takes a variance; got {batch}.")
    rng = generators(0).init
    if name == "manual_mlp":
        if options or optimizer != "sgd":
            raise Refused("manual_mlp has no options, and its program ends with the gradients.")
        step = engine_step(initial(rng, context=context))
        title = f"The gradients of models/manual_mlp.py, batch {batch}"
    else:
        model = models.build(name, vocab_size=27, context=context, rng=rng, **options)
        step = training_step(model, make_optimizer(model, TrainConfig(optimizer=optimizer)))
        title = f"One training step of models/{name}.py, batch {batch}, {optimizer}"
    if name in WHOLE_WORDS:
        words = data.sequences(["a" * (LONGEST - k % 3) for k in range(batch)], data.Vocabulary("a"))
        source, constants = record(step, *words)
    else:
        source, constants = record(step, *minibatch(batch, context=context))
    for line in page(title, source, constants, Style(), arguments["all"]):
        print(line)
    return 0


# -- while it trains ---------------------------------------------------------------------------------------------------


class Interrupt:
    """Inside, SIGINT and SIGTERM only set `number`, so that a step is never cut in two; a second one acts as usual."""

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        signal.signal(number, self._before[number])

    def __enter__(self) -> Interrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            # What the shell had us ignore (trap '' INT, a job in the background) stays ignored.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


class Progress:
    """A bar with loss and rate on a terminal, or else a line for each save; notices a loss that is no number."""

    interval = 0.1

    def __init__(self, run: Run) -> None:
        self.diverged = False
        self._bar: Any = None
        self._step, self._steps = run.step, run.config.steps
        self._mean = self._next = 0.0
        if sys.stderr.isatty():
            with contextlib.suppress(ImportError):
                from tqdm import tqdm  # type: ignore[import-untyped]

                # tqdm draws nothing on terminals that claim to have no columns, as those of some CI systems do.
                columns, rows = shutil.get_terminal_size()
                self._bar = tqdm(
                    total=self._steps, initial=run.step, unit=" steps", mininterval=0, ncols=columns, nrows=rows
                )

    def __call__(self, step: int, loss: float) -> bool:
        self._step = step + 1
        # A running mean: the loss of one minibatch says little.
        self._mean += 0.01 * (loss - self._mean) if self._mean else loss
        if self._bar is not None:
            now = time.monotonic()
            if now >= self._next:
                self._next = now + self.interval
                self._show()
        self.diverged = not math.isfinite(loss)
        return self.diverged

    def _show(self) -> None:
        self._bar.set_postfix_str(f"loss {self._mean:.4f}", refresh=False)
        self._bar.update(self._step - self._bar.n)

    def saved(self) -> None:
        if self._bar is None:
            print(f"step {self._step} of {self._steps}, loss {self._mean:.4f}", file=sys.stderr)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._show()
            self._bar.close()


def main(argv: list[str] | None = None) -> int:
    arguments = vars(parser().parse_args(argv))
    try:
        commands = {"train": train, "sample": draw, "eval": measure, "program": show, "doctor": diagnosed}
        return commands[arguments["command"]](arguments)
    except (Refused, DataError, CheckpointError, ValueError) as error:
        message = str(error)
    except Busy as busy:
        print(f"python -m models {arguments['command']}: {busy}", file=sys.stderr)
        return BUSY
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Whoever read the output has seen enough; there is nobody left to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        message = f"{error.filename}: {error.strerror}." if error.filename else f"{error}."
    except MemoryError:
        message = "there is not enough memory for a model or a batch of this size."
    print(f"python -m models {arguments['command']}: {message}", file=sys.stderr)
    return BAD_INPUT


if __name__ == "__main__":
    # A pipe of an old Windows or of LC_ALL=C may have no signs for what is printed.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    sys.exit(main())
