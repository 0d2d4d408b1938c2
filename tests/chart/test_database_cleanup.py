"""The CronJob that deletes old entries from Airflow's database."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from chart.objects import read_env
from chart.pod_scripts import load_script
from chart.rendering import find_object, render

ON = {"databaseCleanup": {"enabled": True}}


def test_cron_job_exists_only_if_enabled() -> None:
    assert [item for item in render() if "database-cleanup" in item["metadata"]["name"]] == []
    job = find_object(render(ON), "CronJob", "airflow-database-cleanup")["spec"]
    assert (job["schedule"], job["suspend"], job["concurrencyPolicy"]) == ("0 0 * * 0", False, "Forbid")


def test_hanging_job_is_ended_after_6_hours() -> None:
    job = find_object(render(ON), "CronJob", "airflow-database-cleanup")["spec"]["jobTemplate"]["spec"]
    assert job["activeDeadlineSeconds"] == 6 * 3600


def test_job_has_database_access_and_no_kubernetes_rights() -> None:
    pod = find_object(render(ON), "CronJob", "airflow-database-cleanup")["spec"]["jobTemplate"]["spec"]["template"][
        "spec"
    ]
    (container,) = pod["containers"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("airflow-database-cleanup", False)
    env = read_env(container)
    assert (env["RETENTION_DAYS"], env["SKIP_ARCHIVE"]) == ("90", "false")
    assert {name for name, value in env.items() if isinstance(value, dict)} == {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"}
    bound = [item for item in render(ON) if item["kind"] == "RoleBinding"]
    assert [item for item in bound if "airflow-database-cleanup" in str(item["subjects"])] == []


def test_cron_job_is_suspended_during_a_downgrade() -> None:
    job = find_object(
        render({**ON, "migrateDatabaseJob": {"downgradeTo": "3.2.2"}}), "CronJob", "airflow-database-cleanup"
    )
    assert job["spec"]["suspend"] is True


@pytest.mark.parametrize(("skip", "options"), [(False, []), (True, ["--skip-archive"])])
def test_command_is_valid_for_airflow(monkeypatch: pytest.MonkeyPatch, skip: bool, options: list[str]) -> None:
    from airflow.cli.cli_parser import get_parser

    command = load_script("clean_database", monkeypatch).build_command(datetime(2026, 4, 1, tzinfo=UTC), 90, skip)
    assert command == [
        *("airflow", "db", "clean", "--clean-before-timestamp", "2026-01-01T00:00:00+00:00"),
        *("--yes", "--error-on-cleanup-failure"),
        *options,
    ]
    arguments = get_parser().parse_args(command[1:])
    assert (arguments.clean_before_timestamp.isoformat(), arguments.skip_archive) == ("2026-01-01T00:00:00+00:00", skip)
