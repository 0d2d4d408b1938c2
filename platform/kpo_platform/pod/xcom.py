"""The XCom sidecar of the stock operator, which takes its settings from the extra of the Airflow connection."""

from __future__ import annotations

import json
from typing import Any

from kpo_platform.contract import XComSidecar

XCOM_CONTAINER = "airflow-xcom-sidecar"
"""The name of the container that the stock operator adds to fetch an XCom."""


def build_connection_extra(sidecar: XComSidecar) -> dict[str, Any]:
    """Build the extra of an in-cluster connection.

    Resources and security context are JSON strings: the provider's hook parses them with ``json.loads`` and fails on a
    mapping. ``in_cluster`` must be a boolean: the hook treats any non-empty string as true.
    """
    return {
        "in_cluster": True,
        "xcom_sidecar_container_image": sidecar.image,
        "xcom_sidecar_container_resources": json.dumps(sidecar.resources, sort_keys=True),
        "xcom_sidecar_container_security_context": json.dumps(sidecar.security_context, sort_keys=True),
    }
