"""The isolation between teams: values, their errors, and what the guards in Airflow's pods read."""

from __future__ import annotations

import json
from itertools import product

import pytest

from chart.objects import list_restarted_components, read_env
from chart.rendering import Object, map_package, map_pods_by_component, render, render_errors
from chart.test_contract import load_contract
from kpo_platform.contract import parse

TEAMS: Object = {"alpha": {}, "beta": {}}
EXECUTORS = ("LocalExecutor", "CeleryExecutor", "KubernetesExecutor")
TEAM_LAYER: Object = {"airflow": {"enabled": False, "serviceAccounts": [{"namespace": "data", "name": "worker"}]}}


def refuse(isolation: Object) -> list[str]:
    return render_errors({"teams": TEAMS, "isolation": isolation})


def test_all_isolation_values_reach_the_contract() -> None:
    isolation = {
        "enabled": False,
        "bundles": {"data-science": "alpha"},
        "shared": {"connections": ["alpha_public"], "variables": ["alpha_*"], "assets": ["s3://alpha/*"]},
        "unlisted": "none",
        "grants": [{"from": "beta", "to": "alpha", "do": ["trigger", "xcom", "state", "asset"]}],
    }
    allowed = [{"class": "example.A", "arguments": {"region": ["eu", "us"]}}, {"class": "example.B"}]
    triggers = [allowed[0], {"class": "example.B", "arguments": {}}]
    values = {"teams": TEAMS, "isolation": isolation, "triggerer": {"allow": allowed}}
    contract = load_contract(values)
    assert contract["isolation"] == {**isolation, "triggers": triggers}
    assert contract["isolation"] == load_contract({**values, **TEAM_LAYER})["isolation"]


def test_package_reads_the_isolation_of_the_contract() -> None:
    values = {
        "teams": TEAMS,
        "isolation": {"grants": [{"from": "beta", "to": "alpha", "do": ["state"]}]},
        "triggerer": {"allow": [{"class": "example.A", "arguments": {"region": ["eu"]}}]},
    }
    contract = load_contract(values)
    parsed = parse(json.dumps(contract)).isolation.model_dump(mode="json", by_alias=True)
    assert parsed == contract["isolation"]


@pytest.mark.parametrize(("executor", "component"), list(product(EXECUTORS, ("api-server", "triggerer"))))
def test_guarded_process_has_package_and_contract(executor: str, component: str) -> None:
    logs = {"persistence": {"existingClaim": "logs"}}
    pod = map_pods_by_component(render({"teams": TEAMS, "executor": executor, "logs": logs}))[component]["spec"]
    (container,) = [item for item in pod["containers"] if item["name"] == component]
    env = read_env(container)
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert (env["PYTHONPATH"], env["KPO_PLATFORM_CONTRACT"]) == (
        "/opt/kpo-platform/python",
        "/opt/kpo-platform/contract/contract.json",
    )
    assert volumes[mounts["/opt/kpo-platform/contract"]] == {
        "name": "contract",
        "configMap": {"name": "airflow-contract"},
    }
    paths = set(map_package(volumes[mounts["/opt/kpo-platform/python"]]))
    assert {
        "kpo_platform/airflow/guards/__init__.py",
        "kpo_platform/airflow/guards/execution_api/__init__.py",
        "kpo_platform/airflow/guards/triggers/__init__.py",
    } <= paths


def test_change_of_the_isolation_restarts_nothing() -> None:
    before: Object = {"teams": TEAMS}
    after = {**before, "isolation": {"grants": [{"from": "beta", "to": "alpha", "do": ["state"]}]}}
    assert list_restarted_components(before, after) == set()


def test_bundle_of_an_unknown_team_is_refused() -> None:
    assert refuse({"bundles": {"data-science": "gamma"}}) == [
        "ERROR: isolation.bundles.data-science is gamma: the release has no team of this name. "
        "Choose one of alpha, beta."
    ]
    assert render_errors({"isolation": {"bundles": {"data-science": "gamma"}}}) == [
        "ERROR: isolation.bundles.data-science is gamma: the release has no team of this name. "
        "Add the team under teams."
    ]


def test_bundle_of_one_team_for_another_is_refused() -> None:
    assert refuse({"bundles": {"alpha": "alpha", "beta": "alpha"}}) == [
        "ERROR: isolation.bundles.beta is alpha: the bundle beta belongs to the team of the same name. "
        "Remove the entry, or rename the bundle."
    ]


def test_bundle_of_the_shared_dags_for_one_team_is_refused() -> None:
    isolation = {"bundles": {"shared-dags": "alpha"}}
    dags = {"persistence": {"existingClaim": "dags"}}
    assert render_errors({"teams": TEAMS, "isolation": isolation, "dags": dags}) == [
        "ERROR: isolation.bundles.shared-dags is alpha: the folders of this bundle belong to several teams. "
        "Remove the entry, and put the team's files into a folder with its name."
    ]
    assert render({"teams": TEAMS, "isolation": isolation})


@pytest.mark.parametrize("field", ["from", "to"])
def test_grant_of_an_unknown_team_is_refused(field: str) -> None:
    assert refuse({"grants": [{"from": "alpha", "to": "beta", "do": ["xcom"], field: "gamma"}]}) == [
        f"ERROR: isolation.grants[0].{field} is gamma: the release has no team of this name. Choose one of alpha, beta."
    ]


def test_grant_of_a_team_to_itself_is_refused() -> None:
    assert refuse({"grants": [{"from": "alpha", "to": "alpha", "do": ["xcom"]}]}) == [
        "ERROR: isolation.grants[0].to is alpha: `from` is the same team, which may use its own things. "
        "Remove the grant."
    ]


def test_two_grants_between_the_same_teams_are_refused() -> None:
    grants = [{"from": "alpha", "to": "beta", "do": ["xcom"]}, {"from": "alpha", "to": "beta", "do": ["state"]}]
    assert refuse({"grants": grants}) == [
        "ERROR: isolation.grants[1] is a duplicate: isolation.grants[0] has the same teams in `from` and `to`. "
        "List all actions in one grant."
    ]
    assert render({"teams": TEAMS, "isolation": {"grants": [grants[0], {**grants[1], "from": "beta", "to": "alpha"}]}})


@pytest.mark.parametrize("path", ["getoutput", "subprocess:getoutput", "example..A", "example.triggers.*", "a.b "])
def test_trigger_without_a_full_class_path_is_refused(path: str) -> None:
    assert render_errors({"triggerer": {"allow": [{"class": path}]}}) == [
        f"ERROR: triggerer.allow[0].class is {path}: this is not the full path of a class. "
        "Write it as package.module.Class."
    ]


def test_trigger_that_is_allowed_twice_is_refused() -> None:
    other_arguments = [{"class": "example.A", "arguments": {"region": [region]}} for region in ("eu", "us")]
    assert render({"triggerer": {"allow": other_arguments}})
    allowed = [*other_arguments, {"class": "example.B"}, {"class": "example.B", "arguments": {}}]
    assert render_errors({"triggerer": {"allow": allowed}}) == [
        "ERROR: triggerer.allow[3] is a duplicate of triggerer.allow[2]. Remove one of the two."
    ]


def test_callback_trigger_without_callbacks_is_refused() -> None:
    trigger: Object = {"class": "airflow.triggers.callback.CallbackTrigger"}
    assert render_errors({"triggerer": {"allow": [trigger]}}) == [
        "ERROR: triggerer.allow[0].arguments has no callback_path: this trigger calls any function that a task names. "
        "List the paths of the allowed functions in callback_path."
    ]
    assert render({"triggerer": {"allow": [{**trigger, "arguments": {"callback_path": ["example.notify"]}}]}})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"isolation": {"grant": []}}, "'/isolation': additional properties 'grant' not allowed"),
        ({"isolation": {"unlisted": "all"}}, "'/isolation/unlisted': value must be one of 'write', 'read', 'none'"),
        ({"isolation": {"grants": [{"from": "alpha", "to": "beta"}]}}, "'/isolation/grants/0': missing property 'do'"),
        (
            {"isolation": {"grants": [{"from": "alpha", "to": "beta", "do": []}]}},
            "'/isolation/grants/0/do': minItems: got 0, want 1",
        ),
        (
            {"isolation": {"grants": [{"from": "alpha", "to": "beta", "do": ["write"]}]}},
            "'/isolation/grants/0/do/0': value must be one of 'trigger', 'xcom', 'state', 'asset'",
        ),
        (
            {"isolation": {"shared": {"connections": [""]}}},
            "'/isolation/shared/connections/0': minLength: got 0, want 1",
        ),
        (
            {"triggerer": {"allow": [{"class": "example.A", "arguments": {"port": [1]}}]}},
            "'/triggerer/allow/0/arguments/port/0': got number, want string",
        ),
    ],
)
def test_misspelt_isolation_value_is_refused(values: Object, message: str) -> None:
    assert render_errors({"teams": TEAMS, **values}) == [f"- at {message}"]
