"""Judge stored triggers as the triggerer does, and compare the sentences."""

from __future__ import annotations

from typing import Any

from kpo_platform.airflow.guards.triggers.judge import judge_trigger
from kpo_platform.airflow.guards.triggers.request import TriggerRequest
from kpo_platform.contract import Contract
from unit.support.stored_triggers import TASK, build_two_teams, job_trigger, list_stock_triggers, store

ASK = "Ask the platform team to add the class and its arguments to triggerer.allow."
OWN_CONNECTION = (
    "Use the team's own connection, or ask the platform team to add the connection to isolation.shared.connections."
)
OWNERS: dict[str, frozenset[str | None]] = {
    "alpha_dag": frozenset({"alpha"}),
    "beta_dag": frozenset({"beta"}),
    "shared_dag": frozenset({None}),
}
CONTRACT = build_two_teams()


def judge(
    class_path: str,
    arguments: Any,
    *,
    team: str | None = "alpha",
    task: str | None = TASK,
    contract: Contract = CONTRACT,
) -> str:
    """Judge a trigger of a task; return the refusal's text, empty if the trigger may run."""
    request = TriggerRequest(class_path, arguments, team, task)
    refusal = judge_trigger(request, contract, lambda dag_id: OWNERS.get(dag_id, frozenset())).refusal
    return str(refusal or "")


def refused(class_path: str, cause: str, fix: str = ASK) -> str:
    return f"The triggerer refuses the trigger '{class_path}': {cause}. {fix}"


def build(kind: str, **changes: Any) -> tuple[str, dict[str, Any]]:
    """Return class path and arguments of a stock trigger, with changed arguments."""
    class_path, arguments = store({"job": job_trigger(), **list_stock_triggers()}[kind])
    return class_path, {**arguments, **changes}
