"""Training a model on context windows, measuring it, and sampling words from it.

rngs = generators(seed)
model = models.build("mlp", vocab_size=27, context=3, rng=rngs.init)
losses = fit(model, *corpus.train, TrainConfig(seed=seed))
evaluate(model, *corpus.val)
sample(model, corpus.vocabulary, 20, rngs.sampling)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import npgrad
from models.character_model import CharacterModel
from npgrad import Tensor, nn, optim
from npgrad.compile import CompiledFunction
from npgrad.data import BOUNDARY, PADDING, Batches, DataError, Indices, Vocabulary
from npgrad.functions import cross_entropy

__all__ = [
    "OPTIMIZERS", "Generators", "TrainConfig", "evaluate", "fit", "generators", "make_optimizer", "mean_loss", "sample",
    "targets", "training_step",
]  # fmt: skip

OPTIMIZERS = ("sgd", "adam", "adamw")


@dataclass(frozen=True)
class TrainConfig:
    """How to train; the defaults are the lecture's. Raises ValueError for settings that make no sense."""

    steps: int = 200_000
    batch_size: int = 32
    lr: float = 0.1
    lr_decay_at: float = 0.5
    """The fraction of the steps after which the learning rate is multiplied by `lr_decay`."""
    lr_decay: float = 0.1
    optimizer: str = "sgd"
    momentum: float = 0.0
    """Of "sgd" only."""
    weight_decay: float = 0.0
    seed: int = 0
    """Fixes everything random: see `generators`."""

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ValueError(f"the number of steps must be 0 or more; got {self.steps}.")
        if self.batch_size < 1:
            raise ValueError(f"the batch size must be 1 or more; got {self.batch_size}.")
        if self.seed < 0:
            raise ValueError(f"the seed must be 0 or more; got {self.seed}.")
        for name, value in (("learning rate", self.lr), ("learning-rate decay", self.lr_decay)):
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"the {name} must be a finite number, 0 or more; got {value}.")
        for name, value in (("momentum", self.momentum), ("decay point", self.lr_decay_at)):
            if not 0 <= value <= 1:
                raise ValueError(f"the {name} must be between 0 and 1; got {value}.")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"the weight decay must be a finite number, 0 or more; got {self.weight_decay}.")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"there is no optimizer {self.optimizer!r}; there are {', '.join(OPTIMIZERS)}.")
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(f"momentum is an option of sgd; {self.optimizer} has its own.")

    def lr_at(self, step: int) -> float:
        """The learning rate of one step."""
        return self.lr if step < self.lr_decay_at * self.steps else self.lr * self.lr_decay


class Generators(NamedTuple):
    """Independent streams, so that drawing more of one changes nothing in the others."""

    init: np.random.Generator
    batches: np.random.Generator
    sampling: np.random.Generator


def generators(seed: int) -> Generators:
    """The generators of a run: everything random in it follows from `seed`."""
    return Generators(*map(np.random.default_rng, np.random.SeedSequence(seed).spawn(3)))


def make_optimizer(model: nn.Module, config: TrainConfig) -> optim.Optimizer:
    """The optimiser that `config` asks for, over all parameters of `model`."""
    parameters = model.parameters()
    if config.optimizer == "adam":
        return optim.Adam(parameters, lr=config.lr, weight_decay=config.weight_decay)
    if config.optimizer == "adamw":
        return optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
    return optim.SGD(parameters, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay)


def mean_loss(model: nn.Module, x: Indices, y: Indices) -> Tensor:
    """The mean cross-entropy over all characters of `y`: one for each row (N,), or whole words (N, T) with padding."""
    return loss_of(model(x), y)


def loss_of(logits: Tensor, y: Indices) -> Tensor:
    """The same, of logits (N, C) or (N, T, C)."""
    if y.ndim == 1:
        return cross_entropy(logits, y)
    return cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1), ignore_index=PADDING)


def training_step(model: nn.Module, optimizer: optim.Optimizer) -> CompiledFunction[[Indices, Indices], Tensor]:
    """A function of a minibatch that takes one step, compiled, and returns the loss before it."""

    @npgrad.compile
    def step(x: Indices, y: Indices) -> Tensor:
        loss = mean_loss(model, x, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def fit(
    model: nn.Module,
    x: Indices,
    y: Indices,
    config: TrainConfig,
    *,
    start: int = 0,
    optimizer: optim.Optimizer | None = None,
    batches: Batches | None = None,
    on_step: Callable[[int, float], bool | None] | None = None,
) -> NDArray[np.float32]:
    """Train `model` in place on examples x (N, context) and y (N,); return the loss of each step, before its update.
    The examples of a model of whole words are x and y (N, T), with padding: see `npgrad.data.sequences`.

    The learning rate is `config.lr_at(step)` for all parameters. `on_step(step, loss)` is called after each update and
    ends training by returning True. To resume a run, pass the step to `start` from, and optimiser and batches as they
    were there.
    """
    optimizer = make_optimizer(model, config) if optimizer is None else optimizer
    if batches is None:
        batches = Batches(x, y, config.batch_size, generators(config.seed).batches, trim=y.ndim == 2)

    update = training_step(model, optimizer)
    model.train()
    losses = np.empty(max(config.steps - start, 0), dtype=np.float32)
    lr = math.nan
    for step in range(start, config.steps):
        if lr != config.lr_at(step):
            optimizer.lr = lr = config.lr_at(step)
        loss = update(*next(batches)).item()
        losses[step - start] = loss
        if on_step is not None and on_step(step, loss):
            return losses[: step - start + 1]
    return losses


def evaluate(model: nn.Module, x: Indices, y: Indices, chunk: int = 8192) -> float:
    """Mean cross-entropy over all characters, in evaluation mode, `chunk` characters at a time to bound the memory.

    Windows and whole words have the same targets, so that the numbers of all models can be compared. The mode
    of every module is what it was afterwards. Raises ValueError if there are no examples.
    """
    if len(y) == 0:
        raise ValueError("there are no examples to evaluate on.")
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with npgrad.no_grad():
            rows = max(1, chunk // y[0].size)
            total = math.fsum(
                mean_loss(model, x[k : k + rows], y[k : k + rows]).item() * targets(y[k : k + rows])
                for k in range(0, len(y), rows)
            )
    finally:
        for module, mode in modes:
            module.training = mode
    return total / targets(y)


def targets(y: Indices) -> int:
    """How many characters of `y` are no padding."""
    return int(np.count_nonzero(y != PADDING))


def sample(
    model: CharacterModel,
    vocabulary: Vocabulary,
    n: int,
    rng: np.random.Generator,
    temperature: float = 1.0,
    prompt: str = "",
    max_length: int = 64,
) -> list[str]:
    """`n` words drawn from the model character by character, all at once as one batch, each beginning with `prompt`.

    Logits are divided by the temperature: below 1 the likely becomes likelier, 0 always takes the likeliest. Words are
    cut at `max_length` characters. Drawing is by the Gumbel-max trick: adding −log(−log u), u uniform, to the logits
    and taking the maximum chooses a character with exactly its probability (Gumbel 1954), without normalising.

    Raises ValueError for a temperature that is negative or not finite or a negative n, DataError for a prompt with
    characters the model does not know.
    """
    if not (math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"the temperature must be a finite number, 0 or more; got {temperature}.")
    if n < 0:
        raise ValueError(f"the number of words must be 0 or more; got {n}.")
    if BOUNDARY in prompt:
        raise DataError(f"the prompt {prompt!r} contains {BOUNDARY!r}, which marks the end of words.")
    begin = vocabulary.encode(prompt)
    words = np.zeros((n, model.context + max(max_length, len(begin)) + 1), dtype=np.intp)
    first = model.context + len(begin)
    words[:, model.context : first] = begin
    unfinished: Indices = np.arange(n)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    state: tuple[Tensor, ...] | None = None
    try:
        with npgrad.no_grad():
            for k in range(first, model.context + max_length):
                after, state = model.following(words[unfinished, :k], state)
                logits = after.numpy()
                noise = rng.gumbel(size=logits.shape)
                chosen: Indices = np.argmax(logits + temperature * noise, axis=1)
                words[unfinished, k] = chosen
                unfinished = unfinished[chosen != 0]
                state = None if state is None else tuple(part[:, chosen != 0] for part in state)
                if not len(unfinished):
                    break
    finally:
        for module, mode in modes:
            module.training = mode
    return [vocabulary.decode(word[model.context :]).split(BOUNDARY, 1)[0] for word in words.tolist()]
