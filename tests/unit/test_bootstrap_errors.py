"""platformctl bootstrap: errors have one message and an exit code, and nothing is written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from kpo_platform.bootstrap.ansible.payload import OBJECTS
from kpo_platform.bootstrap.playbook.standalone import ARGUMENTS, plan_task
from kpo_platform.errors import BootstrapError
from unit.support.http_server import Answer, Request, serving, status
from unit.support.platform_server import Platform
from unit.support.platformctl import Cluster, CommandResult, Platformctl

LOGIN = '{"auths": {"registry.test": {"username": "robot", "password": "s3cret"}}}'
CONTRACT = "/api/v1/namespaces/airflow/configmaps/airflow-contract"
LOCAL = "/apis/storage.k8s.io/v1/storageclasses/local"
CLAIMS = "/api/v1/namespaces/team-beta/persistentvolumeclaims"
RELEASE, CLUSTER, TEAM = (f"rbac/bootstrap-operator{which}.yaml" for which in ("-release", "-cluster", ""))


def run(platformctl: Platformctl, cluster: Cluster, *more: str) -> CommandResult:
    return platformctl(*cluster.bootstrap, "--yes", "--team", "beta", *more)


def get_last_line(result: CommandResult, cluster: Cluster) -> str:
    return result.err.splitlines()[-1].replace(cluster.server.url, "SERVER")


def test_unreachable_cluster_names_the_api_server(platformctl: Platformctl, tmp_path: Path):
    with serving(Platform()) as server:
        file = server.kubeconfig(tmp_path)
    result = platformctl("bootstrap", "--yes", "--kubeconfig", file)
    assert (result.code, result.out) == (3, "")
    assert result.err.splitlines()[-1] == (
        f"Error: No answer from the API server {server.url} to: list configmaps in namespace airflow "
        "(Connection refused). Check that the cluster is up, and check --kubeconfig and --context."
    )


@pytest.mark.parametrize(
    ("path", "phrase", "file"),
    [
        # The file is not known before the contract is read.
        ("/api/v1/namespaces/airflow/configmaps", "list configmaps in namespace airflow", TEAM.replace(".", "*.")),
        ("/api/v1/namespaces/airflow/secrets/airflow-admin", "get secrets/airflow-admin in namespace airflow", RELEASE),
        ("/api/v1/namespaces/airflow/pods", "list pods in namespace airflow", RELEASE),
        ("/api/v1/namespaces/team-beta", "get namespaces/team-beta in the cluster", CLUSTER),
        (
            CLAIMS,
            "list persistentvolumeclaims in namespace team-beta",
            f"{TEAM} or rbac/bootstrap-operator-delete.yaml",
        ),
        (f"{CLAIMS}/data", "create or patch persistentvolumeclaims/data in namespace team-beta", TEAM),
        ("/apis/storage.k8s.io/v1/storageclasses", "list storageclasses in the cluster", CLUSTER),
        (
            "/apis/coordination.k8s.io/v1/namespaces/airflow/leases/platformctl-bootstrap",
            "get leases/platformctl-bootstrap in namespace airflow",
            RELEASE,
        ),
    ],
)
def test_missing_right_names_request_and_role_file(
    platformctl: Platformctl, cluster: Cluster, path: str, phrase: str, file: str
):
    cluster.platform.refused.add(path)
    result = run(platformctl, cluster)
    assert (result.code, result.out, cluster.platform.writes) == (3, "", 0)
    assert get_last_line(result, cluster) == (
        f'Error: Cannot {phrase}: User "jane" cannot do that. Ask for the rights of {file}.'
    )


def test_missing_resource_name_of_a_role_is_named(platformctl: Platformctl, cluster: Cluster):
    """The roles list the default names of Secrets only."""
    content = cluster.platform.objects[CONTRACT]["data"]
    content["contract.json"] = content["contract.json"].replace('"pullSecret": "regcred"', '"pullSecret": "pull"')
    cluster.platform.refused.add("/api/v1/namespaces/team-alpha/secrets/pull")
    result = platformctl(*cluster.bootstrap, "--yes")
    assert (result.code, result.out, cluster.platform.writes) == (3, "", 0)
    assert get_last_line(result, cluster) == (
        'Error: Cannot get secrets/pull in namespace team-alpha: User "jane" cannot do that. Ask for the rights of '
        "rbac/bootstrap-operator*.yaml, with pull among the resourceNames."
    )


def test_namespace_without_contract_is_named(platformctl: Platformctl, cluster: Cluster):
    del cluster.platform.objects[CONTRACT]
    result = run(platformctl, cluster)
    assert (result.code, result.out, cluster.platform.writes) == (3, "", 0)
    assert get_last_line(result, cluster) == (
        "Error: Namespace airflow of SERVER has no contract. Check with helm list --all-namespaces where the chart is "
        "installed, and pass the release's namespace with --namespace."
    )


def test_contract_of_another_version_names_the_upgrade(platformctl: Platformctl, cluster: Cluster):
    cluster.platform.objects[CONTRACT]["data"]["contract.json"] = json.dumps({"version": 9, "chartVersion": "7.0.0"})
    result = run(platformctl, cluster)
    assert (result.code, result.out, cluster.platform.writes) == (3, "", 0)
    message = get_last_line(result, cluster)
    assert message.startswith("Error: The contract has version 9, written by chart 7.0.0, but this package (")
    assert message.endswith(") reads version 1. Upgrade the package to 7.0.0.")


def test_wrong_airflow_password_of_a_user_is_rejected(
    platformctl: Platformctl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PLATFORMCTL_AIRFLOW_PASSWORD", "wrong")
    result = run(platformctl, cluster, "--airflow-username", "ada")
    assert (result.code, result.out, cluster.platform.writes) == (3, "", 0)
    assert get_last_line(result, cluster) == (
        "Error: Airflow (SERVER) rejected the user name or password. Run again with the Airflow password of ada."
    )


def test_expired_token_is_rejected(platformctl: Platformctl, tmp_path: Path):
    def reject_token(_: Request) -> Answer:
        return status(401, "Unauthorized")

    with serving(reject_token) as server:
        result = platformctl("bootstrap", "--yes", "--kubeconfig", server.kubeconfig(tmp_path))
    assert (result.code, result.out, {request.method for request in server.seen}) == (3, "", {"GET"})
    assert result.err.splitlines()[-1] == (
        f"Error: The API server {server.url} rejected your credentials: the kubeconfig's token or certificate is "
        "invalid or expired. Log in again."
    )


def test_invalid_docker_configuration_is_rejected(platformctl: Platformctl, cluster: Cluster, tmp_path: Path):
    file = tmp_path / "config.json"
    file.write_text('{"auths": s3cret')
    result = platformctl(*cluster.bootstrap, "--yes", "--registry-config", str(file))
    assert (result.code, result.out, cluster.platform.writes) == (3, "", 0)
    assert get_last_line(result, cluster) == (
        f"Error: The registry configuration in {file} is invalid: expected JSON as `docker login` writes it. "
        "Log in again or name another file with --registry-config."
    )


def test_unknown_team_suggests_a_similar_name(platformctl: Platformctl, cluster: Cluster):
    result = platformctl(*cluster.bootstrap, "--yes", "--team", "bata")
    assert (result.code, result.out, cluster.platform.writes) == (64, "", 0)
    assert get_last_line(result, cluster) == "Error: team 'bata' is not in the contract. Did you mean 'beta'?"


REFUSAL = (
    "Nothing was written: PersistentVolumeClaim team-beta/data cannot change to match the contract. "
    "Correct the volume's values and run helm upgrade"
)


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_missing_storage_class_shows_the_plan_and_writes_nothing(
    platformctl: Platformctl, cluster: Cluster, more: tuple[str, ...]
):
    del cluster.platform.objects[LOCAL]
    result = run(platformctl, cluster, *more)
    assert (result.code, cluster.platform.connections, cluster.platform.writes) == (1, {}, 0)
    assert result.out.splitlines() == [
        "! PersistentVolumeClaim team-beta/data: the cluster has no default storage class. "
        "Set storageClass of the volume",
        "+ Connection k8s_default: create (in cluster)",
        "Plan: 1 to create, 0 to change, 0 unchanged, 1 blocked.",
    ]
    assert get_last_line(result, cluster) == f"Error: {REFUSAL}."


def test_shrinking_volume_blocks_the_run_unless_other_teams_are_selected(platformctl: Platformctl, cluster: Cluster):
    assert run(platformctl, cluster).code == 0
    claim = cluster.platform.objects[f"{CLAIMS}/data"]
    claim["spec"]["resources"]["requests"]["storage"] = "2Gi"
    cluster.platform.writes = 0
    every = (*cluster.bootstrap, "--yes", "--registry-config", "-")
    result = platformctl(*every, stdin=LOGIN)
    assert (result.code, cluster.platform.writes, cluster.platform.lease) == (1, 0, None)
    assert result.out.splitlines()[2:] == [
        "! PersistentVolumeClaim team-beta/data: cannot change in place: size 2Gi → 1Gi: a claim cannot shrink. "
        "Set the old value again, or use a new volume and copy the data",
        "= Connection k8s_default: unchanged (in cluster)",
        "Plan: 2 to create, 0 to change, 1 unchanged, 1 blocked.",
    ]
    assert get_last_line(result, cluster) == f"Error: {REFUSAL}, or apply the other teams alone with --team alpha."
    assert json.loads(platformctl(*every, "-o", "json", stdin=LOGIN).out)["applied"] is False
    alone = platformctl(*every, "--team", "alpha", stdin=LOGIN)
    assert (alone.code, cluster.platform.writes) == (0, 2)


def test_second_run_continues_after_an_api_server_failure(platformctl: Platformctl, cluster: Cluster, tmp_path: Path):
    gone: list[str] = []

    def answer(request: Request) -> Answer:
        if gone or (request.method == "PATCH" and "dryRun" not in request.path and "secrets" not in request.path):
            gone.append(request.path)
            return status(503, "apiserver is shutting down")
        return cluster.platform(request)

    more = ("--yes", "--registry-config", "-")
    folder = tmp_path / "half-way"
    folder.mkdir()
    with serving(answer) as server:
        words = ("--kubeconfig", server.kubeconfig(folder), "--airflow-url", server.url)
        result = platformctl("bootstrap", *words, *more, stdin=LOGIN)
    assert (result.code, cluster.platform.writes) == (3, 1)
    assert result.err.splitlines()[-2:] == [
        "✔ Secret team-alpha/regcred",
        "Error: The API server refused to create or patch persistentvolumeclaims/data in namespace team-alpha: "
        "apiserver is shutting down. Run the command again later.",
    ]
    cluster.platform.lease = None
    again = platformctl(*cluster.bootstrap, *more, stdin=LOGIN)
    assert (again.code, cluster.platform.writes) == (0, 4)


def test_missing_ansible_blocks_writes_but_not_dry_runs(
    platformctl: Platformctl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "ansible_runner", None)
    result = platformctl(*cluster.bootstrap, "--yes", "--registry-config", "-", stdin=LOGIN)
    assert (result.code, cluster.platform.writes) == (3, 0)
    assert (
        get_last_line(result, cluster) == "Error: Ansible is not installed. Run pip install 'kpo-platform[bootstrap]'."
    )
    assert [request.path for request in cluster.server.seen if "registry-check" in request.path] == []
    assert platformctl(*cluster.bootstrap, "--dry-run").code == 1  # there are no credentials for team alpha's registry
    assert platformctl("teams", "list", *cluster.options).code == 0


def test_target_account_requires_target_kubeconfig(platformctl: Platformctl, cluster: Cluster):
    result = run(platformctl, cluster, "--target-account", "airflow/launcher")
    assert (result.code, result.out, cluster.platform.writes) == (64, "", 0)
    assert get_last_line(result, cluster) == "Error: --target-context and --target-account require --target-kubeconfig."


def test_password_prompt_requires_a_terminal(
    platformctl: Platformctl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PLATFORMCTL_AIRFLOW_PASSWORD", raising=False)
    result = run(platformctl, cluster, "--airflow-username", "ada")
    assert (result.code, result.out, cluster.platform.writes) == (64, "", 0)
    assert get_last_line(result, cluster) == (
        "Error: Cannot prompt for the Airflow password of ada: stdin is not a terminal. "
        "Set PLATFORMCTL_AIRFLOW_PASSWORD."
    )


def test_standalone_run_takes_one_source_of_registry_credentials(cluster: Cluster):
    options = {"kubeconfig": cluster.options[1], "airflow_url": cluster.server.url, "namespace": "airflow"}
    sources = {"registry_config": "config.json", "registry_secret": "shared/pull"}
    arguments = {**dict.fromkeys(ARGUMENTS), **options, **sources, "timeout": 10, "teams": []}
    with pytest.raises(BootstrapError) as error, plan_task(arguments, OBJECTS, dry_run=True):
        pass
    assert str(error.value) == "registry_config and registry_secret exclude each other. Pass only one of them."
