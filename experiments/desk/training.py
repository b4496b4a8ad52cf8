"""What the desk trains: one setting of the lecture's deep network, watched from its first step."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from models.deep_mlp import NORMS
from models.runs import Run
from models.training import TrainConfig, training_step
from npgrad import data, nn
from npgrad.diagnose import Monitor
from npgrad.diagnose.propagation import Propagation, gradient_of_ignorance, predict, read_layers
from npgrad.diagnose.record import Record
from npgrad.nn import ACTIVATIONS

__all__ = ["CONTEXT", "DATA", "STEPS", "Setting", "Training"]

DATA = "data/names.txt"
CONTEXT = 3
STEPS = 20_000
"""Where training ends."""
DENSE = 160
"""Steps up to which every tenth is recorded; each time the steps double, so does the distance."""
BINS = 60


@dataclass(frozen=True)
class Setting:
    """What can be changed at the desk; the names are those of `models train` and of TrainConfig."""

    gain: float = 5 / 3
    fan_in: bool = True
    output_gain: float = 0.1
    lr: float = 0.1
    batch_size: int = 32
    depth: int = 6
    norm: str = "none"
    activation: str = "tanh"

    def __post_init__(self) -> None:
        if self.norm not in NORMS or self.activation not in ACTIVATIONS:
            raise ValueError(f"there is no norm {self.norm!r} or no activation {self.activation!r}.")

    @property
    def options(self) -> dict[str, Any]:
        """Of the network."""
        return {name: value for name, value in asdict(self).items() if name not in ("lr", "batch_size")}

    def config(self, seed: int) -> TrainConfig:
        return TrainConfig(steps=STEPS, batch_size=self.batch_size, lr=self.lr, lr_decay=1.0, seed=seed)

    def command(self, out: str, seed: int = 0) -> str:
        """The line that trains this setting, with the same minibatches, outside the desk."""
        words = ["python -m models train --model deep_mlp"]
        for field in fields(self):
            value = getattr(self, field.name)
            flag = field.name.replace("_", "-")
            if isinstance(value, bool):
                words += [] if value == field.default else [f"--{'' if value else 'no-'}{flag}"]
            else:
                words.append(f"--{flag} {value}")
        return " ".join([*words, f"--lr-decay 1 --steps {STEPS} --seed {seed} --out {out}"])


def due(step: int) -> bool:
    """Whether the pictures are recorded at this step: about fifteen times while the steps double."""
    return step % (10 * 2 ** max(0, math.ceil(math.log2(max(step, 1) / DENSE)))) == 0


class Training:
    """A setting in training. One seed fixes the first weights and the minibatches, whatever the setting is."""

    def __init__(self, setting: Setting, corpus: data.Corpus, seed: int = 0) -> None:
        self.setting = setting
        self.run = Run.start("deep_mlp", setting.options, DATA, corpus, CONTEXT, setting.config(seed))
        model = self.run.model
        stack = list(model.layers)
        # What a hidden layer hands on: the output of the last module before the next linear one.
        hidden = {id(one) for one, after in itertools.pairwise(stack) if isinstance(after, nn.Linear)}
        self._monitor = Monitor(
            model, self.run.optimizer, every=1, layers=lambda _, module: id(module) in hidden, bins=BINS
        )
        self._record: Record | None = None
        self.losses: list[float] = []
        self.predicted = self._predict()
        self._update = training_step(model, self.run.optimizer)
        model.train()

    @property
    def step(self) -> int:
        """How many steps have been taken."""
        return len(self.losses)

    @property
    def diverged(self) -> bool:
        return bool(self.losses) and not math.isfinite(self.losses[-1])

    @property
    def done(self) -> bool:
        return self.diverged or self.step >= STEPS

    @property
    def record(self) -> Record:
        """What was seen so far; the same object until more is recorded."""
        if self._record is None:
            self._record = self._monitor.record
        return self._record

    def advance(self, steps: int) -> None:
        """Take up to so many steps, fewer if training is done before."""
        assert self.run.batches is not None
        with np.errstate(all="ignore"):  # a gain may be so large that numbers overflow: that is shown
            for _ in range(steps):
                if self.done:
                    return
                if due(self.step):
                    self._record = None
                    with self._monitor.watch(self.step):
                        loss = self._update(*next(self.run.batches)).item()
                else:
                    loss = self._update(*next(self.run.batches)).item()
                self.losses.append(loss)

    def _predict(self) -> Propagation:
        """Mean field for the first step: from the first weights, the embeddings of the data and equal logits alone."""
        model = self.run.model
        fed = model.embedding.weight.numpy()[self.run.corpus.train.x[:2000]]
        return predict(
            read_layers(model),
            input_mean_square=float(np.mean(fed**2)),
            input_variance=float(fed.var(axis=0).mean()),
            output_gradient=gradient_of_ignorance(model.vocab_size, self.setting.batch_size),
        )
