"""Train a model, sample from it, evaluate, examine it: `python -m models train|sample|eval|program|doctor --help`."""

from __future__ import annotations

import argparse
import contextlib
import inspect
import math
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import numpy as np

import models
from models.deep_mlp import NORMS
from models.lock import LOCK, Busy, Lock
from models.manual_mlp import engine_step, initial
from models.mlp import STAGES
from models.runs import FILE, Run
from models.training import (
    OPTIMIZERS,
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
from npgrad.nn import ACTIVATIONS

BAD_INPUT = 2
BUSY = 75  # as EX_TEMPFAIL of sysexits.h: the same command may succeed later

TRAIN_EPILOG = f"""\
examples:
  the lecture's network with batch normalisation, and as it was at first:
    python -m models train --out runs/mlp
    python -m models train --stage original --out runs/original
  another network, on other words:
    python -m models train --model deep_mlp --depth 8 --out runs/deep
    python -m models train --model transformer --optimizer adamw --lr 0.001 \\
        --steps 10000 --out runs/transformer
    python -m models train --data my-words.txt --context 5 --out runs/mine
  continue after Ctrl-C or a crash:
    python -m models train --out runs/mlp --resume

Ctrl-C saves and stops. A resumed run ends with the same digest as one that was
never interrupted; its settings are those it began with and need not be
repeated. The run is one file, {FILE}, in the directory of --out.
One process at a time trains it; a second one stops with exit code {BUSY}.
"""
SAMPLE_EPILOG = """\
examples:
  python -m models sample runs/mlp -n 5
  python -m models sample runs/mlp --prompt em --temperature 0.7
"""
EVAL_EPILOG = """\
examples:
  python -m models eval runs/mlp
  python -m models eval runs/mlp --data other-words.txt
"""

PROGRAM_EPILOG = """\
examples:
  python -m models program
  python -m models program deep_mlp --norm layer --activation gelu
  python -m models program mlp --optimizer adamw | less
  python -m models program manual_mlp

manual_mlp is the forward pass of models/manual_mlp.py, whose backward pass is
written there by hand: its lines have the same numbers.
"""


DOCTOR_EPILOG = """\
examples:
  the lecture's network as it was at first, before any training:
    python -m models doctor --stage original
  a saved run, continued from where it is, and what the remedies would do:
    python -m models doctor runs/mlp --treat

The exit code is 0 if nothing is wrong and 1 if something is.
"""


class Refused(Exception):
    """Input that cannot be worked with; the message is one sentence for the user."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence, and which leaves options that are not given out of its result."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter,
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
            **options,
        )

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help.\n")


TRAIN_DEFAULTS = {"data": "data/names.txt", "model": "mlp", "checkpoint_every": 10_000}
LONGEST = 15
"""Characters of the longest of the names."""
WHOLE_WORDS = [name for name, model in models.MODELS.items() if model.whole_words]
DEFAULTS = {
    name: {key: parameter.default for key, parameter in inspect.signature(model).parameters.items()}
    for name, model in models.MODELS.items()
}
SEE_ALL = [name for name in WHOLE_WORDS if DEFAULTS[name]["context"] == 1]
"""Models that have no context: the boundary is in front of a word, and nothing drops out of sight."""


def parser() -> Parser:
    config = TrainConfig()
    main = Parser(prog="python -m models", description="Character-level language models on lists of words.")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    train = commands.add_parser(
        "train", help="train a model on a word list", description="Train a model on a word list.", epilog=TRAIN_EPILOG
    )
    train.add_argument(
        "--out", metavar="DIR", required=True, help="directory of the run; must not exist yet, or --resume"
    )
    train.add_argument("--resume", action="store_true", default=False, help="continue the run in --out")
    train.add_argument("--data", metavar="FILE", help="UTF-8 text, one word a line (default: data/names.txt)")
    train.add_argument(
        "--doctor",
        action="store_true",
        default=False,
        help="examine the model before training it, and keep the findings",
    )
    train.add_argument("--seed", type=int, help=f"fixes everything random (default: {config.seed})")
    train.add_argument("--checkpoint-every", type=int, metavar="STEPS", help="steps between two saves (default: 10000)")

    how = train.add_argument_group("training")
    how.add_argument("--steps", type=int, help=f"minibatches to train on (default: {config.steps})")
    how.add_argument("--batch-size", type=int, help=f"examples in a minibatch (default: {config.batch_size})")
    how.add_argument("--lr", type=float, help=f"learning rate (default: {config.lr})")
    how.add_argument(
        "--lr-decay-at", type=float, metavar="FRACTION",
        help=f"fraction of the steps after which the learning rate drops (default: {config.lr_decay_at})",
    )  # fmt: skip
    how.add_argument(
        "--lr-decay", type=float, metavar="FACTOR", help=f"factor of this drop (default: {config.lr_decay})"
    )
    how.add_argument("--optimizer", choices=OPTIMIZERS, help=f"update rule (default: {config.optimizer})")
    how.add_argument("--momentum", type=float, help=f"momentum of sgd (default: {config.momentum:g})")
    how.add_argument(
        "--weight-decay", type=float, help=f"pull of the parameters towards 0 (default: {config.weight_decay:g})"
    )

    what = train.add_argument_group("model")
    what.add_argument(
        "--model",
        choices=list(models.MODELS),
        metavar="MODEL",
        help=f"{either(models.MODELS)}; see the files in models/ (default: mlp)",
    )
    model_options(what)

    draw = commands.add_parser(
        "sample", help="print words drawn from a trained model",
        description="Print words drawn from a trained model, one per line.", epilog=SAMPLE_EPILOG,
    )  # fmt: skip
    draw.add_argument("run", metavar="DIR", help="directory of a run")
    draw.add_argument("-n", type=int, default=20, metavar="N", help="number of words (default: 20)")
    draw.add_argument(
        "--temperature", type=float, default=1.0, metavar="T",
        help="below 1 sharpens the probabilities; 0 always takes the likeliest character (default: 1)",
    )  # fmt: skip
    draw.add_argument("--prompt", default="", metavar="TEXT", help="what every word begins with (default: nothing)")
    draw.add_argument("--max-length", type=int, default=64, help="words are cut at this length (default: 64)")
    draw.add_argument("--seed", type=int, default=None, help="seed of the sampling (default: the run's own)")

    measure = commands.add_parser(
        "eval", help="print the losses of a trained model",
        description="Print the mean cross-entropy of a trained model on the three parts of its data.",
        epilog=EVAL_EPILOG,
    )  # fmt: skip
    measure.add_argument("run", metavar="DIR", help="directory of a run")
    measure.add_argument("--data", metavar="FILE", default=None, help="another word list (default: the run's own)")

    shown = commands.add_parser(
        "program", help="print the NumPy program that a training step compiles to",
        description="Print the NumPy program that one training step compiles to: forward pass,\nbackward pass and "
        "update, as one would write them by hand.", epilog=PROGRAM_EPILOG,
    )  # fmt: skip
    shown.add_argument(
        "model",
        nargs="?",
        choices=[*models.MODELS, "manual_mlp"],
        default="mlp",
        metavar="MODEL",
        help=f"{', '.join([*models.MODELS, 'manual_mlp'])} (default: mlp)",
    )
    shown.add_argument("--batch", type=int, default=config.batch_size, metavar="N", help="examples (default: 32)")
    shown.add_argument("--optimizer", choices=OPTIMIZERS, default=config.optimizer, help="default: sgd")
    shown.add_argument("--all", action="store_true", default=False, help="also show its checks and its bookkeeping")
    model_options(shown.add_argument_group("model"))

    look = commands.add_parser(
        "doctor", help="say what is wrong with a run, or with a model before it is trained",
        description="Train for a few steps without changing the run, and say what is wrong, how that\nis "
        "known and what to do.", epilog=DOCTOR_EPILOG,
    )  # fmt: skip
    look.add_argument("run", metavar="DIR", nargs="?", default=None, help="directory of a run (default: a new model)")
    look.add_argument("--steps", type=int, default=200, help="steps of the examination (default: 200)")
    look.add_argument("--treat", action="store_true", default=False, help="also try the remedies, on a copy")
    look.add_argument("--data", metavar="FILE", help="of a new model: a word list (default: data/names.txt)")
    look.add_argument("--seed", type=int, help="of a new model: fixes everything random (default: 0)")
    look.add_argument("--batch-size", type=int, help=f"of a new model (default: {config.batch_size})")
    look.add_argument("--lr", type=float, help=f"of a new model: learning rate (default: {config.lr})")
    look.add_argument("--optimizer", choices=OPTIMIZERS, help=f"of a new model (default: {config.optimizer})")
    look.add_argument("--model", choices=list(models.MODELS), metavar="MODEL", help="of a new model (default: mlp)")
    model_options(look.add_argument_group("model"))
    return main


def model_options(what: argparse._ArgumentGroup) -> None:
    """The options of the models, as `models.build` takes them."""
    what.add_argument(
        "--context",
        type=int,
        help=f"characters the model sees, with the wavenets a power of two ({by_model('context')}; "
        f"{either(SEE_ALL)} see all)",
    )
    what.add_argument("--embedding", type=int, help=f"numbers per character ({by_model('embedding')})")
    what.add_argument("--hidden", type=int, help=f"units of a hidden layer ({by_model('hidden')})")
    what.add_argument(
        "--stage", choices=list(STAGES), metavar="STAGE",
        help=f"mlp: initialisation, {either(STAGES)} (default: batchnorm)",
    )  # fmt: skip
    what.add_argument("--depth", type=int, help="deep_mlp: number of linear layers (default: 6)")
    what.add_argument(
        "--activation", choices=list(ACTIVATIONS), metavar="NAME",
        help=f"deep_mlp: {either(ACTIVATIONS)} (default: tanh)",
    )  # fmt: skip
    what.add_argument("--gain", type=float, help="deep_mlp: gain of the weights (default: the nonlinearity's own)")
    what.add_argument(
        "--fan-in", action=argparse.BooleanOptionalAction, help="deep_mlp: divide the gain by √fan_in (default: yes)"
    )
    what.add_argument("--output-gain", type=float, help="deep_mlp: gain of the last layer (default: 0.1)")
    what.add_argument(
        "--norm",
        choices=NORMS,
        help=f"normalisation ({by_model('norm')}); conv_net has none and batch, dilated_wavenet and transformer none "
        "and layer, wavenet all but group",
    )
    what.add_argument("--layers", type=int, help=f"layers of cells, or blocks ({by_model('layers')})")
    what.add_argument("--heads", type=int, help=f"heads of the attention ({by_model('heads')})")
    what.add_argument(
        "--dropout", type=float, help=f"probability of dropping a unit in training ({by_model('dropout')})"
    )


def by_model(option: str) -> str:
    """The default of an option in each of the models that have it."""
    values: dict[str, list[str]] = {}
    for name, defaults in DEFAULTS.items():
        if option in defaults and not (option == "context" and name in SEE_ALL):
            values.setdefault(f"{defaults[option]}", []).append(name)
    return "; ".join(f"{', '.join(names)}: {value}" for value, names in values.items())


def either(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"


# -- commands ----------------------------------------------------------------------------------------------------------

LEFTOVERS = f".{FILE}.*.tmp"
"""The temporary files of saves that were killed."""
OPTIONS = (
    "embedding", "hidden", "stage", "depth", "activation", "gain", "fan_in", "output_gain", "norm", "layers", "heads",
    "dropout",
)  # fmt: skip
SETTINGS = tuple(field.name for field in fields(TrainConfig))


def train(arguments: dict[str, Any]) -> int:
    out = Path(arguments["out"])
    every = arguments.get("checkpoint_every", TRAIN_DEFAULTS["checkpoint_every"])
    if every < 1:
        raise Refused(f"--checkpoint-every must be 1 or more steps; got {every}.")
    if arguments["resume"]:
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
