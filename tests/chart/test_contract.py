"""The contract that the chart publishes for the Python package."""

from __future__ import annotations

import json
from copy import deepcopy

import jsonschema
import pytest
import yaml

from chart.rendering import ROOT, TWO_TEAMS, Object, find_by_prefix, find_object, load_role, render, run_check
from kpo_platform.contract import CONFIGMAP_KEY, CONFIGMAP_LABELS, Policy, parse
from project import VERSION

DEFAULT_TEAM: Object = {
    "namespace": "team-alpha",
    "owners": [],
    "serviceAccount": {"name": "team-pod", "mountToken": False, "annotations": {}},
    "labels": {},
    "annotations": {},
    "podSecurity": "restricted",
    "quota": {},
    "limits": {
        "default": {"cpu": "1", "memory": "1Gi"},
        "defaultRequest": {"cpu": "100m", "memory": "128Mi"},
        "max": {},
    },
    "sizes": {
        "small": {"cpu": "100m", "memory": "256Mi", "gpu": 0, "ephemeralStorage": ""},
        "medium": {"cpu": "500m", "memory": "1Gi", "gpu": 0, "ephemeralStorage": ""},
        "large": {"cpu": "2", "memory": "4Gi", "gpu": 0, "ephemeralStorage": ""},
    },
    "defaultSize": "small",
    "images": {"registryPrefix": "", "allow": [], "pin": "tag"},
    "registry": {"host": "", "pullSecret": "regcred"},
    "volumes": [],
    "template": "default",
    "sidecars": [],
    "scheduling": {"nodeSelector": {}, "tolerations": [], "affinity": {}, "priorityClassName": ""},
    "env": [],
    "envFrom": [],
    "network": {"egress": [], "ingress": []},
    "connection": {"id": "k8s_default", "mode": "inCluster", "via": "api"},
    "dags": {"repo": "", "ref": "main", "subdir": "", "credentialsSecret": "", "refreshInterval": 30},
    "rbac": {"exec": True, "extraRules": []},
    "cleanup": {"maxAge": 0},
    "policy": {
        "onFinish": "delete_pod",
        "onFailure": "",
        "deferrable": True,
        "deferAfter": 5,
        "finish": "triggerer",
        "orphans": "report",
        "getLogs": True,
        "xcom": "message",
        "startupTimeout": 300,
        "roomTimeout": 86400,
        "apiServerTimeout": 3600,
        "missingObjectTimeout": 60,
        "maxRuntime": 0,
    },
    "pool": {"name": "team-alpha", "slots": 128},
    "role": "team-alpha",
}


def load_contract(values: Object) -> Object:
    text = find_object(render(values), "ConfigMap", "airflow-contract")["data"][CONFIGMAP_KEY]
    contract: Object = json.loads(text)
    return contract


def expand_teams(contract: Object) -> Object:
    """Return a contract in which every team has all fields."""
    defaults = contract["teamDefaults"]
    teams = {name: {**defaults, **fields} for name, fields in contract["teams"].items()}
    return {**{name: part for name, part in contract.items() if name != "teamDefaults"}, "teams": teams}


def load_teams(values: Object) -> Object:
    teams: Object = expand_teams(load_contract(values))["teams"]
    return teams


def load_yaml(path: str) -> Object:
    content: Object = yaml.safe_load((ROOT / path).read_text())
    return content


ROLES = (
    "bootstrap-operator",
    "bootstrap-operator-cluster",
    "bootstrap-operator-delete",
    "bootstrap-operator-environment",
    "bootstrap-operator-registry",
    "bootstrap-operator-release",
    "bootstrap-operator-target",
    "doctor",
    "node-reader",
    "pod-cleaner",
    "pod-launcher",
    "secret-maker",
    "team-developer",
    "team-pod",
    "worker-launcher",
)
"""Names of the files under rbac/."""


def test_contract_of_two_teams() -> None:
    common = {name: field for name, field in DEFAULT_TEAM.items() if name not in ("namespace", "pool", "role")}
    volume = {"storageClass": None, "mountPath": "/data", "readOnly": False}
    assert load_contract(TWO_TEAMS) == {
        "version": 1,
        "chartVersion": VERSION,
        "release": {"name": "airflow", "namespace": "airflow"},
        "airflow": {
            "apiService": {"name": "airflow-api-server", "port": 8080, "path": ""},
            "adminSecret": "airflow-admin",
            "connectionsSecret": "airflow-connections",
            "serviceAccounts": [
                {"namespace": "airflow", "name": "airflow-scheduler"},
                {"namespace": "airflow", "name": "airflow-triggerer"},
            ],
            "sharedLogs": False,
        },
        "xcomSidecar": {
            "image": "docker.io/library/alpine:3.22",
            "resources": {
                "requests": {"cpu": "10m", "memory": "16Mi"},
                "limits": {"cpu": "100m", "memory": "32Mi"},
            },
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        },
        "labelPolicy": {},
        "gpuResource": "nvidia.com/gpu",
        "podLink": "",
        "rules": {name: load_role(name)["rules"] for name in ROLES},
        "podTemplates": {name: load_yaml(f"pod_templates/{name}.yaml") for name in ("default", "git-script")},
        "sidecars": {name: load_yaml(f"pod_templates/sidecars/{name}.yaml") for name in ("git-sync", "log-shipper")},
        "isolation": {
            "enabled": True,
            "bundles": {},
            "shared": {"connections": [], "variables": [], "assets": []},
            "unlisted": "write",
            "grants": [],
            "triggers": [],
        },
        "teamDefaults": common,
        "teams": {
            "alpha": {
                "namespace": "team-alpha",
                "pool": {"name": "team-alpha", "slots": 128},
                "role": "team-alpha",
                "dags": {**common["dags"], "repo": "https://git.example/alpha.git", "subdir": "dags"},
            },
            "beta": {
                "namespace": "data-beta",
                "pool": {"name": "team-beta", "slots": 128},
                "role": "team-beta",
                "labels": {"cost-centre": "42"},
                "registry": {**common["registry"], "host": "registry.example"},
                "policy": {**common["policy"], "deferrable": False},
                "volumes": [{"name": "data", "size": "1Gi", "accessMode": "ReadWriteOnce", **volume}],
            },
        },
    }


def test_empty_team_gets_all_defaults() -> None:
    assert load_teams({"teams": {"alpha": {}}}) == {"alpha": DEFAULT_TEAM}


def test_shared_fields_are_written_once() -> None:
    values = {"teamDefaults": {"defaultSize": "large"}, "teams": {name: {"defaultSize": "large"} for name in "abc"}}
    contract = load_contract(values)
    assert contract["teamDefaults"]["defaultSize"] == "large"
    assert {name: list(fields) for name, fields in contract["teams"].items()} == {
        name: ["namespace", "pool", "role"] for name in "abc"
    }


def test_team_fields_override_team_defaults() -> None:
    values = {
        "teamDefaults": {"policy": {"getLogs": False, "startupTimeout": 60}, "defaultSize": "medium"},
        "teams": {"alpha": {"policy": {"startupTimeout": 90}}},
    }
    alpha = deepcopy(DEFAULT_TEAM)
    alpha["defaultSize"] = "medium"
    alpha["policy"] |= {"getLogs": False, "startupTimeout": 90}
    assert load_teams(values) == {"alpha": alpha}


def test_fields_of_one_team_do_not_affect_another() -> None:
    values = {"teams": {"alpha": {"sizes": {"huge": {"cpu": "8", "memory": "32Gi"}}}, "beta": {}}}
    assert load_teams(values)["beta"] == {
        **DEFAULT_TEAM,
        "namespace": "team-beta",
        "pool": {"name": "team-beta", "slots": 128},
        "role": "team-beta",
    }


def test_team_has_a_role_only_with_fab_auth_manager() -> None:
    keycloak = {
        "core": {"auth_manager": "airflow.providers.keycloak.auth_manager.keycloak_auth_manager.KeycloakAuthManager"}
    }
    team_layer = {"enabled": False, "serviceAccounts": [{"namespace": "data", "name": "worker"}]}
    cases: list[Object] = [{}, {"config": keycloak}, {"airflow": team_layer}]
    roles = [load_teams({**values, "teams": {"alpha": {}}})["alpha"]["role"] for values in cases]
    assert roles == ["team-alpha", "", ""]


def test_short_forms_are_expanded() -> None:
    team = {
        "owners": [{"group": "data"}, {"user": "ada@example.com"}],
        "quota": {"pods": 20, "limits.memory": "16Gi"},
        "sizes": {"gpu": {"cpu": "4", "memory": "8Gi", "gpu": 1}, "large": None},
    }
    alpha = load_teams({"teams": {"alpha": team}})["alpha"]
    assert alpha["owners"] == [{"kind": "Group", "name": "data"}, {"kind": "User", "name": "ada@example.com"}]
    assert alpha["quota"] == {"pods": "20", "limits.memory": "16Gi"}
    assert alpha["sizes"] == {
        "gpu": {"cpu": "4", "memory": "8Gi", "gpu": 1, "ephemeralStorage": ""},
        "small": DEFAULT_TEAM["sizes"]["small"],
        "medium": DEFAULT_TEAM["sizes"]["medium"],
    }


@pytest.mark.parametrize(
    ("team", "slots"),
    [
        ({}, 128),
        ({"quota": {"limits.cpu": "8"}}, 128),
        ({"quota": {"pods": 20}}, 20),
        ({"quota": {"count/pods": "9", "pods": "1k"}}, 9),
        ({"quota": {"pods": 20}, "pool": {"slots": 5}}, 5),
        ({"pool": {"slots": 0}}, 0),
        ({"pool": {"slots": None}}, 128),
    ],
)
def test_pool_slots_follow_the_pod_quota(team: Object, slots: int) -> None:
    assert load_teams({"teams": {"alpha": team}})["alpha"]["pool"] == {"name": "team-alpha", "slots": slots}


def test_null_slots_override_team_defaults_with_the_quota() -> None:
    values = {
        "teamDefaults": {"pool": {"slots": 7}},
        "teams": {"alpha": {"quota": {"pods": 3}, "pool": {"slots": None}}, "beta": {}},
    }
    assert {name: team["pool"]["slots"] for name, team in load_teams(values).items()} == {"alpha": 3, "beta": 7}


def test_package_reads_the_rendered_contract() -> None:
    text = find_object(render(TWO_TEAMS), "ConfigMap", "airflow-contract")["data"][CONFIGMAP_KEY]
    parsed = parse(text).model_dump(mode="json", by_alias=True)
    assert parsed == expand_teams(json.loads(text))


def test_package_has_the_charts_defaults_for_fields_that_an_older_chart_lacks() -> None:
    contract = load_contract({})
    published = contract["teamDefaults"]["policy"]
    defaults = {field.alias: field.default for field in Policy.model_fields.values() if not field.is_required()}
    assert defaults == {name: published[name] for name in defaults}


def test_rendered_contract_matches_the_published_schema() -> None:
    schema = json.loads((ROOT / "docs" / "contract.schema.json").read_text())
    all_values = yaml.safe_load((ROOT / "tests" / "chart" / "all-values.yaml").read_text())
    for values in ({}, TWO_TEAMS, all_values):
        contract = json.loads(
            find_by_prefix(render(values), "ConfigMap", find_contract_name(values))["data"][CONFIGMAP_KEY]
        )
        jsonschema.validate(contract, schema, jsonschema.Draft202012Validator)
    with pytest.raises(jsonschema.ValidationError, match="1 was expected"):
        jsonschema.validate({**contract, "version": 2}, schema, jsonschema.Draft202012Validator)


def find_contract_name(values: Object) -> str:
    return f"{values.get('fullnameOverride', 'airflow')}-contract"


def test_published_schema_is_up_to_date() -> None:
    assert run_check("contract-schema") == (0, "")


def test_contract_has_the_labels_that_the_package_selects() -> None:
    labels = find_object(render(), "ConfigMap", "airflow-contract")["metadata"]["labels"]
    selected = dict(pair.split("=") for pair in CONFIGMAP_LABELS.split(","))
    assert selected.items() <= labels.items()
