"""bootstrap.volumes.deletion: only `teams delete NAME --delete-data --confirm NAME` deletes data."""

from __future__ import annotations

import pytest

from unit.support.platformctl import Cluster, Platformctl

CLAIMS = "/api/v1/namespaces/team-beta/persistentvolumeclaims"


@pytest.fixture
def bootstrapped(platformctl: Platformctl, cluster: Cluster) -> Cluster:
    """Bootstrap team beta, and add a claim that bootstrap does not manage."""
    assert platformctl(*cluster.bootstrap, "--yes", "--team", "beta").code == 0
    ours = cluster.platform.objects[f"{CLAIMS}/data"]
    theirs = {**ours, "metadata": {"name": "theirs", "namespace": "team-beta", "resourceVersion": "1"}}
    cluster.platform.objects[f"{CLAIMS}/theirs"] = theirs
    cluster.platform.writes = 0
    return cluster


def list_claims(cluster: Cluster) -> list[str]:
    return sorted(path.rpartition("/")[2] for path in cluster.platform.objects if path.startswith(CLAIMS))


def test_delete_without_confirmation_only_lists_claims(platformctl: Platformctl, bootstrapped: Cluster):
    result = platformctl("teams", "delete", "beta", *bootstrapped.options)
    assert (result.code, result.out, result.err) == (
        0,
        "- PersistentVolumeClaim team-beta/data: delete (1Gi, class local, Pending)\n",
        "Nothing was deleted. To delete 1 volume claim, pass --delete-data --confirm beta.\n",
    )
    assert list_claims(bootstrapped) == ["data", "theirs"]


@pytest.mark.parametrize("more", [(), ("--confirm", "alpha"), ("--confirm", "")])
def test_delete_requires_the_name_twice(platformctl: Platformctl, bootstrapped: Cluster, more: tuple[str, ...]):
    result = platformctl("teams", "delete", "beta", "--delete-data", *more, *bootstrapped.options)
    assert (result.code, result.out, result.err.splitlines()[-1]) == (
        64,
        "",
        "Error: --delete-data requires --confirm beta: deleted data cannot be restored.",
    )
    assert (list_claims(bootstrapped), bootstrapped.platform.writes) == (["data", "theirs"], 0)


def test_confirmed_delete_removes_only_managed_claims(platformctl: Platformctl, bootstrapped: Cluster):
    result = platformctl("teams", "delete", "beta", "--delete-data", "--confirm", "beta", *bootstrapped.options)
    assert (result.code, result.out, result.err) == (
        0,
        "- PersistentVolumeClaim team-beta/data: deleted\n",
        "Team beta is still declared. The next bootstrap creates its claims again, empty.\n",
    )
    assert list_claims(bootstrapped) == ["theirs"]


def test_missing_delete_right_names_the_role_file(platformctl: Platformctl, bootstrapped: Cluster):
    bootstrapped.platform.refused.add(f"{CLAIMS}/data")
    result = platformctl("teams", "delete", "beta", "--delete-data", "--confirm", "beta", *bootstrapped.options)
    assert (result.code, result.out, result.err) == (
        3,
        "",
        'Error: Cannot delete persistentvolumeclaims/data in namespace team-beta: User "jane" cannot do that. '
        "Ask for the rights of rbac/bootstrap-operator-delete.yaml.\n",
    )
    assert list_claims(bootstrapped) == ["data", "theirs"]


def test_removed_team_can_be_deleted(platformctl: Platformctl, bootstrapped: Cluster):
    bootstrapped.platform.add_namespace("gamma")
    result = platformctl("teams", "delete", "gamma", "--delete-data", "--confirm", "gamma", *bootstrapped.options)
    assert (result.code, result.out) == (0, "")
    assert result.err == "Secrets and other objects remain. Delete: kubectl delete namespace team-gamma\n"


def keep_claim(cluster: Cluster, namespace: str, team: str) -> None:
    """Add a claim of a team in a namespace that it used before."""
    ours = cluster.platform.objects[f"{CLAIMS}/data"]
    labels = {**ours["metadata"]["labels"], "kpo-platform/team": team}
    metadata = {"name": "data", "namespace": namespace, "uid": namespace, "resourceVersion": "1", "labels": labels}
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/data"
    cluster.platform.add_namespace(team, name=namespace)
    cluster.platform.objects[path] = {**ours, "metadata": metadata}


def test_declared_team_loses_claims_in_left_namespaces(platformctl: Platformctl, bootstrapped: Cluster):
    keep_claim(bootstrapped, "old", "beta")
    keep_claim(bootstrapped, "others", "gamma")
    result = platformctl("teams", "delete", "beta", "--delete-data", "--confirm", "beta", *bootstrapped.options)
    assert (result.code, result.out, result.err) == (
        0,
        "- PersistentVolumeClaim team-beta/data: deleted\n- PersistentVolumeClaim old/data: deleted\n",
        "Team beta is still declared. The next bootstrap creates its claims again, empty.\n"
        "Secrets and other objects remain. Delete: kubectl delete namespace old\n",
    )
    assert "/api/v1/namespaces/others/persistentvolumeclaims/data" in bootstrapped.platform.objects


def test_removed_team_loses_claims_in_all_its_namespaces(platformctl: Platformctl, bootstrapped: Cluster):
    keep_claim(bootstrapped, "older", "gamma")
    keep_claim(bootstrapped, "old", "gamma")
    result = platformctl("teams", "delete", "gamma", "--delete-data", "--confirm", "gamma", *bootstrapped.options)
    assert (result.code, sorted(result.out.splitlines()), result.err) == (
        0,
        ["- PersistentVolumeClaim old/data: deleted", "- PersistentVolumeClaim older/data: deleted"],
        "Secrets and other objects remain. Delete: kubectl delete namespace older old\n",
    )
    assert list_claims(bootstrapped) == ["data", "theirs"]


def test_declared_team_can_be_deleted_without_namespace_rights(platformctl: Platformctl, bootstrapped: Cluster):
    bootstrapped.platform.refused.add("/api/v1/namespaces")
    result = platformctl("teams", "delete", "beta", "--delete-data", "--confirm", "beta", *bootstrapped.options)
    assert (result.code, result.out) == (0, "- PersistentVolumeClaim team-beta/data: deleted\n")
    assert result.err.startswith("Namespaces that no team uses any more are not shown. Cannot list namespaces")
    assert platformctl("teams", "delete", "gamma", *bootstrapped.options).code == 3


def test_unknown_team_is_a_usage_error(platformctl: Platformctl, bootstrapped: Cluster):
    result = platformctl("teams", "delete", "bata", "--delete-data", "--confirm", "bata", *bootstrapped.options)
    assert (result.code, result.err.splitlines()[-1]) == (
        64,
        "Error: team 'bata' is not in the contract. Did you mean 'beta'?",
    )
    assert bootstrapped.platform.writes == 0


def test_bootstrap_keeps_claims_no_longer_in_the_contract(platformctl: Platformctl, bootstrapped: Cluster):
    old = bootstrapped.platform.objects[f"{CLAIMS}/data"]
    bootstrapped.platform.objects[f"{CLAIMS}/old"] = {**old, "metadata": {**old["metadata"], "name": "old"}}
    result = platformctl(*bootstrapped.bootstrap, "--yes", "--team", "beta")
    assert (result.code, list_claims(bootstrapped), bootstrapped.platform.writes) == (0, ["data", "old", "theirs"], 0)
    assert (
        "= PersistentVolumeClaim team-beta/old: unchanged "
        "(1Gi, ReadWriteOnce, class local, Pending; no longer in the contract, kept)"
    ) in result.out.splitlines()
