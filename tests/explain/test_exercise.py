"""Exercises: every Function gives one, its own solution passes, and typical mistakes are told apart."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from npgrad.explain.__main__ import main
from npgrad.explain.exercise import exercise, hint, names
from npgrad.explain.exercise_grade import NotGradable, grade
from npgrad.explain.exercise_handout import BROWSERS
from npgrad.explain.order import UnknownName
from npgrad.functions import registry

NETWORK = exercise("network")
SOLUTION = NETWORK.text(solved=True)


def judged(folder: Path, old: str, new: str, solution: str = SOLUTION) -> dict[str, tuple[str, str]]:
    """Status and reason of each gradient when one line of the solution is replaced."""
    assert old in solution
    file = folder / "mine.py"
    file.write_text(solution.replace(old, new), encoding="utf-8")
    return {v.name: (v.status, v.why) for v in grade(file).verdicts}


def test_every_function_can_be_practised() -> None:
    # Add and others are asked for by their public name, which is how the listing has them.
    assert len(names()) == len(registry) + 1


@pytest.mark.parametrize("name", names())
def test_every_solution_gives_the_complex_step_gradients(name: str) -> None:
    of = exercise(name)
    assert {b.name for b in of.blanks} >= set(of.wanted)
    assert of.wanted
    for k in range(2):
        space: dict[str, object] = {}
        exec(of.text(solved=True), space)
        function = of.text(solved=True).rstrip() + f"\n    return {{{', '.join(f'{w!r}: {w}' for w in of.wanted)}}}\n"
        exec(function, space)
        with np.errstate(all="ignore"):
            found = space["exercise"](**{n: a if a.ndim else a.item() for n, a in of.inputs(k).items()})  # type: ignore[operator]
        for wanted in of.wanted:
            assert np.shape(found[wanted]) == of.truths[k][wanted].shape
            np.testing.assert_allclose(found[wanted], of.truths[k][wanted], rtol=1e-8, atol=1e-9)


def test_the_blank_file_is_python_and_says_what_to_do() -> None:
    text = exercise("batch_norm").text()
    compile(text, "blank", "exec")
    assert text.count("= ...") == 8
    assert "exercise --grade" in text


def test_levels_leave_more_and_more_blank() -> None:
    counts = [NETWORK.text(level).count("= ...") for level in (1, 2, 3)]
    assert counts[1] == 25
    assert counts[2] == len(NETWORK.wanted) == 7
    assert 12 <= counts[0] < 25
    assert "dprobs = dlogprobs / probs" not in NETWORK.text(2)


def test_the_solution_passes(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SOLUTION, encoding="utf-8")
    found = grade(file)
    assert found.ok
    assert {v.status for v in found.verdicts} == {"right"}


def test_a_blank_file_is_blank(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(NETWORK.text(), encoding="utf-8")
    found = grade(file)
    assert not found.ok
    assert {v.status for v in found.verdicts} == {"blank"}


@pytest.mark.parametrize(
    ("old", "new", "gradient", "reason"),
    [
        ("dhprebn = dbndiff + dbnmeani / N", "dhprebn = dbndiff", "dhprebn", "A term is missing"),
        ("dhprebn = dbndiff + dbnmeani / N", "dhprebn = dbndiff + dbnmeani", "dhprebn", "A division is missing (N)"),
        ("np.add.at(dC, x, demb)", "dC[x] += demb", "dC", "loses duplicates"),
        ("dW2 = act.T @ dlogits", "dW2 = dlogits.T @ act", "dW2", "transposed"),
        ("dhpreact = dact * (1 - act**2)", "dhpreact = dact * (1 - act)", "dhpreact", "1 + act is missing"),
        ("dbnmeani = -dbndiff.sum(0)", "dbnmeani = dbndiff.sum(0)", "dbnmeani", "sign is wrong"),
        ("dlogprobs[rows, y] = -1 / N", "dlogprobs[rows, y] = -1", "dlogprobs", "mean treated as a sum"),
        ("db2 = dlogits.sum(0)", "db2 = dlogits.mean(0)", "db2", "sum treated as a mean"),
        ("dbngain = (dhpreact * bnraw).sum(0)", "dbngain = dhpreact.sum(0)", "dbngain", "A factor is missing (bnraw"),
        ("dbngain = (dhpreact * bnraw).sum(0)", "dbngain = dhpreact * bnraw", "dbngain", "copies are summed"),
        ("dcounts = dprobs * counts_sum_inv + dcounts_sum", "dcounts = dprobs * counts_sum_inv", "dcounts", "missing"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, gradient: str, reason: str) -> None:
    found = judged(tmp_path, old, new)
    assert found[gradient][0] == "wrong"
    assert reason in found[gradient][1]
    # Nothing else is blamed: other lines are right, or wrong only because of this one.
    others = {status for name, (status, _) in found.items() if name != gradient}
    assert others <= {"right", "wrong only because of an earlier line"}


@pytest.mark.parametrize(
    ("old", "new", "gradient"),
    [
        (
            "dbndiff = dbnraw * bnvar_inv + dbndiff2 * 2 * bndiff",
            "dbndiff = dbnraw * bnvar_inv\n    dbndiff += 2 * bndiff * dbndiff2",
            "dbndiff",
        ),
        ("dbnvar = -dbnvar_inv * (bnvar + eps) ** -1.5 / 2", "dbnvar = -dbnvar_inv * bnvar_inv**3 / 2", "dbnvar"),
        (
            "dlogits = dnorm_logits + dlogit_maxes * (logits == logit_maxes)",
            "dlogits = probs / N\n    dlogits[rows, y] -= 1 / N",
            "dlogits",
        ),
    ],
)
def test_another_form_is_right(tmp_path: Path, old: str, new: str, gradient: str) -> None:
    found = judged(tmp_path, old, new)
    assert found.pop(gradient)[0] == "right, in another form"
    assert {status for status, _ in found.values()} == {"right"}


def test_what_follows_of_a_mistake_is_not_blamed(tmp_path: Path) -> None:
    found = judged(tmp_path, "dprobs = dlogprobs / probs", "dprobs = dlogprobs * probs")
    assert found["dprobs"][0] == "wrong"
    assert found["dlogprobs"][0] == "right"
    assert found["dC"][0] == "wrong only because of an earlier line"


def test_a_line_that_fails_says_why(tmp_path: Path) -> None:
    found = judged(tmp_path, "dprobs = dlogprobs / probs", "dprobs = dlogprobs / probz")
    assert found["dprobs"] == ("does not run", "NameError: name 'probz' is not defined")
    assert found["dC"][0] == "wrong only because of an earlier line"


def test_lines_may_be_left_out(tmp_path: Path) -> None:
    of = exercise("batch_norm")
    head = of.text(3).partition("    # Backward\n")[0]
    closed = (
        "    dbeta = dy.sum(0)\n    dgamma = (dy*xhat).sum(0)\n    dx = gamma*rstd*(dy - dbeta/n - xhat*dgamma/m)\n"
    )
    file = tmp_path / "mine.py"
    file.write_text(head + closed, encoding="utf-8")
    found = grade(file)
    assert found.ok
    assert {v.name for v in found.verdicts if v.status == "left out"} == {"dxhat", "drstd", "dvar", "dxc", "dmu"}
    file.write_text(head + closed.replace("    dgamma = (dy*xhat).sum(0)\n", ""), encoding="utf-8")
    assert not grade(file).ok


def test_a_file_that_does_not_run_to_its_end_does_not_pass(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SOLUTION.replace("    # Backward\n", "    1 / 0\n"), encoding="utf-8")
    found = grade(file)
    assert not found.ok
    assert {v.status for v in found.verdicts} == {"right"}
    assert "ZeroDivisionError" in "\n".join(found.lines())


@pytest.mark.parametrize(
    "way",
    [
        "import npgrad",
        "from npgrad.functions import registry",
        "__import__('npg' + 'rad')",
        "import importlib; importlib.import_module('npg' + 'rad')",
    ],
)
def test_a_solution_that_peeks_is_noticed(tmp_path: Path, way: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SOLUTION.replace("    # Backward\n", f"    {way}\n"), encoding="utf-8")
    found = grade(file)
    assert found.peeked == ("npgrad",)
    assert not found.ok


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("while True: pass", r"did not finish in 2 s \(at line \d+\)"),
        ("import os; os._exit(3)", r"ended its own process \(at line \d+\) \(exit code 3\)"),
    ],
)
def test_files_that_do_not_end_by_themselves(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SOLUTION.replace("    # Backward\n", f"    {line}\n"), encoding="utf-8")
    with pytest.raises(NotGradable, match=message):
        grade(file, seconds=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "is no exercise"),
        ('EXERCISE = ("nothing", 1)\n\ndef exercise(x):\n    pass\n', "no derivation called 'nothing'"),
        ('EXERCISE = ("tanh", 4)\n\ndef exercise(x):\n    pass\n', "--case is 1 to 1"),
        ('EXERCISE = ("tanh", 1)\n', "no function `exercise`"),
        ('EXERCISE = ("tanh", 1)\ndef exercise(x:\n', "line 2: Python cannot read this"),
        (SOLUTION.replace("act = np.tanh(hpreact)", "act = np.sin(hpreact)"), "computes act differently"),
        ("import nothing_of_this_name\n" + SOLUTION, "fails before `exercise` begins: ModuleNotFoundError"),
    ],
)
def test_files_that_cannot_be_graded(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(NotGradable, match=message):
        grade(file)
    with pytest.raises(NotGradable, match="cannot be read"):
        grade(tmp_path / "missing.py")


def test_hints_go_from_where_to_how_to_what() -> None:
    of = exercise("batch_norm")
    first, second, third = ("\n".join(hint(of, "dxc", level)) for level in (1, 2, 3))
    assert "used twice" in first
    assert "added" in second and "power" in second
    assert "(e) ∂xc" in third and "∂xc" not in first
    assert all(len(line) <= 80 for level in (1, 2, 3) for b in NETWORK.blanks for line in hint(NETWORK, b.name, level))
    with pytest.raises(UnknownName, match="its lines are dbeta"):
        hint(of, "dnothing", 1)


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["exercise", "tanh"]) == 0
    assert "1 line to fill in" in capsys.readouterr().out
    assert main(["exercise", "--grade", "tanh_exercise.py"]) == 1
    assert "blank" in capsys.readouterr().out
    # What a student wrote is never overwritten.
    Path("tanh_exercise.py").write_text("mine", encoding="utf-8")
    assert main(["exercise", "tanh"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert Path("tanh_exercise.py").read_text(encoding="utf-8") == "mine"
    assert main(["exercise", "tanh", "--solution"]) == 0
    assert main(["exercise", "--grade", "tanh_solution.py"]) == 0
    assert "PASS: 1 of 1" in capsys.readouterr().out
    assert main(["exercise", "--grade", "missing.py"]) == 2
    assert main(["exercise", "adam"]) == 2
    assert "no backward pass to write" in capsys.readouterr().err
    assert main(["exercise", "tanh", "--hint", "dx", "3"]) == 0
    assert "(2) ∂x" in capsys.readouterr().out
    assert main(["exercise"]) == 0
    assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    "arguments",
    [["--grade", "a.py", "tanh"], ["--grade", "a.py", "--time", "0"], ["--solution"], ["tanh", "--hint", "dx", "4"],
     ["tanh", "--level", "9"]],
)  # fmt: skip
def test_wrong_arguments_end_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["exercise", *arguments])
    assert error.value.code == 2


def test_the_runner_is_alone() -> None:
    """The process that runs a student's file has not imported npgrad: an import of it would be the student's."""
    from npgrad.explain import exercise_run

    code = f"import runpy, sys; runpy.run_path({exercise_run.__file__!r}); print('npgrad' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_handouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from html.parser import HTMLParser

    monkeypatch.chdir(tmp_path)
    assert main(["exercise", "batch_norm", "--html", "sheet.html"]) == 0
    sheet, solution = (Path(f"sheet{tail}.html").read_text(encoding="utf-8") for tail in ("", "-solution"))
    assert sheet.count('class="blank"') == 8 and solution.count('class="blank"') == 0
    assert "dxhat * rstd" in solution and "dxhat * rstd" not in sheet
    # The formula of no gradient is given away.
    assert sheet.partition("<h2>Backward</h2>")[2].count("<math") == 0

    class Balanced(HTMLParser):
        stack: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "mspace"):
                self.stack.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag not in ("meta", "mspace"):
                assert self.stack.pop() == tag

    Balanced().feed(solution)
    assert main(["exercise", "batch_norm", "--html", "sheet.html"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["exercise", "batch_norm", "--html", "sheet.txt"]) == 2
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert main(["exercise", "batch_norm", "--pdf", "sheet.pdf"]) == 2
    assert "neither is installed" in capsys.readouterr().err


@pytest.mark.skipif(all(shutil.which(name) is None for name in BROWSERS), reason="there is no browser to print with")
def test_handouts_as_pdf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["exercise", "tanh", "--pdf", "sheet.pdf"]) == 0
    assert all(Path(f"sheet{tail}.pdf").read_bytes().startswith(b"%PDF") for tail in ("", "-solution"))
