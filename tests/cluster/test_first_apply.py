"""The release by `helm template` and `kubectl apply` where nothing of it has ever been, beside the one that stands.

Its database is empty, nobody has made its Secrets, and the team's namespace comes with what belongs into it.
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
HOME = "nursery"
TEAM = "pioneers"
TEAM_HOME = f"team-{TEAM}"
MAKING, APPLYING = read_commands("kubectl-apply.md", "Install")[0].splitlines()
SECRETS = {"admin", "api-secret-key", "database", "fernet-key", "jwt-secret"}
CLAIMS = {"data-{}-postgresql-0", "logs-{}-scheduler-0", "logs-{}-triggerer-0"}
NAMES = {"template airflow": f"template {RELEASE}", "namespace airflow": f"namespace {HOME}"}
"""What the page calls otherwise than this test."""


@dataclass(frozen=True)
class Place:
    """Where nothing was yet.

    Attributes:
        stack: the cluster.
        values: the file of the release's values.
    """

    stack: Stack
    values: Path

    def type_in(self, block: str) -> str:
        """Type a block of the page, with this test's names, and give what it printed."""
        for here, there in {**NAMES, "values.yaml": str(self.values)}.items():
            block = block.replace(here, there)
        return run_commands(self.stack, block, REPOSITORY)

    def objects(self) -> list[dict[str, Any]]:
        """Give all that the release is made of."""
        return [one for one in yaml.safe_load_all(self.rendering()) if one]

    def rendering(self) -> str:
        """Give what `helm template` makes, without what it says beside that."""
        return self.type_in(f"exec 2>/dev/null\n{APPLYING.partition(' | ')[0]}")

    def airflow(self) -> AirflowApi:
        """Sign in as the administrator."""
        (contract,) = self.stack.get("configmaps", "-n", HOME, "-l", "app.kubernetes.io/component=contract")["items"]
        published = json.loads(contract["data"]["contract.json"])["airflow"]
        admin = self.stack.read_secret(published["adminSecret"], HOME)
        service = published["apiService"]
        address = self.stack.service_address(service["name"], HOME) + service["path"]
        return AirflowApi(address, admin["username"], admin["password"])

    def kept(self) -> dict[str, str]:
        """Give the uid of every pod, and of every Secret with the version that its last change made."""
        pods, secrets = (self.stack.get(kind, "-n", HOME)["items"] for kind in ("pods", "secrets"))
        versions = {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in secrets}
        return {**{one["metadata"]["name"]: one["metadata"]["uid"] for one in pods}, **versions}


def values() -> dict[str, Any]:
    """The values of the release: images of the local cluster, and a team that reads alpha's repository as its own."""
    local = yaml.safe_load(VALUES.read_text())
    return {
        "images": local["images"],
        "teamDefaults": {"images": local["teamDefaults"]["images"]},
        "teams": {TEAM: {"dags": local["teams"]["alpha"]["dags"]}},
    }


def cluster_wide(stack: Stack) -> set[str]:
    """Give the names of all objects that lie in no namespace."""
    kinds = stack.kubectl("api-resources", "--namespaced=false", "--verbs=list", "-o", "name").split()
    return set(stack.kubectl("get", ",".join(kinds), "-o", "name").split())


def remove(stack: Stack) -> None:
    """Delete the namespaces and wait until they and their volumes are gone."""
    stack.kubectl("delete", "namespace", HOME, TEAM_HOME, "--ignore-not-found", timeout_s=300)

    def probe() -> None:
        claims = {one["metadata"]["name"]: one["spec"]["claimRef"] for one in stack.get("pv")["items"]}
        if left := [name for name, claim in claims.items() if claim["namespace"] in (HOME, TEAM_HOME)]:
            raise NotYet(f"left: {', '.join(left)}")

    wait_for("the volumes to be gone", probe, deadline_s=180, interval_s=2)


@pytest.fixture(scope="module")
def history(stack: Stack, airflow: AirflowApi) -> Run:
    """A run in the release that stands already."""
    return run_short_dag(stack, airflow)


@pytest.fixture(scope="module")
def before(stack: Stack, airflow: AirflowApi, history: Run) -> dict[str, Any]:
    """What that release has and runs, and what lies in no namespace."""
    remove(stack)
    return {
        "pods": read_component_pods(stack),
        "holdings": read_persistent_state(stack, airflow, history),
        "cluster": cluster_wide(stack),
    }


@pytest.fixture(scope="module")
def place(stack: Stack, before: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    file = tmp_path_factory.mktemp("virgin") / "its.yaml"
    file.write_text(yaml.safe_dump(values()))
    try:
        yield Place(stack, file)
    finally:
        remove(stack)


def wait_for_all(stack: Stack) -> None:
    """Wait until the Jobs have ended well and every other pod is ready."""
    stack.kubectl(
        "wait", "jobs", "--all", "-n", HOME, "--for=condition=Complete", f"--timeout={READY_S}s", timeout_s=READY_S + 10
    )
    for one in stack.get("deployments,statefulsets", "-n", HOME)["items"]:
        name = f"{one['kind']}/{one['metadata']['name']}".lower()
        stack.kubectl("rollout", "status", "-n", HOME, name, f"--timeout={READY_S}s", timeout_s=READY_S + 10)


def may(stack: Stack, account: str, namespace: str) -> bool:
    """Tell whether a service account may create pods in a namespace."""
    words = ("create", "pods", "-n", namespace, f"--as=system:serviceaccount:{account}")
    try:
        return stack.kubectl("auth", "can-i", *words).strip() == "yes"
    except CommandError as refused:
        assert refused.output.splitlines()[-1] == "no"
        return False


@pytest.fixture(scope="module")
def run(place: Place, programs: Path) -> tuple[Run, list[dict[str, Any]]]:
    """A run of a DAG of the team after `platformctl bootstrap`, and the pods that it had."""
    capture_output(
        [programs / "platformctl", "bootstrap", "--yes", "-n", HOME], env=place.stack.environment, timeout_s=300
    )
    with watch_pods(place.stack) as seen:
        run = run_short_dag(place.stack, place.airflow())
        return run, [pod for pod in seen.with_labels(dag_id=run.dag) if run.owns(pod)]


def test_one_apply_makes_every_object_and_the_namespaces_with_what_is_in_them(place: Place):
    place.type_in(MAKING)
    place.stack.kubectl("label", "namespace", HOME, "pod-security.kubernetes.io/enforce=restricted")
    said = place.type_in(APPLYING)
    applied = [line for line in said.splitlines() if line.endswith(" serverside-applied")]
    assert len(applied) == len(place.objects())


def test_all_of_it_comes_up_with_secrets_that_its_job_has_made(stack: Stack, place: Place):
    wait_for_all(stack)
    pods = stack.get("pods", "-n", HOME)["items"]
    found = {pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod["status"]["phase"] for pod in pods}
    assert found == {
        "api-server": "Running",
        "dag-processor": "Running",
        "migration": "Succeeded",
        "postgresql": "Running",
        "scheduler": "Running",
        "secrets": "Succeeded",
        "team-settings": "Succeeded",
        "triggerer": "Running",
    }
    assert {one["metadata"]["name"] for one in stack.get("secrets", "-n", HOME)["items"]} == {
        f"{RELEASE}-{name}" for name in SECRETS
    }


def test_the_team_s_namespace_has_its_account_and_lets_this_airflow_start_pods(stack: Stack, place: Place):
    labels = stack.get("namespace", TEAM_HOME)["metadata"]["labels"]
    assert (labels["pod-security.kubernetes.io/enforce"], labels["kpo-platform/team"]) == ("restricted", TEAM)
    assert stack.get("serviceaccount", "team-pod", "-n", TEAM_HOME)["automountServiceAccountToken"] is False
    ours, theirs = f"{HOME}:{RELEASE}-scheduler", f"{NAMESPACE}:airflow-scheduler"
    assert [may(stack, ours, where) for where in (TEAM_HOME, "team-alpha")] == [True, False]
    assert [may(stack, theirs, where) for where in (TEAM_HOME, "team-alpha")] == [False, True]


def test_a_task_of_the_team_runs_in_the_team_s_namespace(run: tuple[Run, list[dict[str, Any]]]):
    (pod,) = run[1]
    assert run[0].task_instance()["state"] == "success"
    assert (pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]) == (TEAM_HOME, "team-pod")


def test_to_apply_it_again_changes_no_pod_and_no_secret(place: Place, run: tuple[Run, list[dict[str, Any]]]):
    kept, task = place.kept(), run[0].task_instance()
    place.type_in(APPLYING)
    wait_for_all(place.stack)
    assert (place.kept(), run[0].task_instance()) == (kept, task)


def test_kubectl_would_take_it_without_server_side_as_well(stack: Stack, place: Place):
    said = stack.kubectl("apply", "--dry-run=server", "-f", "-", stdin=place.rendering(), timeout_s=120)
    assert len(said.splitlines()) == len(place.objects())


def wait_until_left(stack: Stack, expected: set[str]) -> None:
    """Wait until no more than this has the release's label, in any namespace or in none."""
    kinds = stack.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    words = (",".join(kinds), "-A", "-l", f"app.kubernetes.io/instance={RELEASE}", "-o", "name")

    def probe() -> None:
        if (found := set(stack.kubectl("get", *words).split())) != expected:
            raise NotYet(f"there are {sorted(found)}")

    wait_for(f"nothing to be left but {sorted(expected)}", probe, 120)


def test_to_delete_it_leaves_nothing_and_the_other_release_as_it_was(
    stack: Stack, airflow: AirflowApi, place: Place, history: Run, before: dict[str, Any]
):
    stack.kubectl("delete", "-f", "-", stdin=place.rendering(), timeout_s=300)
    left = {one["metadata"]["name"] for one in stack.get("secrets,pvc", "-n", HOME)["items"]}
    assert left == {f"{RELEASE}-{name}" for name in SECRETS} | {name.format(RELEASE) for name in CLAIMS}
    wait_until_left(stack, {f"persistentvolumeclaim/{name.format(RELEASE)}" for name in CLAIMS})
    remove(stack)
    wait_until_left(stack, set())
    assert cluster_wide(stack) - before["cluster"] == set()
    assert read_component_pods(stack) == before["pods"]
    assert read_persistent_state(stack, airflow, history) == before["holdings"]
