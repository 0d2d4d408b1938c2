"""Teams come, change and go by `helm upgrade` while other teams' tasks run: nothing of theirs is touched.

One story in four chapters, each a test: two tasks of team alpha run throughout, one in a worker and one deferred.
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

UNTIL_TOLD = "until [ -f /tmp/end ]; do sleep 1; done"

with DAG("live_long", schedule=None, default_args={"team": "alpha", "retries": 2}):
    for name, deferrable in {"sync": False, "deferred": True}.items():
        TeamPodOperator(
            task_id=name, image="busybox:1.35", cmds=["sh", "-c", UNTIL_TOLD], deferrable=deferrable
        )
"""
SHORT = """
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

with DAG("live_gamma", schedule=None):
    TeamPodOperator(task_id="run", team="gamma", image="busybox:1.35", cmds=["true"])
"""
GAMMA: dict[str, Any] = {
    "dags": {"repo": "git://git-server.git.svc.cluster.local/gamma.git", "refreshInterval": 5},
    "sizes": {"small": {"cpu": "10m", "memory": "32Mi"}},
}
AIRFLOW = ("scheduler", "triggerer", "dag-processor", "api-server", "postgresql")
# The kubelet brings a changed ConfigMap into running pods within its sync period and the lifetime of its cache.
ARRIVAL_S = 180.0


@dataclass
class Story:
    """What the chapters share."""

    stack: Stack
    airflow: AirflowApi
    seen: ObservedPods
    values: Path
    run: str
    uids: dict[str, str]

    def upgrade(self, **teams: dict[str, Any]) -> None:
        """Upgrade the release to the usual teams and these."""
        self.values.write_text(yaml.safe_dump({"teams": teams}))
        install_release(Steps(), self.stack, self.values)
        for component in ("scheduler", "triggerer"):
            wait_for(f"the contract to reach the {component}", lambda name=component: self.arrived(name), ARRIVAL_S)

    def arrived(self, component: str) -> None:
        """Compare what a running pod has mounted with what was published."""
        command = ("cat", "/opt/kpo-platform/contract/contract.json")
        mounted = json.loads(self.stack.kubectl("exec", "-n", NAMESPACE, f"{RELEASE}-{component}-0", "--", *command))
        if mounted != self.stack.read_contract():
            raise NotYet(f"it has the teams {', '.join(mounted['teams'])}, or older settings of theirs")

    def task_pods(self) -> dict[str, str]:
        """The uids of the long tasks' pods that run now, by task."""
        pods = self.stack.get("pods", "-n", "team-alpha", "-l", "dag_id=live_long")["items"]
        running = [pod["metadata"] for pod in pods if pod["status"]["phase"] == "Running"]
        return {meta["labels"]["task_id"]: meta["uid"] for meta in running}

    def airflow_pods(self) -> dict[str, tuple[str, int]]:
        """The uid and the restarts of every pod of Airflow itself, by component."""
        pods = self.stack.get("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/instance={RELEASE}")["items"]
        found = {}
        for pod in pods:
            component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
            if component in AIRFLOW and "deletionTimestamp" not in pod["metadata"]:
                restarts = sum(status["restartCount"] for status in pod["status"]["containerStatuses"])
                found[component] = (pod["metadata"]["uid"], restarts)
        assert set(found) == set(AIRFLOW)
        return found

    def run_gamma(self) -> dict[str, Any]:
        """Run gamma's DAG and give its pod."""
        run = self.airflow.trigger_run("live_gamma")
        assert self.airflow.wait_for_run("live_gamma", run) == "success"
        name = self.airflow.read_xcom("live_gamma", run, "run", "pod_name")
        (pod,) = self.seen.with_name(name)
        return pod


@pytest.fixture(scope="module")
def story(stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    git = f"git://{stack.service_address('git-server', 'git')}"
    values = tmp_path_factory.mktemp("values") / "gamma.yaml"
    try:
        repository(stack, "git init --quiet --bare --initial-branch=main /srv/git/gamma.git")
        push_files(f"{git}/gamma.git", {"live_gamma.py": SHORT}, "Run once")
        airflow.wait_for_version("live_long", push_files(f"{git}/alpha.git", {"live_long.py": LONG}, "Run until told"))
        with watch_pods(stack) as seen:
            it = Story(stack, airflow, seen, values, airflow.trigger_run("live_long"), {})
            wait_for("both long tasks to run", lambda: both_run(it), deadline_s=120)
            it.uids = it.task_pods()
            yield it
    finally:
        install_release(Steps(), stack)
        forget(stack, git)


def forget(stack: Stack, git: str) -> None:
    """Remove what an upgrade to the usual teams leaves behind."""
    push_files(f"{git}/alpha.git", {"live_long.py": ""}, "Run no more")
    stack.kubectl("delete", "pods", "-n", "team-alpha", "-l", "dag_id=live_long", "--grace-period=1", "--wait=false")
    stack.kubectl("delete", "namespace", "team-gamma", "--ignore-not-found", timeout_s=120)
    repository(stack, "rm -rf /srv/git/gamma.git")


def both_run(story: Story) -> None:
    if (running := story.task_pods()).keys() != {"sync", "deferred"}:
        raise NotYet(f"running: {', '.join(running) or 'none'}")


def repository(stack: Stack, command: str) -> None:
    stack.kubectl("exec", "-n", "git", "deployment/git-server", "--", "sh", "-c", command)


def test_an_added_team_runs_its_tasks_while_others_go_on(story: Story, programs: Path):
    before = story.airflow_pods()
    story.upgrade(gamma={**GAMMA, "volumes": [{"name": "data", "size": "1Mi", "mountPath": "/data"}]})
    after = story.airflow_pods()
    # A new repository is a new setting of the part that reads repositories, and of no other.
    assert {name for name in AIRFLOW if before[name] != after[name]} == {"dag-processor"}
    words = [programs / "platformctl", "bootstrap", "--yes", "--team", "gamma", "--registry-config", "-"]
    login = {"auths": {"registry.kpo-platform.test": {"username": "u", "password": "p"}}}
    capture_output(words, env=story.stack.environment, stdin=json.dumps(login), timeout_s=120)
    story.airflow.wait_for_version("live_gamma", head_of_gamma(story.stack))
    assert story.run_gamma()["metadata"]["namespace"] == "team-gamma"
    assert story.task_pods() == story.uids


def head_of_gamma(stack: Stack) -> str:
    url = f"git://{stack.service_address('git-server', 'git')}/gamma.git"
    return capture_output(["git", "ls-remote", url, "refs/heads/main"]).split()[0]


def test_a_changed_team_has_its_new_size_with_the_next_task_and_nothing_starts_again(story: Story):
    before = story.airflow_pods()
    bigger = {**GAMMA, "sizes": {"small": {"cpu": "20m", "memory": "48Mi"}}}
    story.upgrade(gamma={**bigger, "volumes": [{"name": "data", "size": "1Mi", "mountPath": "/data"}]})
    assert story.airflow_pods() == before
    (base, *_) = story.run_gamma()["spec"]["containers"]
    assert base["resources"]["requests"] == {"cpu": "20m", "memory": "48Mi"}
    assert story.task_pods() == story.uids


def test_a_removed_team_leaves_its_namespace_and_data_and_is_reported(story: Story, programs: Path):
    claim = story.stack.get("pvc", "data", "-n", "team-gamma")["metadata"]["uid"]
    story.upgrade()
    assert story.stack.get("namespace", "team-gamma")["status"]["phase"] == "Active"
    assert story.stack.get("pvc", "data", "-n", "team-gamma")["metadata"]["uid"] == claim
    assert story.stack.get("rolebindings,roles", "-n", "team-gamma")["items"] == []
    listed = capture_output([programs / "platformctl", "teams", "list", "-o", "json"], env=story.stack.environment)
    assert json.loads(listed)["removed"] == [{"name": "gamma", "namespace": "team-gamma"}]
    assert story.task_pods() == story.uids


def test_the_tasks_that_ran_all_the_time_end_well_in_their_first_try_and_first_pod(story: Story):
    for pod in story.stack.get("pods", "-n", "team-alpha", "-l", "dag_id=live_long")["items"]:
        name = pod["metadata"]["name"]
        story.stack.kubectl("exec", "-n", "team-alpha", name, "-c", "base", "--", "touch", "/tmp/end")
    assert story.airflow.wait_for_run("live_long", story.run) == "success"
    tasks = {task["task_id"]: task["try_number"] for task in story.airflow.list_task_instances("live_long", story.run)}
    assert tasks == {"sync": 1, "deferred": 1}
    seen = story.seen.with_labels(dag_id="live_long")
    assert {pod["metadata"]["labels"]["task_id"]: pod["metadata"]["uid"] for pod in seen} == story.uids
    assert len(seen) == 2
