"""The team layer alone, beside an Airflow that is there already."""

from __future__ import annotations

import json

import yaml

from chart.rendering import CHART, NAMESPACE, RELEASE, Object, find_object, render, render_errors, run_helm

ACCOUNTS = [{"namespace": "airflow", "name": "their-scheduler"}, {"namespace": "airflow", "name": "their-triggerer"}]
BESIDE: Object = {
    "airflow": {"enabled": False, "serviceAccounts": ACCOUNTS, "apiService": {"name": "their-api", "port": 9091}},
    "teams": {"alpha": {}},
}


def kinds(values: Object) -> list[str]:
    return sorted({item["kind"] for item in render(values) if item["metadata"].get("namespace") == NAMESPACE})


def notes(values: Object) -> str:
    """What Helm says after an installation."""
    words = ("install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--dry-run=client", "--values", "-")
    return run_helm(*words, stdin=json.dumps(values)).stdout.partition("\nNOTES:\n")[2]


def test_nothing_of_airflow_is_installed() -> None:
    assert kinds(BESIDE) == ["ConfigMap", "Pod"]
    names = {item["metadata"]["name"].rpartition("-")[0] for item in render(BESIDE) if item["kind"] == "ConfigMap"}
    assert names == {"airflow", "airflow-code", "airflow-pod", "airflow-scripts", "airflow-team-settings"}


def test_a_clean_up_job_brings_the_scripts_that_it_runs() -> None:
    values = {**BESIDE, "teams": {"alpha": {"cleanup": {"maxAge": 60}}}}
    assert kinds(values) == ["ConfigMap", "CronJob", "Pod", "ServiceAccount"]
    assert [item for item in render(values) if item["metadata"]["name"].startswith("airflow-scripts-")]


def test_the_named_accounts_start_the_teams_pods_and_no_others() -> None:
    objects = render(BESIDE)
    assert find_object(objects, "RoleBinding", "pod-launcher", "team-alpha")["subjects"] == [
        {"kind": "ServiceAccount", **account} for account in ACCOUNTS
    ]
    contract = json.loads(find_object(objects, "ConfigMap", "airflow-contract")["data"]["contract.json"])
    assert contract["airflow"] == {
        "apiService": {"name": "their-api", "port": 9091, "path": ""},
        "adminSecret": "airflow-admin",
        "connectionsSecret": "airflow-connections",
        "serviceAccounts": ACCOUNTS,
    }


def test_accounts_of_another_airflow_join_those_of_this_one() -> None:
    values = {**BESIDE, "airflow": {"serviceAccounts": ACCOUNTS[:1]}}
    subjects = find_object(render(values), "RoleBinding", "pod-launcher", "team-alpha")["subjects"]
    assert [subject["name"] for subject in subjects] == ["airflow-scheduler", "airflow-triggerer", "their-scheduler"]


def test_the_notes_have_what_the_other_airflow_s_pods_need_as_this_one_s_have_it() -> None:
    text = notes(BESIDE)
    snippet = yaml.safe_load(text[text.index("env:\n") : text.index("The teams' pools")])
    scheduler = find_object(render({"teams": {"alpha": {}}}), "StatefulSet", "airflow-scheduler")["spec"]["template"][
        "spec"
    ]
    (container,) = scheduler["containers"]
    theirs = {"env": container["env"], "volumeMounts": container["volumeMounts"], "volumes": scheduler["volumes"]}
    assert set(snippet) == set(theirs)
    for field, entries in snippet.items():
        assert [entry for entry in entries if entry not in theirs[field]] == [], field
    assert [volume["name"] for volume in snippet["volumes"]] == ["python", "contract", "pod-templates", "sidecars"]


def test_a_database_is_not_asked_for() -> None:
    assert render({**BESIDE, "postgresql": {"enabled": False}}) == render(BESIDE)


def test_teams_whose_pods_nobody_could_start_are_refused() -> None:
    assert render_errors({"airflow": {"enabled": False}}) == [
        "ERROR: airflow.enabled is false and airflow.serviceAccounts is empty, so nobody could start the teams' pods; "
        "name the service accounts of your Airflow's scheduler or workers, and of its triggerer."
    ]


def test_another_api_beside_the_chart_s_own_is_refused() -> None:
    assert render_errors({"airflow": {"apiService": {"name": "their-api"}}}) == [
        "ERROR: airflow.apiService.name is their-api, but airflow.enabled is true and the API server is the "
        "chart's own; leave it out, or set airflow.enabled to false."
    ]
