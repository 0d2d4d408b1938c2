"""Runs of all samples in dags/, with their documented effects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.pods.sleeper import POD
from common.paths import REPOSITORY
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.git_push import push_files
from stack.pod_watch import ObservedPods, watch_pods
from stack.registry import Registry, busybox_archive, run_registry
from stack.release import Stack

SAMPLES = {file.stem: file for file in sorted((REPOSITORY / "dags").glob("*.py")) if file.stem != "hello_team"}
"""All samples except that of group `quickstart`."""

FAILING = {"keep_on_failure"}
TEAM = "team-alpha"
JOBS = {"jobs/report.sh": 'echo "report of the $1 by $(basename "$0")"\n', "jobs/order": "count\n"}


@pytest.fixture(scope="module")
def registry(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """The registry with the image of sample full_pattern, and the sample's Secrets."""
    with run_registry(stack.programs, tmp_path_factory.mktemp("registry")) as server:
        server.push_image(
            "partner/report", "1.0", busybox_archive(), {"report/title": "a title out of a private image\n"}
        )
        docker_config = {".dockerconfigjson": json.dumps(server.docker_config())}
        try:
            apply_secret(stack, "partner-registry", docker_config, "kubernetes.io/dockerconfigjson")
            apply_secret(stack, "report-settings", {"LEVEL": "3", "TOKEN": "abcdefgh"}, "Opaque")
            yield server
        finally:
            words = ("partner-registry", "report-settings", "--ignore-not-found")
            stack.kubectl("delete", "secret", "-n", TEAM, *words)


def apply_secret(stack: Stack, name: str, data: dict[str, str], kind: str) -> None:
    """Create a Secret in the team's namespace."""
    manifest = {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": {"name": name, "namespace": TEAM}}
    stack.kubectl("apply", "-f", "-", stdin=json.dumps({**manifest, "stringData": data}))


@pytest.fixture(scope="module")
def observed(stack: Stack) -> Iterator[ObservedPods]:
    """All task pods during the runs of the samples."""
    with watch_pods(stack) as pods:
        yield pods


@pytest.fixture(scope="module")
def runs(stack: Stack, airflow: AirflowApi, registry: Registry, observed: ObservedPods) -> Iterator[dict[str, Run]]:
    """A run of every sample, pushed to team alpha's repository unchanged."""
    files = {f"{name}.py": file.read_text(encoding="utf-8") for name, file in SAMPLES.items()} | JOBS
    commit = push_files(repository_url(stack), files, "Add the samples")
    for name in SAMPLES:
        airflow.wait_for_version(name, commit)
    yield {name: Run(stack, airflow, name, airflow.trigger_run(name)) for name in SAMPLES}
    stack.kubectl("delete", "pods", "-n", TEAM, "-l", f"dag_id in ({','.join(SAMPLES)})", "--wait=false")
    push_files(repository_url(stack), dict.fromkeys(files, ""), "Remove the samples")


def repository_url(stack: Stack) -> str:
    """Return the URL of team alpha's repository."""
    return f"git://{stack.service_address('git-server', 'git')}/alpha.git"


def read_log_after_end(runs: dict[str, Run], name: str, task: str) -> str:
    """Return the log of a sample's task, whose run has ended with the expected state."""
    state, log = runs[name].wait_for_end(), runs[name].read_log(task)
    assert state == ("failed" if name in FAILING else "success"), log
    return log


def read_claim_file(stack: Stack, path: str) -> str:
    """Return the content of a file in the team's claim, read by a pod."""
    container = {**POD["spec"]["containers"][0], "command": ["cat", f"/data/{path}"]}
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    spec = {**POD["spec"], "restartPolicy": "Never", "containers": [container], "volumes": volumes}
    pod = {**POD, "metadata": {"name": "samples-reader"}, "spec": spec}
    stack.kubectl("apply", "-n", TEAM, "-f", "-", stdin=json.dumps(pod))
    try:
        condition = "--for=jsonpath={.status.phase}=Succeeded"
        stack.kubectl("wait", "pod/samples-reader", "-n", TEAM, condition, "--timeout=60s", timeout_s=70)
        return stack.kubectl("logs", "samples-reader", "-n", TEAM)
    finally:
        stack.kubectl("delete", "pod", "samples-reader", "-n", TEAM, "--grace-period=1")


def get_pod(observed: ObservedPods, dag: str, task: str) -> dict[str, Any]:
    """Return the last observed state of a task's pod."""
    (pod,) = observed.with_labels(dag_id=dag, task_id=task)
    return pod


def test_sidecars_sync_ship_logs_and_end_with_the_program(runs: dict[str, Run], stack: Stack):
    run = runs["sidecars"]
    name = run.wait_for_pod()["metadata"]["name"]

    def check_shipped() -> None:
        log = stack.kubectl("logs", "-n", TEAM, name, "-c", "log-shipper")
        if "order: count\n" not in log:
            raise NotYet(f"its log is {log!r}")

    wait_for("log-shipper to show the file's lines", check_shipped, deadline_s=60, interval_s=1)
    push_files(repository_url(stack), {"jobs/order": "stop\n"}, "Stop the program")
    assert "stopped by the order" in read_log_after_end(runs, "sidecars", "watch")


def test_minimal_sample_logs_hello(runs: dict[str, Run]):
    assert "hello from a busybox" in read_log_after_end(runs, "minimal", "hello")


def test_result_is_passed_from_one_pod_to_another(runs: dict[str, Run], airflow: AirflowApi):
    read_log_after_end(runs, "xcom", "double")
    assert [airflow.read_xcom("xcom", runs["xcom"].id, task) for task in ("count", "double")] == [{"rows": 12}, 24]


def test_full_pattern_writes_the_secret_values_to_the_claim(runs: dict[str, Run], stack: Stack):
    read_log_after_end(runs, "full_pattern", "report")
    content = read_claim_file(stack, f"reports/{runs['full_pattern'].id}")
    assert content == "eu at level 3, with a token\n"


def test_full_pattern_runs_a_private_image_with_its_settings(runs: dict[str, Run], observed: ObservedPods):
    assert "a title out of a private image" in read_log_after_end(runs, "full_pattern", "report")
    pod = get_pod(observed, "full_pattern", "report")
    base = pod["spec"]["containers"][0]
    assert {
        "image": base["image"],
        "resources": base["resources"],
        "placement": (pod["spec"]["nodeSelector"], pod["spec"]["tolerations"][0]),
        "label": pod["metadata"]["labels"]["project"],
        "values of the Secret in the pod": "abcdefgh" in json.dumps(pod),
    } == {
        "image": "localhost:5000/partner/report:1.0",
        "resources": {
            "requests": {"cpu": "500m", "memory": "1Gi"},
            "limits": {"cpu": "500m", "memory": "1Gi"},
        },
        "placement": ({"kubernetes.io/os": "linux"}, {"key": "batch", "operator": "Exists"}),
        "label": "reports",
        "values of the Secret in the pod": False,
    }


def test_private_image_requires_its_password(registry: Registry):
    unauthorized = Registry("partner", "guessed")
    with pytest.raises(OSError, match="401"):
        unauthorized.send_request("GET", "partner/report/manifests/1.0")


def test_override_adds_fields_without_an_argument(runs: dict[str, Run]):
    log = read_log_after_end(runs, "template_and_override", "sort")
    assert "tmpfs on /fast type tmpfs" in log
    assert "sorted" in log


@pytest.mark.parametrize("task", ["day", "week"])
def test_script_from_git_runs_with_a_command_only(runs: dict[str, Run], task: str):
    assert f"report of the {task} by report.sh" in read_log_after_end(runs, "git_script", task)


def test_root_image_clones_and_runs_a_script(runs: dict[str, Run], observed: ObservedPods):
    assert "report of the month by report.sh" in read_log_after_end(runs, "git_clone", "report")
    assert get_pod(observed, "git_clone", "report")["spec"]["securityContext"]["runAsUser"] == 50000


def test_failed_pod_is_kept_and_successful_one_deleted(runs: dict[str, Run], stack: Stack):
    log = read_log_after_end(runs, "keep_on_failure", "fails")

    def find_kept_pod() -> dict[str, Any]:
        pods = runs["keep_on_failure"].list_pods()
        if [pod["metadata"]["labels"]["task_id"] for pod in pods] != ["fails"]:
            raise NotYet(f"there are {[pod['metadata']['name'] for pod in pods]}")
        return pods[0]

    name = wait_for("only the failed pod to remain", find_kept_pod, deadline_s=60, interval_s=1)["metadata"]["name"]
    assert f"Pod {name} is kept in namespace {TEAM}." in log
    assert stack.kubectl("logs", "-n", TEAM, name, "-c", "base") == "the evidence\n"


def test_stock_operator_sample_uses_the_team_settings(runs: dict[str, Run], stack: Stack, observed: ObservedPods):
    assert "hello from the stock operator" in read_log_after_end(runs, "stock_operator", "hello")
    assert read_claim_file(stack, "from-stock") == "hello\n"
    pod = get_pod(observed, "stock_operator", "hello")
    assert (
        pod["metadata"]["namespace"],
        pod["metadata"]["labels"]["kpo-platform/team"],
        pod["spec"]["serviceAccountName"],
    ) == (TEAM, "alpha", "team-pod")


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_dag_source_is_the_file_of_this_checkout(runs: dict[str, Run], airflow: AirflowApi, name: str):
    assert airflow.get(f"dagSources/{name}")["content"] == SAMPLES[name].read_text(encoding="utf-8")
