"""Reading the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import kpo_platform
from kpo_platform.contract import load, parse
from kpo_platform.errors import ContractError
from unit.support.contracts import CONTRACT, TEAM, build_contract


def read_refusal(text: str) -> str:
    with pytest.raises(ContractError) as error:
        parse(text)
    return str(error.value)


@pytest.mark.parametrize("others", [CONTRACT, {"chartVersion": "0.9.0", "squads": []}], ids=["same", "other fields"])
def test_contract_of_another_version_names_the_upgrade(others: dict[str, Any]):
    newer, older = ({**others, "version": version, "chartVersion": "0.9.0"} for version in (2, 0))
    package = kpo_platform.__version__
    assert read_refusal(json.dumps(newer)) == (
        f"The contract has version 2, written by chart 0.9.0, but this package ({package}) reads version 1. "
        "Upgrade the package to 0.9.0."
    )
    assert read_refusal(json.dumps(older)) == (
        f"The contract has version 0, written by chart 0.9.0, but this package ({package}) reads version 1. "
        f"Upgrade the chart to {package}."
    )


def test_missing_field_is_named_by_its_path():
    broken = {**CONTRACT, "teams": {"alpha": {**CONTRACT["teams"]["alpha"]}}}
    del broken["teams"]["alpha"]["namespace"]
    assert read_refusal(json.dumps(broken)) == (
        "Cannot read the contract: teams.alpha.namespace: Field required. "
        "Upgrade chart and package to the same version."
    )


def test_team_defaults_are_replaced_by_a_teams_own_fields():
    common = {name: field for name, field in CONTRACT["teams"]["alpha"].items() if name not in ("namespace", "pool")}
    own = {"namespace": "team-beta", "pool": {"name": "team-beta", "slots": 3}, "labels": {"stage": "test"}}
    beta = parse(json.dumps({**CONTRACT, "teamDefaults": common, "teams": {"beta": own}})).team("beta")
    assert beta.model_dump(mode="json", by_alias=True) == {**common, **own}


def test_contract_of_an_older_chart_gets_defaults():
    defaults = {
        "deferAfter": 5,
        "roomTimeout": 86400,
        "apiServerTimeout": 3600,
        "missingObjectTimeout": 60,
        "xcom": "message",
        "finish": "triggerer",
        "orphans": "report",
    }
    older = {name: value for name, value in TEAM["policy"].items() if name not in defaults}
    policy = build_contract(policy=older).team("alpha").policy
    assert policy.model_dump(mode="json", by_alias=True) == {**older, **defaults}


def test_team_that_is_not_a_mapping_is_named():
    broken = {**CONTRACT, "teamDefaults": {}, "teams": {"beta": []}}
    assert read_refusal(json.dumps(broken)).startswith("Cannot read the contract: teams.beta: Input should be")


def test_text_that_is_not_a_contract_is_refused():
    message = read_refusal("{")
    assert message.startswith("Cannot read the contract: Invalid JSON")
    assert message.endswith(". Save it again with platformctl contract pull.")


def test_file_from_the_environment_is_read_again_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "contract.json"
    file.write_text(json.dumps(CONTRACT))
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(file))
    first = load()
    assert load() is first

    replaced = tmp_path / "new"
    replaced.write_text(json.dumps({**CONTRACT, "teams": {}}))
    replaced.replace(file)
    assert load().teams == {}


def test_missing_file_names_the_environment_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("KPO_PLATFORM_CONTRACT", raising=False)
    with pytest.raises(ContractError, match="KPO_PLATFORM_CONTRACT is not set"):
        load()
    with pytest.raises(ContractError, match=r"Cannot read the contract .*: No such file or directory"):
        load(tmp_path / "absent.json")
