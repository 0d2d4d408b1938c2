"""What it costs to import the package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_importing_the_package_loads_neither_airflow_nor_the_kubernetes_client():
    script = "import sys, kpo_platform; print([m for m in ('airflow', 'kubernetes') if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "platform")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert result.stdout == "[]\n"
