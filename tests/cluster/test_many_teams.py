"""A release with 500 teams: size limits, and completeness of the last team."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.command import capture_output
from stack import many_teams
from stack.release import Stack

LIMIT = 1024 * 1024
LAST = f"team-{many_teams.team_names()[-1]}"


@pytest.fixture(scope="module")
def release(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The release with 500 teams, deleted afterwards with all its namespaces."""
    many_teams.uninstall_release(stack, print)
    try:
        many_teams.install_release(
            stack, many_teams.write_values(tmp_path_factory.mktemp("many"), many_teams.release_values()), print
        )
        yield stack
    finally:
        many_teams.uninstall_release(stack, print)


def test_every_team_has_all_its_objects(release: Stack):
    kinds = "resourcequotas,limitranges,networkpolicies,serviceaccounts,roles,rolebindings"
    words = (
        "get",
        kinds,
        "-A",
        "-l",
        f"app.kubernetes.io/instance={many_teams.RELEASE},app.kubernetes.io/component=team",
    )
    counts = Counter(release.kubectl(*words, "-o", "custom-columns=KIND:.kind", "--no-headers").split())
    assert counts == {
        "ResourceQuota": many_teams.TEAMS,
        "LimitRange": many_teams.TEAMS,
        "NetworkPolicy": many_teams.TEAMS,
        "ServiceAccount": many_teams.TEAMS,
        "Role": 2 * many_teams.TEAMS,  # Airflow's and the owners'
        "RoleBinding": 2 * many_teams.TEAMS,
    }


def test_release_and_contract_are_within_their_size_limits(release: Stack):
    assert (many_teams.get_release_secret_size(release) < LIMIT, many_teams.get_contract_size(release) < LIMIT) == (
        True,
        True,
    )


def test_platformctl_reads_a_contract_of_500_teams(release: Stack, programs: Path):
    words: list[str | Path] = [
        programs / "platformctl",
        "teams",
        "show",
        many_teams.team_names()[-1],
        "--namespace",
        many_teams.NAMESPACE,
    ]
    assert LAST in capture_output(words, env=release.environment, timeout_s=60)


def test_airflow_may_start_pods_in_the_last_team_namespace(release: Stack):
    account = f"--as=system:serviceaccount:{many_teams.NAMESPACE}:worker"
    assert release.kubectl("auth", "can-i", "create", "pods", "-n", LAST, account).strip() == "yes"
