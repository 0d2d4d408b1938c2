"""Execute one task of a DAG file with the code of this checkout, against the local cluster, without Airflow's services.

Runs in the checkout's environment (`scripts/run-task` sees to that). The pod, its namespace, its log and its result are
real; only the scheduler is left out, so the task waits for its pod in this process instead of being deferred.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag

from kpo_platform import TeamPodOperator


class LocalTaskInstance:
    """As much of a task instance as the operator asks for; what it pushes is shown."""

    def __init__(self, dag: str, task: str) -> None:
        self.dag_id, self.task_id, self.run_id = dag, task, "manual__checkout"
        self.try_number, self.map_index = 1, -1
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep what the operator pushes."""
        self.pushed[key] = value


def main(file: str, task_id: str) -> int:
    """Execute a task and print what it returned and pushed, as JSON.

    Args:
        file: a DAG file.
        task_id: a TeamPodOperator task of the file's DAG.
    """
    dags = DagBag(file).dags.values()
    tasks = {task.task_id: task for dag in dags for task in dag.tasks if isinstance(task, TeamPodOperator)}
    if task_id not in tasks:
        print(f"{file} has no TeamPodOperator task {task_id!r}; it has: {', '.join(tasks) or 'none'}.", file=sys.stderr)
        return 64
    task = tasks[task_id]
    task.deferrable, task.durable = False, False
    ti = LocalTaskInstance(task.dag.dag_id, task_id)
    context: Any = {"ti": ti, "task_instance": ti, "task": task, "dag": task.dag, "run_id": ti.run_id}
    result = task.execute(context)
    print(json.dumps({"returned": result, "pushed": ti.pushed}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(str(Path(sys.argv[1])), sys.argv[2]))
