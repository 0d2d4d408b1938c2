"""airflow.guards.execution_api: the judgement of requests, without Airflow."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpo_platform.airflow.guards.execution_api.judgement import (
    Asker,
    describe_denial,
    describe_unknown_endpoint,
    judge_asset,
    judge_dag,
    judge_name,
)
from kpo_platform.airflow.guards.execution_api.rules import RULES, DagRule, NameRule
from unit.support.contracts import build_teams

GRANT = {"from": "alpha", "to": "gamma", "do": ["trigger", "xcom", "state", "asset"]}
CONTRACT = build_teams(
    {
        "bundles": {"legacy": "beta"},
        "shared": {"assets": ["beta_open"], "variables": ["beta_flag"]},
        "grants": [GRANT],
    },
    alpha="k8s_default",
    beta="beta_k8s",
    gamma="gamma_k8s",
)
READ_ONLY = build_teams({"unlisted": "read"}, alpha="k8s")
ALPHA, NO_TEAM = Asker("alpha", CONTRACT, "remote_logs"), Asker(None, CONTRACT)


def name_rule(endpoint: str) -> NameRule:
    rule = RULES[endpoint]
    assert isinstance(rule, NameRule)
    return rule


def dag_rule(endpoint: str) -> DagRule:
    rule = RULES[endpoint]
    assert isinstance(rule, DagRule)
    return rule


@pytest.mark.parametrize(
    ("asker", "endpoint", "name", "refusal"),
    [
        (ALPHA, "get_connection", "alpha_db", None),
        (ALPHA, "get_connection", "k8s_default", None),
        (ALPHA, "get_connection", "remote_logs", None),
        (ALPHA, "get_connection", "postgres_default", None),
        (ALPHA, "put_variable", "beta_flag", None),
        (NO_TEAM, "put_variable", "beta_flag", None),
        (
            ALPHA,
            "get_connection",
            "beta_db",
            "Team 'alpha' cannot read connection 'beta_db': it belongs to team 'beta'. List it in "
            "isolation.shared.connections.",
        ),
        (
            ALPHA,
            "get_connection",
            "beta_k8s",
            "Team 'alpha' cannot read connection 'beta_k8s': it belongs to team 'beta'. Set it as connection.id of "
            "team 'alpha', or use the connection of that team.",
        ),
        (
            ALPHA,
            "get_connection",
            "git-beta",
            "Team 'alpha' cannot read connection 'git-beta': it belongs to team 'beta'. Use another connection.",
        ),
        (
            NO_TEAM,
            "delete_variable",
            "alpha_key",
            "A DAG of no team cannot write variable 'alpha_key': it belongs to team 'alpha'. List it in "
            "isolation.shared.variables.",
        ),
        (
            Asker("alpha", READ_ONLY),
            "put_variable",
            "flag",
            "Team 'alpha' cannot write variable 'flag': no team owns it, and isolation.unlisted does not allow it. "
            "List it in isolation.shared.variables.",
        ),
        (Asker("alpha", READ_ONLY), "get_variable", "flag", None),
        (
            ALPHA,
            "get_variable",
            "x/../beta_key",
            "Team 'alpha' cannot read variable 'x/../beta_key': its name has a path segment '.' or '..'. Use another "
            "name.",
        ),
    ],
)
def test_name_is_refused_unless_own_or_shared(asker: Asker, endpoint: str, name: str, refusal: str | None):
    assert judge_name(asker, name_rule(endpoint), name) == refusal


@pytest.mark.parametrize(
    ("asker", "endpoint", "owners", "refusal"),
    [
        (ALPHA, "trigger_dag_run", ["alpha"], None),
        (ALPHA, "set_xcom", ["alpha", None], None),
        (ALPHA, "get_xcom", ["gamma"], None),
        (ALPHA, "set_xcom", [None], None),
        (NO_TEAM, "set_xcom", [None], None),
        (ALPHA, "trigger_dag_run", [], None),
        (
            ALPHA,
            "trigger_dag_run",
            ["beta"],
            "Team 'alpha' cannot trigger DAG 'd': it belongs to team 'beta'. Add {from: alpha, to: beta, "
            "do: [trigger]} to isolation.grants.",
        ),
        (
            ALPHA,
            "get_xcom",
            ["alpha", "beta"],
            "Team 'alpha' cannot read XComs of DAG 'd': it belongs to team 'beta'. Add {from: alpha, to: beta, "
            "do: [xcom]} to isolation.grants.",
        ),
        (
            ALPHA,
            "set_xcom",
            ["gamma"],
            "Team 'alpha' cannot write XComs of DAG 'd': it belongs to team 'gamma'. Only tasks of that team can do "
            "it.",
        ),
        (
            NO_TEAM,
            "clear_dag_run",
            ["alpha"],
            "A DAG of no team cannot clear runs of DAG 'd': it belongs to team 'alpha'. Give the DAG's bundle a team "
            "in isolation.bundles.",
        ),
    ],
)
def test_dag_is_refused_unless_own_granted_or_of_no_team(
    asker: Asker, endpoint: str, owners: list[str | None], refusal: str | None
):
    assert judge_dag(asker, dag_rule(endpoint), "d", owners) == refusal


@pytest.mark.parametrize(
    ("asker", "name", "uri", "refusal"),
    [
        (ALPHA, "alpha_x", "s3://x", None),
        (ALPHA, "x", "s3://x", None),
        (ALPHA, "beta_open", "beta_open", None),
        (ALPHA, "gamma_x", "s3://x", None),
        (ALPHA, "alpha_x", None, None),
        (ALPHA, None, None, None),
        (
            ALPHA,
            "beta_x",
            "s3://x",
            "Team 'alpha' cannot update asset 'beta_x': it belongs to team 'beta'. List it in "
            "isolation.shared.assets, or add {from: alpha, to: beta, do: [asset]} to isolation.grants.",
        ),
        (
            ALPHA,
            "alpha_x",
            "beta_x",
            "Team 'alpha' cannot update asset 'beta_x': it belongs to team 'beta'. List it in "
            "isolation.shared.assets, or add {from: alpha, to: beta, do: [asset]} to isolation.grants.",
        ),
        (
            NO_TEAM,
            "beta_x",
            None,
            "A DAG of no team cannot update asset 'beta_x': it belongs to team 'beta'. List it in "
            "isolation.shared.assets.",
        ),
        (
            Asker("alpha", READ_ONLY),
            "x",
            "s3://x",
            "Team 'alpha' cannot update asset 'x': no team owns it, and isolation.unlisted does not allow it. List "
            "it in isolation.shared.assets.",
        ),
        (Asker("alpha", READ_ONLY), "alpha_x", "s3://x", None),
    ],
)
def test_asset_is_refused_if_name_or_uri_is_foreign(
    asker: Asker, name: str | None, uri: str | None, refusal: str | None
):
    assert judge_asset(asker, name, uri, "write") == refusal


def test_unknown_endpoint_is_refused_with_a_sentence():
    assert describe_unknown_endpoint("drop_everything") == (
        "The request 'drop_everything' is refused: the guard of the Execution API has no rule for it. Upgrade the "
        "package kpo-platform to a version for this Airflow."
    )


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        (
            "connection",
            "beta_db",
            "Connection 'beta_db' is refused: it belongs to team 'beta'. List it in isolation.shared.connections.",
        ),
        (
            "connection",
            "beta_k8s",
            "Connection 'beta_k8s' is refused: it belongs to team 'beta'. Use another connection.",
        ),
        (
            "variable",
            "beta_key",
            "Variable 'beta_key' is refused: it belongs to team 'beta'. List it in isolation.shared.variables.",
        ),
        ("variable", "anything", None),
        ("secret", "beta_key", None),
    ],
)
def test_denial_has_a_reason_in_the_log_of_the_task(kind: str, name: str, reason: str | None):
    assert describe_denial(kind, name, CONTRACT) == reason


TEAMS = st.sampled_from([None, "alpha", "beta", "gamma", "unknown"])
DAG_RULES = st.sampled_from([rule for rule in RULES.values() if isinstance(rule, DagRule)])


@given(TEAMS, DAG_RULES, st.lists(TEAMS, max_size=3))
def test_only_grants_open_dags_of_other_teams(team: str | None, rule: DagRule, owners: list[str | None]):
    refusal = judge_dag(Asker(team, CONTRACT), rule, "d", owners)
    foreign = {owner for owner in owners if owner not in (None, team)}
    granted = {"gamma"} if team == "alpha" and rule.grants else set()
    assert (refusal is None) == (foreign <= granted)


@given(TEAMS, st.sampled_from(["read", "write"]), st.text("xyz", max_size=3), st.text("xyz", max_size=3))
def test_no_asset_of_a_team_opens_by_its_other_name(team: str | None, access: Any, name: str, uri: str):
    asker = Asker(team, CONTRACT)
    alone = [judge_asset(asker, "beta_" + name, None, access), judge_asset(asker, None, "beta_" + uri, access)]
    both = judge_asset(asker, name, "beta_" + uri, access), judge_asset(asker, "beta_" + name, uri, access)
    assert [refusal is None for refusal in (*both,)] == [alone[1] is None, alone[0] is None]
