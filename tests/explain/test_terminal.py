"""The command line: what it prints, where it has room and where it has not, and how it fails."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys

import pytest

from npgrad.explain.__main__ import main
from npgrad.explain.order import things
from npgrad.explain.terminal import Style, fold, listing, page, run, trace, width

ESCAPE = "\033["


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def style(columns: int, monkeypatch: pytest.MonkeyPatch, terminal: bool = False) -> Style:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Style(Terminal() if terminal else io.StringIO())


def test_the_list_has_everything_and_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = list(listing(style(80, monkeypatch)))
    named = {line.split()[0] for line in lines if line.startswith("  ")}
    assert named == set(things())
    assert all(width(line) <= 80 for line in lines)


@pytest.mark.parametrize("name", list(things()))
def test_every_page_run_and_trace_prints(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    thing = things()[name]
    for columns in (80, 210):
        shown = "\n".join(page(thing, style(columns, monkeypatch)))
        assert "Forward" in shown and ESCAPE not in shown
    lines, report = run(thing, style(100, monkeypatch), draws=1)
    assert report.ok and any("(1)" in line for line in lines)
    assert any("(1)" in line for line in trace(thing, style(100, monkeypatch)))


def test_side_by_side_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    thing = things()["tanh"]
    wide = "\n".join(page(thing, style(200, monkeypatch)))
    narrow = "\n".join(page(thing, style(80, monkeypatch)))
    assert not re.search(r"  t: Array$", wide, re.MULTILINE), "the arrays a class keeps are no part of what it does"
    level = re.search(r"\(1\) .*np\.tanh\(x\)  # \(1\)", wide)
    assert level and "Code" not in wide.split("\n")
    assert "Code" in narrow.split("\n") and not re.search(r"\(1\) .*np\.tanh", narrow)


def test_long_lines_of_code_are_folded_to_stay_beside_their_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = list(page(things()["batch_norm"], style(160, monkeypatch)))
    assert all(width(line) <= 160 for line in lines)
    assert any(re.search(r"\(9\) ∂xᵢₖ .*dx \*= self\.scale.*# \(9\)$", line) for line in lines)
    assert any(re.search(r"γₖ +scale +\d+ ", line) for line in lines), "what is given stands beside the code"
    assert list(fold("    a = f(b, c)  # (12)", 16)) == ["    a = f(b, c)", "            # (12)"]


def test_symbols_are_set_as_mathematics(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "\n".join(page(things()["batch_norm"], style(100, monkeypatch)))
    assert "∂xᵢₖ" in shown and "Σᵢ" in shown and "γₖ" in shown and "x\N{COMBINING CIRCUMFLEX ACCENT}ᵢₖ" in shown


def test_colour_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    thing = things()["tanh"]
    assert ESCAPE in "".join(page(thing, style(80, monkeypatch, terminal=True)))
    assert ESCAPE not in "".join(page(thing, style(80, monkeypatch)))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Style(Terminal()).colour


def test_a_run_shows_what_was_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    lines, _ = run(things()["batch_norm"], style(100, monkeypatch))
    text = "\n".join(lines)
    assert "members" in text and "complex step" in text
    closed = next(line for line in lines if "∂xᵢₖ" in line)
    assert len(re.findall(r"\de-\d\d", closed)) == 3


def test_a_trace_shows_the_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(trace(things()["add"], style(100, monkeypatch)))
    assert text.count("[[") >= 3 and "(arrives)" in text


def test_unknown_names_get_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batchnrm"]) == 2
    caught = capsys.readouterr()
    assert caught.out == "" and caught.err.count("\n") == 1 and "batch_norm" in caught.err


@pytest.mark.parametrize("name", ["BatchNorm", "batch_norm", "batchnorm", "batch-norm", "squeeze", "Tanh"])
def test_names_are_found_however_they_are_written(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name]) == 0
    assert "Forward" in capsys.readouterr().out


def test_check_mutants_and_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", "tanh", "add"]) == 0
    assert "Tanh: OK" in capsys.readouterr().out
    assert main(["--mutants", "tanh"]) == 0
    assert "100.00%" in capsys.readouterr().out
    assert main(["--step"]) == 0
    assert "Leaves receive" in capsys.readouterr().out


def test_options_need_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--run"])
    assert caught.value.code == 2 and "name what to show" in capsys.readouterr().err


def test_a_walk_takes_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--step", "tanh"])
    assert "npgrad.explain.step(loss)" in capsys.readouterr().err


def test_a_class_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tests.explain.test_derivations:OwnRule"]) == 0
    assert "return half(x)" in capsys.readouterr().out
    assert main(["--check", "tests.explain.test_derivations:OwnRule"]) == 0
    for name, said in (
        ("tests.explain.nowhere:Rule", "cannot be imported"),
        ("tests.explain.test_derivations:Nothing", "has no class 'Nothing'"),
        ("tests.explain.test_derivations:Unreadable", "test_derivations.py:"),
    ):
        capsys.readouterr()
        assert main([name]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="pipes as on Unix")
def test_a_closed_pipe_is_no_error() -> None:
    command = [sys.executable, "-m", "npgrad.explain", "batch_norm"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()  # before anything is printed, as `| true` does
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_greek_in_words_as_in_equations() -> None:
    from npgrad.explain.order import find
    from npgrad.explain.terminal import Style, page

    style = Style()
    style.columns = 80
    derivation = "\n".join(page(find("batch_norm"), style)).partition("Code\n")[0]
    assert "β was copied to every row" in derivation
    assert "scale by γ and shift by β" in derivation
    assert "gamma" not in derivation and "xhat" not in derivation


def test_nothing_scrolls_on_paper() -> None:
    import re
    from pathlib import Path

    import npgrad.explain

    css = (Path(npgrad.explain.__file__).parent / "assets/derivation.css").read_text(encoding="utf-8")
    scrolling = {
        name.strip()
        for names, rules in re.findall(
            r"([^{}]+)\{([^{}]*overflow(?:-x)?: *auto[^{}]*)\}", css.partition("@media print")[0]
        )
        for name in names.split(",")
    }
    printed = re.search(r"([^{}]+)\{ overflow: visible; \}", css.partition("@media print")[2])
    assert scrolling and printed is not None
    assert {name.split()[-1] for name in scrolling} <= {name.split()[-1] for name in printed[1].split(",")}
