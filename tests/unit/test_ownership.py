"""Owners of DAG files."""

from __future__ import annotations

import pytest

from kpo_platform.pod.rules.ownership import check_task_team, find_team_of_file

ROOTS = ("/opt/airflow/bundles", "/opt/airflow/dags")


@pytest.mark.parametrize(
    ("file", "team"),
    [
        ("/opt/airflow/bundles/alpha/tracking_repo/dags/x.py", "alpha"),
        ("/opt/airflow/bundles/alpha/versions/1a2b/dags/beta/x.py", "alpha"),
        ("/opt/airflow/bundles/shared/tracking_repo/beta/x.py", "beta"),
        ("/opt/airflow/dags/repo/beta/deep/x.py", "beta"),
        ("/opt/airflow/dags/alpha.py", None),
        ("/opt/airflow/dags/alphabet/x.py", None),
        ("/home/alpha/dags/x.py", None),
    ],
)
def test_owner_of_a_file_is_the_team_of_its_bundle_or_folder(file: str, team: str | None):
    assert find_team_of_file(file, ROOTS, ("alpha", "beta")) == team


def test_task_for_another_team_is_refused():
    assert [str(refusal) for refusal in check_task_team("beta", "alpha")] == [
        "The task has team 'beta', but its DAG file is in the bundle or folder of team 'alpha'. "
        "Leave out team, or move the DAG file to the folder or bundle of team 'beta'."
    ]


def test_task_for_the_owner_or_without_owner_is_not_refused():
    assert check_task_team("alpha", "alpha") == check_task_team("alpha", None) == []
