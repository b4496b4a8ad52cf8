"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.process import cores

__all__ = ["describe", "lines"]

PACKAGES = ("npgrad", "numpy", "torch", "jax", "mygrad", "autograd")


def describe() -> dict[str, Any]:
    """Processor, memory, system, versions, load."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "missing"
    blas: Any = np.show_config(mode="dicts")
    return {
        "processor": field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(int((field("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 1e6, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "blas": blas["Build Dependencies"]["blas"]["name"],
        "versions": versions,
        "core_used": cores(1)[0],
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else "unknown",
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }


def lines(machine: dict[str, Any]) -> list[str]:
    """The same for people to read."""
    versions = ", ".join(f"{package} {number}" for package, number in machine["versions"].items())
    return [
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB; {machine['system']}",
        f"Python {machine['python']}, {machine['blas']}; {versions}",
        f"{machine['date']}; a process per peer on core {machine['core_used']}, one thread each unless two are named; "
        f"load at the start {machine['load']}",
    ]


def field(path: str, name: str) -> str | None:
    try:
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    except OSError:
        pass
    return None
