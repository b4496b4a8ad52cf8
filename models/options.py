"""The options of `python -m models`: what they are called, what they take, and what they are if they are not given."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NoReturn

import models
from models.deep_mlp import NORMS
from models.mlp import STAGES
from models.runs import FILE
from models.training import OPTIMIZERS, TrainConfig
from npgrad.nn import ACTIVATIONS

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction["Parser"]

__all__ = [
    "BAD_INPUT", "BUSY", "DEFAULTS", "OPTIONS", "SEE_ALL", "SETTINGS", "TRAIN_DEFAULTS", "WHOLE_WORDS", "parser",
]  # fmt: skip

BAD_INPUT = 2
BUSY = 75  # as EX_TEMPFAIL of sysexits.h: the same command may succeed later

TRAIN_DEFAULTS = {"data": "data/names.txt", "model": "mlp", "checkpoint_every": 10_000}
WHOLE_WORDS = [name for name, model in models.MODELS.items() if model.whole_words]
DEFAULTS = {
    name: {key: parameter.default for key, parameter in inspect.signature(model).parameters.items()}
    for name, model in models.MODELS.items()
}
SEE_ALL = [name for name in WHOLE_WORDS if DEFAULTS[name]["context"] == 1]
"""Models that have no context: the boundary is in front of a word, and nothing drops out of sight."""
OPTIONS = (
    "embedding", "hidden", "stage", "depth", "activation", "gain", "fan_in", "output_gain", "norm", "layers", "heads",
    "dropout",
)  # fmt: skip
"""Those of the models, as `models.build` takes them."""
SETTINGS = tuple(field.name for field in fields(TrainConfig))
"""Those of training."""
CONFIG = TrainConfig()

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


def parser() -> Parser:
    """Of all commands: what is not given is not in the result, unless a command cannot do without it."""
    main = Parser(prog="python -m models", description="Character-level language models on lists of words.")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_train(commands)
    add_sample(commands)
    add_eval(commands)
    add_program(commands)
    add_doctor(commands)
    return main


def add_train(commands: Commands) -> None:
    command = commands.add_parser(
        "train", help="train a model on a word list", description="Train a model on a word list.", epilog=TRAIN_EPILOG
    )
    command.add_argument(
        "--out", metavar="DIR", required=True, help="directory of the run; must not exist yet, or --resume"
    )
    command.add_argument("--resume", action="store_true", default=False, help="continue the run in --out")
    command.add_argument("--data", metavar="FILE", help="UTF-8 text, one word a line (default: data/names.txt)")
    command.add_argument(
        "--doctor",
        action="store_true",
        default=False,
        help="examine the model before training it, and keep the findings",
    )
    command.add_argument("--seed", type=int, help=f"fixes everything random (default: {CONFIG.seed})")
    command.add_argument(
        "--checkpoint-every", type=int, metavar="STEPS", help="steps between two saves (default: 10000)"
    )

    how = command.add_argument_group("training")
    how.add_argument("--steps", type=int, help=f"minibatches to train on (default: {CONFIG.steps})")
    how.add_argument("--batch-size", type=int, help=f"examples in a minibatch (default: {CONFIG.batch_size})")
    how.add_argument("--lr", type=float, help=f"learning rate (default: {CONFIG.lr})")
    how.add_argument(
        "--lr-decay-at", type=float, metavar="FRACTION",
        help=f"fraction of the steps after which the learning rate drops (default: {CONFIG.lr_decay_at})",
    )  # fmt: skip
    how.add_argument("--lr-decay", type=float, metavar="FACTOR", help=f"by this factor (default: {CONFIG.lr_decay})")
    how.add_argument(
        "--optimizer", choices=OPTIMIZERS, help=f"how parameters are updated (default: {CONFIG.optimizer})"
    )
    how.add_argument("--momentum", type=float, help=f"momentum of sgd (default: {CONFIG.momentum:g})")
    how.add_argument(
        "--weight-decay", type=float, help=f"pull of the parameters towards 0 (default: {CONFIG.weight_decay:g})"
    )

    what = command.add_argument_group("model")
    what.add_argument(
        "--model",
        choices=list(models.MODELS),
        metavar="MODEL",
        help=f"{either(models.MODELS)}; see the files in models/ (default: mlp)",
    )
    model_options(what)


def add_sample(commands: Commands) -> None:
    command = commands.add_parser(
        "sample", help="print words drawn from a trained model",
        description="Print words drawn from a trained model, one per line.", epilog=SAMPLE_EPILOG,
    )  # fmt: skip
    command.add_argument("run", metavar="DIR", help="directory of a run")
    command.add_argument("-n", type=int, default=20, metavar="N", help="number of words (default: 20)")
    command.add_argument(
        "--temperature", type=float, default=1.0, metavar="T",
        help="below 1 sharpens the probabilities; 0 always takes the likeliest character (default: 1)",
    )  # fmt: skip
    command.add_argument("--prompt", default="", metavar="TEXT", help="what every word begins with (default: nothing)")
    command.add_argument("--max-length", type=int, default=64, help="words are cut at this length (default: 64)")
    command.add_argument("--seed", type=int, default=None, help="seed of the sampling (default: the run's own)")


def add_eval(commands: Commands) -> None:
    command = commands.add_parser(
        "eval", help="print the losses of a trained model",
        description="Print the mean cross-entropy of a trained model on the three parts of its data.",
        epilog=EVAL_EPILOG,
    )  # fmt: skip
    command.add_argument("run", metavar="DIR", help="directory of a run")
    command.add_argument("--data", metavar="FILE", default=None, help="another word list (default: the run's own)")


def add_program(commands: Commands) -> None:
    command = commands.add_parser(
        "program", help="print the NumPy program that a training step compiles to",
        description="Print the NumPy program that one training step compiles to: forward pass,\nbackward pass and "
        "update, as one would write them by hand.", epilog=PROGRAM_EPILOG,
    )  # fmt: skip
    command.add_argument(
        "model",
        nargs="?",
        choices=[*models.MODELS, "manual_mlp"],
        default="mlp",
        metavar="MODEL",
        help=f"{', '.join([*models.MODELS, 'manual_mlp'])} (default: mlp)",
    )
    command.add_argument("--batch", type=int, default=CONFIG.batch_size, metavar="N", help="examples (default: 32)")
    command.add_argument("--optimizer", choices=OPTIMIZERS, default=CONFIG.optimizer, help="default: sgd")
    command.add_argument("--all", action="store_true", default=False, help="also show its checks and its bookkeeping")
    model_options(command.add_argument_group("model"))


def add_doctor(commands: Commands) -> None:
    command = commands.add_parser(
        "doctor", help="say what is wrong with a run, or with a model before it is trained",
        description="Train for a few steps without changing the run, and say what is wrong, how that\nis "
        "known and what to do.", epilog=DOCTOR_EPILOG,
    )  # fmt: skip
    command.add_argument(
        "run", metavar="DIR", nargs="?", default=None, help="directory of a run (default: a new model)"
    )
    command.add_argument("--steps", type=int, default=200, help="steps of the examination (default: 200)")
    command.add_argument("--treat", action="store_true", default=False, help="also try the remedies, on a copy")
    command.add_argument("--data", metavar="FILE", help="of a new model: a word list (default: data/names.txt)")
    command.add_argument("--seed", type=int, help="of a new model: fixes everything random (default: 0)")
    command.add_argument("--batch-size", type=int, help=f"of a new model (default: {CONFIG.batch_size})")
    command.add_argument("--lr", type=float, help=f"of a new model: learning rate (default: {CONFIG.lr})")
    command.add_argument("--optimizer", choices=OPTIMIZERS, help=f"of a new model (default: {CONFIG.optimizer})")
    command.add_argument("--model", choices=list(models.MODELS), metavar="MODEL", help="of a new model (default: mlp)")
    model_options(command.add_argument_group("model"))


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
