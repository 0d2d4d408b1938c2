"""Teams are added, changed and removed by `helm upgrade` while other teams' tasks run undisturbed.

The tests share two tasks of team alpha that run throughout: one in a worker and one deferred.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.command import capture_output
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.git_push import push_files
from stack.install import install_release
from stack.pod_watch import ObservedPods, watch_pods
from stack.release import NAMESPACE, RELEASE, Stack

LONG = """
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

RUN_UNTIL_END_FILE = "until [ -f /tmp/end ]; do sleep 1; done"

with DAG("live_long", schedule=None, default_args={"team": "alpha", "retries": 2}):
    for name, deferrable in {"sync": False, "deferred": True}.items():
        TeamPodOperator(
            task_id=name, image="busybox:1.35", cmds=["sh", "-c", RUN_UNTIL_END_FILE], deferrable=deferrable
        )
"""
SHORT = """
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

with DAG("live_gamma", schedule=None):
    TeamPodOperator(task_id="run", team="gamma", image="busybox:1.35", cmds=["true"])
"""
GAMMA_VALUES: dict[str, Any] = {
    "dags": {"repo": "git://git-server.git.svc.cluster.local/gamma.git", "refreshInterval": 5},
    "sizes": {"small": {"cpu": "10m", "memory": "32Mi"}},
}
AIRFLOW = ("scheduler", "triggerer", "dag-processor", "api-server", "postgresql")
# The kubelet updates mounted ConfigMaps within its sync period and the lifetime of its cache.
ARRIVAL_S = 180.0


@dataclass
class LiveChange:
    """State that the tests share."""

    stack: Stack
    airflow: AirflowApi
    observed: ObservedPods
    values: Path
    run: str
    uids: dict[str, str]

    def upgrade(self, **teams: dict[str, Any]) -> None:
        """Upgrade the release to the usual teams and additional ones."""
        self.values.write_text(yaml.safe_dump({"teams": teams}))
        install_release(Steps(), self.stack, self.values)
        for component in ("scheduler", "triggerer"):
            wait_for(
                f"the contract to reach the {component}", lambda name=component: self.check_contract(name), ARRIVAL_S
            )

    def check_contract(self, component: str) -> None:
        """Raise NotYet unless a running pod has mounted the published contract."""
        command = ("cat", "/opt/kpo-platform/contract/contract.json")
        mounted = json.loads(self.stack.kubectl("exec", "-n", NAMESPACE, f"{RELEASE}-{component}-0", "--", *command))
        if mounted != self.stack.read_contract():
            raise NotYet(f"the mounted contract has teams {', '.join(mounted['teams'])}, or older settings")

    def task_pods(self) -> dict[str, str]:
        """Return the uids of the long tasks' running pods by task."""
        pods = self.stack.get("pods", "-n", "team-alpha", "-l", "dag_id=live_long")["items"]
        running = [pod["metadata"] for pod in pods if pod["status"]["phase"] == "Running"]
        return {meta["labels"]["task_id"]: meta["uid"] for meta in running}

    def airflow_pods(self) -> dict[str, tuple[str, int]]:
        """Return uid and restarts of every pod of Airflow by component."""
        pods = self.stack.get("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/instance={RELEASE}")["items"]
        pods_by_component = {}
        for pod in pods:
            component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
            if component in AIRFLOW and "deletionTimestamp" not in pod["metadata"]:
                restarts = sum(status["restartCount"] for status in pod["status"]["containerStatuses"])
                pods_by_component[component] = (pod["metadata"]["uid"], restarts)
        assert set(pods_by_component) == set(AIRFLOW)
        return pods_by_component

    def run_gamma(self) -> dict[str, Any]:
        """Run gamma's DAG and return its pod."""
        run = self.airflow.trigger_run("live_gamma")
        assert self.airflow.wait_for_run("live_gamma", run) == "success"
        name = self.airflow.read_xcom("live_gamma", run, "run", "pod_name")
        (pod,) = self.observed.with_name(name)
        return pod


@pytest.fixture(scope="module")
def change(stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveChange]:
    git = f"git://{stack.service_address('git-server', 'git')}"
    values = tmp_path_factory.mktemp("values") / "gamma.yaml"
    try:
        run_in_git_server(stack, "git init --quiet --bare --initial-branch=main /srv/git/gamma.git")
        push_files(f"{git}/gamma.git", {"live_gamma.py": SHORT}, "Add a short task")
        airflow.wait_for_version(
            "live_long", push_files(f"{git}/alpha.git", {"live_long.py": LONG}, "Add two long tasks")
        )
        with watch_pods(stack) as observed:
            change = LiveChange(stack, airflow, observed, values, airflow.trigger_run("live_long"), {})
            wait_for("both long tasks to run", lambda: check_both_run(change), deadline_s=120)
            change.uids = change.task_pods()
            yield change
    finally:
        install_release(Steps(), stack)
        delete_gamma(stack, git)


def delete_gamma(stack: Stack, git: str) -> None:
    """Delete what remains after the upgrade to the usual teams."""
    push_files(f"{git}/alpha.git", {"live_long.py": ""}, "Remove the long tasks")
    stack.kubectl("delete", "pods", "-n", "team-alpha", "-l", "dag_id=live_long", "--grace-period=1", "--wait=false")
    stack.kubectl("delete", "namespace", "team-gamma", "--ignore-not-found", timeout_s=120)
    run_in_git_server(stack, "rm -rf /srv/git/gamma.git")


def check_both_run(change: LiveChange) -> None:
    if (running := change.task_pods()).keys() != {"sync", "deferred"}:
        raise NotYet(f"running: {', '.join(running) or 'none'}")


def run_in_git_server(stack: Stack, command: str) -> None:
    stack.kubectl("exec", "-n", "git", "deployment/git-server", "--", "sh", "-c", command)


def test_added_team_runs_tasks_while_others_continue(change: LiveChange, programs: Path):
    before = change.airflow_pods()
    change.upgrade(gamma={**GAMMA_VALUES, "volumes": [{"name": "data", "size": "1Mi", "mountPath": "/data"}]})
    after = change.airflow_pods()
    # A new repository changes the settings of the DAG processor only.
    assert {name for name in AIRFLOW if before[name] != after[name]} == {"dag-processor"}
    words = [programs / "platformctl", "bootstrap", "--yes", "--team", "gamma", "--registry-config", "-"]
    login = {"auths": {"registry.kpo-platform.test": {"username": "u", "password": "p"}}}
    capture_output(words, env=change.stack.environment, stdin=json.dumps(login), timeout_s=120)
    change.airflow.wait_for_version("live_gamma", read_gamma_commit(change.stack))
    assert change.run_gamma()["metadata"]["namespace"] == "team-gamma"
    assert change.task_pods() == change.uids


def read_gamma_commit(stack: Stack) -> str:
    url = f"git://{stack.service_address('git-server', 'git')}/gamma.git"
    return capture_output(["git", "ls-remote", url, "refs/heads/main"]).split()[0]


def test_changed_size_applies_to_the_next_task_without_restarts(change: LiveChange):
    before = change.airflow_pods()
    changed_values = {**GAMMA_VALUES, "sizes": {"small": {"cpu": "20m", "memory": "48Mi"}}}
    change.upgrade(gamma={**changed_values, "volumes": [{"name": "data", "size": "1Mi", "mountPath": "/data"}]})
    assert change.airflow_pods() == before
    (base, *_) = change.run_gamma()["spec"]["containers"]
    assert base["resources"]["requests"] == {"cpu": "20m", "memory": "48Mi"}
    assert change.task_pods() == change.uids


def test_removed_team_keeps_namespace_and_data_and_is_reported(change: LiveChange, programs: Path):
    claim = change.stack.get("pvc", "data", "-n", "team-gamma")["metadata"]["uid"]
    change.upgrade()
    assert change.stack.get("namespace", "team-gamma")["status"]["phase"] == "Active"
    assert change.stack.get("pvc", "data", "-n", "team-gamma")["metadata"]["uid"] == claim
    assert change.stack.get("rolebindings,roles", "-n", "team-gamma")["items"] == []
    output = capture_output([programs / "platformctl", "teams", "list", "-o", "json"], env=change.stack.environment)
    assert json.loads(output)["removed"] == [{"name": "gamma", "namespace": "team-gamma"}]
    assert change.task_pods() == change.uids


def test_long_tasks_succeed_in_their_first_try_and_pod(change: LiveChange):
    for pod in change.stack.get("pods", "-n", "team-alpha", "-l", "dag_id=live_long")["items"]:
        name = pod["metadata"]["name"]
        change.stack.kubectl("exec", "-n", "team-alpha", name, "-c", "base", "--", "touch", "/tmp/end")
    assert change.airflow.wait_for_run("live_long", change.run) == "success"
    tasks = {
        task["task_id"]: task["try_number"] for task in change.airflow.list_task_instances("live_long", change.run)
    }
    assert tasks == {"sync": 1, "deferred": 1}
    observed = change.observed.with_labels(dag_id="live_long")
    assert {pod["metadata"]["labels"]["task_id"]: pod["metadata"]["uid"] for pod in observed} == change.uids
    assert len(observed) == 2
