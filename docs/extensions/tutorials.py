"""The notebooks as pages: executed once in their own folder, and again only when they or the code have changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def tutorials(notebooks: Path, cache: Path) -> dict[str, str]:
    """The pages of docs/tutorials/ by name. Without notebooks there is a page that says so.

    Raises nbclient's CellExecutionError where a notebook fails.
    """
    found = sorted(notebooks.glob("*.md")) if notebooks.is_dir() else []
    with ThreadPoolExecutor(max_workers=2) as pool:
        pages = dict(zip((f"{path.stem}.ipynb" for path in found), pool.map(shown(cache, found), found), strict=True))
    words = (
        "The lecture cell by cell. These pages are notebooks, with the results of one run; `make notebooks` opens them "
        "to be changed and run again."
        if found
        else "There are no notebooks in this checkout."
    )
    tree = "\n".join(path.stem for path in found)
    return pages | {"index.md": f"# Tutorials\n\n{words}\n\n```{{toctree}}\n:maxdepth: 1\n\n{tree}\n```\n"}


class shown:
    """A function that gives a notebook with its results, from the cache if nothing has changed."""

    def __init__(self, cache: Path, notebooks: Iterable[Path]) -> None:
        self.cache = cache
        self.code = digest(path for name in ("npgrad", "models", "experiments") for path in (ROOT / name).rglob("*.py"))
        if notebooks:
            cache.mkdir(parents=True, exist_ok=True)
            before = os.environ.get("PYTHONPATH")
            os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([before] if before else [])])

    def __call__(self, path: Path) -> str:
        kept = self.cache / f"{path.stem}-{digest([path])[:16]}-{self.code[:16]}.ipynb"
        if not kept.exists():
            kept.write_text(executed(path), encoding="utf-8")
        return kept.read_text(encoding="utf-8")


def digest(paths: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(path.read_bytes())
    return found.hexdigest()


def executed(path: Path) -> str:
    """The notebook with its results, as JSON."""
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    notebook = jupytext.read(path)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    return str(nbformat.writes(notebook))
