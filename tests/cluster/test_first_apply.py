"""A new release with `helm template` and `kubectl apply`, next to the existing one.

Its database is empty, its Secrets do not exist, and the team's namespace comes with its objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.airflow_runs.long_runs import READY_S, read_component_pods, read_persistent_state, run_short_dag
from cluster.support.docs.commands import read_commands, run_commands
from common.command import CommandError, capture_output
from common.paths import REPOSITORY
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.pod_watch import watch_pods
from stack.release import NAMESPACE, VALUES, Stack

RELEASE = "firstborn"
RELEASE_NAMESPACE = "nursery"
TEAM = "pioneers"
TEAM_NAMESPACE = f"team-{TEAM}"
CREATE_COMMAND, APPLY_COMMAND = read_commands("kubectl-apply.md", "Install")[0].splitlines()
SECRETS = {"admin", "api-secret-key", "database", "fernet-key", "jwt-secret"}
CLAIMS = {"data-{}-postgresql-0", "logs-{}-scheduler-0", "logs-{}-triggerer-0"}
REPLACEMENTS = {"template airflow": f"template {RELEASE}", "namespace airflow": f"namespace {RELEASE_NAMESPACE}"}
"""The page's names → those of this test."""


@dataclass(frozen=True)
class FreshRelease:
    """A new release.

    Attributes:
        stack: the cluster.
        values: the release's values file.
    """

    stack: Stack
    values: Path

    def run_block(self, block: str) -> str:
        """Run a block of the page with this test's names, and return its output."""
        for original, replacement in {**REPLACEMENTS, "values.yaml": str(self.values)}.items():
            block = block.replace(original, replacement)
        return run_commands(self.stack, block, REPOSITORY)

    def list_objects(self) -> list[dict[str, Any]]:
        """Return the objects of the release."""
        return [item for item in yaml.safe_load_all(self.render()) if item]

    def render(self) -> str:
        """Return the stdout of `helm template`."""
        return self.run_block(f"exec 2>/dev/null\n{APPLY_COMMAND.partition(' | ')[0]}")

    def airflow(self) -> AirflowApi:
        """Return a client that is logged in as administrator."""
        (config_map,) = self.stack.get(
            "configmaps", "-n", RELEASE_NAMESPACE, "-l", "app.kubernetes.io/component=contract"
        )["items"]
        contract = json.loads(config_map["data"]["contract.json"])["airflow"]
        admin = self.stack.read_secret(contract["adminSecret"], RELEASE_NAMESPACE)
        service = contract["apiService"]
        address = self.stack.service_address(service["name"], RELEASE_NAMESPACE) + service["path"]
        return AirflowApi(address, admin["username"], admin["password"])

    def read_versions(self) -> dict[str, str]:
        """Return the uid of every pod, and the resource version of every Secret."""
        pods, secrets = (self.stack.get(kind, "-n", RELEASE_NAMESPACE)["items"] for kind in ("pods", "secrets"))
        versions = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in secrets}
        return {**{item["metadata"]["name"]: item["metadata"]["uid"] for item in pods}, **versions}


def release_values() -> dict[str, Any]:
    """Return the values: images of the local cluster, and a team that uses alpha's repository."""
    local = yaml.safe_load(VALUES.read_text())
    return {
        "images": local["images"],
        "teamDefaults": {"images": local["teamDefaults"]["images"]},
        "teams": {TEAM: {"dags": local["teams"]["alpha"]["dags"]}},
    }


def list_cluster_scoped(stack: Stack) -> set[str]:
    """Return the names of all cluster-scoped objects."""
    kinds = stack.kubectl("api-resources", "--namespaced=false", "--verbs=list", "-o", "name").split()
    return set(stack.kubectl("get", ",".join(kinds), "-o", "name").split())


def delete_namespaces(stack: Stack) -> None:
    """Delete the namespaces and wait until they and their volumes are deleted."""
    stack.kubectl("delete", "namespace", RELEASE_NAMESPACE, TEAM_NAMESPACE, "--ignore-not-found", timeout_s=300)

    def probe() -> None:
        claims = {item["metadata"]["name"]: item["spec"]["claimRef"] for item in stack.get("pv")["items"]}
        if remaining := [
            name for name, claim in claims.items() if claim["namespace"] in (RELEASE_NAMESPACE, TEAM_NAMESPACE)
        ]:
            raise NotYet(f"remaining: {', '.join(remaining)}")

    wait_for("the volumes to be deleted", probe, deadline_s=180, interval_s=2)


@pytest.fixture(scope="module")
def history(stack: Stack, airflow: AirflowApi) -> Run:
    """A run in the existing release."""
    return run_short_dag(stack, airflow)


@pytest.fixture(scope="module")
def before(stack: Stack, airflow: AirflowApi, history: Run) -> dict[str, Any]:
    """The state of the existing release, and the cluster-scoped objects."""
    delete_namespaces(stack)
    return {
        "pods": read_component_pods(stack),
        "state": read_persistent_state(stack, airflow, history),
        "cluster": list_cluster_scoped(stack),
    }


@pytest.fixture(scope="module")
def release(stack: Stack, before: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshRelease]:
    file = tmp_path_factory.mktemp("values") / "values.yaml"
    file.write_text(yaml.safe_dump(release_values()))
    try:
        yield FreshRelease(stack, file)
    finally:
        delete_namespaces(stack)


def wait_for_release(stack: Stack) -> None:
    """Wait until the Jobs are complete and all other pods are ready."""
    stack.kubectl(
        "wait",
        "jobs",
        "--all",
        "-n",
        RELEASE_NAMESPACE,
        "--for=condition=Complete",
        f"--timeout={READY_S}s",
        timeout_s=READY_S + 10,
    )
    for item in stack.get("deployments,statefulsets", "-n", RELEASE_NAMESPACE)["items"]:
        name = f"{item['kind']}/{item['metadata']['name']}".lower()
        stack.kubectl(
            "rollout", "status", "-n", RELEASE_NAMESPACE, name, f"--timeout={READY_S}s", timeout_s=READY_S + 10
        )


def may_create_pods(stack: Stack, account: str, namespace: str) -> bool:
    """Return whether a service account may create pods in a namespace."""
    words = ("create", "pods", "-n", namespace, f"--as=system:serviceaccount:{account}")
    try:
        return stack.kubectl("auth", "can-i", *words).strip() == "yes"
    except CommandError as error:
        assert error.output.splitlines()[-1] == "no"
        return False


@pytest.fixture(scope="module")
def run(release: FreshRelease, programs: Path) -> tuple[Run, list[dict[str, Any]]]:
    """A run of a DAG of the team after `platformctl bootstrap`, and its pods."""
    capture_output(
        [programs / "platformctl", "bootstrap", "--yes", "-n", RELEASE_NAMESPACE],
        env=release.stack.environment,
        timeout_s=300,
    )
    with watch_pods(release.stack) as observed:
        run = run_short_dag(release.stack, release.airflow())
        return run, [pod for pod in observed.with_labels(dag_id=run.dag) if run.owns(pod)]


def test_apply_creates_every_object_and_namespace(release: FreshRelease):
    release.run_block(CREATE_COMMAND)
    release.stack.kubectl("label", "namespace", RELEASE_NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    output = release.run_block(APPLY_COMMAND)
    applied = [line for line in output.splitlines() if line.endswith(" serverside-applied")]
    assert len(applied) == len(release.list_objects())


def test_release_starts_with_secrets_of_its_job(stack: Stack, release: FreshRelease):
    wait_for_release(stack)
    pods = stack.get("pods", "-n", RELEASE_NAMESPACE)["items"]
    phases = {pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod["status"]["phase"] for pod in pods}
    assert phases == {
        "api-server": "Running",
        "dag-processor": "Running",
        "migration": "Succeeded",
        "postgresql": "Running",
        "scheduler": "Running",
        "secrets": "Succeeded",
        "team-settings": "Succeeded",
        "triggerer": "Running",
    }
    assert {item["metadata"]["name"] for item in stack.get("secrets", "-n", RELEASE_NAMESPACE)["items"]} == {
        f"{RELEASE}-{name}" for name in SECRETS
    }


def test_team_namespace_allows_only_this_airflow_to_start_pods(stack: Stack, release: FreshRelease):
    labels = stack.get("namespace", TEAM_NAMESPACE)["metadata"]["labels"]
    assert (labels["pod-security.kubernetes.io/enforce"], labels["kpo-platform/team"]) == ("restricted", TEAM)
    assert stack.get("serviceaccount", "team-pod", "-n", TEAM_NAMESPACE)["automountServiceAccountToken"] is False
    own_account, other_account = f"{RELEASE_NAMESPACE}:{RELEASE}-scheduler", f"{NAMESPACE}:airflow-scheduler"
    assert [may_create_pods(stack, own_account, namespace) for namespace in (TEAM_NAMESPACE, "team-alpha")] == [
        True,
        False,
    ]
    assert [may_create_pods(stack, other_account, namespace) for namespace in (TEAM_NAMESPACE, "team-alpha")] == [
        False,
        True,
    ]


def test_task_runs_in_the_team_namespace(run: tuple[Run, list[dict[str, Any]]]):
    (pod,) = run[1]
    assert run[0].task_instance()["state"] == "success"
    assert (pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]) == (TEAM_NAMESPACE, "team-pod")


def test_second_apply_changes_no_pod_and_no_secret(release: FreshRelease, run: tuple[Run, list[dict[str, Any]]]):
    versions, task = release.read_versions(), run[0].task_instance()
    release.run_block(APPLY_COMMAND)
    wait_for_release(release.stack)
    assert (release.read_versions(), run[0].task_instance()) == (versions, task)


def test_apply_without_server_side_succeeds_too(stack: Stack, release: FreshRelease):
    output = stack.kubectl("apply", "--dry-run=server", "-f", "-", stdin=release.render(), timeout_s=120)
    assert len(output.splitlines()) == len(release.list_objects())


def wait_for_remaining(stack: Stack, expected: set[str]) -> None:
    """Wait until only these objects have the release's label, in any namespace or cluster-scoped."""
    kinds = stack.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    words = (",".join(kinds), "-A", "-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "name")

    def probe() -> None:
        if (names := set(stack.kubectl("get", *words).split())) != expected:
            raise NotYet(f"there are {sorted(names)}")

    wait_for(f"only {sorted(expected)} to remain", probe, 120)


def test_delete_removes_everything_and_keeps_the_other_release(
    stack: Stack, airflow: AirflowApi, release: FreshRelease, history: Run, before: dict[str, Any]
):
    stack.kubectl("delete", "-f", "-", stdin=release.render(), timeout_s=300)
    remaining = {item["metadata"]["name"] for item in stack.get("secrets,pvc", "-n", RELEASE_NAMESPACE)["items"]}
    assert remaining == {f"{RELEASE}-{name}" for name in SECRETS} | {name.format(RELEASE) for name in CLAIMS}
    wait_for_remaining(stack, {f"persistentvolumeclaim/{name.format(RELEASE)}" for name in CLAIMS})
    delete_namespaces(stack)
    wait_for_remaining(stack, set())
    assert list_cluster_scoped(stack) - before["cluster"] == set()
    assert read_component_pods(stack) == before["pods"]
    assert read_persistent_state(stack, airflow, history) == before["state"]
