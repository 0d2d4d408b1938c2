"""Access of team members to DAGs with Airflow's API: only to those of their team."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import airflow.api_fastapi.core_api.openapi as openapi
import pytest
import yaml

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.rights.airflow_users import (
    Response,
    create_user,
    delete_user,
    push_team_dags,
    read_roles,
    send_request,
)
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.install import install_release
from stack.release import Stack

OTHER = "people_beta"
RUNS = f"/api/v2/dags/{OTHER}/dagRuns"
WILDCARDS = {
    "dag_id": "~",
    "dag_run_id": "~",
    "run_id": "~",
    "task_id": "~",
    "map_index": "-1",
    "try_number": "1",
    "task_try_number": "1",
}
"""Path values that mean all DAGs, runs or tasks."""


def readable_paths() -> dict[str, list[str]]:
    """Return every readable path of Airflow's API and UI from its OpenAPI files → the required query parameters.

    Excludes login and logout, which would end the session.
    """
    folder = Path(openapi.__path__[0])
    files = ("v2-rest-api-generated.yaml", "_private_ui.yaml")
    paths = [yaml.load((folder / file).read_text(), yaml.CSafeLoader)["paths"] for file in files]
    read = {path: methods["get"] for group in paths for path, methods in group.items() if "get" in methods}
    read = {path: operation for path, operation in read.items() if not path.startswith("/api/v2/auth/")}
    return {
        path: [
            parameter["name"]
            for parameter in operation.get("parameters", [])
            if parameter["in"] == "query" and parameter.get("required")
        ]
        for path, operation in read.items()
    }


PATHS = readable_paths()


@pytest.fixture(scope="module")
def beta_run(stack: Stack, airflow: AirflowApi) -> Run:
    """A finished run of beta's DAG, which users of other teams must not see."""
    push_team_dags(stack, airflow)
    run = Run(stack, airflow, OTHER, airflow.trigger_run(OTHER), "team-beta")
    assert run.wait_for_end() == "success", run.read_log()
    return run


@pytest.fixture(scope="module")
def ada(airflow: AirflowApi, beta_run: Run) -> Iterator[AirflowApi]:
    """User ada of team alpha."""
    yield create_user(airflow, "ada", "team-alpha")
    delete_user(airflow, "ada")


@pytest.fixture(scope="module")
def ben(airflow: AirflowApi, beta_run: Run) -> Iterator[AirflowApi]:
    """User ben of team beta."""
    yield create_user(airflow, "ben", "team-beta")
    delete_user(airflow, "ben")


def test_users_see_only_the_dags_of_their_team(ada: AirflowApi, ben: AirflowApi, airflow: AirflowApi):
    visible = {name: visible_teams(user) for name, user in (("ada", ada), ("ben", ben))}
    all_dags = visible_teams(airflow)
    own_dags = {team: {dag: owner for dag, owner in all_dags.items() if owner == team} for team in ("alpha", "beta")}
    assert visible == {"ada": own_dags["alpha"], "ben": own_dags["beta"]}
    assert "people_alpha" in visible["ada"] and OTHER in visible["ben"]


def visible_teams(user: AirflowApi) -> dict[str, str]:
    """Return the DAGs that a user sees → their team.

    The team is the name of the bundle, or of the folder in a shared bundle.
    """
    return {
        dag["dag_id"]: dag["relative_fileloc"].partition("/")[0]
        if dag["bundle_name"] == "shared-dags"
        else dag["bundle_name"]
        for dag in user.get("dags?limit=200")["dags"]
    }


def test_users_trigger_their_team_dag_and_read_its_log(stack: Stack, ada: AirflowApi):
    run = Run(stack, ada, "people_alpha", ada.trigger_run("people_alpha"))
    assert run.wait_for_end() == "success"
    assert "for alpha" in run.read_log()
    assert "TeamPodOperator" in ada.get("dagSources/people_alpha")["content"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", f"/api/v2/dags/{OTHER}", {"is_paused": True}),
        ("DELETE", f"/api/v2/dags/{OTHER}", None),
        ("POST", RUNS, {"logical_date": None}),
        ("DELETE", f"{RUNS}/RUN", None),
        ("PATCH", f"{RUNS}/RUN", {"state": "failed"}),
        ("POST", f"{RUNS}/RUN/clear", {"dry_run": True}),
        ("PATCH", f"{RUNS}/RUN/taskInstances/work", {"new_state": "failed"}),
        ("POST", f"/api/v2/dags/{OTHER}/clearTaskInstances", {"dry_run": True}),
        ("POST", "/api/v2/backfills", {"dag_id": OTHER, "from_date": "2026-01-01", "to_date": "2026-01-02"}),
        ("GET", "/api/v2/connections", None),
        ("GET", "/api/v2/variables", None),
        ("GET", "/api/v2/assets", None),
        ("GET", "/api/v2/eventLogs", None),
        ("GET", "/api/v2/config", None),
        ("GET", "/auth/fab/v1/users", None),
        ("GET", "/auth/fab/v1/roles", None),
    ],
)
def test_other_teams_and_global_resources_are_forbidden(
    stack: Stack, ada: AirflowApi, beta_run: Run, method: str, path: str, body: object
):
    response = send_request(stack, ada.get_token(), method, path.replace("RUN", quote(beta_run.id)), body)
    assert response.status == 403, response


@pytest.mark.parametrize("path", [path for path in PATHS if "{dag_id}" in path])
def test_no_path_returns_another_team_dag(stack: Stack, ada: AirflowApi, beta_run: Run, path: str):
    names = {
        **WILDCARDS,
        "dag_id": OTHER,
        "dag_run_id": quote(beta_run.id),
        "run_id": quote(beta_run.id),
        "task_id": "work",
    }
    response = request_path(stack, ada, path, names)
    assert response.status in (403, 404, 422), response
    assert "for beta" not in response.body and "of-beta" not in response.body


def test_no_list_contains_another_team_dag(stack: Stack, ada: AirflowApi, beta_run: Run):
    responses = {path: request_path(stack, ada, path, WILDCARDS) for path in PATHS}
    leaks = {
        path: response.body
        for path, response in responses.items()
        if OTHER in response.body or "of-beta" in response.body
    }
    assert leaks == {}
    read = {path for path, response in responses.items() if response.status == 200}
    assert {"/api/v2/dags", "/ui/dags", "/api/v2/dagTags", "/api/v2/dagStats", "/ui/dependencies"} <= read
    assert {"/api/v2/dags/{dag_id}/dagRuns", "/api/v2/importErrors", "/api/v2/dagWarnings"} <= read
    ui_paths = {"/ui/dashboard/dag_stats", "/ui/dashboard/historical_metrics_data", "/ui/config", "/ui/auth/menus"}
    assert ui_paths <= read  # requests of the UI's start page


def request_path(stack: Stack, user: AirflowApi, path: str, names: dict[str, str]) -> Response:
    """Read a path as a user; other path parameters than those of a DAG are 1."""
    required_parameters = PATHS[path]
    for name, value in names.items():
        path = path.replace(f"{{{name}}}", value)
    for placeholder in (
        "asset_id",
        "asset_alias_id",
        "backfill_id",
        "event_log_id",
        "import_error_id",
        "version_number",
    ):
        path = path.replace(f"{{{placeholder}}}", "1")
    values = {"dag_id": names["dag_id"], "start_date": "2026-01-01T00:00:00Z", "interval": "1", "partition_key": "x"}
    query = "&".join(f"{name}={values[name]}" for name in required_parameters)
    return send_request(stack, user.get_token(), "GET", f"{path.replace('{', '').replace('}', '')}?{query}")


def test_user_without_a_team_sees_nothing(airflow: AirflowApi, beta_run: Run, stack: Stack):
    user = create_user(airflow, "teamless", "Public")
    try:
        assert send_request(stack, user.get_token(), "GET", "/api/v2/dags").status == 403
    finally:
        delete_user(airflow, "teamless")


def test_owner_with_an_account_gets_the_team_role(stack: Stack, airflow: AirflowApi, tmp_path: Path, ada: AirflowApi):
    values = tmp_path / "owners.yaml"
    owners = [{"group": "beta-engineers"}, {"user": "ada"}, {"user": "who-has-no-account"}]
    values.write_text(yaml.safe_dump({"teams": {"beta": {"owners": owners}}}))
    try:
        install_release(Steps(), stack, values)
        jobs = ("job", "-n", "airflow", "-l", "app.kubernetes.io/component=team-settings")
        stack.kubectl("wait", *jobs, "--for=condition=Complete", "--timeout=180s", timeout_s=190)
        assert read_roles(airflow, "ada") == {"team-alpha", "team-beta"}
    finally:
        install_release(Steps(), stack)
