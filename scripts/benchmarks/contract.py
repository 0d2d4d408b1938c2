"""The contract of the unit tests, which has a team alpha, for benchmarks of processes with Airflow."""

from __future__ import annotations

from pathlib import Path

from common.command import capture_output
from common.paths import REPOSITORY

PYTHONPATH = ":".join(str(REPOSITORY / name) for name in ("platform", "tests", "scripts"))
"""The package, the tests and the scripts."""

_PROGRAM = "import json; from unit.support.contracts import CONTRACT; print(json.dumps(CONTRACT))"


def write_contract(python: Path, folder: Path) -> Path:
    """Write the contract into a folder, and return its file.

    Args:
        python: an interpreter with the package's dependencies.
        folder: for the file.
    """
    file = folder / "contract.json"
    file.write_text(capture_output((python, "-c", _PROGRAM), env={"PYTHONPATH": PYTHONPATH}, timeout_s=60))
    return file
