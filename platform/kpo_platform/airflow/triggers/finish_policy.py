"""Whether the triggerer may still finish tasks: the platform's settings may have changed since a task was deferred."""

from __future__ import annotations

from kpo_platform.contract import load as load_contract
from kpo_platform.errors import ContractError


def may_finish(namespace: str) -> bool:
    """Tell whether the contract lets the triggerer finish tasks of a namespace; True if it cannot be read."""
    try:
        contract = load_contract()
    except ContractError:  # as the task planned it; in an upgrade the contract may be of the next version already
        return True
    policies = (team.policy for team in contract.teams.values() if team.namespace == namespace)
    return contract.airflow.shared_logs and all(policy.finish == "triggerer" for policy in policies)
