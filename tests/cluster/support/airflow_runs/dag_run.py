"""DAG runs on the stack, as the cluster tests read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi, NotFoundError
from stack.git_push import push_files
from stack.release import Stack

DAGS = Path(__file__).parents[2] / "dags"


@dataclass(frozen=True)
class Run:
    """A DAG run whose tasks run in pods."""

    stack: Stack
    airflow: AirflowApi
    dag: str
    id: str
    namespace: str = "team-alpha"

    def list_pods(self) -> list[dict[str, Any]]:
        """Return the run's current pods."""
        pods = self.stack.get("pods", "-n", self.namespace, "-l", f"dag_id={self.dag}")["items"]
        return [pod for pod in pods if self.owns(pod) and "deletionTimestamp" not in pod["metadata"]]

    def owns(self, pod: dict[str, Any]) -> bool:
        """Return whether a pod belongs to this run.

        Its label contains the run's id without the characters that labels do not allow.
        """
        label = pod["metadata"]["labels"].get("run_id", "")
        return bool(label.startswith(re.sub("[:+]", "", self.id)))

    def wait_for_pod(self) -> dict[str, Any]:
        """Wait for a running pod of the run and return it."""

        def probe() -> dict[str, Any]:
            for pod in self.list_pods():
                if pod["status"].get("phase") == "Running":
                    return pod
            raise NotYet(f"tasks {self.task_states()}, pods {[pod['status'].get('phase') for pod in self.list_pods()]}")

        return wait_for(f"a pod of {self.dag} to run", probe, deadline_s=180, interval_s=1)

    def task_states(self) -> dict[str, str]:
        """Return the state of every task."""
        return {task["task_id"]: task["state"] for task in self.airflow.list_task_instances(self.dag, self.id)}

    def task_instance(self) -> dict[str, Any]:
        """Return the run's only task instance."""
        (task_instance,) = self.airflow.list_task_instances(self.dag, self.id)
        return task_instance

    def wait_for_log(self, text: str, task: str = "work", attempt: int = 1) -> str:
        """Wait until a task's log contains a text, and return the log."""

        def probe() -> str:
            try:
                log = self.airflow.read_log(self.dag, self.id, task, attempt)
            except NotFoundError as error:
                raise NotYet(str(error)) from None
            if text not in log:
                raise NotYet(f"tasks {self.task_states()}, last lines: {log[-600:]}")
            return log

        return wait_for(f"the log of {self.dag} to contain {text!r}", probe, deadline_s=180, interval_s=2)

    def wait_for_end(self) -> str:
        """Wait for the run's end and return its state."""
        return self.airflow.wait_for_run(self.dag, self.id, deadline_s=300)

    def read_log(self, task: str = "work", attempt: int = 1) -> str:
        """Return the log of one try of a task."""
        return self.airflow.read_log(self.dag, self.id, task, attempt)

    def mark_failed(self, task: str = "work") -> None:
        """Mark a task as failed, as users do to stop it."""
        self.airflow.patch(f"dags/{self.dag}/dagRuns/{quote(self.id)}/taskInstances/{task}", {"new_state": "failed"})


def push_dag(stack: Stack, airflow: AirflowApi, team: str, file: str, dag: str) -> None:
    """Push a file of tests/cluster/dags to a team's repository; wait until Airflow has loaded it."""
    url = f"git://{stack.service_address('git-server', 'git')}/{team}.git"
    commit = push_files(url, {file: (DAGS / file).read_text(encoding="utf-8")}, f"Add {file}")
    airflow.wait_for_version(dag, commit)
