"""platformctl version: both sides' versions, and what it says where one side cannot be seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unit.support.http_server import serving
from unit.support.platform_server import Platform
from unit.support.platformctl import Cluster, Platformctl


def test_versions_of_both_sides_are_shown(platformctl: Platformctl, cluster: Cluster):
    content = json.loads(platformctl("version", "-o", "json", *cluster.options).out)
    assert content == {"platformctl": content["platformctl"], "contract": "1", "chart": "0.1.0", "fits": "yes"}


def test_a_chart_of_another_version_is_a_finding(
    platformctl: Platformctl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kpo_platform.cli.version.get_package_version", lambda: "0.1.0")  # installed or not
    path = "/api/v1/namespaces/airflow/configmaps/airflow-contract"
    data = cluster.platform.objects[path]["data"]
    data["contract.json"] = data["contract.json"].replace('"chartVersion": "0.1.0"', '"chartVersion": "9.9.9"')
    said = platformctl("version", *cluster.options)
    assert (said.code, said.out.splitlines()[-2:]) == (1, ["chart 9.9.9", "fits no, upgrade both to one version"])


def test_without_a_cluster_the_version_is_shown_and_one_sentence_says_what_is_missing(
    platformctl: Platformctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kpo_platform.cli.version.get_package_version", lambda: "0.1.0")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    said = platformctl("version")
    assert (said.code, said.out, said.err.replace(str(tmp_path), "HERE")) == (
        3,
        "platformctl 0.1.0\ncontract 1\n",
        "Error: Cannot use kubeconfig HERE/none: Invalid kube-config file. No configuration found. "
        "Pass a kubeconfig with --kubeconfig or KUBECONFIG, and one of its contexts with --context.\n",
    )


def test_of_a_cluster_that_does_not_answer_the_version_says_so(
    platformctl: Platformctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kpo_platform.cli.version.get_package_version", lambda: "0.1.0")
    with serving(Platform()) as server:
        file = server.kubeconfig(tmp_path)
    said = platformctl("version", "-o", "json", "--kubeconfig", file)
    assert (said.code, json.loads(said.out)) == (3, {"platformctl": "0.1.0", "contract": "1"})
    assert said.err == (
        f"Error: No answer from the API server {server.url} to: list configmaps in namespace airflow "
        "(Connection refused). Check that the cluster is up, and check --kubeconfig and --context.\n"
    )


def test_a_contract_of_another_version_says_which_side_to_upgrade(
    platformctl: Platformctl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kpo_platform.cli.version.get_package_version", lambda: "0.1.0")
    monkeypatch.setattr("kpo_platform.contract.reading.get_package_version", lambda: "0.1.0")
    newer = json.dumps({"version": 9, "chartVersion": "7.0.0"})
    cluster.platform.objects["/api/v1/namespaces/airflow/configmaps/airflow-contract"]["data"]["contract.json"] = newer
    said = platformctl("version", *cluster.options)
    assert (said.code, said.out, said.err) == (
        3,
        "platformctl 0.1.0\ncontract 1\n",
        "Error: The contract has version 9, written by chart 7.0.0, but this package (0.1.0) reads version 1: "
        "upgrade the package to 7.0.0.\n",
    )
