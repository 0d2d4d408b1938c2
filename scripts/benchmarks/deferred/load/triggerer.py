"""The triggerer that is measured, and Airflow's database behind it."""

from __future__ import annotations

from common.polling import NotYet, wait_for
from stack.embedded_database import query_database
from stack.release import NAMESPACE, RELEASE, Stack

COMPONENT = "triggerer"

_WORKLOAD = f"deployment/{RELEASE}-{COMPONENT}"
_RESTART_S = 300.0


def restart_triggerer(stack: Stack) -> None:
    """Restart the triggerer, so that its memory is not that of an earlier measurement."""
    stack.kubectl("rollout", "restart", _WORKLOAD, "-n", NAMESPACE)
    words = ("rollout", "status", _WORKLOAD, "-n", NAMESPACE, f"--timeout={_RESTART_S:.0f}s")
    stack.kubectl(*words, timeout_s=_RESTART_S + 10)

    def probe() -> None:
        pods = stack.get("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/component={COMPONENT}")["items"]
        if len(pods) != 1:
            raise NotYet(f"{', '.join(pod['metadata']['name'] for pod in pods)}")

    wait_for("the former triggerer to be gone", probe, _RESTART_S, interval_s=1)


def query_rows(stack: Stack, sql: str) -> list[list[str]]:
    """Run SQL in Airflow's database, and return the columns of each row."""
    return [line.split("|") for line in query_database(stack, sql).splitlines()]


def delete_runs(stack: Stack) -> None:
    """Delete all runs of the models' DAGs with their tasks; Airflow then ends their triggers."""
    query_rows(stack, "DELETE FROM dag_run WHERE dag_id LIKE 'deferred\\_model\\_%'")
