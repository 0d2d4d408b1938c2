"""The contract in a file: how it gets there, and where the commands that ask no cluster look for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpo_platform.contract import find_contract_file, load
from kpo_platform.errors import ContractError
from unit.support.platformctl import Cluster, Platformctl

PUBLISHED = "/api/v1/namespaces/airflow/configmaps/airflow-contract"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing was saved yet."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("KPO_PLATFORM_CONTRACT", raising=False)
    return tmp_path


def published(cluster: Cluster) -> str:
    return str(cluster.platform.objects[PUBLISHED]["data"]["contract.json"])


def test_the_contract_is_saved_where_it_is_looked_for(platformctl: Platformctl, cluster: Cluster, own_home: Path):
    said = platformctl("contract", "pull", *cluster.options)
    file = own_home / "data" / "kpo-platform" / "contract.json"
    assert (said.code, said.out) == (0, "")
    assert said.err == f"✔ {file}: contract of chart 0.1.0, teams: alpha, beta\n"
    assert (find_contract_file(), file.read_text()) == (file, published(cluster))
    assert list(load(file).teams) == ["alpha", "beta"]
    assert [each.name for each in file.parent.iterdir()] == ["contract.json"]


def test_it_may_go_to_a_file_or_to_standard_output(platformctl: Platformctl, cluster: Cluster, own_home: Path):
    file = own_home / "ci" / "contract.json"
    assert platformctl("contract", "pull", "-o", str(file), *cluster.options).code == 0
    assert file.read_text() == published(cluster)
    said = platformctl("contract", "pull", "-o", "-", *cluster.options)
    assert (said.code, said.out, said.err) == (0, published(cluster) + "\n", "")


def test_what_is_no_contract_of_this_version_replaces_no_file(
    platformctl: Platformctl, cluster: Cluster, own_home: Path
):
    file = own_home / "contract.json"
    file.write_text("of yesterday")
    cluster.platform.objects[PUBLISHED]["data"]["contract.json"] = '{"version": 9, "chartVersion": "9.0"}'
    said = platformctl("contract", "pull", "-o", str(file), *cluster.options)
    assert (said.code, file.read_text()) == (3, "of yesterday")
    assert said.err.startswith("Error: The contract has version 9, written by chart 9.0")


def test_a_place_that_cannot_be_written_is_a_sentence(platformctl: Platformctl, cluster: Cluster, own_home: Path):
    (own_home / "taken").write_text("")
    file = own_home / "taken" / "contract.json"
    said = platformctl("contract", "pull", "-o", str(file), *cluster.options)
    assert (said.code, said.err) == (
        3,
        f"Error: The contract cannot be written to {file}: File exists; name another file with -o.\n",
    )


def test_a_file_that_is_named_wins_over_the_environment_and_that_over_what_was_saved(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(ContractError) as refused:
        find_contract_file()
    assert str(refused.value) == (
        "No contract, so nobody knows what the teams may do: save the cluster's once with platformctl contract pull, "
        "or name a file with --contract or KPO_PLATFORM_CONTRACT."
    )
    saved = own_home / "data" / "kpo-platform" / "contract.json"
    saved.parent.mkdir(parents=True)
    saved.write_text("{}")
    assert find_contract_file() == saved
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", "of-the-environment.json")
    assert find_contract_file() == Path("of-the-environment.json")
    assert find_contract_file("named.json") == Path("named.json")
