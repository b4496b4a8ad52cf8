"""Word lists as training data: vocabulary, context windows, the 80/10/10 split, minibatches.

From a file to a minibatch:

    corpus = load("data/names.txt", context=3)
    batches = Batches(*corpus.train, size=32, rng=np.random.default_rng(0))
    x, y = next(batches)  # (32, 3) contexts and (32,) next characters, as indices into corpus.vocabulary
"""

from __future__ import annotations

import hashlib
import random
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BOUNDARY",
    "PADDING",
    "Batches",
    "Corpus",
    "DataError",
    "Indices",
    "Vocabulary",
    "Windows",
    "digest",
    "load",
    "read_words",
    "sequences",
    "split",
    "windows",
]

Indices = NDArray[np.intp]

BOUNDARY = "."
"""The token before the first character of a word and after the last: index 0 of every vocabulary."""
PADDING = -1
"""The target where a word has ended: no class, to be ignored in the loss (`cross_entropy(…, ignore_index=PADDING)`)."""
_RESERVED = f"{BOUNDARY!r}, which marks the beginning and the end of words: remove it."


class DataError(ValueError):
    """Words that cannot be trained on, or not be encoded; the message says which and why in one sentence."""


# -- words -------------------------------------------------------------------------------------------------------------


def read_words(path: str | PathLike[str]) -> list[str]:
    """The words of a text file, one per line: UTF-8 (a byte-order mark ignored), any line ending; blank lines skipped.

    White space around a word is dropped, and characters are composed (NFC), so that "é" is one character however it was
    typed. Words that stand twice are kept twice: how often a word occurs is part of the data.

    Raises DataError if the file is not text in UTF-8 or holds fewer than two words, OSError if it cannot be read.
    """
    content = Path(path).read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{path} is text in UTF-16: save it as UTF-8.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} is not UTF-8 text: byte 0x{content[error.start]:02x} on line {line} cannot be decoded."
        ) from None
    lines = (line.strip() for line in re.split(r"\r\n|\n|\r", unicodedata.normalize("NFC", text)))
    words = [line for line in lines if line]
    for word in words:
        # The printable test is one call per word in C; only a word that fails it is looked at by character.
        if not word.isprintable():
            bad = next((c for c in word if unicodedata.category(c) == "Cc" and c != "\t"), None)
            if bad is not None:
                raise DataError(f"{path} is not a text file: it contains the control character U+{ord(bad):04X}.")
    if not words:
        raise DataError(f"{path} contains no words: it needs one word a line, and two or more of them.")
    if len(words) == 1:
        raise DataError(f"{path} contains one word only, {words[0][:40]!r}: training needs two or more, one per line.")
    return words


def digest(words: Iterable[str]) -> str:
    """SHA-256 of the words, each followed by a line feed: for a file in that plain form, what `sha256sum` prints."""
    return hashlib.sha256("".join(f"{word}\n" for word in words).encode()).hexdigest()


class Vocabulary:
    """The characters a model knows: the boundary token '.' at index 0, then the others in code-point order.

    `Vocabulary(words)` collects the characters of words (a string of characters is such a collection too).
    Raises DataError if there are none, or if '.' is among them.
    """

    def __init__(self, words: Collection[str]) -> None:
        characters = sorted(set("".join(words)))
        if not characters:
            raise DataError("there are no characters to make a vocabulary of.")
        if BOUNDARY in characters:
            culprit = next(word for word in words if BOUNDARY in word)
            raise DataError(f"the word {culprit[:40]!r} contains {_RESERVED}")
        self.characters = BOUNDARY + "".join(characters)
        self._codes = np.array([ord(c) for c in characters], dtype=np.uint32)

    def __len__(self) -> int:
        return len(self.characters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.characters == other.characters

    def __hash__(self) -> int:
        return hash(self.characters)

    def __repr__(self) -> str:
        return f"Vocabulary({self.characters[1:]!r})"

    def encode(self, text: str) -> Indices:
        """The index of every character of `text`, '.' being 0.

        Raises DataError naming the characters that are not in the vocabulary.
        """
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        found = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
        boundary = codes == ord(BOUNDARY)
        if not (boundary | (self._codes[found] == codes)).all():
            unseen = sorted(set(text) - set(self.characters))
            more = f" and {len(unseen) - 10} more" if len(unseen) > 10 else ""
            listed = ", ".join(map(repr, unseen[:10])) + more
            subject = f"the characters {listed} were" if len(unseen) > 1 else f"the character {listed} was"
            raise DataError(f"{subject} not seen at training time.")
        return np.where(boundary, 0, found + 1).astype(np.intp, copy=False)

    def decode(self, indices: Iterable[int]) -> str:
        """The characters at these indices; the inverse of `encode`."""
        return "".join([self.characters[k] for k in indices])


# -- windows -----------------------------------------------------------------------------------------------------------


class Windows(NamedTuple):
    """Examples: `x[k]` are the `context` characters before the character `y[k]`; or whole words, see `sequences`."""

    x: Indices
    y: Indices


def windows(words: Sequence[str], vocabulary: Vocabulary, context: int) -> Windows:
    """Every character of every word, and the boundary after it, with the `context` characters before it.

    Returns x of shape (examples, context) and y of shape (examples,). Before its first character a word is preceded by
    boundaries: "em" with context 3 gives "..." → e, "..e" → m, ".em" → ".". No words give no examples.

    Raises ValueError if context < 1, DataError for characters outside the vocabulary.
    """
    if context < 1:
        raise ValueError(f"context must be 1 or more characters; got {context}.")
    lengths = np.fromiter(map(len, words), dtype=np.intp, count=len(words)) + 1
    y = vocabulary.encode("".join(f"{word}{BOUNDARY}" for word in words))
    if len(y) and (y == 0).sum() != len(words):
        raise DataError(f"a word contains {_RESERVED}")
    # How many characters of its own word stand before each character: further back there are only boundaries.
    before = np.arange(len(y)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    x = np.zeros((len(y), context), dtype=np.intp)
    for back in range(1, min(context, len(y)) + 1):
        x[back:, -back] = np.where(before[back:] >= back, y[:-back], 0)
    return Windows(x, y)


def sequences(words: Sequence[str], vocabulary: Vocabulary) -> Windows:
    """Whole words: what is read, and what is to be said at each character of it.

    Returns x and y of shape (words, T), T being one more than the longest word: "em" in a list with "ava" gives the x
    ".em." and the y "em." followed by `PADDING`. The targets are exactly those of `windows`, word by word.

    Raises DataError for characters outside the vocabulary.
    """
    said = windows(words, vocabulary, 1).y
    lengths = np.fromiter(map(len, words), dtype=np.intp, count=len(words)) + 1
    y = np.full((len(words), max(lengths, default=1)), PADDING, dtype=np.intp)
    y[np.arange(y.shape[1]) < lengths[:, None]] = said
    x = np.zeros_like(y)
    x[:, 1:] = np.maximum(y[:, :-1], 0)
    return Windows(x, y)


def split(words: Sequence[str], seed: int = 42) -> tuple[list[str], list[str], list[str]]:
    """Training, validation and test words: 80, 10 and 10 per cent of the list after shuffling it.

    Exactly the lecture's: `random.Random(42).shuffle`, cut at int(0.8 n) and int(0.9 n). Of fewer than six words the
    validation part is empty.
    """
    shuffled = list(words)
    random.Random(seed).shuffle(shuffled)
    n1, n2 = int(0.8 * len(shuffled)), int(0.9 * len(shuffled))
    return shuffled[:n1], shuffled[n1:n2], shuffled[n2:]


class Corpus(NamedTuple):
    """A word list made ready for training."""

    vocabulary: Vocabulary
    train: Windows
    val: Windows
    test: Windows
    digest: str
    """`digest` of the whole list: two corpora with the same one are the same data."""

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(part.y):,}" for name, part in self._parts())
        return f"Corpus({self.vocabulary!r}, examples: {sizes}, digest {self.digest[:12]}…)"

    def _repr_html_(self) -> str:
        """A table for notebooks: how many examples each part has, and its first few: context → next character."""
        from html import escape  # here, because it takes milliseconds that only a notebook needs

        rows = []
        for name, part in self._parts():
            decode = self.vocabulary.decode
            first = ", ".join(f"{decode(x)} → {decode([y])}" for x, y in zip(part.x[:5], part.y[:5], strict=True))
            number = f'<td style="text-align: right">{len(part.y):,}</td>'
            rows.append(f"<tr><td>{name}</td>{number}<td><code>{escape(first)}</code></td></tr>")
        characters = f"{len(self.vocabulary)} characters: <code>{escape(self.vocabulary.characters)}</code>"
        head = "<tr><th>part</th><th>examples</th><th>the first of them</th></tr>"
        return f"<div>{characters}<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>"

    def _parts(self) -> list[tuple[str, Windows]]:
        return [("train", self.train), ("val", self.val), ("test", self.test)]


def load(path: str | PathLike[str], context: int | None = 3, vocabulary: Vocabulary | None = None) -> Corpus:
    """Read a word list, split it and cut it into windows; with the vocabulary of a trained model if one is given.

    With the context None the examples are whole words (`sequences`). Raises what `read_words`, `Vocabulary` and
    `windows` raise.
    """
    words = read_words(path)
    known = Vocabulary(words) if vocabulary is None else vocabulary
    known.encode("".join(sorted(set("".join(words)))))  # all that is unseen in one message, not that of one part
    train, val, test = (
        sequences(part, known) if context is None else windows(part, known, context) for part in split(words)
    )
    return Corpus(known, train, val, test, digest(words))


# -- minibatches -------------------------------------------------------------------------------------------------------


class Batches(Iterator[tuple[Indices, Indices]]):
    """An endless stream of minibatches `(x[k], y[k])`, the rows k drawn uniformly with replacement by `rng`.

    Rows are drawn and gathered for many batches at once, so that a batch costs two array views; the stream is the same
    whatever the number. Batches are read-only and stay what they are. `state()` and `restore(state)` resume the stream
    at exactly the next batch.

    With `trim`, batches of whole words (`sequences`) end with the longest word in them: what is cut off is padding,
    which has no part in the loss. A compiled step gets a program for each length that occurs.

    Raises ValueError if there are no examples, x and y differ in length, or the size is not positive.
    """

    def __init__(
        self, x: NDArray[Any], y: NDArray[Any], size: int, rng: np.random.Generator, trim: bool = False
    ) -> None:
        if len(x) != len(y):
            raise ValueError(f"x has {len(x)} examples and y has {len(y)}: there must be one y for each x.")
        if len(x) == 0:
            raise ValueError("there are no examples to draw batches from.")
        if size < 1:
            raise ValueError(f"the size of a batch must be 1 or more; got {size}.")
        self.x, self.y, self.size, self.rng, self.trim = x, y, size, rng, trim
        self._block = max(1, min(256, 65536 // size))
        self._begin = rng.bit_generator.state
        self._xs = self._ys = np.empty(0)
        self._next = self._block

    def __next__(self) -> tuple[Indices, Indices]:
        k = self._next
        if k >= len(self._ys):
            self._draw()
            k = 0
        self._next = k + 1
        x, y = self._xs[k], self._ys[k]
        if not self.trim:
            return x, y
        longest = np.count_nonzero((y != PADDING).any(axis=0))
        x, y = x[:, :longest].copy(), y[:, :longest].copy()
        x.flags.writeable = y.flags.writeable = False
        return x, y

    def _draw(self) -> None:
        self._begin = self.rng.bit_generator.state
        rows = self.rng.integers(len(self.x), size=(self._block, self.size))
        self._xs, self._ys = self.x[rows], self.y[rows]
        self._xs.flags.writeable = self._ys.flags.writeable = False

    def state(self) -> dict[str, Any]:
        """Where the stream stands: the generator's state when the current block was drawn, and the place in it."""
        if self._next >= len(self._ys):
            return {"generator": self.rng.bit_generator.state, "next": 0}
        return {"generator": self._begin, "next": self._next}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where `state()` was taken. Raises ValueError if it is of another kind of generator."""
        self.rng.bit_generator.state = state["generator"]
        self._draw()
        self._next = int(state["next"])
