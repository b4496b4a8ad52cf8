"""The pages that nobody writes: the reference, the conventions, the derivations, the tutorials.

They are made before Sphinx reads its sources, into folders that git ignores. What is public decides what is in the
reference: a name that npgrad exports cannot be missing from it (`extensions.links` makes sure).
"""

from __future__ import annotations
import __future__

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType, GenericAlias, ModuleType
from typing import Any

import npgrad
from docs.extensions import coming_from
from docs.extensions.coming_from import cell
from docs.extensions.derivations import derivations
from docs.extensions.docstrings import rst
from docs.extensions.tutorials import ROOT, tutorials
from npgrad import functions
from npgrad.check import conventions
from npgrad.functions import registry

PACKAGES = (
    "nn", "nn.init", "nn.functional", "optim", "check", "diagnose", "diagnose.doctor", "diagnose.plots",
    "diagnose.style", "explain", "data", "checkpoint",
)  # fmt: skip
"""The pages of the reference beside those of tensors and of functions."""
LIBRARY = {
    "Tensors": ("Tensor",),
    "Making tensors": (
        "tensor", "zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "eye", "arange", "linspace", "rand",
        "randn",
    ),
    "Derivatives": ("grad", "jvp", "hvp"),
    "With and without gradients": ("no_grad", "enable_grad", "is_grad_enabled", "holomorphic"),
    "Rules of your own": ("Function", "registry"),
    "Programs": ("compile", "CompileError"),
}  # fmt: skip
"""What `npgrad` itself has, functions of arrays apart."""


def module_of(name: str) -> ModuleType:
    """`npgrad.linalg` is a module of npgrad.functions under a shorter name."""
    return npgrad.linalg if name == "npgrad.linalg" else import_module(name)


def public(module: ModuleType) -> list[str]:
    """The names that a module exports."""
    names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    things = {name: getattr(module, name, None) for name in names}
    # `from __future__ import annotations` leaves a name behind.
    return [name for name, thing in things.items() if not isinstance(thing, ModuleType | __future__._Feature)]


def without_rules(module: ModuleType) -> list[str]:
    """The Functions have their entries in `npgrad`; `nn.Tanh` is no Function, though one has the same name."""
    return [name for name in public(module) if getattr(module, name) not in registry.values()]


def exported() -> set[str]:
    """Every name of the library that a user may write, as "npgrad.nn.Linear"."""
    modules = {"npgrad.linalg", *(f"npgrad.{package}" for package in PACKAGES)}
    found = {f"{module}.{name}" for module in modules for name in without_rules(module_of(module))}
    return found | {f"npgrad.{name}" for names in (*LIBRARY.values(), *families().values()) for name in names}


def families() -> dict[str, list[str]]:
    """The names that npgrad exports of each file of `npgrad.functions`."""
    found = {}
    for path in sorted(Path(functions.__file__).parent.glob("[!_]*.py")):
        module = import_module(f"npgrad.functions.{path.stem}")
        names = [name for name in public(module) if getattr(npgrad, name, None) is getattr(module, name)]
        names = [name for name in names if getattr(getattr(module, name), "__module__", "") in ("", module.__name__)]
        if names:
            found[path.stem] = names
    return found


def pages() -> Iterator[tuple[str, str]]:
    """Every page by its path in docs/, without the tutorials and the derivations."""
    saving = "".join(same(name, "npgrad.checkpoint") for name in ("save", "load"))
    yield "reference/index.md", reference()
    yield "reference/npgrad.md", page(
        "npgrad", (npgrad.__doc__ or "").strip().split("\n")[0].partition(": ")[2],
        *(section(title, "npgrad", names) for title, names in LIBRARY.items()),
        "```{eval-rst}\n.. autoclass:: npgrad.compile.driver.CompiledFunction\n   :members:\n```\n",
        f"## Saving\n\n```{{eval-rst}}\n.. currentmodule:: npgrad\n\n{saving}```\n",
    )  # fmt: skip
    yield "reference/functions.md", functions_index()
    for stem, names in families().items():
        yield f"reference/functions/{stem}.md", family(stem, names)
    yield "reference/linalg.md", module_page("linalg")
    for package in PACKAGES:
        yield f"reference/{package}.md", module_page(package)
    yield "reference/conventions.md", conventions_page()
    yield from coming_from.pages()


# -- the reference -----------------------------------------------------------------------------------------------------


def reference() -> str:
    names = ["npgrad", "functions", "linalg", *PACKAGES, "conventions"]
    tree = "\n".join(names)
    return f"""# Reference

Every public name, with what its docstring says: shapes, units, errors, source.

```{{toctree}}
:maxdepth: 1

{tree}
```
"""


def page(title: str, lead: str, *parts: str) -> str:
    return "\n".join([f"# {title}", "", lead, "", *parts])


def section(title: str, module: str, names: Any) -> str:
    entries = "\n".join(entry(module, name) for name in names)
    return f"## {title}\n\n```{{eval-rst}}\n.. currentmodule:: {module}\n\n{entries}```\n"


def entry(module: str, name: str) -> str:
    """The directive that documents a name."""
    thing = getattr(module_of(module), name)
    if module == "npgrad.linalg":
        name = f"npgrad::linalg.{name}"
    if isinstance(thing, type):
        kind = "exception" if issubclass(thing, BaseException) else "class"
        members = "" if thing in registry.values() else "   :members:\n"
        return f".. auto{kind}:: {name}\n{members}"
    if callable(thing) and not isinstance(thing, GenericAlias):
        return f".. autofunction:: {name}\n"
    lines = rst(inspect.cleandoc(constant(module, name)[1]).split("\n"))
    return f".. py:data:: {name}\n\n{textwrap.indent(chr(10).join(lines), '   ')}\n"


def constant(module: str, name: str) -> tuple[str, str]:
    """The file in which a package assigns a constant, as a module, and the docstring below the assignment."""
    package = module_of(module)
    folder = Path(package.__file__ or "")
    for path in sorted(folder.parent.rglob("*.py")) if folder.name == "__init__.py" else [folder]:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        for statement, after in itertools.pairwise(body):
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                text = after.value if isinstance(after, ast.Expr) else None
                home = module if path.name == "__init__.py" else f"{package.__package__}.{path.stem}"
                return home, text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""
    raise LookupError(f"{module}.{name} is assigned nowhere")


def functions_index() -> str:
    rows = []
    for stem, names in families().items():
        own = [name for name in names if isinstance(getattr(npgrad, name), FunctionType)]
        words = " ".join(f"{{py:func}}`~npgrad.{name}`" for name in own)
        rows.append(f"| [{titled(stem)}](functions/{stem}.md) | {words} |")
    tree = "\n".join(f"functions/{stem}" for stem in families())
    return f"""# Functions of tensors

They have NumPy's names and options where NumPy has the function, and PyTorch's where it does not. Each takes tensors,
arrays and numbers. Behind each is a class, its rule, which is derived on [a page of its own](../derivations/index.md).

| | |
|---|---|
{chr(10).join(rows)}

```{{toctree}}
:hidden:

{tree}
```
"""


def family(stem: str, names: list[str]) -> str:
    module = f"npgrad.functions.{stem}"
    lead = paragraph(inspect.getdoc(import_module(module)) or "")
    shown = [name for name in names if name not in registry]
    rules = [name for name in names if name in registry]
    parts = [section("Functions", "npgrad", shown)] if shown else []
    parts += [section("Rules", "npgrad", rules)] if rules else []
    return page(titled(stem), lead, *parts)


def module_page(package: str) -> str:
    """The names of a package by the file they stand in; those it only hands on are linked."""
    name = f"npgrad.{package}"
    module = module_of(name)
    by_file: dict[str, list[str]] = {}
    handed_on = []
    for each in without_rules(module):
        thing = getattr(module, each)
        own = isinstance(thing, type | FunctionType)
        home = thing.__module__ if own else constant(name, each)[0]
        if not (home == name or home.startswith(f"{name}.")) and getattr(npgrad, each, None) is thing:
            handed_on.append(each)
        else:
            by_file.setdefault(home if home.startswith(name) else name, []).append(each)
    lead = "\n".join(rst((module.__doc__ or "").strip().split("\n")))
    parts = [f"```{{eval-rst}}\n.. py:module:: {name}\n\n{lead}\n```\n"]
    if len(by_file) == 1:
        [(_, names)] = by_file.items()
        parts.append(section("Names", name, names))
    else:
        parts += [section(titled(home.rpartition(".")[2]), name, by_file[home]) for home in sorted(by_file)]
    if handed_on:
        listed = "\n".join(same(each) for each in handed_on)
        parts.append(f"## Functions of npgrad\n\n```{{eval-rst}}\n.. currentmodule:: {name}\n\n{listed}```\n")
    return page(name, "", *parts)


def same(name: str, module: str = "npgrad") -> str:
    """An entry of a function that another module has under the same name."""
    parameters = inspect.signature(getattr(module_of(module), name)).parameters.values()
    shown = ", ".join(str(each.replace(annotation=inspect.Parameter.empty)) for each in parameters)
    return f".. py:function:: {name}({shown})\n\n   The same as :py:func:`{module}.{name}`.\n\n"


def titled(stem: str) -> str:
    words = {"linalg": "linear algebra", "rms_norm": "RMS norm", "sgd": "SGD", "conv": "convolution"}
    text = words.get(stem, stem.replace("_", " "))
    return text[:1].upper() + text[1:]


def paragraph(doc: str) -> str:
    """The first paragraph of a docstring as Markdown."""
    return re.sub(r"(?<!`)([*_])(?!`)", r"\\\1", " ".join(doc.partition("\n\n")[0].split()))


def conventions_page() -> str:
    rows = []
    for line in conventions.CONVENTIONS:
        wrong = conventions.verify(line)
        if wrong:
            raise AssertionError(f"{line.what}: {wrong}")
        rows.append(f"| {cell(line.what)} | {cell(line.choice)} |")
    return f"""# Numerical conventions

What npgrad does where mathematics leaves a choice. Each line has code that verifies it, which ran when this page was
made; `npgrad check --conventions` runs it again.

| what | choice |
|---|---|
{chr(10).join(rows)}
"""


# -- Sphinx ------------------------------------------------------------------------------------------------------------


def write(path: Path, text: str) -> None:
    """An unchanged page is left alone, so that Sphinx does not read it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8", newline="\n")


def remove(folder: Path, keep: set[str]) -> None:
    for path in [*folder.rglob("*.md"), *folder.rglob("*.ipynb")]:
        if path.relative_to(folder).as_posix() not in keep:
            path.unlink()


def generate(source: Path, cache: Path) -> None:
    """Write every page into the folders that git ignores; what is there from before goes. `cache` keeps results."""
    made = dict(pages())
    made |= {f"derivations/{name}": text for name, text in derivations(cache / "derivations").items()}
    made |= {f"tutorials/{name}": text for name, text in tutorials(ROOT / "notebooks", cache / "notebooks").items()}
    for name, text in made.items():
        write(source / name, text)
    for folder in {name.partition("/")[0] for name in made}:
        remove(source / folder, {name.partition("/")[2] for name in made if name.startswith(f"{folder}/")})


def begin(app: Any) -> None:
    generate(Path(app.srcdir), Path(app.outdir).parent)


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", begin)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
