"""Isolation of teams in the Execution API under each executor: a task asks for things of another team by its own token.

Team beta may use alpha's DAGs and assets by a grant; alpha has no grant for beta.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from cluster.support.airflow_runs.executors import EXECUTOR_VALUES, release_with_executor
from cluster.support.isolation.requests import Request, build_requests
from cluster.support.isolation.task_runs import VERSIONS, Answers, Result, run_all
from cluster.support.isolation.team_things import create_names, delete_names, publish_dags
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.git_push import push_files
from stack.release import NAMESPACE, RELEASE, Stack

ACTIONS = ["trigger", "xcom", "state", "asset"]
VALUES = {
    "isolation": {"grants": [{"from": "beta", "to": "alpha", "do": ACTIONS}]},
    # One node runs all pods, also with KubernetesExecutor.
    "workers": {"resources": {"requests": {"cpu": "20m", "memory": "256Mi"}}},
}
READ_APPLICATION = """
import json
from airflow.api_fastapi.execution_api.routes import execution_api_router
from airflow.api_fastapi.execution_api.security import require_auth
from airflow.api_fastapi.execution_api.versions import bundle
routes = [
    f"{method} {route.path}"
    for route in execution_api_router.routes
    if any(getattr(each, "dependency", None) is require_auth for each in getattr(route, "dependencies", ()))
    for method in route.methods
]
print("\\n" + json.dumps([sorted(routes), sorted(str(version.value) for version in bundle.versions)]))
"""
"""Prints the routes that need a token, and the versions, as Airflow's own application has them."""

TAKING_FILE = "isolation_taking.py"
TAKING_DAG = """
from airflow.sdk import DAG

with DAG("isolation_alpha_target", schedule=None):
    pass
"""
"""A DAG that beta's repository gets, with the id of alpha's DAG."""

OLD_ROUTE = "GET /dag-runs/{dag_id}/previous"
"""A route of older versions; the newest takes `previous` for the id of a run."""


@pytest.fixture(scope="module", params=list(EXECUTOR_VALUES))
def result(
    stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Result]:
    """The release with one executor after the other; afterwards with its own again."""
    executor = str(request.param)
    file = tmp_path_factory.mktemp("values") / "isolation.yaml"
    with release_with_executor(stack, executor, file, VALUES):
        try:
            for team in ("alpha", "beta"):
                create_names(airflow, team)
            with publish_dags(stack, airflow):
                yield run_all(stack, airflow, Result(executor))
        finally:
            delete_names(airflow)


def read_details(answers: Answers) -> dict[tuple[str, str], str]:
    """Return what Airflow said to each request: route and query → refusal, or empty for an answer.

    The answer to HEAD has no body.
    """
    return {
        describe(entry): json.loads(answer["body"])["detail"] if answer["status"] == 403 and answer["body"] else ""
        for entry, answer in zip(answers.requests, answers.newest, strict=True)
    }


def describe(entry: Request) -> tuple[str, str]:
    """Name a request."""
    return entry.route, json.dumps(entry.params)


def expect_details(answers: Answers, team: str, owner: str, granted: list[str]) -> dict[tuple[str, str], str]:
    """Return the refusals that a team must get; HEAD and granted actions have none."""
    return {
        describe(entry): ""
        if entry.route.startswith("HEAD") or entry.grant in granted
        else entry.describe_refusal(team, owner)
        for entry in answers.requests
    }


def test_requests_cover_every_route_and_version_of_airflow(stack: Stack, result: Result):
    program = ("python", "-c", READ_APPLICATION)
    target = f"deployment/{RELEASE}-api-server"
    output = stack.kubectl("exec", "-n", NAMESPACE, target, "-c", "api-server", "--", *program, timeout_s=180)
    routes, versions = json.loads(output.splitlines()[-1])
    assert sorted({entry.route for entry in build_requests(result.targets["beta"])}) == routes
    assert list(VERSIONS) == versions


def test_every_request_for_the_other_team_s_things_is_refused_with_a_reason(result: Result):
    answers = result.answers["alpha", "beta"]
    assert read_details(answers) == expect_details(answers, "alpha", "beta", [])
    refused = {answer["status"] for entry, answer in zip(answers.requests, answers.newest, strict=True) if entry.thing}
    assert refused == {403}


@pytest.mark.parametrize("version", VERSIONS)
def test_no_version_of_the_api_answers_the_other_team(result: Result, version: str):
    answers = result.answers["alpha", "beta"]
    assert [
        (entry.route, answer)
        for entry, answer in zip(answers.requests, answers.versions[version], strict=True)
        if answer["status"] < 400 and "/variables/keys" not in entry.route
    ] == []


def test_no_answer_has_a_value_or_a_key_of_the_other_team(result: Result):
    answers = result.answers["alpha", "beta"]
    bodies = [answer["body"] for sent in (answers.newest, *answers.versions.values()) for answer in sent]
    assert [body for body in bodies if "secret of beta" in body or '"beta_key"' in body] == []


def test_nothing_of_the_other_team_is_changed_or_started(result: Result):
    assert result.after == result.before


SDK_REFUSALS = {
    "connection": "Connection 'beta_db' is refused: it belongs to team 'beta'. List it in "
    "isolation.shared.connections.",
    "variable": "Variable 'beta_key' is refused: it belongs to team 'beta'. List it in isolation.shared.variables.",
    "write_variable": "Team 'alpha' cannot write variable 'beta_key': it belongs to team 'beta'. List it in "
    "isolation.shared.variables.",
    "xcom": "Team 'alpha' cannot read XComs of DAG 'isolation_beta_target': it belongs to team 'beta'. Add "
    "{from: alpha, to: beta, do: [xcom]} to isolation.grants.",
    "outlet": "Team 'alpha' cannot update asset 'beta_asset': it belongs to team 'beta'. List it in "
    "isolation.shared.assets, or add {from: alpha, to: beta, do: [asset]} to isolation.grants.",
    "trigger": "Team 'alpha' cannot trigger DAG 'isolation_beta_target': it belongs to team 'beta'. Add "
    "{from: alpha, to: beta, do: [trigger]} to isolation.grants.",
    "sensor": "Team 'alpha' cannot read states of DAG 'isolation_beta_target': it belongs to team 'beta'. Add "
    "{from: alpha, to: beta, do: [state]} to isolation.grants.",
}
"""Tasks of alpha that use beta's things by Airflow's SDK → what their logs say."""


def test_forged_update_of_an_asset_fails_the_task_and_is_in_the_audit_log(airflow: AirflowApi, result: Result):
    assert result.forged is not None
    assert result.forged.task_states() == {"forge": "failed"}
    events = airflow.get(f"eventLogs?dag_id={result.forged.dag}&run_id={quote(result.forged.id)}")["event_logs"]
    refusals = [event["extra"] for event in events if event["event"] == "asset event refused"]
    assert refusals == [SDK_REFUSALS["outlet"]]


@pytest.mark.parametrize("task", SDK_REFUSALS)
def test_refused_task_fails_with_the_reason_in_its_log(result: Result, task: str):
    run = result.sdk["alpha"]
    assert run.task_states()[task] == "failed"
    assert SDK_REFUSALS[task] in run.read_log(task)


@pytest.mark.parametrize("team", ["alpha", "beta"])
@pytest.mark.parametrize("task", ["own", "own_outlet", "own_trigger"])
def test_things_of_the_own_team_and_shared_ones_work(result: Result, team: str, task: str):
    run = result.sdk[team]
    assert run.task_states()[task] == "success", run.read_log(task)


def test_requests_for_own_things_are_answered(result: Result):
    answers = result.answers["alpha", "alpha"]
    assert read_details(answers) == {describe(entry): entry.upstream_refusal for entry in answers.requests}
    assert {
        (entry.route, answer["status"])
        for entry, answer in zip(answers.requests, answers.newest, strict=True)
        if answer["status"] >= 400 and answer["status"] != 403
    } == {(OLD_ROUTE, 404)}


@pytest.mark.parametrize("task", ["xcom", "outlet", "trigger", "sensor"])
def test_granted_actions_work(result: Result, task: str):
    run = result.sdk["beta"]
    assert run.task_states()[task] == "success", run.read_log(task)


@pytest.mark.parametrize("task", ["connection", "variable", "write_variable"])
def test_grant_does_not_open_connections_and_variables(result: Result, task: str):
    assert result.sdk["beta"].task_states()[task] == "failed"


def test_grant_opens_only_its_actions(result: Result):
    answers = result.answers["beta", "alpha"]
    assert read_details(answers) == expect_details(answers, "beta", "alpha", ACTIONS)
    assert {
        (entry.route, answer["status"])
        for entry, answer in zip(answers.requests, answers.newest, strict=True)
        if entry.grant and answer["status"] >= 400
    } == {(OLD_ROUTE, 404)}


def test_only_allowed_updates_of_an_asset_start_its_dag(result: Result):
    assert result.listener_runs == [1, 1]


def test_dag_with_the_id_of_another_team_is_an_import_error(stack: Stack, airflow: AirflowApi, result: Result):
    url = f"git://{stack.service_address('git-server', 'git')}/beta.git"
    push_files(url, {TAKING_FILE: TAKING_DAG}, "Use the id of a DAG of team alpha")
    try:
        error = wait_for("Airflow to refuse the DAG", lambda: read_import_error(airflow, "beta"), 180, interval_s=2)
    finally:
        push_files(url, {TAKING_FILE: ""}, "Remove the DAG with the id of team alpha")
    assert error == (
        "DAG 'isolation_alpha_target' is not loaded: a DAG of team 'alpha' has this id, and this file belongs to team "
        "'beta'. Rename the DAG. If it has moved here on purpose, remove the other one, and wait until Airflow has "
        "marked that one as stale (about two minutes)."
    )
    dag = airflow.get("dags/isolation_alpha_target/details")
    assert (dag["bundle_name"], dag["is_stale"]) == ("alpha", False)


def read_import_error(airflow: AirflowApi, bundle: str) -> str:
    """Return the import error of `TAKING_FILE` in a bundle."""
    errors = airflow.get("importErrors?limit=100")["import_errors"]
    texts = {(error["bundle_name"], error["filename"]): str(error["stack_trace"]) for error in errors}
    if (bundle, TAKING_FILE) not in texts:
        raise NotYet(f"import errors of {sorted(texts) or 'no file'}")
    return texts[bundle, TAKING_FILE]


def test_code_of_a_dag_file_reads_other_teams_variables_while_it_is_parsed(airflow: AirflowApi, result: Result):
    """A limitation that SECURITY.md names: the DAG processor has the database and no token to judge."""
    assert airflow.get("dags/isolation_alpha_target/details")["description"] == "read"
