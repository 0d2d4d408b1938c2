"""Read the contract: from its text, or from the file that is mounted into Airflow's pods."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import ValidationError

from kpo_platform.contract.model import Contract
from kpo_platform.errors import ContractError
from kpo_platform.release import get_package_version

VERSION = 1
"""The version of the contract that this package reads."""

FILE_VARIABLE = "KPO_PLATFORM_CONTRACT"
"""The environment variable that names the contract's file."""


def parse(text: str) -> Contract:
    """Read a contract from its JSON text.

    Raises:
        ContractError: the text is no contract, or one of another version.
    """
    try:
        contract = Contract.model_validate_json(text)
    except ValidationError as error:
        _refuse_other_version(*_version_in(text))
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "its text"
        raise ContractError(
            f"The contract cannot be read: {where}: {first['msg']}. "
            "It is written by the chart: upgrade chart and package to the same version."
        ) from error
    _refuse_other_version(contract.version, contract.chart_version)
    return contract


def _version_in(text: str) -> tuple[int, str]:
    """The version of a contract that could not be read and the chart that wrote it, as far as they can be told."""
    try:
        found = json.loads(text)
        return int(found["version"]), found.get("chartVersion", "of an unknown version")
    except (ValueError, TypeError, KeyError):
        return VERSION, ""  # not even that much of a contract: no version to complain about


def _refuse_other_version(version: int, chart: str) -> None:
    """Say which side is to be upgraded, and to what, where chart and package are of different contract versions.

    It comes before any complaint about a field: of another version, other fields are to be expected.
    """
    if version != VERSION:
        package = get_package_version()
        remedy = f"the package to {chart}" if version > VERSION else f"the chart to {package}"
        raise ContractError(
            f"The contract has version {version}, written by chart {chart}, but this package ({package}) reads version "
            f"{VERSION}: upgrade {remedy}."
        )


def get_saved_contract_file() -> Path:
    """Where ``platformctl contract pull`` keeps a contract for the commands that ask no cluster."""
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "kpo-platform" / "contract.json"


def find_contract_file(given: str | Path | None = None) -> Path:
    """The contract's file on a machine outside the cluster.

    Args:
        given: the file that was named; by default what ``KPO_PLATFORM_CONTRACT`` names, then `get_saved_contract_file`.

    Raises:
        ContractError: none is named, and none was saved.
    """
    named = given or os.environ.get(FILE_VARIABLE)
    if named:
        return Path(named)
    if get_saved_contract_file().exists():
        return get_saved_contract_file()
    raise ContractError(
        "No contract, so nobody knows what the teams may do: save the cluster's once with platformctl contract pull, "
        f"or name a file with --contract or {FILE_VARIABLE}."
    )


_loaded: tuple[tuple[str, int, int], Contract] | None = None


def load(path: str | Path | None = None) -> Contract:
    """The contract from a mounted file, read again only when the file changed.

    Args:
        path: the file; by default what ``KPO_PLATFORM_CONTRACT`` names.

    Raises:
        ContractError: no file is named, it cannot be read, or it is no contract of this version.
    """
    global _loaded
    name = str(path or os.environ.get(FILE_VARIABLE, ""))
    if not name:
        raise ContractError(
            f"No contract: {FILE_VARIABLE} is not set. The chart sets it in Airflow's pods; "
            "elsewhere let it name a file that holds the contract."
        )
    try:
        stat = os.stat(name)  # noqa: PTH116 (a DAG of many tasks asks for each)
        stamp = (name, stat.st_mtime_ns, stat.st_ino)
        if _loaded is None or _loaded[0] != stamp:
            _loaded = (stamp, parse(Path(name).read_text(encoding="utf-8")))
    except OSError as error:
        raise ContractError(f"The contract {name} cannot be read: {error.strerror}.") from error
    return _loaded[1]
