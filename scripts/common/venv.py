"""Virtual environments, also on a Debian whose Python cannot make them yet."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from common.debian import install_packages
from common.run import capture


def make_venv(folder: Path) -> None:
    """Make a virtual environment with pip, for the Python that runs this.

    Args:
        folder: an absent or empty folder.

    Raises:
        ScriptError: it could not be made.
    """
    if not importlib.util.find_spec("ensurepip"):
        install_packages(["python3-venv"])  # Debian keeps ensurepip apart from Python
    capture((sys.executable, "-m", "venv", folder), timeout_s=120)
