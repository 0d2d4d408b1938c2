"""Every sample under dags/ runs on the cluster and does what it says: not its state is looked at, but its effect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.pods.sleeper import POD
from cluster.support.services.registry import Registry, busybox_archive, run_registry
from common.paths import REPOSITORY
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.git_push import push_files
from stack.pod_watch import ObservedPods, watch_pods
from stack.release import Stack

SAMPLES = {file.stem: file for file in sorted((REPOSITORY / "dags").glob("*.py")) if file.stem != "hello_team"}
"""All but the one that the group `quickstart` runs."""

FAILS = {"keep_on_failure"}
TEAM = "team-alpha"
JOBS = {"jobs/report.sh": 'echo "report of the $1 by $(basename "$0")"\n', "jobs/order": "count\n"}


@pytest.fixture(scope="module")
def registry(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """The partner's registry with the image of the full pattern, and the two Secrets that the sample names."""
    with run_registry(stack.programs, tmp_path_factory.mktemp("registry")) as found:
        found.push_image(
            "partner/report", "1.0", busybox_archive(), {"report/title": "a title out of a private image\n"}
        )
        pull = {".dockerconfigjson": json.dumps(found.docker_config())}
        try:
            secret(stack, "partner-registry", pull, "kubernetes.io/dockerconfigjson")
            secret(stack, "report-settings", {"LEVEL": "3", "TOKEN": "abcdefgh"}, "Opaque")
            yield found
        finally:
            words = ("partner-registry", "report-settings", "--ignore-not-found")
            stack.kubectl("delete", "secret", "-n", TEAM, *words)


def secret(stack: Stack, name: str, data: dict[str, str], kind: str) -> None:
    """Make a Secret in the team's namespace."""
    head = {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": {"name": name, "namespace": TEAM}}
    stack.kubectl("apply", "-f", "-", stdin=json.dumps({**head, "stringData": data}))


@pytest.fixture(scope="module")
def seen(stack: Stack) -> Iterator[ObservedPods]:
    """All pods of tasks that there were while the samples ran."""
    with watch_pods(stack) as pods:
        yield pods


@pytest.fixture(scope="module")
def runs(stack: Stack, airflow: AirflowApi, registry: Registry, seen: ObservedPods) -> Iterator[dict[str, Run]]:
    """A run of every sample, dropped into team alpha's repository as it is in the checkout."""
    files = {f"{name}.py": file.read_text(encoding="utf-8") for name, file in SAMPLES.items()} | JOBS
    commit = push_files(repository(stack), files, "Try the samples")
    for name in SAMPLES:
        airflow.wait_for_version(name, commit)
    yield {name: Run(stack, airflow, name, airflow.trigger_run(name)) for name in SAMPLES}
    stack.kubectl("delete", "pods", "-n", TEAM, "-l", f"dag_id in ({','.join(SAMPLES)})", "--wait=false")
    push_files(repository(stack), dict.fromkeys(files, ""), "Have tried the samples")


def repository(stack: Stack) -> str:
    """The address of team alpha's repository."""
    return f"git://{stack.service_address('git-server', 'git')}/alpha.git"


def ended(runs: dict[str, Run], name: str, task: str) -> str:
    """The log of a task of a sample, whose run has ended as it should."""
    state, log = runs[name].wait_for_end(), runs[name].read_log(task)
    assert state == ("failed" if name in FAILS else "success"), log
    return log


def in_the_claim(stack: Stack, path: str) -> str:
    """What a file in the team's claim says, by a pod of its own."""
    container = {**POD["spec"]["containers"][0], "command": ["cat", f"/data/{path}"]}
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    spec = {**POD["spec"], "restartPolicy": "Never", "containers": [container], "volumes": volumes}
    pod = {**POD, "metadata": {"name": "samples-look"}, "spec": spec}
    stack.kubectl("apply", "-n", TEAM, "-f", "-", stdin=json.dumps(pod))
    try:
        done = "--for=jsonpath={.status.phase}=Succeeded"
        stack.kubectl("wait", "pod/samples-look", "-n", TEAM, done, "--timeout=60s", timeout_s=70)
        return stack.kubectl("logs", "samples-look", "-n", TEAM)
    finally:
        stack.kubectl("delete", "pod", "samples-look", "-n", TEAM, "--grace-period=1")


def pod_of(seen: ObservedPods, dag: str, task: str) -> dict[str, Any]:
    """The pod of a task, as it was last seen."""
    (pod,) = seen.with_labels(dag_id=dag, task_id=task)
    return pod


def test_sidecars_keep_the_repository_fresh_show_what_is_logged_into_files_and_end_with_the_program(
    runs: dict[str, Run], stack: Stack
):
    run = runs["sidecars"]
    name = run.wait_for_pod()["metadata"]["name"]

    def shipped() -> None:
        log = stack.kubectl("logs", "-n", TEAM, name, "-c", "log-shipper")
        if "order: count\n" not in log:
            raise NotYet(f"its log is {log!r}")

    wait_for("log-shipper to show the file's lines", shipped, deadline_s=60, interval_s=1)
    push_files(repository(stack), {"jobs/order": "stop\n"}, "Stop")
    assert "told to stop" in ended(runs, "sidecars", "watch")


def test_the_least_sample_says_hello(runs: dict[str, Run]):
    assert "hello from a busybox" in ended(runs, "minimal", "hello")


def test_a_result_goes_from_one_pod_into_another(runs: dict[str, Run], airflow: AirflowApi):
    ended(runs, "xcom", "double")
    assert [airflow.read_xcom("xcom", runs["xcom"].id, task) for task in ("count", "double")] == [{"rows": 12}, 24]


def test_the_full_pattern_writes_into_the_claim_what_the_secret_gave_it(runs: dict[str, Run], stack: Stack):
    ended(runs, "full_pattern", "report")
    written = in_the_claim(stack, f"reports/{runs['full_pattern'].id}")
    assert written == "eu at level 3, with a token\n"


def test_the_full_pattern_runs_a_private_image_where_and_as_it_says(runs: dict[str, Run], seen: ObservedPods):
    assert "a title out of a private image" in ended(runs, "full_pattern", "report")
    pod = pod_of(seen, "full_pattern", "report")
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


def test_the_private_image_is_not_to_be_had_without_its_password(registry: Registry):
    stranger = Registry("partner", "guessed")
    with pytest.raises(OSError, match="401"):
        stranger.send_request("GET", "partner/report/manifests/1.0")


def test_an_override_adds_to_the_template_what_no_argument_can_say(runs: dict[str, Run]):
    log = ended(runs, "template_and_override", "sort")
    assert "tmpfs on /fast type tmpfs" in log
    assert "sorted" in log


@pytest.mark.parametrize("task", ["day", "week"])
def test_a_script_out_of_git_runs_with_only_the_command_in_the_task(runs: dict[str, Run], task: str):
    assert f"report of the {task} by report.sh" in ended(runs, "git_script", task)


def test_an_image_built_for_root_clones_and_runs_a_script(runs: dict[str, Run], seen: ObservedPods):
    assert "report of the month by report.sh" in ended(runs, "git_clone", "report")
    assert pod_of(seen, "git_clone", "report")["spec"]["securityContext"]["runAsUser"] == 50000


def test_a_failed_pod_stays_with_its_log_and_one_that_worked_goes(runs: dict[str, Run], stack: Stack):
    log = ended(runs, "keep_on_failure", "fails")

    def kept() -> dict[str, Any]:
        pods = runs["keep_on_failure"].list_pods()
        if [pod["metadata"]["labels"]["task_id"] for pod in pods] != ["fails"]:
            raise NotYet(f"there are {[pod['metadata']['name'] for pod in pods]}")
        return pods[0]

    name = wait_for("only the failed pod to be there", kept, deadline_s=60, interval_s=1)["metadata"]["name"]
    assert f"Pod {name} is kept in namespace {TEAM}." in log
    assert stack.kubectl("logs", "-n", TEAM, name, "-c", "base") == "the evidence\n"


def test_a_dag_with_the_stock_operator_keeps_the_teams_agreements(
    runs: dict[str, Run], stack: Stack, seen: ObservedPods
):
    assert "hello from the stock operator" in ended(runs, "stock_operator", "hello")
    assert in_the_claim(stack, "from-stock") == "hello\n"
    pod = pod_of(seen, "stock_operator", "hello")
    assert (
        pod["metadata"]["namespace"],
        pod["metadata"]["labels"]["kpo-platform/team"],
        pod["spec"]["serviceAccountName"],
    ) == (TEAM, "alpha", "team-pod")


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_airflow_ran_the_file_of_this_checkout(runs: dict[str, Run], airflow: AirflowApi, name: str):
    assert airflow.get(f"dagSources/{name}")["content"] == SAMPLES[name].read_text(encoding="utf-8")
