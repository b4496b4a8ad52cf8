"""Word lists, vocabularies, windows, splits and minibatches."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npgrad.data import Batches, DataError, Vocabulary, Windows, digest, load, read_words, split, windows

NAMES = Path(__file__).parents[1] / "data" / "names.txt"

words = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8)
word_lists = st.lists(words, min_size=1, max_size=12)


def naive_windows(words: list[str], vocabulary: Vocabulary, context: int) -> tuple[list[list[int]], list[int]]:
    """The lecture's loop."""
    x, y = [], []
    for word in words:
        window = [0] * context
        for character in word + ".":
            index = vocabulary.characters.index(character)
            x.append(window)
            y.append(index)
            window = [*window[1:], index]
    return x, y


@given(word_lists, st.integers(1, 12))
def test_windows_are_those_of_the_loop(words: list[str], context: int) -> None:
    vocabulary = Vocabulary(words)
    x, y = windows(words, vocabulary, context)
    wanted = naive_windows(words, vocabulary, context)
    assert x.shape == (len(wanted[1]), context)
    assert x.tolist() == wanted[0]
    assert y.tolist() == wanted[1]


def test_windows_of_no_words_are_empty() -> None:
    x, y = windows([], Vocabulary(["ab"]), 3)
    assert x.shape == (0, 3) and y.shape == (0,)


def test_windows_need_a_context() -> None:
    with pytest.raises(ValueError, match="context must be 1 or more characters; got 0"):
        windows(["ab"], Vocabulary(["ab"]), 0)


@given(word_lists)
def test_vocabulary_is_sorted_after_the_boundary_and_inverts(words: list[str]) -> None:
    vocabulary = Vocabulary(words)
    assert vocabulary.characters == "." + "".join(sorted(set("".join(words))))
    assert len(vocabulary) == len(vocabulary.characters)
    text = ".".join(words)
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_vocabulary_names_unseen_characters() -> None:
    vocabulary = Vocabulary(["emma"])
    with pytest.raises(DataError, match=r"^the characters 'z', 'é', '…' were not seen at training time\.$"):
        vocabulary.encode("zemé…")
    with pytest.raises(DataError, match="and 6 more"):
        vocabulary.encode("0123456789bcdfgh")


@pytest.mark.parametrize("words", [["a.b", "c"], ["x", "."]])
def test_the_boundary_may_not_be_part_of_a_word(words: list[str]) -> None:
    with pytest.raises(DataError, match=r"contains '\.', which marks the beginning and the end of words"):
        Vocabulary(words)
    with pytest.raises(DataError, match=r"contains '\.'"):
        windows(words, Vocabulary(["abcx"]), 3)


def test_a_vocabulary_needs_characters() -> None:
    with pytest.raises(DataError, match="no characters"):
        Vocabulary([])


# -- files -------------------------------------------------------------------------------------------------------------


@given(st.lists(words, min_size=2, max_size=6), st.booleans(), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_reading_does_not_depend_on_the_form_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], mark: bool, ending: str, blank: bool
) -> None:
    path = tmp_path_factory.mktemp("words") / "words.txt"
    text = (ending * (1 + blank)).join(f" {word}\t" if blank else word for word in words) + ending * blank
    path.write_bytes(b"\xef\xbb\xbf" * mark + text.encode())
    plain = path.with_name("plain.txt")
    plain.write_bytes("".join(f"{word}\n" for word in words).encode())
    assert read_words(path) == read_words(plain)
    assert digest(read_words(path)) == digest(read_words(plain))


def test_characters_are_composed(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("Zoe\u0308\nZo\u00eb\n", encoding="utf-8")
    assert read_words(path) == ["Zo\u00eb", "Zo\u00eb"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "contains no words"),
        (b"\xef\xbb\xbf \r\n\r\n", "contains no words"),
        (b"emma\n", "one word only, 'emma'"),
        (b"emma\n\xe9lan\n", "not UTF-8 text: byte 0xe9 on line 2"),
        (b"emma\nol\x00ivia\n", r"not a text file: it contains the control character U\+0000"),
        (b"\x89PNG\r\n\x1a\n\x00", "not UTF-8 text: byte 0x89 on line 1"),
        ("emma\nolivia\n".encode("utf-16"), "UTF-16: save it as UTF-8"),
    ],
)
def test_files_that_are_no_word_lists(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_words(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_words(tmp_path / "none.txt")


@pytest.mark.smoke
def test_the_names() -> None:
    corpus = load(NAMES)
    assert corpus.digest == hashlib.sha256(NAMES.read_bytes()).hexdigest()
    assert corpus.digest in (NAMES.parent / "README.md").read_text(encoding="utf-8")
    assert corpus.vocabulary.characters == ".abcdefghijklmnopqrstuvwxyz"
    assert len(corpus.train.y) + len(corpus.val.y) + len(corpus.test.y) == NAMES.stat().st_size


# -- split -------------------------------------------------------------------------------------------------------------


@given(st.lists(words, max_size=40))
def test_the_split_is_the_lectures(words: list[str]) -> None:
    shuffled = list(words)
    random.Random(42).shuffle(shuffled)
    n1, n2 = int(0.8 * len(words)), int(0.9 * len(words))
    before = list(words)
    assert split(words) == (shuffled[:n1], shuffled[n1:n2], shuffled[n2:])
    assert words == before


# -- minibatches -------------------------------------------------------------------------------------------------------


def examples(n: int) -> Windows:
    return Windows(np.arange(3 * n).reshape(n, 3), np.arange(n))


@given(st.integers(1, 50), st.integers(1, 40), st.integers(0, 600), st.sampled_from(["PCG64", "MT19937", "Philox"]))
def test_batches_resume_exactly(n: int, size: int, taken: int, kind: str) -> None:
    def fresh() -> Batches:
        return Batches(*examples(n), size, np.random.Generator(getattr(np.random, kind)(5)))

    batches = fresh()
    for _ in range(taken):
        next(batches)
    state = batches.state()
    resumed = fresh()
    resumed.restore(state)
    assert str(resumed.state()) == str(state)
    for _ in range(300):
        for ours, theirs in zip(next(batches), next(resumed), strict=True):
            assert np.array_equal(ours, theirs)


def test_the_stream_does_not_depend_on_how_many_batches_are_drawn_at_once() -> None:
    ours, rng = Batches(*examples(1000), 7, np.random.default_rng(1)), np.random.default_rng(1)
    for _ in range(600):
        x, y = next(ours)
        rows = rng.integers(1000, size=7)
        assert np.array_equal(y, rows)
        assert np.array_equal(x, examples(1000).x[rows])


def test_batches_stay_what_they_are() -> None:
    batches = Batches(*examples(10), 4, np.random.default_rng(0))
    x, y = next(batches)
    kept = x.copy()
    for _ in range(600):
        next(batches)
    assert np.array_equal(x, kept)
    assert not x.flags.writeable and not y.flags.writeable


def test_batches_are_uniform() -> None:
    batches = Batches(*examples(10), 100, np.random.default_rng(0))
    counts = np.bincount(np.concatenate([next(batches)[1] for _ in range(100)]), minlength=10)
    assert ((counts - 1000) ** 2 / 1000).sum() < 30  # chi-square with 9 degrees of freedom: beyond this, 1 in 2000


@pytest.mark.parametrize(
    ("n", "size", "message"), [(0, 4, "no examples"), (3, 0, "size of a batch must be 1 or more; got 0")]
)
def test_batches_that_cannot_be(n: int, size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Batches(*examples(n), size, np.random.default_rng(0))


def test_batches_of_unequal_lengths() -> None:
    with pytest.raises(ValueError, match="x has 3 examples and y has 2"):
        Batches(np.zeros((3, 1)), np.zeros(2), 1, np.random.default_rng(0))
