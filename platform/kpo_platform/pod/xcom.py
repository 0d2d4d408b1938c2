"""How the result of a task leaves its pod."""

from __future__ import annotations

import json
from typing import Any, Literal

from kpo_platform.contract import XComSidecar

XCOM_CONTAINER = "airflow-xcom-sidecar"
"""The name of the container that the stock operator adds to fetch an XCom."""

ResultMode = Literal["", "message", "sidecar"]
"""How the result of a task leaves its pod; empty if the task has none."""

RESULT_MODES: tuple[ResultMode, ...] = ("message", "sidecar")


def choose_result_mode(xcom: bool | str | None, default: str, *, has_result: bool, is_stock: bool) -> ResultMode:
    """Choose the mode of a task; `default` is that of its team. Stock argument and stock engine mean the sidecar."""
    if not has_result:
        return ""
    mode = default if xcom is True else xcom
    return "message" if mode == "message" and not is_stock else "sidecar"


def build_connection_extra(sidecar: XComSidecar) -> dict[str, Any]:
    """Build the extra of an in-cluster connection, which has the sidecar's settings.

    Resources and security context are JSON strings: the provider's hook parses them with ``json.loads`` and fails on a
    mapping. ``in_cluster`` must be a boolean: the hook treats any non-empty string as true.
    """
    return {
        "in_cluster": True,
        "xcom_sidecar_container_image": sidecar.image,
        "xcom_sidecar_container_resources": json.dumps(sidecar.resources, sort_keys=True),
        "xcom_sidecar_container_security_context": json.dumps(sidecar.security_context, sort_keys=True),
    }
