"""The matrix: every Python, oldest and newest NumPy, every BLAS kernel. `make matrix`, or one cell of it: `nox -l`.

Each cell is the suite, without torch and a browser (`.ci/run` has both). What follows `--` is handed to pytest:

    nox -s "kernel(core='Haswell', threads=1)" -- tests/functions
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_external_run = True
nox.options.stop_on_first_error = False

OLDEST = (3, 11)
FIRST_NUMPY = {"3.11": "2.0.*", "3.12": "2.0.*", "3.13": "2.1.*", "3.14": "2.3.*", "3.15": "2.5.*"}
"""The first NumPy, from 2.0 on, that has wheels for a Python."""
CORES = ("Prescott", "Nehalem", "Sandybridge", "Haswell", "SkylakeX")
"""Kernels of OpenBLAS: which one runs is decided by the processor, unless OPENBLAS_CORETYPE does."""
ALIASES = {"Prescott": "Katmai"}
"""OpenBLAS reports kernels that several processors share under the oldest one's name."""
PLACES = ("~/.pyenv/versions/*", "~/.local/share/uv/python/cpython-*", "~/.asdf/installs/python/*", "/opt/python/cp3*")
"""Where installers put Pythons that are not on the PATH."""


def pythons() -> list[str]:
    """The Pythons of this machine from 3.11 on, as "3.11"; those of `PLACES` go to the front of the PATH."""
    for place in PLACES:
        home, _, pattern = place.rpartition("/")
        for folder in sorted(Path(home).expanduser().glob(pattern)):
            if (folder / "bin" / "python3").exists():
                os.environ["PATH"] = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    found = {platform.python_version_tuple()[:2]}
    for folder in os.environ["PATH"].split(os.pathsep):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if match := re.fullmatch(r"python3\.(\d+)(\.exe)?", name):
                found.add(("3", match[1]))
    if os.name == "nt":
        with contextlib.suppress(OSError):
            listed = subprocess.run(["py", "-0"], capture_output=True, encoding="utf-8", errors="replace").stdout
            found |= {("3", minor) for minor in re.findall(r"3\.(\d+)", listed)}
    versions = sorted({(int(major), int(minor)) for major, minor in found})
    return [f"{major}.{minor}" for major, minor in versions if (major, minor) >= OLDEST and runs(f"{major}.{minor}")]


def runs(version: str) -> bool:
    """Whether the name starts a Python of that version: pyenv's shims have names for those that are not chosen."""
    command = ["py", f"-{version}"] if os.name == "nt" else [f"python{version}"]
    code = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([*command, "-c", code], capture_output=True, encoding="utf-8", errors="replace")
    except OSError:
        return version == ".".join(platform.python_version_tuple()[:2])
    return done.stdout.strip() == version


PYTHONS = pythons()


def install(session: nox.Session, numpy: str = "newest") -> None:
    requirement = "numpy"
    if numpy == "oldest":
        if session.python not in FIRST_NUMPY:
            session.skip(f"no other NumPy is known to support Python {session.python}")
        requirement = f"numpy=={FIRST_NUMPY[str(session.python)]}"
    session.install("--editable", ".[suite]", requirement, "threadpoolctl")


def suite(session: nox.Session, **environment: str) -> None:
    session.run(
        "python", "-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider", *(session.posargs or ["tests"]),
        env={"OPENBLAS_NUM_THREADS": "1", **environment},
    )  # fmt: skip


@nox.session(python=PYTHONS)
@nox.parametrize("numpy", ["newest", "oldest"])
def versions(session: nox.Session, numpy: str) -> None:
    """The suite on one Python and one NumPy."""
    install(session, numpy)
    session.run("python", "-c", "import sys, numpy; print('Python', sys.version, 'NumPy', numpy.__version__)")
    suite(session)


@nox.session(python=PYTHONS[-1])
@nox.parametrize("threads", [1, 2])
@nox.parametrize("core", CORES)
def kernel(session: nox.Session, core: str, threads: int) -> None:
    """The suite with the BLAS kernels of one kind of processor, on one or two threads."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        session.skip(f"{platform.machine()} has no kernel {core}")
    install(session)
    environment = {"OPENBLAS_CORETYPE": core, "OPENBLAS_NUM_THREADS": str(threads)}
    code = (
        "import numpy as np, threadpoolctl; a = np.ones((300, 300)); a @ a; "
        "print(*{b.get('architecture', '?') for b in threadpoolctl.threadpool_info() if b['user_api'] == 'blas'})"
    )
    # A kernel with instructions that this processor lacks dies here, and not in the middle of the suite.
    used = session.run("python", "-c", code, env=environment, silent=True, success_codes=range(-64, 256))
    if str(used).strip() not in (core, ALIASES.get(core)):
        session.skip(f"this processor or this NumPy does not run the kernel {core}: {str(used).strip()[-80:]}")
    suite(session, **environment)


@nox.session(python=PYTHONS[-1])
@nox.parametrize("threads", [1, 2])
def plain(session: nox.Session, threads: int) -> None:
    """The suite with NumPy's own vector instructions off, as on a processor that has the oldest ones only."""
    install(session)
    code = (
        "from numpy._core._multiarray_umath import __cpu_dispatch__ as names, __cpu_features__ as has; "
        "print(*[name for name in names if has[name]])"
    )
    features = str(session.run("python", "-c", code, silent=True)).strip()
    if not features:
        session.skip("this processor has no vector instructions beyond those that NumPy always uses")
    session.log(f"off: {features}")
    suite(session, NPY_DISABLE_CPU_FEATURES=features, OPENBLAS_NUM_THREADS=str(threads))


@nox.session(python=PYTHONS[-1])
def seeds(session: nox.Session) -> None:
    """The suite under 20 other seeds."""
    install(session)
    for seed in range(1, 21):
        suite(session, NPGRAD_SEED=str(seed))
