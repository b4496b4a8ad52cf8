"""The derivations as pages of the documentation: HTML of `npgrad.explain.site` inside pages of Sphinx.

Every equation is executed when the pages are made, by as many processes as there are cores; the result is kept and used
again until the code has changed.
"""

from __future__ import annotations

import json
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

from docs.extensions.coming_from import cell
from docs.extensions.tutorials import CODE, ROOT, digest
from npgrad.checkpoint import replace_file
from npgrad.explain.order import Group, groups, things
from npgrad.explain.site import chapters, documents, fragment
from npgrad.explain.source import subject_of


def derivations(cache: Path) -> dict[str, str]:
    """The pages of docs/derivations/ by name. Raises RuntimeError if a derivation fails its check."""
    pages = {f"{name}.md": page(heading, html) for name, (heading, html) in fragments(cache).items()}
    return {"index.md": index(), **pages, **{f"{slug(group)}.md": contents(group) for group in groups()}}


def fragments(cache: Path) -> dict[str, tuple[str, str]]:
    """The heading and the HTML of each page, by its name: from the cache, if it is of the code as it is now."""
    sources = (path for name in CODE for kind in ("*.py", "*.jinja") for path in (ROOT / name).rglob(kind))
    kept = cache / f"{digest(sources)[:16]}.json"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        replace_file(kept, [json.dumps(executed()).encode()])
    for old in set(cache.glob("*.json")) - {kept}:
        old.unlink()
    return {name: (heading, html) for name, (heading, html) in json.loads(kept.read_text(encoding="utf-8")).items()}


def executed() -> dict[str, tuple[str, str]]:
    """The same, from executing every derivation."""
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        read = chapters(partial(pool.map, chunksize=4))
    failed = [str(chapter.report) for chapter in read if not chapter.report.ok]
    if failed:
        raise RuntimeError("\n".join(failed))
    return {document.name: (document.heading, fragment(document)) for document in documents(read)}


def page(heading: str, html: str) -> str:
    """The equations need the room of the table of contents."""
    fence = "`" * 8
    return f"---\nhide-toc: true\n---\n\n# {cell(heading)}\n\n{fence}{{raw}} html\n{html}\n{fence}\n"


# -- contents ----------------------------------------------------------------------------------------------------------


def slug(group: Group) -> str:
    """The name of a group's page."""
    return re.sub(r"\W+", "-", group.title.lower())


@lru_cache(maxsize=1)
def summaries() -> dict[str, tuple[str, str]]:
    """The name and the summary of each derivation, by the name of its subject."""
    subjects = {name: subject_of(thing) for name, thing in things().items()}
    return {subject.name: (name, subject.derivation.summary) for name, subject in subjects.items()}


def names(group: Group) -> list[tuple[str, str]]:
    """The derivations of a group, each with its summary."""
    return [summaries()[subject] for subject in group.names]


def contents(group: Group) -> str:
    """The page of a group."""
    rows = "\n".join(f"- [{cell(name)}]({name}.md): {cell(summary)}" for name, summary in names(group))
    tree = "\n".join(name for name, _ in names(group))
    return f"# {group.title}\n\n{cell(group.text)}\n\n{rows}\n\n```{{toctree}}\n:hidden:\n\n{tree}\n```\n"


def index() -> str:
    listed = [
        f"[**{group.title}**]({slug(group)}.md)\n: {cell(group.text)}\n\n"
        f"  {', '.join(f'[{cell(name)}]({name}.md)' for name, _ in names(group))}\n"
        for group in groups()
    ]
    tree = "\n".join(slug(group) for group in groups())
    return f"""# Derivations

Every backward rule, derived by hand beside the code that computes it. Every equation on these pages was executed when
the page was made, and compared with a complex step. The left column is the derivation, the right column the source; a
number such as (3) links an equation to its line of code.

If you have an hour: [add](add.md), for what broadcasting does to a gradient; [tanh](tanh.md), for saturation;
[matmul](matmul.md); [cross_entropy](cross_entropy.md); then [batch_norm](batch_norm.md), slowly. All together:
[the program of a training step](program.md), each line linked to its equation. How the docstrings are written is
described in [the notation](notation.md); `npgrad explain batch_norm` shows a derivation in a terminal.

{chr(10).join(listed)}
```{{toctree}}
:hidden:

{tree}
program
notation
```
"""
