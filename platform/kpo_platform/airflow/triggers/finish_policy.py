"""Whether the triggerer may still finish tasks: the platform's settings may have changed since a task was deferred."""

from __future__ import annotations

from kpo_platform.contract import Contract, Policy
from kpo_platform.contract import load as load_contract
from kpo_platform.errors import ContractError


def allows_triggerer(contract: Contract, *policies: Policy) -> bool:
    """Return whether the triggerer may finish tasks of teams with these policies."""
    return contract.airflow.shared_logs and all(policy.finish == "triggerer" for policy in policies)


def may_finish(namespace: str) -> bool:
    """Return whether the contract allows it for the tasks of a namespace; True if it cannot be read."""
    try:
        contract = load_contract()
    except ContractError:  # as the task planned it; in an upgrade the contract may be of the next version already
        return True
    return allows_triggerer(contract, *(team.policy for team in contract.teams.values() if team.namespace == namespace))
