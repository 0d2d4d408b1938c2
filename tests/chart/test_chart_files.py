"""Errors of a damaged chart: a missing file, YAML that cannot be parsed, a template with an unknown Secret."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chart.rendering import CHART, run_helm


@pytest.fixture
def chart_copy(tmp_path: Path) -> Path:
    """Copy the chart, with files instead of links."""
    return shutil.copytree(CHART, tmp_path / CHART.name)


def render_error(chart: Path) -> str:
    """Render a damaged chart with a team and return its error."""
    completed = run_helm("template", "airflow", str(chart), "--set-json", 'teams={"alpha": {}}')
    assert completed.returncode != 0, "the chart renders"
    (error,) = [line for line in completed.stderr.splitlines() if "ERROR: " in line]
    return error.partition("ERROR: ")[2]


def test_missing_file_is_an_error(chart_copy: Path) -> None:
    (chart_copy / "files" / "rbac" / "pod-launcher.yaml").unlink()
    assert render_error(chart_copy) == (
        "chart file files/rbac/pod-launcher.yaml is missing: the symbolic links under files/ are broken. "
        "Install the packaged chart, or a checkout with symbolic links."
    )


def test_file_with_invalid_yaml_is_an_error(chart_copy: Path) -> None:
    (chart_copy / "files" / "rbac" / "pod-launcher.yaml").write_text("rules: [")
    assert render_error(chart_copy) == (
        "chart file files/rbac/pod-launcher.yaml cannot be parsed: error converting YAML to JSON: yaml: "
        "line 1: did not find expected node content. Correct its YAML."
    )


def test_unknown_secret_in_a_template_is_an_error(chart_copy: Path) -> None:
    template = '{{ include "kpo-platform.secretName" (list . "fernet") }}'
    (chart_copy / "templates" / "secrets" / "unknown.yaml").write_text(template)
    assert render_error(chart_copy) == (
        "Secret fernet is unknown: the helper platformSecrets does not list it. Correct the template."
    )
