"""Ctrl-C at any step of quickstart is harmless: the next run continues and succeeds.

The group starts without a cluster and leaves the complete stack running.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from common.paths import REPOSITORY

STEPS = (
    "Start Kubernetes",
    "Load images into the cluster",
    "Start a git server for the teams' DAGs",
    "helm upgrade --install --wait: Airflow and the teams",
    "platformctl bootstrap: connection, registry secret, volumes",
    "git push: add dags/hello_team.py to team alpha's repository",
    "Wait for Airflow to load the DAG",
    "Run the DAG",
)

RUN_TIMEOUT_S = 400


@contextmanager
def quickstart() -> Iterator[subprocess.Popen[str]]:
    """Run quickstart during the block; its output can be read."""
    command = [REPOSITORY / "scripts" / "quickstart"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def interrupt_at_step(step: str, seconds: float) -> tuple[int, list[str]]:
    """Interrupt quickstart some seconds after a step starts; return exit code and output."""
    lines: list[str] = []
    with quickstart() as process:
        assert process.stdout
        for line in process.stdout:
            lines.append(line.rstrip())
            if lines[-1] == f"▸ {step}":
                time.sleep(seconds)
                process.send_signal(signal.SIGINT)
        return process.wait(60), lines


@pytest.fixture(scope="module", autouse=True)
def _no_cluster() -> None:
    """Remove the cluster, so that every step has work to do."""
    subprocess.run([REPOSITORY / "scripts" / "cluster", "down"], check=True, timeout=300)


@pytest.mark.parametrize("seconds", [0, 2.5], ids=["at once", "in the middle"])
@pytest.mark.parametrize("step", STEPS)
def test_ctrl_c_ends_quickstart_with_one_message(step: str, seconds: float):
    """Each run continues an interrupted one; a step that is too fast is interrupted in the next run."""
    code, lines = interrupt_at_step(step, seconds)
    assert (code, lines[-1]) == (130, "Interrupted. Run the command again to continue."), "\n".join(lines)


def test_next_run_succeeds():
    with quickstart() as process:
        output, _ = process.communicate(timeout=RUN_TIMEOUT_S)
    assert process.returncode == 0, output
    assert "success" in output
