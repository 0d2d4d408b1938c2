"""The sidecar that the stock operator adds to fetch an XCom, as it is told of it: by the extra of its connection."""

from __future__ import annotations

import json
from typing import Any

from kpo_platform.contract import XComSidecar

XCOM_CONTAINER = "airflow-xcom-sidecar"
"""The name of the container that the stock operator adds to fetch an XCom."""


def build_connection_extra(sidecar: XComSidecar) -> dict[str, Any]:
    """The keys that a connection from inside the cluster has in its extra.

    The sidecar's resources and security context are JSON in text: the provider's hook reads them with
    ``json.loads`` and fails on a mapping. ``in_cluster`` must be a boolean: the hook takes any text for true.
    """
    return {
        "in_cluster": True,
        "xcom_sidecar_container_image": sidecar.image,
        "xcom_sidecar_container_resources": json.dumps(sidecar.resources, sort_keys=True),
        "xcom_sidecar_container_security_context": json.dumps(sidecar.security_context, sort_keys=True),
    }
