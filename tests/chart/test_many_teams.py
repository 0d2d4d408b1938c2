"""500 teams in one release: contract and release stay below 1 MiB."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path

from chart.rendering import CHART, Object, render_errors, render_text, run_helm
from kpo_platform.contract import parse

LIMIT = 1024 * 1024
TEAMS = 500

MANY: Object = {
    "teams": {
        f"department-{number:03}": {
            "owners": [{"group": f"department-{number:03}-engineers"}],
            "labels": {"cost-centre": f"cc-{number:05}"},
            "quota": {"pods": 20, "limits.memory": "64Gi"},
            "dags": {"repo": f"https://git.example.com/department-{number:03}/dags.git"},
            "registry": {"host": "registry.example.com"},
            "volumes": [{"name": "data", "size": "10Gi", "mountPath": "/data"}],
            "network": {"egress": [{"ports": [{"port": 443}]}]},
            "cleanup": {"maxAge": 86400},
        }
        for number in range(TEAMS)
    }
}


def render_contract() -> str:
    match = re.search(r'^  contract\.json: (".*")$', render_text(MANY), flags=re.MULTILINE)
    assert match
    contract: str = json.loads(match[1])
    return contract


def encode_release(values: Path) -> bytes:
    """Return the data of the release Secret: Helm's release, gzipped, in base64."""
    completed = run_helm(
        "install", "airflow", str(CHART), "--dry-run=client", "--output", "json", "--values", str(values)
    )
    assert completed.returncode == 0, completed.stderr
    return base64.b64encode(gzip.compress(completed.stdout.encode(), compresslevel=9))


def test_contract_of_500_teams_fits_into_a_configmap() -> None:
    assert len(render_contract()) < LIMIT
    assert len(parse(render_contract()).teams) == TEAMS


def test_contract_above_1_mib_is_refused() -> None:
    teams = {name: {"env": [{"name": "TEXT", "value": "x" * (LIMIT // 2)}]} for name in ("alpha", "beta")}
    (message,) = render_errors({"teams": teams})
    assert re.sub(r"has \d{7} bytes", "has N bytes", message) == (
        "ERROR: the contract of the 2 teams has N bytes: a ConfigMap holds at most 1048576. "
        "Move some of the teams to a release of their own."
    )


def test_release_of_500_teams_fits_into_a_secret(tmp_path: Path) -> None:
    values = tmp_path / "values.json"
    values.write_text(json.dumps(MANY))
    assert len(encode_release(values)) < LIMIT


def test_release_does_not_store_the_package_that_the_chart_carries(tmp_path: Path) -> None:
    completed = run_helm("install", "airflow", str(CHART), "--dry-run=client", "--output", "json")
    chart = json.loads(completed.stdout)["chart"]
    stored = [file["name"] for file in (*chart["files"], *chart["templates"])]
    assert stored and not [name for name in stored if "kpo_platform" in name]


def test_every_team_has_its_own_objects() -> None:
    kinds = re.findall(r"^kind: (\w+)$", render_text(MANY), flags=re.MULTILINE)
    # The release has a few objects of these kinds of its own.
    assert {kind for kind in set(kinds) if kinds.count(kind) >= TEAMS} == {
        "LimitRange",
        "Namespace",
        "NetworkPolicy",
        "ResourceQuota",
        "Role",
        "RoleBinding",
        "ServiceAccount",
    }
