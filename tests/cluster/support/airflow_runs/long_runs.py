"""Runs whose pods survive restarts of Airflow's pods, and the state that must not change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cluster.support.airflow_runs.dag_run import Run, push_dag
from common.errors import ScriptError
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.pod_watch import ObservedPods
from stack.release import NAMESPACE, RELEASE, Stack

COMPONENTS = {
    "api-server": "deployment",
    "dag-processor": "deployment",
    "postgresql": "statefulset",
    "scheduler": "statefulset",
    "triggerer": "statefulset",
}
"""Airflow's components → the kind of their controller."""

NAMESPACES = (NAMESPACE, "team-alpha", "team-beta")
KEPT_SECRETS = ("admin", "api-secret-key", "database", "fernet-key", "jwt-secret")
# On a shared node with two cores Airflow takes minutes to start.
READY_S = 600
RESPONSE_S = 180
_NO_LOG = "Could not read served logs"  # what Airflow shows instead of the log of a finished task
_END_SOON = "(sleep 1; touch /tmp/end) </dev/null >/dev/null 2>&1 &"
SYNC = ("sync", "-1")
TASKS = {SYNC, ("deferred", "-1"), ("mapped", "0"), ("mapped", "1")}
DAG_TASKS = {
    "long_tasks": TASKS,
    "long_tasks_sync": {SYNC},
    "long_tasks_tries": {SYNC, ("once", "-1"), ("deferred", "-1")},
    "result_kinds": {(task, "-1") for task in ("sync", "deferred", "sync_message", "deferred_message")},
}
"""DAG → its tasks, by task id and map index."""


@dataclass(frozen=True)
class LongRun:
    """A DAG run whose pods run until `finish_tasks` is called.

    Attributes:
        run: the run.
        uids: the pods' uids by task id and map index.
    """

    run: Run
    uids: dict[tuple[str, str], str]

    def running_pods(self) -> dict[tuple[str, str], str]:
        """Return the uids of the running pods by task id and map index."""
        uids: dict[tuple[str, str], str] = {}
        for pod in self.run.list_pods():
            if pod["status"].get("phase") == "Running":
                labels = pod["metadata"]["labels"]
                uids[labels["task_id"], labels.get("map_index", "-1")] = pod["metadata"]["uid"]
        return uids

    def task_states(self) -> dict[tuple[str, str], tuple[str, int]]:
        """Return state and try number of every task by task id and map index."""
        instances = self.run.airflow.list_task_instances(self.run.dag, self.run.id)
        return {
            (instance["task_id"], str(instance["map_index"])): (instance["state"], instance["try_number"])
            for instance in instances
        }

    def observed_pod_uids(self, observed: ObservedPods) -> dict[tuple[str, str], set[str]]:
        """Return the uids of all observed pods of the tasks by task id and map index."""
        uids: dict[tuple[str, str], set[str]] = {}
        for pod in filter(self.run.owns, observed.with_labels(dag_id=self.run.dag)):
            labels = pod["metadata"]["labels"]
            uids.setdefault((labels["task_id"], labels.get("map_index", "-1")), set()).add(pod["metadata"]["uid"])
        return uids

    def finish_tasks(self, *tasks: str) -> None:
        """Make the programs of these tasks exit, or of all tasks if none is named.

        The end of a container kills the processes of `exec`, so the file is made after that command has ended.
        """
        for pod in self.run.list_pods():
            if not tasks or pod["metadata"]["labels"]["task_id"] in tasks:
                container_options = ("-n", self.run.namespace, pod["metadata"]["name"], "-c", "base")
                self.run.stack.kubectl("exec", *container_options, "--", "sh", "-c", _END_SOON)

    def wait_for_sync(self, times: int, task: str = SYNC[0]) -> None:
        """Wait until a task that waits in a worker has been started this many times."""

        def probe() -> None:
            tries = self.task_states()[task, "-1"][1]
            log = "".join(self.run.read_log(task, attempt) for attempt in range(1, tries + 1))
            if (starts := log.count("Pod has reached Running phase")) < times:
                raise NotYet(f"{starts} times; tasks {self.task_states()}; last lines: {log[-600:]}")

        wait_for(f"task {task} to be started {times} times", probe, READY_S, interval_s=3)

    def fail_run(self) -> None:
        """Mark the run as failed, then delete its pods.

        In the other order, Airflow would restart the pods.
        """
        self.run.airflow.patch(f"dags/{self.run.dag}/dagRuns/{quote(self.run.id)}", {"state": "failed"})
        self.run.stack.kubectl(
            "delete", "pods", "-n", self.run.namespace, "-l", f"dag_id={self.run.dag}", "--wait=false"
        )


def start_long_run(stack: Stack, airflow: AirflowApi, dag: str = "long_tasks") -> LongRun:
    """Start a run; wait until its pods run, each task waits where it stays, and that in the worker has logged it."""
    push_dag(stack, airflow, "alpha", "long_tasks.py", dag)
    long_run = LongRun(Run(stack, airflow, dag, airflow.trigger_run(dag)), {})

    def probe() -> dict[tuple[str, str], str]:
        running, states = long_run.running_pods(), long_run.task_states()
        waiting = {task for task, (state, _) in states.items() if state == _waiting_state(task)}
        if running.keys() != DAG_TASKS[dag] or waiting != DAG_TASKS[dag]:
            raise NotYet(f"running: {sorted(running)}; tasks {states}")
        return running

    long_run.uids.update(wait_for("all pods of the run", probe, READY_S, interval_s=1))
    long_run.run.wait_for_log("Pod has reached Running phase", "sync")
    return long_run


def _waiting_state(task: tuple[str, str]) -> str:
    return "running" if task[0].startswith(("sync", "once")) else "deferred"


def run_short_dag(stack: Stack, airflow: AirflowApi) -> Run:
    """Run the DAG `short_task` for the run history."""
    push_dag(stack, airflow, "alpha", "long_tasks.py", "short_task")
    run = Run(stack, airflow, "short_task", airflow.trigger_run("short_task"))
    assert run.wait_for_end() == "success", run.read_log()
    return run


def read_kept_objects(stack: Stack) -> dict[str, Any]:
    """Return the objects that survive the release: Secrets with data, and uids of others."""
    secrets = [stack.get("secret", f"{RELEASE}-{name}", "-n", NAMESPACE) for name in KEPT_SECRETS]
    claims = stack.get("pvc", "-n", NAMESPACE)["items"] + stack.get("pvc,secret", "-n", "team-alpha")["items"]
    namespaces = [stack.get("namespace", name) for name in NAMESPACES]
    uids = {
        f"{item['kind']} {item['metadata'].get('namespace', '')} {item['metadata']['name']}": item["metadata"]["uid"]
        for item in [*secrets, *claims, *namespaces]
    }
    return {**uids, "secrets": {secret["metadata"]["name"]: secret["data"] for secret in secrets}}


def read_persistent_state(stack: Stack, airflow: AirflowApi, history: Run) -> dict[str, Any]:
    """Return the state that no restart, upgrade or reinstall may change: kept objects, connection, history."""
    (task,) = airflow.list_task_instances(history.dag, history.id)
    return {
        "objects": read_kept_objects(stack),
        "connection": airflow.get("connections/k8s_default"),
        "history": (task["state"], task["try_number"], task["start_date"], task["end_date"]),
        "xcom": airflow.read_xcom(history.dag, history.id, "work"),
        "log": airflow.read_log(history.dag, history.id, "work"),
    }


def wait_for_persistent_state(stack: Stack, airflow: AirflowApi, history: Run) -> dict[str, Any]:
    """Return the persistent state once Airflow responds: API server, database and server of logs may restart."""

    def probe() -> dict[str, Any]:
        try:
            state = read_persistent_state(stack, airflow, history)
        except ScriptError as error:
            raise NotYet(str(error)) from None
        if _NO_LOG in state["log"]:  # a scheduler's pod is ready a moment before it serves the logs of its tasks
            raise NotYet(state["log"])
        return state

    return wait_for("Airflow to return its persistent state", probe, RESPONSE_S, interval_s=2)


def read_component_pods(stack: Stack) -> dict[str, tuple[str, str]]:
    """Return name and uid of every pod of Airflow by component."""
    pods = {}
    for pod in stack.get("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/instance={RELEASE}")["items"]:
        component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        if component in COMPONENTS and "deletionTimestamp" not in pod["metadata"]:
            pods[component] = (pod["metadata"]["name"], pod["metadata"]["uid"])
    return pods


def kill_component_pod(stack: Stack, component: str) -> None:
    """Kill a component's pod and wait until another one exists, which need not be ready."""
    name, uid = read_component_pods(stack)[component]
    stack.kubectl("delete", "pod", "-n", NAMESPACE, name, "--grace-period=1", timeout_s=120)

    def probe() -> None:
        if read_component_pods(stack).get(component, (name, uid))[1] == uid:
            raise NotYet("none")

    wait_for(f"another pod of the {component}", probe, deadline_s=120)


def wait_until_stable(stack: Stack) -> None:
    """Wait until every component has exactly one pod.

    After a successful upgrade, some may still be replaced.
    """

    def probe() -> None:
        pods = stack.get("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/instance={RELEASE}")["items"]
        names = [pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in pods]
        if counts := {name: names.count(name) for name in COMPONENTS if names.count(name) != 1}:
            raise NotYet(f"pods: {counts}")

    for component in COMPONENTS:
        wait_for_component(stack, component)
    wait_for("one pod of every component", probe, deadline_s=180, interval_s=1)


def wait_for_component(stack: Stack, component: str) -> None:
    """Wait until a component has all its replicas, and they are ready."""
    name = f"{COMPONENTS[component]}/{RELEASE}-{component}"
    stack.kubectl("rollout", "status", "-n", NAMESPACE, name, f"--timeout={READY_S}s", timeout_s=READY_S + 10)
