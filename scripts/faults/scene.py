"""The place of the cases: cluster, Airflow, fault proxy and the pushed DAGs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from common.paths import REPOSITORY
from faults.case_run import CaseRun, wait_for_answer
from faults.connection import run_connected_proxy
from faults.proxy import FaultProxy
from stack.airflow_api import AirflowApi
from stack.git_push import push_files
from stack.release import Stack

DAGS = REPOSITORY / "tests" / "cluster" / "dags"
PREFIXES = {"team": "run", "stock": "stockrun"}
"""Engine of the operator → prefix of the DAGs."""

TASKS = ("sync", "deferred")


@dataclass(frozen=True)
class Scene:
    """The place.

    Attributes:
        stack: the cluster.
        airflow: Airflow's API.
        proxy: the proxy that the requests of the tasks pass.
        commit: the commit of the DAGs.
        engine: `team`, or `stock` for the stock operator.
    """

    stack: Stack
    airflow: AirflowApi
    proxy: FaultProxy
    commit: str
    engine: str = "team"

    def start(self, name: str) -> CaseRun:
        """Start a run of a DAG, by its name without the prefix."""
        dag = self.wait_for_dag(name)
        return CaseRun(
            self.stack, self.airflow, self.proxy, dag, wait_for_answer(lambda: self.airflow.trigger_run(dag))
        )

    def dag_id(self, name: str) -> str:
        """Return the id of a DAG by its name without the prefix."""
        return f"{PREFIXES[self.engine]}_{name}"

    def wait_for_dag(self, name: str) -> str:
        """Wait until Airflow has loaded a DAG, and return its id: the DAGs of a file are stored one after the other."""
        dag = self.dag_id(name)
        self.airflow.wait_for_version(dag, self.commit)
        return dag

    def list_task_ids(self, name: str) -> list[str]:
        """Return the ids of the tasks of a DAG, by its name without the prefix."""
        return [str(task["task_id"]) for task in self.airflow.get(f"dags/{self.wait_for_dag(name)}/tasks")["tasks"]]


def read_dag_file(file: str, engine: str) -> str:
    """Return a file of tests/cluster/dags for an engine of the operator."""
    return (DAGS / file).read_text(encoding="utf-8").replace('ENGINE = "team"', f'ENGINE = "{engine}"')


@contextmanager
def open_scene(stack: Stack, airflow: AirflowApi, files: Iterable[str], engine: str = "team") -> Iterator[Scene]:
    """Run the proxy and push DAG files to the repository of team alpha.

    Args:
        stack: the cluster.
        airflow: Airflow's API.
        files: names of files in tests/cluster/dags.
        engine: the engine of the operator.
    """
    url = f"git://{stack.service_address('git-server', 'git')}/alpha.git"
    with run_connected_proxy(stack, airflow) as proxy:
        texts = {f"{engine}_{file}": read_dag_file(file, engine) for file in files}
        yield Scene(stack, airflow, proxy, push_files(url, texts, f"Add {', '.join(texts)}"), engine)
