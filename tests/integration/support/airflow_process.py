"""One of Airflow's components as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_STOP_S = 20


@contextmanager
def run_airflow(folder: Path, component: str, *words: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run an Airflow command with the database and the contract of a folder until the end of the test.

    Args:
        folder: has ``airflow.db`` and ``contract.json``, and gets the log, ``COMPONENT.log``.
        component: the command.
        words: its arguments.
        variables: environment variables for it.
    """
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/airflow.db",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "KPO_PLATFORM_CONTRACT": str(folder / "contract.json"),
        "PYTHONUNBUFFERED": "1",
        **variables,
    }
    airflow = Path(sys.executable).with_name("airflow")
    with (folder / f"{component}.log").open("w") as log:
        process = subprocess.Popen([airflow, component, *words], env=environment, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(_STOP_S)
