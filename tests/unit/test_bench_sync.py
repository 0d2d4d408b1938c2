"""The edges of scripts/bench sync: its DAGs, the plain client, the CPU time of pods."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from benchmarks.sync.idle_cpu import read_cpu_seconds
from benchmarks.sync.numbered_lines import BACKLOG, BURST, LINES
from benchmarks.sync.plain_client import copy_pod, run_plain_pod
from benchmarks.sync.scene import list_dag_ids, read_dag_files
from benchmarks.sync.variants import LENGTHS
from common.errors import ScriptError
from local_cluster.cgroups import Hierarchy
from unit.support.dag_files import run_dag_file

LABELS = {"kpo-platform/team": "alpha", "run_id": "r", "kpo-platform/start": "0123", "kubernetes_pod_operator": "True"}
POD = {
    "metadata": {"name": "work-1", "namespace": "team-alpha", "uid": "u", "labels": LABELS, "resourceVersion": "7"},
    "spec": {"containers": [{"name": "base"}], "nodeName": "kpo-node", "priority": 0},
    "status": {"phase": "Succeeded"},
}
COPY = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "plain-1",
        "namespace": "team-alpha",
        "labels": {"kpo-platform/team": "alpha"},
        "annotations": {},
    },
    "spec": {"containers": [{"name": "base"}], "priority": 0},
}


@pytest.fixture
def dags(publish: Callable[..., Any]) -> dict[str, DAG]:
    """The DAGs of all files."""
    publish()
    return {name: dag for text in read_dag_files().values() for name, dag in run_dag_file(text).items()}


def test_dags_of_both_engines_differ_in_the_engine_and_its_own_default(dags: dict[str, DAG]):
    assert sorted(dags) == sorted(list_dag_ids())
    engines = {
        task.engine: name.split("_")[1] for name, dag in dags.items() for task in dag.tasks if name != "sync_python"
    }
    assert engines == {"team": "team", "stock": "stock"}
    stock, team = (dags[f"sync_{engine}"].get_task("work") for engine in ("stock", "team"))
    stock_operator = next(kind for kind in type(stock).mro() if kind.__name__ == "KubernetesPodOperator")
    default = inspect.signature(stock_operator).parameters["startup_check_interval_seconds"].default
    assert (stock.startup_check_interval_seconds, stock.cmds) == (default, team.cmds)


def test_only_tasks_that_read_a_written_log_defer_and_only_some_tasks_have_a_result(dags: dict[str, DAG]):
    tasks = {name: dag.tasks for name, dag in dags.items() if name != "sync_python"}
    deferred = {name for name, found in tasks.items() for task in found if task.deferrable}
    assert deferred == {"sync_team_backlog", "sync_stock_backlog"}
    results = {name.removeprefix("sync_"): {task.do_xcom_push for task in found} for name, found in tasks.items()}
    expected = {"": {False}, "_result": {True}, "_long": {True}, "_lines": {False}, "_backlog": {False}}
    assert results == {f"{engine}{suffix}": value for engine in ("team", "stock") for suffix, value in expected.items()}


def test_dags_have_the_lengths_and_lines_that_are_checked(dags: dict[str, DAG]):
    lengths = {f"sleep_{seconds}" for group in LENGTHS.values() for seconds in group}
    assert {task.task_id for task in dags["sync_team_long"].tasks} == lengths
    program = dags["sync_team_lines"].get_task("work").cmds[-1]
    assert f"i <= {BURST};" in program and f"burst * {BURST})" in program
    assert program.count(" ".join(map(str, range(LINES // BURST)))) == 1
    program = dags["sync_team_backlog"].get_task("work").cmds[-1]
    assert program.count(f"for burst in {' '.join(map(str, range(BACKLOG // BURST)))};") == 1


def test_copied_pod_has_the_spec_but_belongs_to_no_task():
    assert copy_pod(POD, "plain-1") == COPY


class FakeApi:
    """The API server for the plain client: a pod that ends, or does not."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self.calls: list[str] = []
        self._states = states

    def create_namespaced_pod(self, namespace: str, body: dict[str, Any], **_: Any) -> Any:
        self.calls.append(f"create {namespace}/{body['metadata']['name']}")
        metadata = {**body["metadata"], "resourceVersion": "7"}
        return SimpleNamespace(data=json.dumps({**body, "metadata": metadata}).encode())

    def list_namespaced_pod(self, namespace: str, **query: Any) -> Any:
        self.calls.append(f"watch {query['field_selector']} from {query['resource_version']}")
        text = b"".join(json.dumps({"object": {"status": status}}).encode() + b"\n" for status in self._states)
        return SimpleNamespace(stream=lambda **_: self._cut(text), close=lambda: self.calls.append("close"))

    def read_namespaced_pod_log(self, name: str, namespace: str, **_: Any) -> Any:
        self.calls.append("log")
        return SimpleNamespace(data=b"hi\n")

    def delete_namespaced_pod(self, name: str, namespace: str, **_: Any) -> None:
        self.calls.append("delete")

    @staticmethod
    def _cut(text: bytes) -> Iterator[bytes]:
        """Yield the text in chunks that end within a line."""
        yield from (text[first : first + 10] for first in range(0, len(text), 10))


RUNNING, ENDED = (
    {"containerStatuses": [{"name": "base", "state": {state: {}}}]} for state in ("running", "terminated")
)


def test_plain_client_sends_four_requests():
    api = FakeApi(RUNNING, ENDED)
    assert run_plain_pod(api, COPY) > 0
    watch = "watch metadata.name=plain-1 from 7"
    assert api.calls == ["create team-alpha/plain-1", watch, "close", "log", "delete"]


def test_plain_client_deletes_a_pod_that_does_not_end_and_says_what_it_saw():
    api = FakeApi(RUNNING)
    with pytest.raises(ScriptError, match=r"^Waited 60 s for pod plain-1 to end; last seen: .*'running'"):
        run_plain_pod(api, COPY)
    assert api.calls[-1] == "delete"


@pytest.mark.parametrize(
    ("version", "file", "text"),
    [(1, "cpuacct.usage", "2500000000\n"), (2, "cpu.stat", "usage_usec 2500000\nuser_usec 1\n")],
)
def test_cpu_time_of_a_pod_is_read_from_its_cgroup(tmp_path: Path, version: int, file: str, text: str):
    pod = tmp_path / "kpo-platform" / "kubepods" / "burstable" / "poda"
    pod.mkdir(parents=True)
    (pod / file).write_text(text)
    memory = Hierarchy(tmp_path / "memory", 1, frozenset({"memory"}))
    cpu = Hierarchy(tmp_path, version, frozenset({"cpuacct"} if version == 1 else {"cpu"}))
    assert read_cpu_seconds([memory, cpu], ["a", "gone"]) == {"a": 2.5}
