"""Execute one task of a DAG file with the code of this checkout, against the local cluster, without Airflow's services.

Runs in the checkout's environment (`scripts/run-task` sees to that). The pod, its namespace, its log and its result are
real; only the scheduler is left out, so the task waits for its pod in this process instead of being deferred.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

from kpo_platform.contract import FILE_VARIABLE, Contract
from kpo_platform.errors import PlatformError
from kpo_platform.kube import Kube, read_contract
from kpo_platform.pod.xcom import connection_extra

_NAMESPACE = "airflow"
_SECONDS = 60.0


def prepare(kubeconfig: str, folder: Path) -> None:
    """Give this process what Airflow's pods have: the contract, and the connections of all teams."""
    contract = read_contract(Kube.connect(kubeconfig, None, _SECONDS), _NAMESPACE)
    file = folder / "contract.json"
    file.write_text(contract.model_dump_json(by_alias=True), encoding="utf-8")
    os.environ[FILE_VARIABLE] = str(file)
    os.environ["AIRFLOW_HOME"] = str(folder)
    for name in {team.connection.id for team in contract.teams.values()}:
        os.environ[f"AIRFLOW_CONN_{name.upper()}"] = connection(contract, kubeconfig)


def connection(contract: Contract, kubeconfig: str) -> str:
    """Give the connection that bootstrap makes, but by kubeconfig instead of from inside the cluster."""
    content = {**connection_extra(contract.xcom_sidecar), "in_cluster": False, "kube_config_path": kubeconfig}
    return json.dumps({"conn_type": "kubernetes", "extra": content})


class LocalTaskInstance:
    """As much of a task instance as the operator asks for; what it pushes is shown."""

    def __init__(self, dag: str, task: str) -> None:
        # A name of its own, so that no pod of an earlier run is taken for this one's.
        self.dag_id, self.task_id, self.run_id = dag, task, f"checkout__{secrets.token_hex(4)}"
        self.try_number, self.map_index = 1, -1
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep what the operator pushes."""
        self.pushed[key] = value


def execute(file: str, task_id: str) -> int:
    """Execute a task and print what it returned and pushed, as JSON.

    Args:
        file: a DAG file.
        task_id: a TeamPodOperator task of the file's DAG.
    """
    # Airflow reads its settings when it is imported, and they are made just before.
    from airflow.dag_processing.dagbag import DagBag

    from kpo_platform import TeamPodOperator

    bag = DagBag(file)
    tasks = {t.task_id: t for dag in bag.dags.values() for t in dag.tasks if isinstance(t, TeamPodOperator)}
    if task_id not in tasks:
        problems = "".join(f"\n{text}" for text in bag.import_errors.values())
        print(f"{file} has no TeamPodOperator task {task_id!r}; it has: {', '.join(tasks) or 'none'}.{problems}")
        return 64
    task = tasks[task_id]
    task.deferrable = False
    ti = LocalTaskInstance(task.dag.dag_id, task_id)
    context: Any = {"ti": ti, "task_instance": ti, "task": task, "dag": task.dag, "run_id": ti.run_id, "params": {}}
    task.render_template_fields(context)
    print(json.dumps({"returned": task.execute(context), "pushed": ti.pushed}, indent=2))
    return 0


def main(file: str, task_id: str) -> int:
    """Prepare and execute; an error of the platform is one sentence."""
    with tempfile.TemporaryDirectory(prefix="kpo-platform-") as folder:
        try:
            prepare(os.environ["KUBECONFIG"], Path(folder))
        except PlatformError as error:
            print(f"error: {error} (scripts/quickstart brings everything up)", file=sys.stderr)
            return 1
        return execute(file, task_id)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
