"""The sample DAGs in dags/: platformctl lint finds nothing in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.paths import REPOSITORY
from unit.support.contracts import CONTRACT, TEAM
from unit.support.platformctl import Platformctl

DAGS = REPOSITORY / "dags"
MEDIUM = {"cpu": "500m", "memory": "1Gi", "gpu": 0, "ephemeralStorage": ""}


def read_pods(folder: Path) -> dict[str, Any]:
    return {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in folder.glob("*.yaml")}


@pytest.fixture
def contract_file(tmp_path: Path) -> Path:
    """A contract with the platform's own pod templates and sidecars, and a team with the size medium."""
    templates = REPOSITORY / "pod_templates"
    content = {
        **CONTRACT,
        "podTemplates": read_pods(templates),
        "sidecars": read_pods(templates / "sidecars"),
        "teams": {"alpha": {**TEAM, "sizes": {**TEAM["sizes"], "medium": MEDIUM}}},
    }
    file = tmp_path / "contract.json"
    file.write_text(json.dumps(content))
    return file


def test_lint_finds_nothing_in_the_samples(platformctl: Platformctl, contract_file: Path, offline_in_process: None):
    result = platformctl("lint", str(DAGS), "--team", "alpha", "--contract", str(contract_file))
    assert (result.code, result.out) == (0, "")
    assert result.err.splitlines()[-1] == f"0 findings in {len(list(DAGS.glob('*.py')))} DAG files."


def test_lint_of_the_samples_reports_a_broken_one(
    platformctl: Platformctl, contract_file: Path, tmp_path: Path, offline_in_process: None
):
    sample = (DAGS / "full_pattern.py").read_text(encoding="utf-8")
    file = tmp_path / "dags" / "full_pattern.py"
    file.parent.mkdir()
    file.write_text(sample.replace('size="medium"', 'size="medum"'))
    result = platformctl("lint", str(file.parent), "--team", "alpha", "--contract", str(contract_file))
    assert (result.code, result.out.partition(": error ")[2]) == (
        1,
        "KPO-TEAM001 task report: size 'medum' is not in the contract. Did you mean 'medium'?\n",
    )
