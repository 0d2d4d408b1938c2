"""Work that is to outlast Airflow's pods: runs whose pods go on until they are told, and what there was before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cluster.support.airflow_runs.dag_run import Run, drop
from common.errors import ScriptError
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.pod_watch import ObservedPods
from stack.release import NAMESPACE, RELEASE, Stack

AIRFLOW = {
    "api-server": "deployment",
    "dag-processor": "deployment",
    "postgresql": "statefulset",
    "scheduler": "statefulset",
    "triggerer": "statefulset",
}
"""Airflow's components, and what kind of object keeps a pod of each."""

NAMESPACES = (NAMESPACE, "team-alpha", "team-beta")
KEPT_SECRETS = ("admin", "api-secret-key", "database", "fernet-key", "jwt-secret")
# On a node of two cores that others use too, Airflow takes minutes to start.
READY_S = 600
ANSWER_S = 180
SYNC = ("sync", "-1")
TASKS = {SYNC, ("deferred", "-1"), ("mapped", "0"), ("mapped", "1")}
TASKS_OF = {"lasting": TASKS, "lasting_sync": {SYNC}, "lasting_tries": {SYNC, ("once", "-1"), ("deferred", "-1")}}
"""DAG → its tasks, by name and map index."""


@dataclass(frozen=True)
class Lasting:
    """A run of a DAG whose tasks' pods run until they are told to end.

    Attributes:
        run: the run.
        uids: the pods' uids, by task and map index.
    """

    run: Run
    uids: dict[tuple[str, str], str]

    def pods(self) -> dict[tuple[str, str], str]:
        """Give the uids of the pods that run now, by task and map index."""
        found: dict[tuple[str, str], str] = {}
        for pod in self.run.pods():
            if pod["status"].get("phase") == "Running":
                labels = pod["metadata"]["labels"]
                found[labels["task_id"], labels.get("map_index", "-1")] = pod["metadata"]["uid"]
        return found

    def tasks(self) -> dict[tuple[str, str], tuple[str, int]]:
        """Give state and try of every task, by task and map index."""
        found = self.run.airflow.list_task_instances(self.run.dag, self.run.id)
        return {(one["task_id"], str(one["map_index"])): (one["state"], one["try_number"]) for one in found}

    def seen_in(self, seen: ObservedPods) -> dict[tuple[str, str], set[str]]:
        """Give the uids of all pods that the tasks ever had while somebody looked, by task and map index."""
        found: dict[tuple[str, str], set[str]] = {}
        for pod in filter(self.run.owns, seen.with_labels(dag_id=self.run.dag)):
            labels = pod["metadata"]["labels"]
            found.setdefault((labels["task_id"], labels.get("map_index", "-1")), set()).add(pod["metadata"]["uid"])
        return found

    def tell_to_end(self, *tasks: str) -> None:
        """Let the programs of these tasks end; without a name, all of them."""
        for pod in self.run.pods():
            if not tasks or pod["metadata"]["labels"]["task_id"] in tasks:
                where = ("-n", self.run.namespace, pod["metadata"]["name"], "-c", "base")
                self.run.stack.kubectl("exec", *where, "--", "touch", "/tmp/end")

    def wait_for_sync(self, times: int, task: str = SYNC[0]) -> None:
        """Wait until a task that waits in a worker has been started so many times."""

        def probe() -> None:
            tries = self.tasks()[task, "-1"][1]
            log = "".join(self.run.read_log(task, attempt) for attempt in range(1, tries + 1))
            if (seen := log.count("Pod has reached Running phase")) < times:
                raise NotYet(f"{seen} times; tasks {self.tasks()}; last lines: {log[-600:]}")

        wait_for(f"task {task} to be started {times} times", probe, READY_S, interval_s=3)

    def stop(self) -> None:
        """End the run as failed, then remove its pods: a pod that goes before its task starts again."""
        self.run.airflow.patch(f"dags/{self.run.dag}/dagRuns/{quote(self.run.id)}", {"state": "failed"})
        self.run.stack.kubectl(
            "delete", "pods", "-n", self.run.namespace, "-l", f"dag_id={self.run.dag}", "--wait=false"
        )


def start(stack: Stack, airflow: AirflowApi, dag: str = "lasting") -> Lasting:
    """Start a run of the DAG and wait until all its pods run, and the task in the worker knows it."""
    drop(stack, airflow, "alpha", "lasting.py", dag)
    it = Lasting(Run(stack, airflow, dag, airflow.trigger_run(dag)), {})

    def probe() -> dict[tuple[str, str], str]:
        if (running := it.pods()).keys() != TASKS_OF[dag]:
            raise NotYet(f"running: {sorted(running)}; tasks {it.tasks()}")
        return running

    it.uids.update(wait_for("all pods of the run", probe, READY_S, interval_s=1))
    it.run.wait_for_log("Pod has reached Running phase", "sync")
    return it


def finished_run(stack: Stack, airflow: AirflowApi) -> Run:
    """Run the DAG `lasted`, which ends at once, for the history."""
    drop(stack, airflow, "alpha", "lasting.py", "lasted")
    run = Run(stack, airflow, "lasted", airflow.trigger_run("lasted"))
    assert run.end() == "success", run.read_log()
    return run


def kept_objects(stack: Stack) -> dict[str, Any]:
    """Give what outlives the release: Airflow's secrets with their values, and the uids of all that holds data."""
    secrets = [stack.get("secret", f"{RELEASE}-{name}", "-n", NAMESPACE) for name in KEPT_SECRETS]
    claims = stack.get("pvc", "-n", NAMESPACE)["items"] + stack.get("pvc,secret", "-n", "team-alpha")["items"]
    namespaces = [stack.get("namespace", name) for name in NAMESPACES]
    found = {
        f"{one['kind']} {one['metadata'].get('namespace', '')} {one['metadata']['name']}": one["metadata"]["uid"]
        for one in [*secrets, *claims, *namespaces]
    }
    return {**found, "secrets": {one["metadata"]["name"]: one["data"] for one in secrets}}


def holdings(stack: Stack, airflow: AirflowApi, history: Run) -> dict[str, Any]:
    """Give what no restart, upgrade or reinstall may change: what outlives the release, the connection, the history."""
    (task,) = airflow.list_task_instances(history.dag, history.id)
    return {
        "objects": kept_objects(stack),
        "connection": airflow.get("connections/k8s_default"),
        "history": (task["state"], task["try_number"], task["start_date"], task["end_date"]),
        "xcom": airflow.read_xcom(history.dag, history.id, "work"),
        "log": airflow.read_log(history.dag, history.id, "work"),
    }


def holdings_again(stack: Stack, airflow: AirflowApi, history: Run) -> dict[str, Any]:
    """Give the same once Airflow answers: its API server and its database may have been away."""

    def probe() -> dict[str, Any]:
        try:
            return holdings(stack, airflow, history)
        except ScriptError as error:
            raise NotYet(str(error)) from None

    return wait_for("Airflow to tell what it has", probe, ANSWER_S, interval_s=2)


def components(stack: Stack) -> dict[str, tuple[str, str]]:
    """Give name and uid of every pod of Airflow itself, by component."""
    found = {}
    for pod in stack.get("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/instance={RELEASE}")["items"]:
        component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        if component in AIRFLOW and "deletionTimestamp" not in pod["metadata"]:
            found[component] = (pod["metadata"]["name"], pod["metadata"]["uid"])
    return found


def kill(stack: Stack, component: str) -> None:
    """End a component's pod without a chance to tidy up, and wait until there is another one; it need not be ready."""
    name, uid = components(stack)[component]
    stack.kubectl("delete", "pod", "-n", NAMESPACE, name, "--grace-period=1", timeout_s=120)

    def probe() -> None:
        if components(stack).get(component, (name, uid))[1] == uid:
            raise NotYet("none")

    wait_for(f"another pod of the {component}", probe, deadline_s=120)


def settle(stack: Stack) -> None:
    """Wait until every component has its one pod: an upgrade that has ended well may still be replacing some."""

    def probe() -> None:
        pods = stack.get("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/instance={RELEASE}")["items"]
        found = [pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods]
        if counts := {name: found.count(name) for name in AIRFLOW if found.count(name) != 1}:
            raise NotYet(f"pods: {counts}")

    for component in AIRFLOW:
        wait_until_ready(stack, component)
    wait_for("one pod of every component", probe, deadline_s=180, interval_s=1)


def wait_until_ready(stack: Stack, component: str) -> None:
    """Wait until a component is as many as it should be, and ready."""
    name = f"{AIRFLOW[component]}/{RELEASE}-{component}"
    stack.kubectl("rollout", "status", "-n", NAMESPACE, name, f"--timeout={READY_S}s", timeout_s=READY_S + 10)
