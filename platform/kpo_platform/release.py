"""The version of the package."""

from __future__ import annotations

SOURCE_VERSION = "0+source"
"""The version of a package that is not installed: it runs from a checkout or from the chart's ConfigMap."""


def get_package_version() -> str:
    """Read the installed version; `SOURCE_VERSION` if the package is not installed."""
    from importlib.metadata import PackageNotFoundError, version  # takes 50 ms, which DAG files need not spend

    try:
        return version("kpo-platform")
    except PackageNotFoundError:
        return SOURCE_VERSION
