"""What every model here is: a module from the characters so far to the logits of the next."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from npgrad import Tensor, nn

__all__ = ["CharacterModel"]


class CharacterModel(nn.Module):
    """A module whose input is (N, context) indices of characters and whose output is (N, vocab_size) logits.

    One with `whole_words` reads words (N, T) that begin with a boundary instead, and answers for each of their
    characters, (N, T, vocab_size): see `npgrad.data.sequences`.

    A subclass takes the keyword arguments vocab_size, context and rng and sets these two attributes:
    """

    vocab_size: int
    context: int
    whole_words: ClassVar[bool] = False

    def following(self, words: NDArray[np.intp], state: Any = None) -> tuple[Tensor, Any]:
        """Logits (N, vocab_size) of what follows `words` (N, k), which `context` boundaries or more stand before.

        `state` is None, or what this returned for the same words without their last character: a tuple of arrays with
        the words along axis 1, or None for models that carry none.
        """
        logits: Tensor = self(words[:, -self.context :])
        return logits, None
