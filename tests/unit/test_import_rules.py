"""import-linter's rules on Airflow, Ansible and the Kubernetes client cover every module of the package."""

from __future__ import annotations

import tomllib

import pytest

from common.paths import REPOSITORY

PACKAGE = REPOSITORY / "platform" / "kpo_platform"
CONTRACTS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
SOURCES = {
    contract["forbidden_modules"][0]: {name.removeprefix("kpo_platform.") for name in contract["source_modules"]}
    for contract in CONTRACTS
    if contract["type"] == "forbidden"
}
MODULES = {path.stem for path in PACKAGE.iterdir() if (path / "__init__.py").exists() or path.suffix == ".py"}
IMPORTERS = {
    "airflow": {"airflow", "operator", "offline"},  # operator/ holds former paths of airflow/
    "ansible": {"bootstrap"},
    "kubernetes": {"airflow", "operator", "offline", "kube"},
}
OFFLINE_PARENT = {"offline.client", "offline.environment"}
"""The parent process of offline/; only its child process imports Airflow and the Kubernetes client."""


@pytest.mark.parametrize("library", IMPORTERS)
def test_rule_covers_every_module_that_may_not_import(library: str):
    parent = OFFLINE_PARENT if "offline" in IMPORTERS[library] else set()
    assert SOURCES[library] == (MODULES - {"__init__"} - IMPORTERS[library]) | parent
