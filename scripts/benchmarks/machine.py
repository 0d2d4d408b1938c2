"""The machine and the versions of a measurement."""

from __future__ import annotations

import datetime
import os
import platform
import re
from pathlib import Path

from common.command import capture_output
from common.paths import REPOSITORY


def read_conditions() -> dict[str, str]:
    """Return the conditions that a reader needs to compare figures."""
    memory = int(os.sysconf("SC_PAGE_SIZE")) * int(os.sysconf("SC_PHYS_PAGES"))
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": capture_output(["git", "describe", "--always", "--dirty"], cwd=REPOSITORY).strip(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "system": _search("/etc/os-release", r'^PRETTY_NAME="(.*)"'),
        "python": platform.python_version(),
        "kubernetes": _search("scripts/local_cluster/toolchain/go.mod", r"k8s\.io/kubernetes v(\S+)"),
        "airflow": _search("requirements/airflow.txt", r"^apache-airflow==(\S+)"),
    }


def _search(file: str, pattern: str) -> str:
    match = re.search(pattern, (REPOSITORY / Path(file)).read_text(encoding="utf-8"), re.MULTILINE)
    return match[1] if match else "unknown"
