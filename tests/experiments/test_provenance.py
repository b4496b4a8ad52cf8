"""What makes a stored result stale: the code that its run executed, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import npgrad
from experiments.experiment import Experiment
from experiments.provenance import ROOT, Code, applied_functions, environment, libraries
from experiments.runner import execute
from experiments.store import Store
from tests.experiments.conftest import threads

TANH = "npgrad.functions.activation.Tanh"
RELU = "npgrad.functions.activation.Relu"
OTHERS = (
    "npgrad.functions.matmul.Linear",
    "npgrad.functions.cross_entropy.CrossEntropy",
    "npgrad.functions.indexing.Embedding",
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's source in another place, to be broken."""
    to = tmp_path_factory.mktemp("copy")
    for part in ("npgrad", "models", "experiments"):
        shutil.copytree(ROOT / part, to / part, ignore=shutil.ignore_patterns("__pycache__", "reference"))
    return to


@pytest.fixture(scope="module")
def before(copy: Path) -> dict[str, str]:
    return digests(copy)


def digests(root: Path) -> dict[str, str]:
    """Of three runs: of the same lesson with tanh and with ReLU, and of another lesson with tanh."""
    code = Code(root)
    lessons = root / "experiments" / "lessons"
    return {
        "tanh": code.digest(lessons / "saturation.py", [TANH, *OTHERS]),
        "relu": code.digest(lessons / "saturation.py", [RELU, *OTHERS]),
        "stages": code.digest(lessons / "stages.py", [TANH, *OTHERS]),
    }


def stale(before: dict[str, str], copy: Path, file: str, old: str, new: str) -> set[str]:
    """Which of the runs are stale once the first `old` in a file is `new`."""
    path = copy / file
    text = path.read_text(encoding="utf-8")
    assert old in text, old
    try:
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        after = digests(copy)
    finally:
        path.write_text(text, encoding="utf-8")
    return {name for name in before if before[name] != after[name]}


def test_a_broken_rule_makes_stale_what_applied_it(before: dict[str, str], copy: Path) -> None:
    source = (copy / "npgrad/functions/activation.py").read_text(encoding="utf-8")
    rule = source[source.index("class Tanh(Function):") :].partition("def backward")[2].partition("\n\n\n")[0]
    assert stale(before, copy, "npgrad/functions/activation.py", rule, rule + "\n        return 2 * dt") == {
        "tanh",
        "stages",
    }
    for file, rule, expected in (("cross_entropy", "CrossEntropy", ALL), ("conv", "Conv", set())):
        line = f"class {rule}(Function):"
        assert stale(before, copy, f"npgrad/functions/{file}.py", line, line + "\n    x = 1") == expected


ACTIVATION = "npgrad/functions/activation.py"
CLASS = "class Tanh(Function):"
CUBE = "class Cube(Function):\n    def backward(self, dy):\n        return dy\n\n\n"
ALL = {"tanh", "relu", "stages"}


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("models/mlp.py", "class MLP(", "class MLP(object, ", ALL),
        (
            "models/training.py",
            "    optimizer = make_optimizer",
            "    again = None\n    optimizer = make_optimizer",
            ALL,
        ),
        ("npgrad/data.py", "class Batches(Iterator[", "class Batches(Generator[", ALL),
        ("npgrad/nn/linear.py", "def forward(self, x", "def forward(self, z, x", ALL),
        ("npgrad/optim/sgd.py", "def update(self", "def update(this", ALL),
        ("experiments/lessons/stages.py", "30_000", "50_000", {"stages"}),
        ("experiments/lessons/saturation.py", "FLAT = 0.99", "FLAT = 0.98", {"tanh", "relu"}),
        # Nothing that a run executes:
        (ACTIVATION, CLASS + '\n    """', CLASS + '\n    """Or: ', set()),
        (ACTIVATION, CLASS, CUBE + CLASS, set()),
        ("npgrad/functions/__init__.py", "\nregistry: ", "\nfrom npgrad.functions.cube import *\n\nregistry: ", set()),
        ("npgrad/version.py", '__version__ = "', '__version__ = "1', set()),
        (
            "npgrad/bindings/spellings.py",
            "\nfrom __future__ import annotations\n",
            "\nfrom __future__ import annotations\n\nTABLE = ()\n",
            set(),
        ),
        ("models/mlp.py", "\nfrom __future__", "\n# A remark.\nfrom __future__", set()),
        ("models/mlp.py", "hidden: int", "hidden: object", set()),
        ("experiments/lessons/stages.py", "plot = pictures(", "again = 1\nplot = pictures(", set()),
        ("experiments/lessons/stages.py", "QUESTION = (", "QUESTION = ('Or: '", set()),
        ("experiments/style.py", "def colour(name", "def colour(other", set()),
        ("models/conv_net.py", "class ConvNet(", "class ConvNet(object, ", set()),
        ("npgrad/check/gradcheck.py", "def gradcheck(", "def check_again(): pass\n\n\ndef gradcheck(", set()),
    ],
)
def test_what_a_run_executes_counts_and_nothing_else(
    before: dict[str, str], copy: Path, file: str, old: str, new: str, expected: set
) -> None:
    assert stale(before, copy, file, old, new) == expected


def test_the_engine_counts_always(before: dict[str, str], copy: Path) -> None:
    engine = Code(copy)._engine()
    assert any(name.endswith(".tensor") for name in engine)
    assert not any(name.startswith("npgrad.functions") for name in engine)
    path = copy / (engine[-1].replace(".", "/") + ".py")
    text = path.read_text(encoding="utf-8")
    path.write_text(text + "\n\ndef added():\n    return 1\n", encoding="utf-8")
    after = digests(copy)
    path.write_text(text, encoding="utf-8")
    assert all(before[name] != after[name] for name in before)


def test_no_function_is_replaced_for_longer_than_it_is_watched() -> None:
    before = {kind: kind.forward for kind in npgrad.functions.registry.values()}
    with applied_functions(), applied_functions():
        assert all(kind.forward is not forward for kind, forward in before.items())
        npgrad.tanh(np.ones(2))
    assert all(kind.forward is forward for kind, forward in before.items())


def test_functions_are_noted_when_they_are_applied() -> None:
    x = npgrad.Tensor(np.ones(3), requires_grad=True)
    with applied_functions() as seen:
        assert not seen
        npgrad.tanh(x).backward(np.ones(3))
        assert seen == {TANH}
        npgrad.tanh(x)
        (x * 2.0).sum()
    assert seen == {TANH, "npgrad.functions.arithmetic.Mul", "npgrad.functions.reduction.Sum"}
    with applied_functions() as again:
        npgrad.tanh(x)
        with applied_functions() as inner:
            npgrad.tanh(x)
            npgrad.relu(x)
    assert inner == {TANH, RELU} and again == {TANH, RELU}
    assert "first" not in npgrad.functions.Tanh.forward.__qualname__


def test_functions_of_a_program_compiled_before_are_noted() -> None:
    @npgrad.compile(warm_up=1)
    def step(x):
        return npgrad.relu(npgrad.tanh(x))

    x = np.ones(3)
    with applied_functions() as seen:
        for _ in range(6):
            step(x)
    assert seen == {TANH, RELU}
    with applied_functions() as idle:
        pass
    with applied_functions() as again:
        step(x)  # runs the program alone: the next comparison with eager code comes later
    assert again == {TANH, RELU} and idle == set()


def test_a_function_that_inherits_its_forward_is_noted_under_its_own_name() -> None:
    class Base(npgrad.Function):
        def forward(self, x):
            return 1 * x

        def backward(self, dy):
            return dy

    class Heir(Base):
        pass

    with applied_functions() as seen:
        Heir.apply(np.ones(2))
        Base.apply(np.ones(2))
        Heir.apply(np.ones(2))
    assert {name.rpartition(".")[2] for name in seen} == {"Base", "Heir"}


def test_results_of_other_code_are_not_shown_and_come_back(
    directory: Path, reload: Callable[[], Experiment], tmp_path: Path
) -> None:
    store = Store(tmp_path)

    def begin() -> tuple[int, int, int]:
        lesson = reload()
        store.write_plan(lesson.plan())
        records, others = store.found(lesson)
        return len(execute(lesson.plan().runs, store, workers=threads).done), len(records), others

    path = directory / "fake.py"
    text = path.read_text(encoding="utf-8")
    assert begin() == (3, 0, 0)
    path.write_text(text.replace("FACTOR = 2", "FACTOR = 3"), encoding="utf-8")
    assert begin() == (3, 0, 3)
    assert store.records(reload()).values("twice").tolist() == [3.0, 6.0, 9.0]
    path.write_text(text, encoding="utf-8")
    assert begin() == (0, 3, 0)
    assert store.records(reload()).values("twice").tolist() == [2.0, 4.0, 6.0]


def test_the_environment_names_the_kernels_in_force() -> None:
    found = environment()
    assert found["blas_kernel"] == libraries()["blas_kernel"] != ""
    assert found["processor"] and found["versions"]["numpy"] == np.__version__


def test_other_libraries_are_another_question(lesson: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    before = lesson.plan().runs[0].key
    monkeypatch.setattr("experiments.experiment.libraries", lambda: libraries() | {"blas_kernel": "Another"})
    assert lesson.plan().runs[0].key != before
