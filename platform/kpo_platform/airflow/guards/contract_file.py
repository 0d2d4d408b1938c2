"""The contract as the guards read it: the latest valid one."""

from __future__ import annotations

import logging

from kpo_platform.contract import Contract
from kpo_platform.contract import load as load_contract
from kpo_platform.errors import ContractError

log = logging.getLogger(__name__)

_last: Contract | None = None


def read_contract() -> Contract:
    """Read the contract, again when its file has changed; keep the last one while the file is not valid.

    Raises:
        ContractError: the file has not been valid since the start of the process.
    """
    global _last
    try:
        _last = load_contract()
    except ContractError as error:
        if _last is None:
            raise
        log.warning("The guards of tokens and triggers keep the previous contract: %s", error)
    return _last
