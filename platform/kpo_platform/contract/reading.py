"""Read the contract from JSON text or from a file."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import ValidationError

from kpo_platform.contract.model import Contract
from kpo_platform.errors import ContractError
from kpo_platform.release import get_package_version

VERSION = 1
"""The contract version that this package reads."""

FILE_VARIABLE = "KPO_PLATFORM_CONTRACT"
"""The environment variable with the path of the contract's file."""


def parse(text: str) -> Contract:
    """Read a contract from JSON text.

    Raises:
        ContractError: the text is not a contract, or the contract has another version.
    """
    try:
        contract = Contract.model_validate_json(text)
    except ValidationError as error:
        _check_version(*_read_versions(text))
        first = error.errors()[0]
        if not first["loc"]:
            raise ContractError(
                f"Cannot read the contract: {first['msg']}. Save it again with platformctl contract pull."
            ) from error
        field = ".".join(str(step) for step in first["loc"])
        raise ContractError(
            f"Cannot read the contract: {field}: {first['msg']}. Upgrade chart and package to the same version."
        ) from error
    _check_version(contract.version, contract.chart_version)
    return contract


def _read_versions(text: str) -> tuple[int, str]:
    """Read contract version and chart version of an invalid contract; `VERSION` if it has no version."""
    try:
        content = json.loads(text)
        return int(content["version"]), content.get("chartVersion", "of an unknown version")
    except (ValueError, TypeError, KeyError):
        return VERSION, ""


def _check_version(version: int, chart: str) -> None:
    """Check the contract version before the fields, because another version has other fields.

    Raises:
        ContractError: the version differs; the message says whether to upgrade chart or package.
    """
    if version != VERSION:
        package = get_package_version()
        upgrade = f"the package to {chart}" if version > VERSION else f"the chart to {package}"
        raise ContractError(
            f"The contract has version {version}, written by chart {chart}, but this package ({package}) reads version "
            f"{VERSION}. Upgrade {upgrade}."
        )


def get_saved_contract_file() -> Path:
    """Get the path to which ``platformctl contract pull`` saves the contract."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "kpo-platform" / "contract.json"


def find_contract_file(path: str | Path | None = None) -> Path:
    """Find the contract's file on a machine outside the cluster.

    Args:
        path: the file; by default the one in ``KPO_PLATFORM_CONTRACT``, then `get_saved_contract_file`.

    Raises:
        ContractError: no file is configured, and none was saved.
    """
    configured = path or os.environ.get(FILE_VARIABLE)
    if configured:
        return Path(configured)
    if get_saved_contract_file().exists():
        return get_saved_contract_file()
    raise ContractError(
        "Cannot find a contract file. Save the cluster's contract with platformctl contract pull, "
        f"or name a file with --contract or {FILE_VARIABLE}."
    )


_loaded: tuple[tuple[str, int, int], Contract] | None = None


def load(path: str | Path | None = None) -> Contract:
    """Read the contract from a file, again only when the file has changed.

    Args:
        path: the file; by default the one in ``KPO_PLATFORM_CONTRACT``.

    Raises:
        ContractError: no file is configured, or it cannot be read, or it is not a contract of this version.
    """
    global _loaded
    name = str(path or os.environ.get(FILE_VARIABLE, ""))
    if not name:
        raise ContractError(
            f"Cannot find the contract: {FILE_VARIABLE} is not set. Set it to the path of the contract's file; "
            "in Airflow's pods the chart sets it."
        )
    try:
        stat = os.stat(name)  # noqa: PTH116 (called for every task of a DAG; Path.stat is slower)
        stamp = (name, stat.st_mtime_ns, stat.st_ino)
        if _loaded is None or _loaded[0] != stamp:
            _loaded = (stamp, parse(Path(name).read_text(encoding="utf-8")))
    except OSError as error:
        raise ContractError(
            f"Cannot read the contract {name}: {error.strerror}. Set {FILE_VARIABLE} or --contract to a readable file."
        ) from error
    return _loaded[1]
