"""Runs of DAGs on the stack, as the tests of several groups look at them."""

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
    """One run of a DAG whose tasks run in pods."""

    stack: Stack
    airflow: AirflowApi
    dag: str
    id: str
    namespace: str = "team-alpha"

    def pods(self) -> list[dict[str, Any]]:
        """Give the run's pods that are in the cluster now."""
        pods = self.stack.get("pods", "-n", self.namespace, "-l", f"dag_id={self.dag}")["items"]
        return [pod for pod in pods if self.owns(pod) and "deletionTimestamp" not in pod["metadata"]]

    def owns(self, pod: dict[str, Any]) -> bool:
        """Tell whether a pod is one of this run: its label has the run's id without what a label cannot hold."""
        label = pod["metadata"]["labels"].get("run_id", "")
        return bool(label.startswith(re.sub("[:+]", "", self.id)))

    def running(self) -> dict[str, Any]:
        """Wait until a pod of the run runs, and give it."""

        def probe() -> dict[str, Any]:
            for pod in self.pods():
                if pod["status"].get("phase") == "Running":
                    return pod
            raise NotYet(f"tasks {self.states()}, pods {[pod['status'].get('phase') for pod in self.pods()]}")

        return wait_for(f"a pod of {self.dag} to run", probe, deadline_s=180, interval_s=1)

    def states(self) -> dict[str, str]:
        """Give the state of every task."""
        return {task["task_id"]: task["state"] for task in self.airflow.list_task_instances(self.dag, self.id)}

    def task(self) -> dict[str, Any]:
        """Give the run's only task instance."""
        (task,) = self.airflow.list_task_instances(self.dag, self.id)
        return task

    def wait_for_log(self, words: str, task: str = "work", attempt: int = 1) -> str:
        """Wait until a task's log has words, and give the log."""

        def probe() -> str:
            try:
                log = self.airflow.read_log(self.dag, self.id, task, attempt)
            except NotFoundError as error:
                raise NotYet(str(error)) from None
            if words not in log:
                raise NotYet(f"tasks {self.states()}, last lines: {log[-600:]}")
            return log

        return wait_for(f"the log of {self.dag} to have {words!r}", probe, deadline_s=180, interval_s=2)

    def end(self) -> str:
        """Wait for the run's end and give its state."""
        return self.airflow.wait_for_run(self.dag, self.id, deadline_s=300)

    def read_log(self, task: str = "work", attempt: int = 1) -> str:
        """Give the log of one try of a task."""
        return self.airflow.read_log(self.dag, self.id, task, attempt)

    def mark_failed(self, task: str = "work") -> None:
        """Stop a task as its user does, by marking it failed."""
        self.airflow.patch(f"dags/{self.dag}/dagRuns/{quote(self.id)}/taskInstances/{task}", {"new_state": "failed"})


def drop(stack: Stack, airflow: AirflowApi, team: str, file: str, dag: str) -> None:
    """Drop a file of tests/cluster/dags into a team's folder by git push, and wait until Airflow has read its DAG."""
    url = f"git://{stack.service_address('git-server', 'git')}/{team}.git"
    commit = push_files(url, {file: (DAGS / file).read_text(encoding="utf-8")}, f"Try {file}")
    airflow.wait_for_version(dag, commit)
