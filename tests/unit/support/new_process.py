"""Scripts in a Python process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


def run_script(script: str, **variables: str) -> str:
    """Run a script in a new Python process; return its output."""
    env = {"PYTHONPATH": str(REPOSITORY / "platform"), "AIRFLOW_HOME": os.environ["AIRFLOW_HOME"], **variables}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=True).stdout
