"""The notebooks as pages: executed once in their own folder, and again only when they or the code have changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from npgrad.checkpoint import replace_file

ROOT = Path(__file__).resolve().parents[2]
CODE = ("npgrad", "models", "experiments")


def tutorials(notebooks: Path, cache: Path) -> dict[str, str]:
    """The pages of docs/tutorials/ by name. Without notebooks there is a page that says so.

    Raises nbclient's CellExecutionError where a notebook fails.
    """
    found = sorted(notebooks.glob("*.md")) if notebooks.is_dir() else []
    code = digest(path for name in CODE for path in (ROOT / name).rglob("*.py"))
    kept = {path: cache / f"{path.stem}-{digest([path])[:16]}-{code[:16]}.ipynb" for path in found}
    changed = [path for path in found if not kept[path].exists()]
    with ThreadPoolExecutor(max_workers=2) as pool:
        for path, text in zip(changed, pool.map(executed, changed), strict=True):
            cache.mkdir(parents=True, exist_ok=True)
            replace_file(kept[path], [text.encode()])
    for old in set(cache.glob("*.ipynb")) - set(kept.values()):
        old.unlink()
    words = (
        "The lecture, cell by cell. These pages are notebooks, shown with the results of one run; `make notebooks` "
        "opens them in JupyterLab."
        if found
        else "There are no notebooks in this checkout."
    )
    tree = "\n".join(path.stem for path in found)
    index = f"# Tutorials\n\n{words}\n\n```{{toctree}}\n:maxdepth: 1\n\n{tree}\n```\n"
    return {f"{path.stem}.ipynb": kept[path].read_text(encoding="utf-8") for path in found} | {"index.md": index}


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
    searched = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources)
    client.execute(env={**os.environ, "PYTHONPATH": searched})
    return str(nbformat.writes(notebook))
