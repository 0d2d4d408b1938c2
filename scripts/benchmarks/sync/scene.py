"""The place of the benchmark: the cluster, Airflow, the pushed DAGs, and runs of them one after the other."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.sync.marks import Marks, build_sample, read_api_marks, read_log_marks
from benchmarks.sync.pod_times import PodTimes
from benchmarks.sync.variants import ENGINES, name_dag
from common.errors import ScriptError
from common.polling import NotYet, wait_for
from faults.task_processes import SCHEDULER
from local_cluster.cluster_paths import default_paths
from stack.airflow_api import AirflowApi, NoResponseError
from stack.git_push import push_files
from stack.release import NAMESPACE, Stack

PYTHON_DAG = "sync_python"
"""The DAG without a pod."""

_DAGS = Path(__file__).with_name("dags")
_SUFFIXES = ("", "_result", "_long", "_lines", "_backlog")
_LOAD_S = 180.0
_LOG_S = 20.0


@dataclass(frozen=True)
class BenchRun:
    """A DAG run.

    Attributes:
        dag: the DAG's id.
        id: the run's id, which is also the value of the label `run_id` of its pods.
        triggered: the time before the request that has triggered it.
    """

    dag: str
    id: str
    triggered: float

    @property
    def path(self) -> str:
        """The run in Airflow's API."""
        return f"dags/{self.dag}/dagRuns/{quote(self.id)}"


@dataclass(frozen=True)
class Scene:
    """The place.

    Attributes:
        stack: the cluster.
        airflow: Airflow's API.
        logs: the folder of the tasks' logs on the node's disk.
    """

    stack: Stack
    airflow: AirflowApi
    logs: Path

    def trigger(self, dag: str) -> BenchRun:
        """Trigger a run."""
        run_id, triggered = f"sync-{time.time_ns()}", time.time()
        self.airflow.post(f"dags/{dag}/dagRuns", {"dag_run_id": run_id, "logical_date": None})
        return BenchRun(dag, run_id, triggered)

    def wait_for_end(self, run: BenchRun, deadline_s: float) -> dict[str, Any]:
        """Wait for the success of a run, and return it; a run that is not awaited any longer is ended.

        Only the run is read while it lasts: Airflow's API server also serves its tasks.

        Raises:
            ScriptError: the run has failed, or has not ended in time; names the states of its tasks.
        """

        def probe() -> dict[str, Any]:
            try:
                content: dict[str, Any] = self.airflow.get(run.path)
            except NoResponseError as error:
                raise NotYet(str(error)) from None
            if content["state"] == "failed":
                raise ScriptError(f"Run {run.id} of {run.dag} failed. See the logs in {self.logs}")
            if content["state"] != "success":
                raise NotYet(str(content["state"]))
            return content

        try:
            return wait_for(f"run {run.id} of {run.dag} to end", probe, deadline_s, interval_s=1)
        except ScriptError as error:
            raise ScriptError(f"{error}; tasks: {self._end_run(run)}") from None
        except KeyboardInterrupt:
            self._end_run(run)
            raise

    def _end_run(self, run: BenchRun) -> dict[str, str]:
        """Fail a run that may still last, and return the states of its tasks before that."""
        states: dict[str, str] = {}
        with suppress(ScriptError):
            states = {task["task_id"]: task["state"] for task in self.airflow.list_task_instances(run.dag, run.id)}
            self.airflow.patch(run.path, {"state": "failed"})
        return states

    def play(self, dag: str, pods: PodTimes | None = None, *, with_log: bool = True, deadline_s: float = 120) -> Marks:
        """Run a DAG with one task, `work`, and return the run's marks.

        The start is at a random moment of the scheduler's loop: the run before has ended at a fixed one.

        Args:
            dag: the DAG's id.
            pods: the observed pods; None for a task without one.
            with_log: also read the marks in the task's log, which a task that is deferred lacks in part.
            deadline_s: seconds until the run's end.
        """
        time.sleep(random.uniform(1.0, 2.5))
        run = self.trigger(dag)
        content = self.wait_for_end(run, deadline_s)
        (instance,) = self.airflow.list_task_instances(dag, run.id)
        parts = [read_api_marks(content, instance), *([self.read_log_marks(run, "work")] if with_log else [])]
        return build_sample(run.triggered, *parts, *([pods.read_marks(run.id, "work")] if pods else []))

    def read_log_marks(self, run: BenchRun, task: str) -> Marks:
        """Read the marks in a task's log, once the end of `execute` is in it."""

        def probe() -> Marks:
            file = self.find_log(run, task)
            if not file.exists():
                raise NotYet(f"no file {file}")
            with file.open(encoding="utf-8") as lines:
                marks = read_log_marks(line for line in lines if line.endswith("\n"))
            if missing := {"opened", "entered", "returned"} - marks.keys():
                raise NotYet(f"{file} lacks {', '.join(sorted(missing))}")
            return marks

        return wait_for(f"the log of {run.dag}.{task}", probe, _LOG_S)

    def find_log(self, run: BenchRun, task: str) -> Path:
        """Return the path of the log of a task's first try."""
        return self.logs / f"dag_id={run.dag}" / f"run_id={run.id}" / f"task_id={task}" / "attempt=1.log"


def open_scene(stack: Stack, airflow: AirflowApi) -> Scene:
    """Push the DAGs to the repository of team alpha, wait until Airflow has loaded them, and unpause them."""
    push_dags(stack, airflow, "sync", read_dag_files(), list_dag_ids())
    return Scene(stack, airflow, find_log_folder())


def push_dags(stack: Stack, airflow: AirflowApi, benchmark: str, files: Mapping[str, str], dags: Iterable[str]) -> None:
    """Push the DAG files of a benchmark to the repository of team alpha, and wait until its DAGs can run.

    Args:
        stack: the cluster.
        airflow: Airflow's API.
        benchmark: its name.
        files: file name → content.
        dags: the ids of the DAGs in them.
    """
    url = f"git://{stack.service_address('git-server', 'git')}/alpha.git"
    commit = push_files(url, dict(files), f"Add the DAGs of scripts/bench {benchmark}")
    for dag in dags:
        airflow.wait_for_version(dag, commit, _LOAD_S)
        airflow.patch(f"dags/{dag}", {"is_paused": False})


def read_dag_files() -> dict[str, str]:
    """Return the DAG files by their names in the repository: one per engine, and that of the task without a pod."""
    pods = (_DAGS / "sync_pods.py").read_text(encoding="utf-8")
    files = {f"sync_{engine}.py": pods.replace('ENGINE = "team"', f'ENGINE = "{engine}"') for engine in ENGINES}
    return files | {"sync_python.py": (_DAGS / "sync_python.py").read_text(encoding="utf-8")}


def list_dag_ids() -> list[str]:
    """Return the ids of all DAGs in these files."""
    return [PYTHON_DAG, *(name_dag(engine, suffix) for engine in ENGINES for suffix in _SUFFIXES)]


def find_log_folder(claim: str = f"logs-{SCHEDULER}") -> Path:
    """Return the folder of the logs of tasks with LocalExecutor on the node's disk.

    Args:
        claim: the volume claim of the logs.

    Raises:
        ScriptError: the scheduler's volume does not exist, as with another executor.
    """
    folders = list(default_paths().volumes.glob(f"*_{NAMESPACE}_{claim}"))
    if len(folders) != 1:
        raise ScriptError(
            f"Cannot find the volume of the tasks' logs: {len(folders)} folders match. Use LocalExecutor."
        )
    return folders[0]


def read_lines(file: Path) -> Iterator[str]:
    """Yield the lines of a log; bytes that are not UTF-8 are replaced."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        yield from lines
