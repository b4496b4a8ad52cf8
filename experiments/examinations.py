"""What the training doctor says of the lecture's five stages, kept beside the results and shown in the report."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from experiments.store import Store, read_json, write_json
from models.mlp import STAGES
from models.runs import Run
from models.training import TrainConfig
from npgrad import data
from npgrad.diagnose.doctor import Finding

__all__ = ["LESSON", "STEPS", "examine", "kept"]

LESSON = "stages"
"""The lesson whose networks these are, and whose words."""
STEPS = 200
FILE = "doctor.json"
CONTEXT = 3
OPTIONS: dict[str, Any] = {"embedding": 10, "hidden": 200}
SHOWN = [f.name for f in fields(Finding) if f.name not in ("prescription", "patient")]


def examine(store: Store, path: str) -> None:
    """Examine the five networks before their first step, on the words in `path`, and keep what is found."""
    corpus = data.load(path, CONTEXT)
    stages = []
    for stage in STAGES:
        run = Run.start("mlp", OPTIONS | {"stage": stage}, path, corpus, CONTEXT, TrainConfig())
        findings = [{name: getattr(one, name) for name in SHOWN} for one in run.examined(STEPS)]
        stages.append({"stage": stage, "findings": findings})
    store.make(store.directory)
    write_json(store.directory / FILE, {"data": path, "steps": STEPS, "stages": stages})


def kept(store: Store) -> dict[str, Any] | None:
    """What `examine` kept; None if it has not been run."""
    return read_json(store.directory / FILE)
