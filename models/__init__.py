"""Networks to read and to train: `models.build("mlp", vocab_size=27, context=3, rng=rng, stage="kaiming")`."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from models.character_model import CharacterModel
from models.conv_net import ConvNet
from models.deep_mlp import DeepMLP
from models.mlp import MLP
from models.rnn import GRU, LSTM, RNN
from models.transformer import Transformer
from models.wavenet import DilatedWaveNet, WaveNet

__all__ = ["MODELS", "CharacterModel", "build"]

MODELS: dict[str, type[CharacterModel]] = {
    "mlp": MLP, "deep_mlp": DeepMLP, "conv_net": ConvNet, "rnn": RNN, "lstm": LSTM, "gru": GRU,
    "wavenet": WaveNet, "dilated_wavenet": DilatedWaveNet, "transformer": Transformer,
}  # fmt: skip
"""Every model by name. To add one, put its class here."""


def build(name: str, *, vocab_size: int, context: int, rng: np.random.Generator, **options: Any) -> CharacterModel:
    """The model called `name`, its first weights drawn from `rng`; options are those of the model's class.

    Raises ValueError for a name or an option that does not exist, naming those that do.
    """
    if name not in MODELS:
        raise ValueError(f"there is no model {name!r}; the models are {', '.join(MODELS)}.")
    known = [k for k in inspect.signature(MODELS[name]).parameters if k not in ("vocab_size", "context", "rng")]
    unknown = [k for k in options if k not in known]
    if unknown:
        raise ValueError(f"model {name!r} has no option {unknown[0]!r}; its options are {', '.join(known)}.")
    made: Any = MODELS[name]
    model: CharacterModel = made(vocab_size=vocab_size, context=context, rng=rng, **options)
    return model
