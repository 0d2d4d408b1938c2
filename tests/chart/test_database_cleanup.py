"""The job that removes old rows from Airflow's database: when it is there, and what it runs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chart.rendering import find_object, render
from chart.test_scripts import script
from chart.test_secrets import variables

ON = {"databaseCleanup": {"enabled": True}}


def test_it_is_there_when_it_is_wanted() -> None:
    assert [item for item in render() if "database-cleanup" in item["metadata"]["name"]] == []
    job = find_object(render(ON), "CronJob", "airflow-database-cleanup")["spec"]
    assert (job["schedule"], job["suspend"], job["concurrencyPolicy"]) == ("0 0 * * 0", False, "Forbid")


def test_one_that_hangs_is_ended_for_the_next_ones_sake() -> None:
    job = find_object(render(ON), "CronJob", "airflow-database-cleanup")["spec"]["jobTemplate"]["spec"]
    assert job["activeDeadlineSeconds"] == 6 * 3600


def test_it_has_the_database_and_no_right_in_kubernetes() -> None:
    pod = find_object(render(ON), "CronJob", "airflow-database-cleanup")["spec"]["jobTemplate"]["spec"]["template"][
        "spec"
    ]
    (container,) = pod["containers"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("airflow-database-cleanup", False)
    told = variables(container)
    assert (told["RETENTION_DAYS"], told["SKIP_ARCHIVE"]) == ("90", "false")
    assert {name for name, value in told.items() if isinstance(value, dict)} == {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"}
    bound = [item for item in render(ON) if item["kind"] == "RoleBinding"]
    assert [item for item in bound if "airflow-database-cleanup" in str(item["subjects"])] == []


def test_it_rests_while_the_schema_is_taken_back() -> None:
    job = find_object(
        render({**ON, "migrateDatabaseJob": {"downgradeTo": "3.2.2"}}), "CronJob", "airflow-database-cleanup"
    )
    assert job["spec"]["suspend"] is True


@pytest.mark.parametrize(("skip", "more"), [(False, []), (True, ["--skip-archive"])])
def test_it_is_a_command_that_airflow_takes(monkeypatch: pytest.MonkeyPatch, skip: bool, more: list[str]) -> None:
    from airflow.cli.cli_parser import get_parser

    words = script("clean_database", monkeypatch).command(datetime(2026, 4, 1, tzinfo=UTC), 90, skip)
    assert words == [
        *("airflow", "db", "clean", "--clean-before-timestamp", "2026-01-01T00:00:00+00:00"),
        *("--yes", "--error-on-cleanup-failure"),
        *more,
    ]
    read = get_parser().parse_args(words[1:])
    assert (read.clean_before_timestamp.isoformat(), read.skip_archive) == ("2026-01-01T00:00:00+00:00", skip)
