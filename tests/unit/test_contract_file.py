"""platformctl contract pull, and where lint and render look for the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpo_platform.contract import find_contract_file, load
from kpo_platform.errors import ContractError
from project import VERSION
from unit.support.platformctl import Cluster, Platformctl

PUBLISHED = "/api/v1/namespaces/airflow/configmaps/airflow-contract"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without a saved contract."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("KPO_PLATFORM_CONTRACT", raising=False)
    return tmp_path


def published_text(cluster: Cluster) -> str:
    return str(cluster.platform.objects[PUBLISHED]["data"]["contract.json"])


def test_contract_pull_saves_to_the_default_file(platformctl: Platformctl, cluster: Cluster, own_home: Path):
    result = platformctl("contract", "pull", *cluster.options)
    file = own_home / "data" / "kpo-platform" / "contract.json"
    assert (result.code, result.out) == (0, "")
    assert result.err == f"✔ {file}: contract of chart {VERSION}, teams: alpha, beta\n"
    assert (find_contract_file(), file.read_text()) == (file, published_text(cluster))
    assert list(load(file).teams) == ["alpha", "beta"]
    assert [each.name for each in file.parent.iterdir()] == ["contract.json"]


def test_contract_pull_writes_to_a_file_or_stdout(platformctl: Platformctl, cluster: Cluster, own_home: Path):
    file = own_home / "ci" / "contract.json"
    assert platformctl("contract", "pull", "-o", str(file), *cluster.options).code == 0
    assert file.read_text() == published_text(cluster)
    result = platformctl("contract", "pull", "-o", "-", *cluster.options)
    assert (result.code, result.out, result.err) == (0, published_text(cluster) + "\n", "")


def test_contract_of_another_version_does_not_replace_the_file(
    platformctl: Platformctl, cluster: Cluster, own_home: Path
):
    file = own_home / "contract.json"
    file.write_text("old content")
    cluster.platform.objects[PUBLISHED]["data"]["contract.json"] = '{"version": 9, "chartVersion": "9.0"}'
    result = platformctl("contract", "pull", "-o", str(file), *cluster.options)
    assert (result.code, file.read_text()) == (3, "old content")
    assert result.err.startswith("Error: The contract has version 9, written by chart 9.0")


def test_file_that_cannot_be_written_exits_with_3(platformctl: Platformctl, cluster: Cluster, own_home: Path):
    (own_home / "taken").write_text("")
    file = own_home / "taken" / "contract.json"
    result = platformctl("contract", "pull", "-o", str(file), *cluster.options)
    assert (result.code, result.err) == (
        3,
        f"Error: Cannot write the contract to {file}: File exists. Pass another file with -o.\n",
    )


def test_given_file_wins_over_the_environment_and_the_saved_file(own_home: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ContractError) as refused:
        find_contract_file()
    assert str(refused.value) == (
        "Cannot find a contract file. Save the cluster's contract with platformctl contract pull, "
        "or name a file with --contract or KPO_PLATFORM_CONTRACT."
    )
    saved = own_home / "data" / "kpo-platform" / "contract.json"
    saved.parent.mkdir(parents=True)
    saved.write_text("{}")
    assert find_contract_file() == saved
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", "of-the-environment.json")
    assert find_contract_file() == Path("of-the-environment.json")
    assert find_contract_file("named.json") == Path("named.json")
