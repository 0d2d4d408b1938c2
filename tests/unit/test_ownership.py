"""Owners of DAG files."""

from __future__ import annotations

import pytest

from kpo_platform.pod.rules.ownership import check_task_team, find_team_of_bundle
from unit.support.contracts import build_teams

CONTRACT = build_teams({"bundles": {"legacy": "alpha", "beta": "alpha"}}, alpha="k8s", alpha_ml="k8s", beta="k8s")


@pytest.mark.parametrize(
    ("bundle", "file", "team"),
    [
        ("alpha-ml", "x.py", "alpha-ml"),
        ("alpha-ml", "beta/x.py", "alpha-ml"),
        ("legacy", "beta/x.py", "alpha"),
        ("beta", "x.py", "alpha"),
        ("shared-dags", "beta/x.py", "beta"),
        ("shared-dags", "etl/beta/alpha/x.py", "beta"),
        ("shared-dags", "beta.py", None),
        ("shared-dags", "betamax/x.py", None),
        ("shared-dags", None, None),
        (None, "beta/x.py", None),
    ],
)
def test_team_comes_from_the_bundle_or_the_outermost_folder(bundle: str | None, file: str | None, team: str | None):
    assert find_team_of_bundle(bundle, file, CONTRACT) == team


def test_task_for_another_team_is_refused():
    assert [str(refusal) for refusal in check_task_team("beta", "alpha")] == [
        "The task has team 'beta', but its DAG file is in the bundle or folder of team 'alpha'. "
        "Leave out team, or move the DAG file to the folder or bundle of team 'beta'."
    ]


def test_task_for_the_owner_or_without_owner_is_not_refused():
    assert check_task_team("alpha", "alpha") == check_task_team("alpha", None) == []
