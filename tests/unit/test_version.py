"""platformctl version: the versions of platformctl, chart and contract."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from project import VERSION
from unit.support.http_server import serving
from unit.support.platform_server import Platform
from unit.support.platformctl import Cluster, Platformctl


def test_version_shows_platformctl_chart_and_contract(platformctl: Platformctl, cluster: Cluster):
    content = json.loads(platformctl("version", "-o", "json", *cluster.options).out)
    assert content == {"platformctl": content["platformctl"], "contract": "1", "chart": VERSION, "fits": "yes"}


def test_chart_of_another_version_exits_with_1(
    platformctl: Platformctl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kpo_platform.cli.version.get_package_version", lambda: VERSION)  # installed or not
    path = "/api/v1/namespaces/airflow/configmaps/airflow-contract"
    data = cluster.platform.objects[path]["data"]
    data["contract.json"] = data["contract.json"].replace(f'"chartVersion": "{VERSION}"', '"chartVersion": "9.9.9"')
    result = platformctl("version", *cluster.options)
    assert (result.code, result.out.splitlines()[-2:]) == (
        1,
        ["chart 9.9.9", "fits no, upgrade both to the same version"],
    )


def test_version_without_a_kubeconfig_shows_its_own_version(
    platformctl: Platformctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kpo_platform.cli.version.get_package_version", lambda: VERSION)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    result = platformctl("version")
    assert (result.code, result.out, result.err.replace(str(tmp_path), "HERE")) == (
        3,
        f"platformctl {VERSION}\ncontract 1\n",
        "Error: Cannot use kubeconfig HERE/none: Invalid kube-config file. No configuration found. "
        "Pass a kubeconfig with --kubeconfig or KUBECONFIG, and one of its contexts with --context.\n",
    )


def test_version_without_a_cluster_shows_its_own_version(
    platformctl: Platformctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kpo_platform.cli.version.get_package_version", lambda: VERSION)
    with serving(Platform()) as server:
        file = server.kubeconfig(tmp_path)
    result = platformctl("version", "-o", "json", "--kubeconfig", file)
    assert (result.code, json.loads(result.out)) == (3, {"platformctl": VERSION, "contract": "1"})
    assert result.err == (
        f"Error: No answer from the API server {server.url} to: list configmaps in namespace airflow "
        "(Connection refused). Check that the cluster is up, and check --kubeconfig and --context.\n"
    )


def test_contract_of_another_version_tells_what_to_upgrade(
    platformctl: Platformctl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kpo_platform.cli.version.get_package_version", lambda: VERSION)
    monkeypatch.setattr("kpo_platform.contract.reading.get_package_version", lambda: VERSION)
    newer = json.dumps({"version": 9, "chartVersion": "7.0.0"})
    cluster.platform.objects["/api/v1/namespaces/airflow/configmaps/airflow-contract"]["data"]["contract.json"] = newer
    result = platformctl("version", *cluster.options)
    assert (result.code, result.out, result.err) == (
        3,
        f"platformctl {VERSION}\ncontract 1\n",
        f"Error: The contract has version 9, written by chart 7.0.0, but this package ({VERSION}) reads version 1. "
        "Upgrade the package to 7.0.0.\n",
    )
