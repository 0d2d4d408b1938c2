"""The contract: what Python gets to know."""

from __future__ import annotations

import json
from copy import deepcopy

import jsonschema
import pytest
import yaml

from chart.rendering import ROOT, TWO_TEAMS, Object, find_by_prefix, find_object, load_role, render, run_check
from kpo_platform.contract import CONFIGMAP_KEY, CONFIGMAP_LABELS, parse

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
        "getLogs": True,
        "startupTimeout": 300,
        "maxRuntime": 0,
    },
    "pool": {"name": "team-alpha", "slots": 128},
    "role": "team-alpha",
}


def contract(values: Object) -> Object:
    text = find_object(render(values), "ConfigMap", "airflow-contract")["data"][CONFIGMAP_KEY]
    found: Object = json.loads(text)
    return found


def whole(written: Object) -> Object:
    """A contract with every team's fields in full."""
    common = written["teamDefaults"]
    spread = {name: {**common, **own} for name, own in written["teams"].items()}
    return {**{name: part for name, part in written.items() if name != "teamDefaults"}, "teams": spread}


def teams(values: Object) -> Object:
    found: Object = whole(contract(values))["teams"]
    return found


def plain(path: str) -> Object:
    found: Object = yaml.safe_load((ROOT / path).read_text())
    return found


ROLES = (
    "bootstrap-operator",
    "bootstrap-operator-cluster",
    "bootstrap-operator-delete",
    "bootstrap-operator-environment",
    "bootstrap-operator-registry",
    "bootstrap-operator-release",
    "bootstrap-operator-target",
    "doctor",
    "pod-cleaner",
    "pod-launcher",
    "secret-maker",
    "team-developer",
    "team-pod",
    "worker-launcher",
)
"""The files under rbac/."""


def test_two_teams_give_this_contract() -> None:
    common = {name: field for name, field in DEFAULT_TEAM.items() if name not in ("namespace", "pool", "role")}
    volume = {"storageClass": None, "mountPath": "/data", "readOnly": False}
    assert contract(TWO_TEAMS) == {
        "version": 1,
        "chartVersion": "0.1.0",
        "release": {"name": "airflow", "namespace": "airflow"},
        "airflow": {
            "apiService": {"name": "airflow-api-server", "port": 8080, "path": ""},
            "adminSecret": "airflow-admin",
            "connectionsSecret": "airflow-connections",
            "serviceAccounts": [
                {"namespace": "airflow", "name": "airflow-scheduler"},
                {"namespace": "airflow", "name": "airflow-triggerer"},
            ],
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
        "podTemplates": {name: plain(f"pod_templates/{name}.yaml") for name in ("default", "git-script")},
        "sidecars": {name: plain(f"pod_templates/sidecars/{name}.yaml") for name in ("git-sync", "log-shipper")},
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


def test_a_name_alone_is_a_team() -> None:
    assert teams({"teams": {"alpha": {}}}) == {"alpha": DEFAULT_TEAM}


def test_what_all_teams_say_alike_is_written_once() -> None:
    values = {"teamDefaults": {"defaultSize": "large"}, "teams": {name: {"defaultSize": "large"} for name in "abc"}}
    written = contract(values)
    assert written["teamDefaults"]["defaultSize"] == "large"
    assert {name: list(own) for name, own in written["teams"].items()} == {
        name: ["namespace", "pool", "role"] for name in "abc"
    }


def test_team_defaults_lie_beneath_every_team() -> None:
    values = {
        "teamDefaults": {"policy": {"getLogs": False, "startupTimeout": 60}, "defaultSize": "medium"},
        "teams": {"alpha": {"policy": {"startupTimeout": 90}}},
    }
    alpha = deepcopy(DEFAULT_TEAM)
    alpha["defaultSize"] = "medium"
    alpha["policy"] |= {"getLogs": False, "startupTimeout": 90}
    assert teams(values) == {"alpha": alpha}


def test_one_team_s_values_do_not_leak_into_another_s() -> None:
    values = {"teams": {"alpha": {"sizes": {"huge": {"cpu": "8", "memory": "32Gi"}}}, "beta": {}}}
    assert teams(values)["beta"] == {
        **DEFAULT_TEAM,
        "namespace": "team-beta",
        "pool": {"name": "team-beta", "slots": 128},
        "role": "team-beta",
    }


def test_a_team_has_a_role_where_airflow_is_the_chart_s_and_keeps_roles() -> None:
    keycloak = {
        "core": {"auth_manager": "airflow.providers.keycloak.auth_manager.keycloak_auth_manager.KeycloakAuthManager"}
    }
    beside = {"enabled": False, "serviceAccounts": [{"namespace": "data", "name": "worker"}]}
    given: list[Object] = [{}, {"config": keycloak}, {"airflow": beside}]
    roles = [teams({**values, "teams": {"alpha": {}}})["alpha"]["role"] for values in given]
    assert roles == ["team-alpha", "", ""]


def test_short_forms_are_spelled_out() -> None:
    given = {
        "owners": [{"group": "data"}, {"user": "ada@example.com"}],
        "quota": {"pods": 20, "limits.memory": "16Gi"},
        "sizes": {"gpu": {"cpu": "4", "memory": "8Gi", "gpu": 1}, "large": None},
    }
    alpha = teams({"teams": {"alpha": given}})["alpha"]
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
def test_a_pool_has_room_for_as_many_tasks_as_the_quota_has_for_pods(team: Object, slots: int) -> None:
    assert teams({"teams": {"alpha": team}})["alpha"]["pool"] == {"name": "team-alpha", "slots": slots}


def test_a_team_goes_back_to_its_quota_from_slots_for_all_teams() -> None:
    values = {
        "teamDefaults": {"pool": {"slots": 7}},
        "teams": {"alpha": {"quota": {"pods": 3}, "pool": {"slots": None}}, "beta": {}},
    }
    assert {name: team["pool"]["slots"] for name, team in teams(values).items()} == {"alpha": 3, "beta": 7}


def test_the_package_reads_what_the_chart_writes() -> None:
    text = find_object(render(TWO_TEAMS), "ConfigMap", "airflow-contract")["data"][CONFIGMAP_KEY]
    read = parse(text).model_dump(mode="json", by_alias=True)
    assert read == whole(json.loads(text))


def test_what_the_chart_writes_fits_the_published_schema() -> None:
    schema = json.loads((ROOT / "docs" / "contract.schema.json").read_text())
    everything = yaml.safe_load((ROOT / "tests" / "chart" / "all-values.yaml").read_text())
    for values in ({}, TWO_TEAMS, everything):
        written = json.loads(find_by_prefix(render(values), "ConfigMap", contract_name(values))["data"][CONFIGMAP_KEY])
        jsonschema.validate(written, schema, jsonschema.Draft202012Validator)
    with pytest.raises(jsonschema.ValidationError, match="1 was expected"):
        jsonschema.validate({**written, "version": 2}, schema, jsonschema.Draft202012Validator)


def contract_name(values: Object) -> str:
    return f"{values.get('fullnameOverride', 'airflow')}-contract"


def test_the_published_schema_says_what_the_package_reads() -> None:
    assert run_check("contract-schema") == (0, "")


def test_the_contract_is_found_by_its_labels() -> None:
    labels = find_object(render(), "ConfigMap", "airflow-contract")["metadata"]["labels"]
    wanted = dict(pair.split("=") for pair in CONFIGMAP_LABELS.split(","))
    assert wanted.items() <= labels.items()
