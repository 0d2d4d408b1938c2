"""The team layer without Airflow, for an existing Airflow."""

from __future__ import annotations

import json

import yaml

from chart.rendering import CHART, NAMESPACE, RELEASE, Object, find_object, render, render_errors, run_helm

ACCOUNTS = [{"namespace": "airflow", "name": "their-scheduler"}, {"namespace": "airflow", "name": "their-triggerer"}]
TEAM_LAYER: Object = {
    "airflow": {"enabled": False, "serviceAccounts": ACCOUNTS, "apiService": {"name": "their-api", "port": 9091}},
    "teams": {"alpha": {}},
}


def list_kinds(values: Object) -> list[str]:
    return sorted({item["kind"] for item in render(values) if item["metadata"].get("namespace") == NAMESPACE})


def render_notes(values: Object) -> str:
    """Return the notes of an installation."""
    words = ("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--dry-run=client", "--values", "-")
    return run_helm(*words, stdin=json.dumps(values)).stdout.partition("\nNOTES:\n")[2]


def test_team_layer_installs_no_airflow_component() -> None:
    assert list_kinds(TEAM_LAYER) == ["ConfigMap", "Pod"]
    names = {item["metadata"]["name"] for item in render(TEAM_LAYER) if item["kind"] == "ConfigMap"}
    kinds = {"airflow-code" if "-code-" in name else name.rpartition("-")[0] for name in names}
    assert kinds == {"airflow", "airflow-code", "airflow-pod", "airflow-scripts", "airflow-team-settings"}


def test_pod_cleanup_installs_its_scripts() -> None:
    values = {**TEAM_LAYER, "teams": {"alpha": {"cleanup": {"maxAge": 60}}}}
    assert list_kinds(values) == ["ConfigMap", "CronJob", "Pod", "ServiceAccount"]
    assert [item for item in render(values) if item["metadata"]["name"].startswith("airflow-scripts-")]


def test_only_external_accounts_may_start_team_pods() -> None:
    objects = render(TEAM_LAYER)
    assert find_object(objects, "RoleBinding", "pod-launcher", "team-alpha")["subjects"] == [
        {"kind": "ServiceAccount", **account} for account in ACCOUNTS
    ]
    contract = json.loads(find_object(objects, "ConfigMap", "airflow-contract")["data"]["contract.json"])
    assert contract["airflow"] == {
        "apiService": {"name": "their-api", "port": 9091, "path": ""},
        "adminSecret": "airflow-admin",
        "connectionsSecret": "airflow-connections",
        "serviceAccounts": ACCOUNTS,
        "sharedLogs": False,
    }


def test_external_accounts_are_added_to_those_of_the_release() -> None:
    values = {**TEAM_LAYER, "airflow": {"serviceAccounts": ACCOUNTS[:1]}}
    subjects = find_object(render(values), "RoleBinding", "pod-launcher", "team-alpha")["subjects"]
    assert [subject["name"] for subject in subjects] == ["airflow-scheduler", "airflow-triggerer", "their-scheduler"]


def test_notes_show_the_pod_settings_of_the_scheduler() -> None:
    text = render_notes(TEAM_LAYER)
    snippet = yaml.safe_load(text[text.index("env:\n") : text.index("Import the teams' pools")])
    scheduler = find_object(render({"teams": {"alpha": {}}}), "StatefulSet", "airflow-scheduler")["spec"]["template"][
        "spec"
    ]
    (container,) = scheduler["containers"]
    expected = {"env": container["env"], "volumeMounts": container["volumeMounts"], "volumes": scheduler["volumes"]}
    assert set(snippet) == set(expected)
    for field, entries in snippet.items():
        assert [entry for entry in entries if entry not in expected[field]] == [], field
    assert [volume["name"] for volume in snippet["volumes"]] == ["python", "contract", "pod-templates", "sidecars"]


def test_notes_name_the_components_with_guards() -> None:
    guards = (
        "Add them to every API server too: API server and triggerer isolate the teams only with these fields "
        "(docs/isolation.md).\nThe names of the ConfigMaps"
    )
    assert guards in render_notes(TEAM_LAYER)
    without = render_notes({**TEAM_LAYER, "isolation": {"enabled": False}})
    assert "triggerer, workers.\nThe names of the ConfigMaps" in without


def test_team_layer_needs_no_database() -> None:
    assert render({**TEAM_LAYER, "postgresql": {"enabled": False}}) == render(TEAM_LAYER)


def test_missing_service_accounts_are_refused() -> None:
    assert render_errors({"airflow": {"enabled": False}}) == [
        "ERROR: airflow.serviceAccounts is empty: airflow.enabled is false, so no service account may start the teams' "
        "pods. List the service accounts of your Airflow's scheduler or workers, and of its triggerer."
    ]


def test_second_api_server_is_refused() -> None:
    assert render_errors({"airflow": {"apiService": {"name": "their-api"}}}) == [
        "ERROR: airflow.apiService.name is their-api: airflow.enabled is true, so the chart runs its own API server. "
        "Remove the value, or set airflow.enabled to false."
    ]
