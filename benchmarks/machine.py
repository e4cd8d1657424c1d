"""The machine a measurement was made on, and with which versions; nothing names the machine."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KB_PER_GB = 1024.0**2
PACKAGES = ("numpy", "scipy", "numba", "pandas", "hierbayes")


def machine() -> dict[str, Any]:
    """Describe processor, cores, memory and BLAS: what measurements must share to be compared."""
    cores = os.cpu_count() or 1
    set_threads = [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.endswith("_NUM_THREADS")]
    threads = ", ".join(set_threads) or "as each package chooses"
    about = {"processor": processor(), "cores": cores, "memory": memory(), "BLAS": blas()}
    return about | {"threads": threads}


def processor() -> str:
    """Name the kind of processor."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def memory() -> str:
    """Say how much memory there is."""
    path = Path("/proc/meminfo")
    lines = path.read_text().splitlines() if path.exists() else []
    sizes = [float(line.split()[1]) for line in lines if line.startswith("MemTotal")]
    return f"{sizes[0] / KB_PER_GB:.0f} GB" if sizes else "unknown"


def blas() -> str:
    """Name the BLAS of numpy and of scipy."""
    import numpy  # noqa: F401
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_info

    found = [one for one in threadpool_info() if one["user_api"] == "blas"]
    names = {f"{one['internal_api']} {one['version']} ({one['architecture']})" for one in found}
    return ", ".join(sorted(names))


def versions() -> dict[str, str]:
    """Versions of Python and what hierbayes computes with, and the commit."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "source tree"
    return found | {"commit": commit()}


def commit() -> str:
    """Name the commit; a plus where files that take part differ from it."""
    try:
        name = git("rev-parse", "--short", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "../hierbayes", "*.py")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name + "+" * bool(changed)


def git(*words: str) -> str:
    """Ask git."""
    done = subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def load() -> float:
    """Processes that want a processor, over the last minute."""
    return round(os.getloadavg()[0], 1)
