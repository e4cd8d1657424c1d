"""Starting the lab: a local server that opens in the browser, and asks nothing of the network."""

import os
import subprocess
import sys
from importlib.util import find_spec

from hierbayes.errors import MissingPackageError

NEEDED = ("marimo", "anywidget")
# A slider's work is many small matrices: more threads than one only get in each other's way.
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MARIMO_SKIP_UPDATE_CHECK": "1",
}


def command(*, port: int | None = None, browser: bool = True) -> list[str]:
    """Return the command that serves the page on this machine only.

    Raises
    ------
    MissingPackageError
        If marimo or anywidget is not installed.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise MissingPackageError(
            f"The lab needs {' and '.join(missing)}: pip install 'hierbayes[lab]'."
        )
    found = [sys.executable, "-m", "hierbayes.lab.serve"]
    if port is not None:
        found += ["--port", str(port)]
    return found if browser else [*found, "--headless"]


def launch(*, port: int | None = None, browser: bool = True) -> int:
    """Serve the page until it is interrupted; return the server's exit code."""
    given = command(port=port, browser=browser)
    try:
        return subprocess.run(given, env=os.environ | ENVIRONMENT, check=False).returncode
    except KeyboardInterrupt:
        return 0
