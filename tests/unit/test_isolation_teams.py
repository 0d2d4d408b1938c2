"""airflow.guards.teams: the owners of names, the rights between teams."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kpo_platform.airflow.guards.teams import (
    Owners,
    find_owners,
    find_team_of_name,
    has_grant,
)
from unit.support.contracts import build_teams

CONTRACT = build_teams(
    {
        "shared": {"connections": ["alpha_public*"], "variables": ["beta-*-flag"], "assets": ["*://alpha_open/*"]},
        "grants": [{"from": "alpha", "to": "beta", "do": ["xcom", "state"]}],
    },
    alpha="k8s",
    alpha_ml="k8s",
    beta="beta_k8s",
)
EVERYONE = Owners(frozenset(), "write")


def owned_by(*teams: str) -> Owners:
    return Owners(frozenset(teams), "none")


@pytest.mark.parametrize(
    ("kind", "name", "owners"),
    [
        ("connection", "git-beta", owned_by("beta")),
        ("connection", "GIT-beta", owned_by("beta")),
        ("connection", "k8s", owned_by("alpha", "alpha-ml")),
        ("connection", "K8S", owned_by("alpha", "alpha-ml")),
        ("connection", "beta_logs", Owners(frozenset(), "read")),
        ("connection", "alpha_public_db", EVERYONE),
        ("connection", "alpha_db", owned_by("alpha")),
        ("connection", "Alpha.db", owned_by("alpha")),
        ("connection", "alpha-ml_db", owned_by("alpha-ml")),
        ("connection", "alphabet", EVERYONE),
        ("connection", "alpha", EVERYONE),
        ("connection", "postgres_default", EVERYONE),
        ("variable", "git-beta", EVERYONE),
        ("variable", "k8s", EVERYONE),
        ("variable", "beta-a-flag", EVERYONE),
        ("variable", "beta-a", owned_by("beta")),
        ("variable", "x/../beta_key", Owners(frozenset(), "none")),
        ("variable", "./beta_key", Owners(frozenset(), "none")),
        ("variable", "../connections/beta_db", Owners(frozenset(), "none")),
        ("variable", "x/v1.2", EVERYONE),
        ("asset", "s3://x/../y", EVERYONE),
        ("asset", "alpha_public", owned_by("alpha")),
        ("asset", "s3://alpha_open/x", EVERYONE),
        ("asset", "s3://alpha_x", EVERYONE),
    ],
)
def test_owners_come_from_the_first_rule_that_fits(kind: Any, name: str, owners: Owners):
    assert find_owners(kind, name, CONTRACT, remote_log_conn_id="beta_logs") == owners


def test_case_and_similar_letters_do_not_hide_the_owner_of_an_environment_variable():
    contract = build_teams(sales="k8s")
    for name in ("SALES_db", "ſales_db", " sales_db"):
        assert find_owners("variable", name, contract) == owned_by("sales")


@pytest.mark.parametrize("unlisted", ["write", "read", "none"])
def test_names_without_owner_have_the_access_of_unlisted(unlisted: Any):
    contract = build_teams({"unlisted": unlisted}, alpha="k8s")
    owners = find_owners("variable", "anything", contract)
    assert owners == Owners(frozenset(), unlisted)
    assert (owners.allow("alpha", "read"), owners.allow(None, "write")) == (unlisted != "none", unlisted == "write")


@pytest.mark.parametrize(
    ("team", "owner", "action", "allowed"),
    [
        ("alpha", "alpha", "trigger", True),
        ("alpha", None, "trigger", True),
        (None, None, "trigger", True),
        (None, "alpha", "state", False),
        ("alpha", "beta", "xcom", True),
        ("alpha", "beta", "state", True),
        ("alpha", "beta", "trigger", False),
        ("beta", "alpha", "xcom", False),
        ("alpha-ml", "beta", "xcom", False),
    ],
)
def test_grants_hold_in_one_direction_and_for_their_actions(
    team: str | None, owner: str | None, action: Any, allowed: bool
):
    assert has_grant(team, owner, action, CONTRACT) is allowed


TEAM_NAMES = st.from_regex(r"[a-c](-?[a-c]){0,4}", fullmatch=True)


@settings(max_examples=200, deadline=None)
@given(st.sets(TEAM_NAMES, min_size=1, max_size=5), st.data())
def test_every_team_owns_its_prefix_unless_a_longer_name_fits(teams: set[str], data: st.DataObject):
    contract = build_teams(**dict.fromkeys(teams, "k8s"))
    team, separator = data.draw(st.sampled_from(sorted(teams))), data.draw(st.sampled_from("_-."))
    name = f"{team}{separator}{data.draw(st.text('abc-_.', max_size=8))}"
    owner = find_team_of_name(name, contract)
    assert owner == find_team_of_name(name.swapcase(), contract)
    assert owner in teams and len(owner) >= len(team)
    assert find_owners("variable", name, contract) == owned_by(owner)


@settings(deadline=None)
@given(st.sampled_from(["connection", "variable", "asset"]), st.text(max_size=30))
def test_every_name_has_the_same_owners_each_time(kind: Any, name: str):
    assert find_owners(kind, name, CONTRACT) == find_owners(kind, name, CONTRACT)
