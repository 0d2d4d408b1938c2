"""Which release of the package this is."""

from __future__ import annotations

SOURCE_VERSION = "0+source"
"""What stands for a version where the package runs from a checkout or from the chart's ConfigMap."""


def get_package_version() -> str:
    """The installed version, or `SOURCE_VERSION`."""
    from importlib.metadata import PackageNotFoundError, version  # 50 ms that no DAG needs to wait for

    try:
        return version("kpo-platform")
    except PackageNotFoundError:
        return SOURCE_VERSION
