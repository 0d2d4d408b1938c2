"""Methods of the stock operator that the run of a pod does not call, although a subclass overrides them."""

from __future__ import annotations

from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

UNUSED = (
    *("execute_sync", "execute_async", "find_pod", "process_duplicate_label_pods", "log_matching_pod"),
    *("await_init_containers_completion", "await_pod_start", "await_pod_completion", "is_istio_enabled"),
    *("kill_istio_sidecar", "patch_already_checked", "post_complete_action", "cleanup", "process_pod_deletion"),
)
"""Stock methods for parts of a run."""


def warn_of_unused_overrides(operator: Any) -> None:
    """Log the methods of an author's subclass that are not called."""
    kind = type(operator)
    unused = [name for name in UNUSED if getattr(kind, name, None) is not getattr(KubernetesPodOperator, name, None)]
    if unused:
        operator.log.warning(
            '%s overrides %s, which is not called in the run of a pod. Use callbacks, or set engine="stock".',
            *(kind.__name__, ", ".join(unused)),
        )
