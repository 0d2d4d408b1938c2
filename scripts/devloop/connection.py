"""What a task finds in Airflow's pods, for a task outside of them: the contract, and a way into the cluster."""

from __future__ import annotations

import json
from typing import Any

from road.stack import NAMESPACE, Stack

_CONTRACT = "app.kubernetes.io/part-of=kpo-platform,app.kubernetes.io/component=contract"


def contract_text(stack: Stack) -> str:
    """Give the contract that the chart published."""
    (found,) = stack.get("configmaps", "-n", NAMESPACE, "-l", _CONTRACT)["items"]
    return str(found["data"]["contract.json"])


def connection(stack: Stack) -> dict[str, Any]:
    """Give the Airflow connection k8s_default as bootstrap makes it, but by kubeconfig instead of from inside."""
    sidecar = json.loads(contract_text(stack))["xcomSidecar"]
    extra = {
        "in_cluster": False,
        "kube_config_path": str(stack.kubeconfig),
        "xcom_sidecar_container_image": sidecar["image"],
        "xcom_sidecar_container_resources": json.dumps(sidecar["resources"]),
        "xcom_sidecar_container_security_context": json.dumps(sidecar["securityContext"]),
    }
    return {"conn_type": "kubernetes", "extra": extra}
