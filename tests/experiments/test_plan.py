"""From a lesson file to its runs: sweeps, budgets, changes, and what a result's identity depends on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.experiment import Experiment, Mistake, discover, load
from experiments.provenance import Code


def gains(lesson: Experiment, *arguments, **options) -> list[float]:
    return [run.config.gain for run in lesson.plan(*arguments, **options).runs]


def test_the_sweep_seeds_and_budgets(lesson: Experiment) -> None:
    assert gains(lesson) == [1.0, 2.0, 3.0]
    assert [run.seed for run in lesson.plan("default", 2).runs] == [0, 1] * 3
    quick = lesson.plan("quick")
    assert [(run.config.gain, run.config.steps) for run in quick.runs] == [(1.0, 10), (2.0, 10)]
    assert quick.remark == "quick look: 10 steps instead of 100; gain 1, 2 only"
    assert len(lesson.plan("full").runs) == 15
    assert lesson.plan().remark == ""


def test_changes(lesson: Experiment) -> None:
    assert gains(lesson, changes={"gain": "5/3"}) == [5 / 3]
    assert gains(lesson, changes={"gain": "0.5, 4"}) == [0.5, 4.0]
    assert gains(lesson, changes={"gain": "2,2.0"}) == [2.0]
    assert {run.config.steps for run in lesson.plan("quick", changes={"steps": "2_0"}).runs} == {20}
    assert {run.config.steps for run in lesson.plan(changes={"steps": "2e3"}).runs} == {2000}
    assert {run.config.bold for run in lesson.plan(changes={"bold": "yes"}).runs} == {True}
    plan = lesson.plan("quick", 3, {"gain": "1,2", "mishap": "two words"})
    assert plan.command == "python -m experiments run fake --quick --seeds 3 --set gain=1,2 --set mishap='two words'"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"gian": "1"}, "fake has no setting 'gian': did you mean gain?"),
        ({"colour": "1"}, "fake has no setting 'colour': it has gain, steps, mishap, wait, bold."),
        ({"steps": "many"}, "steps cannot be 'many': it takes a whole number."),
        ({"steps": "1.5"}, "steps cannot be '1.5': it takes a whole number."),
        ({"steps": "inf"}, "steps cannot be 'inf': it takes a whole number."),
        ({"gain": "1,x"}, "gain cannot be 'x': it takes a number."),
        ({"gain": "1/0"}, "gain cannot be '1/0': it takes a number."),
        ({"bold": "perhaps"}, "bold cannot be 'perhaps': it takes true or false."),
        ({"seed": "3"}, "seed cannot be set: --seeds N runs the seeds 0 to N - 1."),
        ({"steps": "0"}, "fake cannot run with gain=1: steps must be 1 or more."),
    ],
)
def test_changes_that_cannot_be_made(lesson: Experiment, changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(Mistake) as caught:
        lesson.plan(changes=changes)
    assert str(caught.value) == sentence


def test_several_grids(directory: Path, reload: Callable[[], Experiment]) -> None:
    edit(
        directory,
        'SWEEP = {"gain": (1.0, 2.0, 3.0)}',
        'SWEEP = [{"gain": (1.0,)}, {"gain": (1.0, 2.0), "steps": (5, 6)}]',
    )
    labels = [run.label for run in reload().plan().runs]
    assert labels == ["gain=1", "gain=1 steps=5", "gain=1 steps=6", "gain=2 steps=5", "gain=2 steps=6"]


def test_a_name_goes_to_the_grids_that_sweep_over_it(directory: Path, reload: Callable[[], Experiment]) -> None:
    edit(directory, 'mishap: str = ""', 'mishap: str = "none"')
    edit(
        directory,
        'SWEEP = {"gain": (1.0, 2.0, 3.0)}',
        'SWEEP = [{"mishap": ("none",), "gain": (1.0, 2.0)}, {"mishap": ("small", "great")}]',
    )
    lesson = reload()

    def labels(**changes: str) -> list[str]:
        return [run.label for run in lesson.plan(changes=changes).runs]

    assert labels(mishap="small") == ["small"]
    assert labels(mishap="none", gain="3") == ["mishap=none gain=3"]
    assert labels(mishap="none,great") == ["mishap=none gain=1", "mishap=none gain=2", "great"]
    assert labels(mishap="new") == ["mishap=new gain=1", "mishap=new gain=2"]  # nobody's: all grids try it


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("FACTOR = 2", "FACTOR = 3", False),
        ("return FACTOR * x", "return FACTOR * x * 1", False),
        ("gain: float = 1.0", "gain: float = 1.5", False),
        ("UNUSED = 7", "UNUSED = 8", True),
        ('"""Twice."""', '"""Two times."""  # a remark', True),
        ('style.title(axes, "Twice")', 'style.title(axes, "Double")', True),
        ('"Twice one is two."', '"One and one is two."', True),
    ],
)
def test_only_what_the_run_depends_on_invalidates_it(directory: Path, old: str, new: str, same: bool) -> None:
    before = Code().digest(directory / "fake.py", ())
    edit(directory, old, new)
    assert (Code().digest(directory / "fake.py", ()) == before) is same


def test_the_contents_of_the_data_count_not_its_name(
    directory: Path, reload: Callable[[], Experiment], tmp_path: Path
) -> None:
    edit(directory, "    seed: int = 0", f'    data: str = "{tmp_path}/words.txt"\n    seed: int = 0')
    for name in ("words.txt", "copy.txt"):
        (tmp_path / name).write_text("emma\nolivia\n", encoding="utf-8")
    lesson = reload()
    run = lesson.plan().runs[0]
    assert run.key == lesson.plan(changes={"data": f"{tmp_path}/copy.txt"}).runs[0].key
    (tmp_path / "copy.txt").write_text("emma\nava\n", encoding="utf-8")
    assert run.key != lesson.plan(changes={"data": f"{tmp_path}/copy.txt"}).runs[0].key
    with pytest.raises(Mistake, match="cannot be read"):
        lesson.plan(changes={"data": "nowhere.txt"})
    (tmp_path / "copy.txt").write_bytes(b"")
    with pytest.raises(Mistake, match="no words"):
        lesson.plan(changes={"data": f"{tmp_path}/copy.txt"})


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('QUESTION = "', 'ASKED = "', "does not define QUESTION"),
        ("    seed: int = 0", "    sede: int = 0", "a field `seed`"),
        ('QUICK = {"steps"', 'QUICK = {"step"', "step is in a sweep or a budget"),
        ('Claim("two"', 'Claim("five"', "same id"),
    ],
)
def test_a_file_that_is_no_lesson(
    directory: Path, reload: Callable[[], Experiment], old: str, new: str, complaint: str
) -> None:
    edit(directory, old, new)
    with pytest.raises(Mistake, match=complaint):
        reload()


def test_the_lessons_here_are_lessons() -> None:
    lessons = discover()
    assert "stages" in lessons
    for lesson in lessons.values():
        for budget in ("quick", "default", "full"):
            plan = lesson.plan(budget)
            assert plan.runs and len({run.folder for run in plan.runs}) == len(plan.runs)
    with pytest.raises(Mistake, match="there is no lesson in"):
        load(Path("nowhere.py"))


def edit(directory: Path, old: str, new: str) -> None:
    path = directory / "fake.py"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    path.write_text(text.replace(old, new), encoding="utf-8")
