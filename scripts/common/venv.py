"""Virtual environments, also on a Debian without python3-venv."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from common.command import capture_output
from common.debian import install_packages


def make_venv(folder: Path) -> None:
    """Create a virtual environment with pip for the running Python.

    Args:
        folder: a missing or empty folder.

    Raises:
        ScriptError: the environment could not be created.
    """
    if not importlib.util.find_spec("ensurepip"):
        install_packages(["python3-venv"])  # Debian packages ensurepip apart from Python
    capture_output((sys.executable, "-m", "venv", folder), timeout_s=120)
