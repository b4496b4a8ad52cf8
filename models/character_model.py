"""What every model here is: a module from the characters so far to the logits of the next."""

from __future__ import annotations

from npgrad import nn

__all__ = ["CharacterModel"]


class CharacterModel(nn.Module):
    """A module whose input is (N, context) indices of characters and whose output is (N, vocab_size) logits.

    A subclass takes the keyword arguments vocab_size, context and rng and sets these two attributes:
    """

    vocab_size: int
    context: int
