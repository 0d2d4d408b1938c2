"""Values that cannot be are refused before anything is installed, in words that say what to do."""

from __future__ import annotations

import pytest

from chart.rendering import Object, refusal


def test_an_unknown_key_is_refused() -> None:
    assert refusal({"teems": {}}) == ["- at '': additional properties 'teems' not allowed"]


def test_an_unknown_key_of_a_team_is_refused() -> None:
    assert refusal({"teams": {"alpha": {"nmespace": "x"}}}) == [
        "- at '/teams/alpha': additional properties 'nmespace' not allowed"
    ]


def test_an_executor_that_the_chart_does_not_run_is_refused() -> None:
    assert refusal({"executor": "CeleryExecutor"}) == ["- at '/executor': value must be 'LocalExecutor'"]


@pytest.mark.parametrize("name", ["Alpha", "data_team", "-alpha", "alpha-", "a" * 41])
def test_a_team_s_name_that_is_no_dns_label_is_refused(name: str) -> None:
    assert refusal({"teams": {name: {}}}) == [
        f"ERROR: teams.{name}: a team's name is at most 40 lower-case letters, digits and dashes, "
        "with no dash at either end; rename the team."
    ]


def test_two_teams_in_one_namespace_are_refused() -> None:
    assert refusal({"teams": {"alpha": {"namespace": "data"}, "beta": {"namespace": "data"}}}) == [
        "ERROR: teams.alpha and teams.beta both have the namespace data; give each team its own."
    ]


def test_a_team_in_the_release_s_namespace_is_refused() -> None:
    assert refusal({"teams": {"alpha": {"namespace": "airflow"}}}) == [
        "ERROR: teams.alpha has the release's own namespace airflow; choose another namespace."
    ]


@pytest.mark.parametrize(
    ("team", "sentence"),
    [
        ({"template": "gpu"}, "template is gpu, but the chart's templates are default."),
        ({"defaultSize": "huge"}, "defaultSize is huge, but the team's sizes are large, medium, small."),
        ({"sidecars": ["proxy"]}, "sidecars names proxy, but the chart's sidecars are log-shipper."),
    ],
)
def test_what_a_team_names_has_to_exist(team: Object, sentence: str) -> None:
    assert refusal({"teams": {"alpha": team}}) == [f"ERROR: teams.alpha.{sentence}"]


def test_airflow_without_a_database_is_refused() -> None:
    assert refusal({"postgresql": {"enabled": False}}) == [
        "ERROR: postgresql.enabled is false and data.metadataSecretName is empty, so Airflow has no database; "
        "name a secret with the key `connection`."
    ]


def test_airflow_with_two_databases_is_refused() -> None:
    assert refusal({"data": {"metadataSecretName": "mine"}}) == [
        "ERROR: data.metadataSecretName names a database while postgresql.enabled is true; "
        "set postgresql.enabled to false."
    ]


def test_all_mistakes_are_reported_at_once() -> None:
    values = {"postgresql": {"enabled": False}, "teams": {"alpha": {"template": "gpu", "defaultSize": "huge"}}}
    assert len(refusal(values)) == 3
