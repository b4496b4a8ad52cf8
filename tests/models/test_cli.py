"""`python -m models`: what it prints, what it refuses, and that nothing it is killed by costs more than time."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import models.lock
from models.__main__ import main
from models.lock import LOCK, Busy, Lock
from models.runs import FILE, Run
from npgrad import checkpoint

ROOT = Path(__file__).parents[2]
WORDS = ["emma", "olivia", "ava", "sophia", "isabella", "mia", "noah", "liam", "mason", "jacob", "ana", "eva", "elias"]
TINY = ["--hidden", "8", "--embedding", "3", "--batch-size", "8"]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("data") / "words.txt"
    path.write_text("\n".join(WORDS), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, words: str) -> str:
    out = str(tmp_path_factory.mktemp("runs") / "mlp")
    assert main(["train", "--data", words, "--out", out, "--steps", "60", *TINY]) == 0
    return out


def finish(arguments: list[str]) -> int:
    """The exit code, however it is given."""
    try:
        return main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)


def digest_of(out: str) -> str:
    return hashlib.sha256((Path(out) / FILE).read_bytes()).hexdigest()


@pytest.mark.smoke
def test_train_sample_eval(tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "new" / "run")
    assert main(["train", "--data", words, "--out", out, "--steps", "50", "--checkpoint-every", "20", *TINY]) == 0
    printed = capsys.readouterr()
    assert f"digest {digest_of(out)}" in printed.out
    losses = re.findall(r"^(train|val|test) +(\d\.\d{4}) +(\d+) examples$", printed.out, re.MULTILINE)
    assert [name for name, *_ in losses] == ["train", "val", "test"]
    assert [line.split(",")[0] for line in printed.err.splitlines()] == [f"step {k} of 50" for k in (20, 40, 50)]
    assert os.listdir(out) == [FILE]

    assert main(["eval", out]) == 0
    assert (
        re.findall(r"^(train|val|test) +(\d\.\d{4}) +(\d+) examples$", capsys.readouterr().out, re.MULTILINE) == losses
    )

    assert "the doctor" not in printed.out
    draws = []
    for extra in ([], [], ["--seed", "1"], ["--prompt", "em", "--temperature", "0.5"], ["--max-length", "2"]):
        assert main(["sample", out, "-n", "7", *extra]) == 0
        draws.append(capsys.readouterr().out.splitlines())
    assert all(len(lines) == 7 for lines in draws)
    assert draws[0] == draws[1] != draws[2]
    assert all(line.startswith("em") for line in draws[3]) and all(len(line) <= 2 for line in draws[4])


# -- interrupted -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("model", [["--model", "mlp", "--stage", "kaiming"],
                                   ["--model", "deep_mlp", "--depth", "3", "--norm", "layer", "--activation", "relu"],
                                   ["--model", "lstm", "--layers", "2"],
                                   ["--model", "wavenet"], ["--model", "dilated_wavenet", "--context", "4"],
                                   ["--model", "transformer", "--embedding", "4", "--heads", "2", "--dropout", "0.2"],
                                   ["--optimizer", "adamw", "--weight-decay", "0.1", "--context", "5"]])  # fmt: skip
def test_a_run_stopped_anywhere_ends_the_same(
    tmp_path: Path, words: str, model: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", "--data", words, "--steps", "40", "--seed", "7", *TINY, *model]
    whole, parts = str(tmp_path / "whole"), str(tmp_path / "parts")
    assert main([*command, "--out", whole]) == 0

    advance = Run.advance

    def interrupted(self: Run, steps: int, on_step: Any) -> None:
        def act(step: int, loss: float) -> bool:
            if step % 15 == 14:
                signal.raise_signal(signal.SIGINT)
            return bool(on_step(step, loss))

        advance(self, steps, act)

    monkeypatch.setattr(Run, "advance", interrupted)
    assert main([*command, "--out", parts]) == 130
    assert "stopped at step 15 of 40; saved in" in capsys.readouterr().err
    assert main([*command, "--out", parts, "--resume"]) == 130
    monkeypatch.undo()
    (Path(parts) / f".{FILE}.dead.tmp").write_bytes(b"half")
    assert main(["train", "--out", parts, "--resume"]) == 0
    assert digest_of(parts) == digest_of(whole)
    assert os.listdir(parts) == [FILE]
    # Resuming a finished run changes nothing.
    assert main(["train", "--out", parts, "--resume", "--steps", "40"]) == 0
    assert digest_of(parts) == digest_of(whole)


def test_a_killed_run_resumes_to_the_same_digest(tmp_path: Path, words: str) -> None:
    command = [sys.executable, "-m", "models", "train", "--data", words, "--checkpoint-every", "100", *TINY]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    options: dict[str, Any] = {"cwd": ROOT, "env": environment, "text": True, "stdout": subprocess.PIPE}
    process = subprocess.Popen([*command, "--steps", "1500", "--out", str(killed)], stderr=subprocess.PIPE, **options)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("step 100 of 1500")
    process.kill()
    process.communicate()
    assert process.returncode != 0
    assert Run.load(killed).step < 1500
    lines = [
        subprocess.run(
            [*command, "--steps", "1500", "--out", str(out), *extra], check=True, **options
        ).stdout.splitlines()
        for out, extra in ((killed, ["--resume"]), (whole, []))
    ]
    assert lines[0][-1] == lines[1][-1] == f"digest {digest_of(str(whole))}"


@pytest.mark.skipif(os.name != "posix", reason="signals as on Unix")
@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupt_from_the_terminal(tmp_path: Path, words: str) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "models", "train", "--data", words, "--out", str(out), *TINY]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while not (out / FILE).exists():
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert re.fullmatch(
        rf"(step .*\n)*stopped at step \d+ of 200000; saved in {out}, continue with --resume\.\n", errors
    ), errors
    assert Run.load(out).step > 0


@pytest.mark.skipif(os.name != "posix", reason="signals as on Unix")
def test_a_job_that_was_told_to_ignore_ctrl_c_ignores_it(
    tmp_path: Path, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = Run.advance

    def interrupted(self: Run, steps: int, on_step: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        advance(self, steps, on_step)

    monkeypatch.setattr(Run, "advance", interrupted)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert main(["train", "--data", words, "--out", str(tmp_path / "run"), "--steps", "3", *TINY]) == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


# -- two at a time -----------------------------------------------------------------------------------------------------


def test_the_run_keeps_what_the_doctor_found_before_it(
    tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "run")
    train = ["train", "--data", words, "--out", out, "--stage", "original", "--steps", "20", *TINY, "--doctor"]
    assert main(train) == 0
    printed = capsys.readouterr().out
    kept = Run.load(Path(out)).state["doctor"]
    assert kept and all(finding in printed for finding in kept)
    assert main([*train[:-1], "--resume"]) == 0  # it is part of the run
    assert main([*train, "--resume"]) == 2
    assert "leave it out with --resume" in capsys.readouterr().err
    assert main(["eval", out]) == 0
    assert [f"before training, the doctor: {finding.splitlines()[0]}" for finding in kept] == [
        line for line in capsys.readouterr().out.splitlines() if "the doctor" in line
    ]


def test_only_one_process_trains_a_run(tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    command = ["train", "--data", words, "--out", str(out), "--steps", "20", *TINY]
    assert main(command) == 0
    saving = out / f".{FILE}.1234.tmp"
    with Lock(out):
        saving.write_bytes(b"half of a checkpoint that the other process is writing")
        capsys.readouterr()
        assert main(["train", "--out", str(out), "--resume"]) == 75
        printed = capsys.readouterr()
        assert printed.out == "" and re.fullmatch(
            rf"python -m models train: {re.escape(str(out))} is being trained by process {os.getpid()} on .+ since "
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d: wait for it or stop it\.\n",
            printed.err,
        )
        assert saving.exists()
        # Who only reads need not wait.
        assert main(["sample", str(out), "-n", "1"]) == 0
    assert main(["train", "--out", str(out), "--resume"]) == 0
    assert os.listdir(out) == [FILE]


def test_two_processes_begin_in_the_same_directory(tmp_path: Path, words: str) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "models", "train", "--data", words, "--out", str(out), "--steps", "30", *TINY]
    both = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "ab"
    ]
    ended = [(process.communicate(timeout=60), process.returncode) for process in both]
    assert sorted(code for _, code in ended) in ([0, 2], [0, 75]), ended
    assert Run.load(out).step == 30 and os.listdir(out) == [FILE]


def test_the_lock_of_a_process_that_died_is_no_lock(tmp_path: Path, words: str) -> None:
    code = "import sys, time; from pathlib import Path; from models.lock import Lock\n"
    code += "with Lock(Path(sys.argv[1])):\n    print('locked', flush=True); time.sleep(60)"
    out = tmp_path / "run"
    out.mkdir()
    holder = subprocess.Popen([sys.executable, "-c", code, str(out)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
    with pytest.raises(Busy, match=f"is being trained by process {holder.pid} on"), Lock(out):
        pass
    holder.kill()
    holder.communicate()
    assert os.listdir(out) == [LOCK]
    # Killed before its first save: a new run can begin there.
    assert main(["train", "--data", words, "--out", str(out), "--steps", "3", *TINY]) == 0
    assert os.listdir(out) == [FILE]


def test_the_lock_is_released_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Lock(tmp_path):
        raise ZeroDivisionError
    with Lock(tmp_path):
        assert os.listdir(tmp_path) == [LOCK]
    assert os.listdir(tmp_path) == []


def test_a_lock_removed_between_opening_and_locking_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder removes the file and releases it just after we opened it: our lock would be on no file."""
    take, opened = models.lock._take, []

    def late(file: int) -> bool:
        opened.append(file)
        if len(opened) == 1 and os.name == "posix":
            (tmp_path / LOCK).unlink()
        return take(file)

    monkeypatch.setattr(models.lock, "_take", late)
    with Lock(tmp_path):
        assert len(opened) == (2 if os.name == "posix" else 1)
        with pytest.raises(Busy), Lock(tmp_path):
            pass


def test_the_help_is_worth_reading(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command in ("train", "sample", "eval"):
        assert finish([command, "--help"]) == 0
        text = capsys.readouterr().out
        assert "examples:" in text and "default" in text and "==SUPPRESS==" not in text


# -- refusals ----------------------------------------------------------------------------------------------------------


def assert_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert finish(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert re.search(message, printed.err), printed.err
    assert printed.err.count("\n") == 1 and "Traceback" not in printed.err


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--data", "none.txt"], "cannot read the data none.txt: No such file or directory"),
        (["--data", "."], r"cannot read the data \.: (Is a directory|Permission denied)"),
        (["--steps", "-5"], "number of steps must be 0 or more; got -5"),
        (["--steps", "many"], "argument --steps: invalid int value: 'many'"),
        (["--batch-size", "0"], "batch size must be 1 or more"),
        (["--batch-size", "1"], "batch normalisation needs minibatches of 2 or more"),
        (["--lr", "nan"], "learning rate must be a finite number"),
        (["--lr", "-1"], "learning rate must be a finite number"),
        (["--context", "0"], "context must be 1 or more characters; got 0"),
        (["--hidden", "0"], "at least 1"),
        (["--model", "cnn"], r"argument --model: invalid choice: 'cnn'"),
        (["--depth", "3"], "model 'mlp' has no option 'depth'"),
        (["--model", "deep_mlp", "--depth", "0"], "depth of 1 or more"),
        (["--checkpoint-every", "0"], "--checkpoint-every must be 1 or more"),
        (["--seed", "-1"], "seed must be 0 or more"),
        (["--hidden", "1000000000000"], "not enough memory"),
        (["--optimizer", "adam", "--momentum", "0.5"], "momentum is an option of sgd"),
        (["--resume"], "holds no training run"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_training_that_cannot_be(
    tmp_path: Path, words: str, extra: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert_refused(["train", "--data", words, "--out", str(out), *extra], message, capsys)
    assert not out.exists() or not any(out.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "contains no words"),
        (b"emma", "one word only"),
        (b"\xff\x00\x01", "is not UTF-8 text"),
        (b"a.b\nc\n", r"the word 'a\.b' contains '\.'"),
    ],
)
def test_data_that_cannot_be(tmp_path: Path, content: bytes, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    assert_refused(["train", "--data", str(path), "--out", str(tmp_path / "run")], message, capsys)


def test_directories_that_cannot_be(
    tmp_path: Path, words: str, run: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_refused(["train"], "the following arguments are required: --out", capsys)
    assert_refused(
        ["train", "--data", words, "--out", run], "already exists: continue it with --resume, or choose", capsys
    )
    assert_refused(["train", "--data", words, "--out", words], "already exists", capsys)
    assert_refused(["train", "--data", words, "--out", f"{words}/below"], "Not a directory", capsys)

    def fail(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path / "run"))

    monkeypatch.setattr(Path, "mkdir", fail)
    assert_refused(["train", "--data", words, "--out", str(tmp_path / "run")], "run: Permission denied", capsys)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--lr", "0.2"], r"begun with --lr 0\.1, not 0\.2: resume it without --lr"),
        (["--model", "deep_mlp"], "begun with --model mlp, not deep_mlp"),
        (["--stage", "kaiming"], "begun with --stage batchnorm, not kaiming"),
        (["--depth", "3"], "begun without --depth"),
        (["--steps", "61"], "begun with --steps 60, not 61"),
        (["--context", "4"], "begun with --context 3, not 4"),
        (["--data", str(ROOT / "data" / "names.txt")], "the data are not those the run began with"),
    ],
)
def test_resuming_something_else(run: str, extra: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = digest_of(run)
    assert_refused(["train", "--out", run, "--resume", *extra], message, capsys)
    assert digest_of(run) == before


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["sample", "--temperature", "-1"], "temperature must be a finite number, 0 or more; got -1"),
        (["sample", "--temperature", "hot"], "argument --temperature: invalid float value"),
        (["sample", "--temperature", "nan"], "temperature must be a finite number"),
        (["sample", "-n", "-3"], "number of words must be 0 or more; got -3"),
        (["sample", "--prompt", "Ém"], "the character 'É' was not seen at training time"),
        (["sample", "--prompt", "e.m"], "marks the end of words"),
        (["sample", "--max-length", "0"], "--max-length must be 1 or more"),
        (["sample", "--seed", "-1"], "seed must be 0 or more"),
        (["eval", "--data", "none.txt"], "cannot read the data none.txt"),
    ],
)
def test_uses_that_cannot_be(run: str, command: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert_refused([*command, run], message, capsys)


def test_checkpoints_that_cannot_be_used(tmp_path: Path, run: str, capsys: pytest.CaptureFixture[str]) -> None:
    state = checkpoint.load(Path(run) / FILE)
    path = tmp_path / FILE
    assert_refused(["sample", str(tmp_path)], "holds no training run", capsys)
    assert_refused(["eval", str(tmp_path / "none")], "holds no training run", capsys)
    for content, message in (
        (b"emma", "is not an npgrad checkpoint"),
        ((Path(run) / FILE).read_bytes()[:-1], "is truncated"),
    ):
        path.write_bytes(content)
        assert_refused(["sample", str(tmp_path)], message, capsys)
    for other, message in (
        ([np.zeros(3)], "is a checkpoint, but not of a run"),
        ({"step": 3}, "is a checkpoint, but not of a run"),
        ({**state, "model": "cnn"}, "does not fit the models of this version: there is no model 'cnn'"),
        ({**state, "options": {"hidden": 9}}, "does not fit the models of this version: this state does not fit MLP"),
        ({key: state[key] for key in state if key != "config"}, "does not fit the models of this version"),
        *(
            ({**state, key: wrong}, "does not fit the models of this version: .")
            for key, wrong in (
                ("progress", None),
                ("progress", {"losses": 3, "batches": {}}),
                ("config", [1]),
                ("context", "three"),
                ("options", {"hidden": "many"}),
                ("parameters", [1.0]),
                ("optimizer", 5),
                ("characters", 7),
                ("data", ""),
                ("characters", ".a.b"),
                ("config", {**state["config"], "lr": "fast"}),
                ("model", ["mlp"]),
            )
        ),
    ):
        checkpoint.save(path, other)
        assert_refused(["sample", str(tmp_path)], message, capsys)


def test_data_that_moved_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "words.txt", str(tmp_path / "run")
    path.write_text("\n".join(WORDS), encoding="utf-8")
    assert main(["train", "--data", str(path), "--out", out, "--steps", "3", *TINY]) == 0
    moved = path.rename(tmp_path / "moved.txt")
    assert_refused(["eval", out], "cannot read the data", capsys)
    assert main(["eval", out, "--data", str(moved)]) == 0
    moved.write_text("emma\nolivia\n", encoding="utf-8")
    assert main(["eval", out, "--data", str(moved)]) == 0
    assert "not the data it was trained on" in capsys.readouterr().out
    moved.write_text("quincy\nzoe\n" * 5, encoding="utf-8")
    assert_refused(["eval", out, "--data", str(moved)], "the characters 'q', 'u', 'y', 'z' were not seen", capsys)


def test_data_that_moved_are_named_when_resuming(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = tmp_path / "before.txt", tmp_path / "after.txt"
    before.write_text("\n".join(WORDS), encoding="utf-8")
    out = str(tmp_path / "run")
    assert main(["train", "--data", str(before), "--out", out, "--steps", "5", *TINY]) == 0
    whole = digest_of(out)
    before.rename(after)
    assert_refused(["train", "--out", out, "--resume"], "cannot read the data .*before.txt", capsys)
    assert main(["train", "--out", out, "--resume", "--data", str(after)]) == 0
    assert digest_of(out) == whole
    assert re.search(r"^train +\d\.\d{4}", capsys.readouterr().out, re.MULTILINE)


def test_a_loss_that_is_no_number(tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "--data", words, "--out", str(tmp_path / "run"), "--stage", "original", "--lr", "1e38", *TINY]
    assert main(command) == 1
    assert re.search(r"the loss became (nan|inf) at step \d+: begin again with a learning", capsys.readouterr().err)
