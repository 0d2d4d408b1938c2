"""The version of Airflow that the chart installs."""

from __future__ import annotations

from common.paths import REPOSITORY
from common.values_yaml import read_defaults

_CHART = REPOSITORY / "helm" / "kpo-platform" / "Chart.yaml"

AIRFLOW_VERSION = read_defaults(_CHART.read_text(encoding="utf-8"))[("appVersion",)].strip('"')
"""The chart's appVersion, and the tag of the Airflow images built here."""
