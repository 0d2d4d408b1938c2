"""Five hundred teams fit: a ConfigMap and a release are limited to 1 MiB."""

from __future__ import annotations

import base64
import gzip
import json
import re

from chart.rendering import CHART, ROOT, Object, render_errors, render_text
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


def contract() -> str:
    found = re.search(r'^  contract\.json: (".*")$', render_text(MANY), flags=re.MULTILINE)
    assert found
    written: str = json.loads(found[1])
    return written


def release() -> bytes:
    """The release as Helm keeps it: manifest, values and chart, whose files are base64; packed, and base64 again."""
    folders = [CHART, *(ROOT / name for name in ("rbac", "pod_templates"))]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    files += (ROOT / "platform" / "kpo_platform").rglob("*.py")
    chart = [{"name": str(path), "data": base64.b64encode(path.read_bytes()).decode()} for path in files]
    whole = {"chart": {"templates": chart}, "config": MANY, "manifest": render_text(MANY)}
    return base64.b64encode(gzip.compress(json.dumps(whole).encode(), compresslevel=9))


def test_the_contract_fits_into_its_configmap() -> None:
    assert len(contract()) < LIMIT
    assert len(parse(contract()).teams) == TEAMS


def test_more_teams_than_fit_are_refused_before_the_cluster_does() -> None:
    teams = {name: {"env": [{"name": "TEXT", "value": "x" * (LIMIT // 2)}]} for name in ("alpha", "beta")}
    (sentence,) = render_errors({"teams": teams})
    assert re.sub(r"has \d{7} bytes", "has N bytes", sentence) == (
        "ERROR: the contract of these 2 teams has N bytes, but a ConfigMap holds 1048576; "
        "give some of the teams a release of their own."
    )


def test_the_release_fits_into_its_secret() -> None:
    assert len(release()) < LIMIT


def test_every_team_has_its_objects() -> None:
    kinds = re.findall(r"^kind: (\w+)$", render_text(MANY), flags=re.MULTILINE)
    # Besides the teams' the release has a few of its own.
    assert {kind for kind in set(kinds) if kinds.count(kind) >= TEAMS} == {
        "LimitRange",
        "Namespace",
        "NetworkPolicy",
        "ResourceQuota",
        "Role",
        "RoleBinding",
        "ServiceAccount",
    }
