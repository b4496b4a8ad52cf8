"""A training run on disk: everything needed to continue it exactly, or to use what it has learnt."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import models
from models.training import TrainConfig, fit, generators, loss_of, make_optimizer
from npgrad import checkpoint, data
from npgrad.checkpoint import CheckpointError

if TYPE_CHECKING:
    from npgrad.diagnose.doctor import Report

__all__ = ["FILE", "Run"]

FILE = "checkpoint.npgrad"
KIND = "a run of python -m models train"


class Run:
    """A model in training: `Run.start` or `Run.load` one, `advance` it, `save` it.

    Whatever happens between two saves, a run loaded from the last one goes on to the same bytes as a run that was never
    interrupted (on the same machine with the same number of BLAS threads).
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        """What never changes: model, options, context, characters, data, config, and what the doctor found at first."""
        self.config = TrainConfig(**state["config"])
        self.vocabulary = data.Vocabulary(state["characters"][1:])
        self.rng = generators(self.config.seed).init
        """Draws the first weights; afterwards dropout draws from it."""
        self.model = models.build(
            state["model"],
            vocab_size=len(self.vocabulary),
            context=state["context"],
            rng=self.rng,
            **state["options"],
        )
        self.optimizer = make_optimizer(self.model, self.config)
        self.corpus: data.Corpus
        self.batches: data.Batches | None = None
        self.losses: NDArray[np.float32] = np.empty(0, dtype=np.float32)

    @property
    def step(self) -> int:
        """How many steps have been taken."""
        return len(self.losses)

    @classmethod
    def start(
        cls, model: str, options: dict[str, Any], path: str, corpus: data.Corpus, context: int, config: TrainConfig
    ) -> Run:
        """A new run at step 0. Raises ValueError for a model or options that do not exist."""
        run = cls(
            {
                "kind": KIND,
                "model": model,
                "options": options,
                "context": context,
                "characters": corpus.vocabulary.characters,
                "data": {"path": path, "digest": corpus.digest},
                "config": asdict(config),
            }
        )
        run.feed(corpus)
        return run

    @staticmethod
    def file(directory: Path) -> Path:
        """The file of the run in `directory`. Raises CheckpointError if there is none."""
        path = directory / FILE if directory.is_dir() else directory
        if not path.exists():
            raise CheckpointError(f"{directory} holds no training run: there is no {path}.")
        return path

    @classmethod
    def load(cls, directory: Path) -> Run:
        """The run saved in `directory`, ready to sample from and to evaluate; `feed` it to train on.

        Raises CheckpointError if there is none that can be used.
        """
        path = cls.file(directory)
        state = checkpoint.load(path)
        if not isinstance(state, dict) or state.get("kind") != KIND:
            raise CheckpointError(f"{path} is a checkpoint, but not of {KIND}.")
        with _fitting(path):
            run = cls(
                {key: value for key, value in state.items() if key not in ("progress", "parameters", "optimizer")}
            )
            run.model.load_state_dict(state["parameters"])
            run.optimizer.load_state_dict(state["optimizer"])
            run.losses = state["progress"]["losses"]
            if run.losses.dtype != np.float32 or run.losses.ndim != 1 or run.step > run.config.steps:
                raise ValueError("its losses are not those of its steps")
            if not (isinstance(state["data"]["path"], str) and isinstance(state["data"]["digest"], str)):
                raise ValueError("it does not say which data it was trained on")
            run._stream = state["progress"]["batches"]
            run.rng.bit_generator.state = state["progress"]["generator"]
            run._path = path
        return run

    _stream: dict[str, Any] | None = None
    _path: Path | None = None

    def feed(self, corpus: data.Corpus) -> None:
        """Train on this corpus from here on. Raises CheckpointError if it is not the one the run began with."""
        if corpus.digest != self.state["data"]["digest"]:
            raise CheckpointError(
                f"the data are not those the run began with: their digest is {corpus.digest[:12]}… "
                f"and was {self.state['data']['digest'][:12]}…."
            )
        self.corpus = corpus
        rng, whole_words = generators(self.config.seed).batches, self.model.whole_words
        self.batches = data.Batches(*corpus.train, self.config.batch_size, rng, trim=whole_words)
        if self._stream is not None:
            with _fitting(self._path):
                self.batches.restore(self._stream)

    def advance(self, steps: int, on_step: Callable[[int, float], bool | None]) -> None:
        """Take up to `steps` steps, fewer if the run is complete before or `on_step(step, loss)` returns True."""
        assert self.batches is not None, "feed the run first"
        end = self.step + steps
        losses = fit(
            self.model,
            self.batches.x,
            self.batches.y,
            self.config,
            start=self.step,
            optimizer=self.optimizer,
            batches=self.batches,
            on_step=lambda step, loss: on_step(step, loss) or step + 1 == end,
        )
        self.losses = np.concatenate([self.losses, losses])

    def examined(self, steps: int = 200, keep: bool = False) -> Report:
        """The doctor's report on the next steps, which are not taken; with `keep` the run records its findings."""
        from npgrad.diagnose import doctor  # here, because most commands do without

        begin, last = self.step, max(self.config.steps - 1, 0)
        self.model.train()
        assert self.batches is not None, "feed the run first"
        # Minibatches are put together, so words are not trimmed.
        rng = generators(self.config.seed).batches
        batches = data.Batches(self.batches.x, self.batches.y, self.config.batch_size, rng)
        batches.restore(self.batches.state())
        report = doctor.examine(
            self.model,
            loss_of,
            batches,
            self.optimizer,
            steps,
            schedule=lambda t: self.config.lr_at(min(begin + t, last)),
            validation=self.corpus.val if len(self.corpus.val.y) else None,
        )
        if keep:
            self.state["doctor"] = [str(finding) for finding in report]
        return report

    def save(self, directory: Path) -> str:
        """Save the run and return the digest of the file; equal runs have equal digests."""
        assert self.batches is not None, "feed the run first"
        return checkpoint.save(
            directory / FILE,
            {
                **self.state,
                "parameters": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "progress": {
                    "losses": self.losses,
                    "batches": self.batches.state(),
                    "generator": self.rng.bit_generator.state,
                },
            },
        )


@contextlib.contextmanager
def _fitting(path: Path | None) -> Iterator[None]:
    """Inside, whatever a state of another version, or one made by hand, meets in this code is a CheckpointError."""
    try:
        yield
    except (MemoryError, OSError):
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise CheckpointError(f"{path} does not fit the models of this version: {reason}.") from None
