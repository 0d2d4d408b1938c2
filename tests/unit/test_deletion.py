"""Data goes only by `teams delete NAME --delete-data --confirm NAME`."""

from __future__ import annotations

import pytest

from unit.support.platformctl import Cluster, Platformctl

CLAIMS = "/api/v1/namespaces/team-beta/persistentvolumeclaims"


@pytest.fixture
def made(platformctl: Platformctl, cluster: Cluster) -> Cluster:
    """Team beta has its claim, and one of another hand."""
    assert platformctl(*cluster.bootstrap, "--yes", "--team", "beta").code == 0
    ours = cluster.platform.objects[f"{CLAIMS}/data"]
    theirs = {**ours, "metadata": {"name": "theirs", "namespace": "team-beta", "resourceVersion": "1"}}
    cluster.platform.objects[f"{CLAIMS}/theirs"] = theirs
    cluster.platform.writes = 0
    return cluster


def claims(cluster: Cluster) -> list[str]:
    return sorted(path.rpartition("/")[2] for path in cluster.platform.objects if path.startswith(CLAIMS))


def test_what_would_go_is_said_and_stays(platformctl: Platformctl, made: Cluster):
    said = platformctl("teams", "delete", "beta", *made.options)
    assert (said.code, said.out, said.err) == (
        0,
        "- PersistentVolumeClaim team-beta/data: delete (1Gi, class local, Pending)\n",
        "Nothing was deleted; 1 would be by --delete-data --confirm beta.\n",
    )
    assert claims(made) == ["data", "theirs"]


@pytest.mark.parametrize("more", [(), ("--confirm", "alpha"), ("--confirm", "")])
def test_data_is_not_deleted_without_the_name_once_more(platformctl: Platformctl, made: Cluster, more: tuple[str, ...]):
    said = platformctl("teams", "delete", "beta", "--delete-data", *more, *made.options)
    assert (said.code, said.out, said.err.splitlines()[-1]) == (
        64,
        "",
        "Error: --delete-data needs --confirm beta: data that was deleted does not come back.",
    )
    assert (claims(made), made.platform.writes) == (["data", "theirs"], 0)


def test_confirmed_the_claims_that_bootstrap_made_go_and_no_others(platformctl: Platformctl, made: Cluster):
    said = platformctl("teams", "delete", "beta", "--delete-data", "--confirm", "beta", *made.options)
    assert (said.code, said.out, said.err) == (
        0,
        "- PersistentVolumeClaim team-beta/data: deleted\n",
        "Team beta is still declared: the next bootstrap makes its claims anew, empty.\n",
    )
    assert claims(made) == ["theirs"]


def test_who_may_not_delete_is_told_the_file_with_that_right(platformctl: Platformctl, made: Cluster):
    made.platform.refused.add(f"{CLAIMS}/data")
    said = platformctl("teams", "delete", "beta", "--delete-data", "--confirm", "beta", *made.options)
    assert (said.code, said.out, said.err) == (
        3,
        "",
        "Error: You may not delete persistentvolumeclaims/data in namespace team-beta; ask for the rights of "
        'rbac/bootstrap-operator-delete.yaml. User "jane" cannot do that\n',
    )
    assert claims(made) == ["data", "theirs"]


def test_the_data_of_a_removed_team_can_go_as_well(platformctl: Platformctl, made: Cluster):
    made.platform.keep_namespace("gamma")
    said = platformctl("teams", "delete", "gamma", "--delete-data", "--confirm", "gamma", *made.options)
    assert (said.code, said.out) == (0, "")
    assert said.err == "Secrets and other objects are left: kubectl delete namespace team-gamma\n"


def keep_claim(cluster: Cluster, namespace: str, team: str) -> None:
    """Let a team have left its claim in a namespace that was once its own."""
    ours = cluster.platform.objects[f"{CLAIMS}/data"]
    labels = {**ours["metadata"]["labels"], "kpo-platform/team": team}
    metadata = {"name": "data", "namespace": namespace, "uid": namespace, "resourceVersion": "1", "labels": labels}
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/data"
    cluster.platform.keep_namespace(team, name=namespace)
    cluster.platform.objects[path] = {**ours, "metadata": metadata}


def test_the_data_in_a_namespace_that_a_declared_team_has_left_goes_as_well(platformctl: Platformctl, made: Cluster):
    keep_claim(made, "old", "beta")
    keep_claim(made, "others", "gamma")
    said = platformctl("teams", "delete", "beta", "--delete-data", "--confirm", "beta", *made.options)
    assert (said.code, said.out, said.err) == (
        0,
        "- PersistentVolumeClaim team-beta/data: deleted\n- PersistentVolumeClaim old/data: deleted\n",
        "Team beta is still declared: the next bootstrap makes its claims anew, empty.\n"
        "Secrets and other objects are left: kubectl delete namespace old\n",
    )
    assert "/api/v1/namespaces/others/persistentvolumeclaims/data" in made.platform.objects


def test_the_data_in_all_namespaces_of_a_removed_team_goes(platformctl: Platformctl, made: Cluster):
    keep_claim(made, "older", "gamma")
    keep_claim(made, "old", "gamma")
    said = platformctl("teams", "delete", "gamma", "--delete-data", "--confirm", "gamma", *made.options)
    assert (said.code, sorted(said.out.splitlines()), said.err) == (
        0,
        ["- PersistentVolumeClaim old/data: deleted", "- PersistentVolumeClaim older/data: deleted"],
        "Secrets and other objects are left: kubectl delete namespace older old\n",
    )
    assert claims(made) == ["data", "theirs"]


def test_who_may_not_list_namespaces_deletes_the_data_of_a_declared_team_and_is_told(
    platformctl: Platformctl, made: Cluster
):
    made.platform.refused.add("/api/v1/namespaces")
    said = platformctl("teams", "delete", "beta", "--delete-data", "--confirm", "beta", *made.options)
    assert (said.code, said.out) == (0, "- PersistentVolumeClaim team-beta/data: deleted\n")
    assert said.err.startswith("Namespaces that no team has any more are not looked for: You may not list namespaces")
    assert platformctl("teams", "delete", "gamma", *made.options).code == 3


def test_a_team_that_never_was_is_wrong_usage(platformctl: Platformctl, made: Cluster):
    said = platformctl("teams", "delete", "bata", "--delete-data", "--confirm", "bata", *made.options)
    assert (said.code, said.err.splitlines()[-1]) == (
        64,
        "Error: team 'bata' is not in the contract: did you mean 'beta'?",
    )
    assert made.platform.writes == 0


def test_bootstrap_deletes_nothing_that_the_contract_no_longer_has(platformctl: Platformctl, made: Cluster):
    old = made.platform.objects[f"{CLAIMS}/data"]
    made.platform.objects[f"{CLAIMS}/old"] = {**old, "metadata": {**old["metadata"], "name": "old"}}
    said = platformctl(*made.bootstrap, "--yes", "--team", "beta")
    assert (said.code, claims(made), made.platform.writes) == (0, ["data", "old", "theirs"], 0)
    assert (
        "= PersistentVolumeClaim team-beta/old: unchanged "
        "(1Gi, ReadWriteOnce, class local, Pending; no longer in the contract, kept)"
    ) in said.out.splitlines()
