"""A team's people see and run their team's DAGs over Airflow's API, and find nothing of another team's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import airflow.api_fastapi.core_api.openapi as described
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
EVERYTHING = {
    "dag_id": "~",
    "dag_run_id": "~",
    "run_id": "~",
    "task_id": "~",
    "map_index": "-1",
    "try_number": "1",
    "task_try_number": "1",
}
"""What a path may name instead of one DAG, one run, one task."""


def readable_paths() -> dict[str, list[str]]:
    """Every path that Airflow's API and its UI may read, as Airflow describes them → what a query has to have.

    Without those of signing in and out, which would end the reading.
    """
    folder = Path(described.__path__[0])
    files = ("v2-rest-api-generated.yaml", "_private_ui.yaml")
    paths = [yaml.load((folder / file).read_text(), yaml.CSafeLoader)["paths"] for file in files]
    read = {path: methods["get"] for found in paths for path, methods in found.items() if "get" in methods}
    read = {path: get for path, get in read.items() if not path.startswith("/api/v2/auth/")}
    return {
        path: [one["name"] for one in get.get("parameters", []) if one["in"] == "query" and one.get("required")]
        for path, get in read.items()
    }


PATHS = readable_paths()


@pytest.fixture(scope="module")
def other(stack: Stack, airflow: AirflowApi) -> Run:
    """A run of beta's DAG that has ended: there is something to find."""
    push_team_dags(stack, airflow)
    run = Run(stack, airflow, OTHER, airflow.trigger_run(OTHER), "team-beta")
    assert run.wait_for_end() == "success", run.read_log()
    return run


@pytest.fixture(scope="module")
def ada(airflow: AirflowApi, other: Run) -> Iterator[AirflowApi]:
    """Ada, of team alpha."""
    yield create_user(airflow, "ada", "team-alpha")
    delete_user(airflow, "ada")


@pytest.fixture(scope="module")
def ben(airflow: AirflowApi, other: Run) -> Iterator[AirflowApi]:
    """Ben, of team beta."""
    yield create_user(airflow, "ben", "team-beta")
    delete_user(airflow, "ben")


def test_each_sees_the_dags_of_their_own_team_and_no_others(ada: AirflowApi, ben: AirflowApi, airflow: AirflowApi):
    seen = {name: teams(who) for name, who in (("ada", ada), ("ben", ben))}
    everything = teams(airflow)
    own = {team: {dag: of for dag, of in everything.items() if of == team} for team in ("alpha", "beta")}
    assert seen == {"ada": own["alpha"], "ben": own["beta"]}
    assert "people_alpha" in seen["ada"] and OTHER in seen["ben"]


def teams(who: AirflowApi) -> dict[str, str]:
    """The DAGs that somebody is shown, and the team of each: its bundle's, or in a place for all its folder's."""
    return {
        dag["dag_id"]: dag["relative_fileloc"].partition("/")[0]
        if dag["bundle_name"] == "shared-dags"
        else dag["bundle_name"]
        for dag in who.get("dags?limit=200")["dags"]
    }


def test_each_triggers_their_own_team_s_dag_and_reads_its_log(stack: Stack, ada: AirflowApi):
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
def test_nobody_acts_on_another_team_s_dag_or_on_what_is_everybody_s(
    stack: Stack, ada: AirflowApi, other: Run, method: str, path: str, body: object
):
    answer = send_request(stack, ada.get_token(), method, path.replace("RUN", quote(other.id)), body)
    assert answer.status == 403, answer


@pytest.mark.parametrize("path", [path for path in PATHS if "{dag_id}" in path])
def test_nothing_of_another_team_s_dag_is_read(stack: Stack, ada: AirflowApi, other: Run, path: str):
    names = {**EVERYTHING, "dag_id": OTHER, "dag_run_id": quote(other.id), "run_id": quote(other.id), "task_id": "work"}
    answer = get(stack, ada, path, names)
    assert answer.status in (403, 404, 422), answer
    assert "for beta" not in answer.body and "of-beta" not in answer.body


def test_no_list_names_another_team_s_dag(stack: Stack, ada: AirflowApi, other: Run):
    answers = {path: get(stack, ada, path, EVERYTHING) for path in PATHS}
    told = {path: answer.body for path, answer in answers.items() if OTHER in answer.body or "of-beta" in answer.body}
    assert told == {}
    read = {path for path, answer in answers.items() if answer.status == 200}
    assert {"/api/v2/dags", "/ui/dags", "/api/v2/dagTags", "/api/v2/dagStats", "/ui/dependencies"} <= read
    assert {"/api/v2/dags/{dag_id}/dagRuns", "/api/v2/importErrors", "/api/v2/dagWarnings"} <= read
    home = {"/ui/dashboard/dag_stats", "/ui/dashboard/historical_metrics_data", "/ui/config", "/ui/auth/menus"}
    assert home <= read  # what the first page of the UI asks for


def get(stack: Stack, who: AirflowApi, path: str, names: dict[str, str]) -> Response:
    """Read a path as somebody; what it names besides a DAG's parts is the first of its kind."""
    needed = PATHS[path]
    for name, value in names.items():
        path = path.replace(f"{{{name}}}", value)
    for rest in ("asset_id", "asset_alias_id", "backfill_id", "event_log_id", "import_error_id", "version_number"):
        path = path.replace(f"{{{rest}}}", "1")
    values = {"dag_id": names["dag_id"], "start_date": "2026-01-01T00:00:00Z", "interval": "1", "partition_key": "x"}
    query = "&".join(f"{name}={values[name]}" for name in needed)
    return send_request(stack, who.get_token(), "GET", f"{path.replace('{', '').replace('}', '')}?{query}")


def test_somebody_without_a_team_sees_nothing(airflow: AirflowApi, other: Run, stack: Stack):
    nobody = create_user(airflow, "nobody", "Public")
    try:
        assert send_request(stack, nobody.get_token(), "GET", "/api/v2/dags").status == 403
    finally:
        delete_user(airflow, "nobody")


def test_an_owner_who_has_an_account_gets_the_team_s_role(
    stack: Stack, airflow: AirflowApi, tmp_path: Path, ada: AirflowApi
):
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
