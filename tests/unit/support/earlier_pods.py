"""A task's records and pods of earlier processes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kpo_platform.airflow.operators.lifecycle.adoption import Attempt
from kpo_platform.airflow.operators.lifecycle.start_record import StartRecord
from kpo_platform.pod.state import PodState, parse_pod_state

TASK_LABELS = {"dag_id": "d", "task_id": "t", "run_id": "r"}
ATTEMPT = Attempt("ti-2", 2, 3, "start-2", TASK_LABELS)

THIS_TRY = StartRecord("p", "n", "u", "start-2", "ti-2", 2, 0, 3)
EARLIER_TRY = StartRecord("p", "n", "u", "start-1", "ti-1", 1, 0, 3)
CLEARED = replace(EARLIER_TRY, max_tries=1)
OLDER_FORM = StartRecord("p", "n", "u")
STOCK_FORM = StartRecord("p", "n")

RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
WAITING: dict[str, Any] = {"waiting": {"reason": "ContainerCreating"}}
FINISHED_AT = "2026-01-01T00:01:00Z"


def ended(exit_code: int) -> dict[str, Any]:
    return {"terminated": {"exitCode": exit_code, "finishedAt": FINISHED_AT}}


def build_pod(
    state: dict[str, Any] = RUNNING, phase: str = "Running", *, try_number: int = 2, name: str = "p", uid: str = "u",
    start: str | None = None, labels: dict[str, str] | None = None, reason: str = "", **metadata: Any,
) -> PodState:  # fmt: skip
    """A pod of this task, with a sidecar that never ends."""
    default = {**TASK_LABELS, "try_number": str(try_number), "kpo-platform/start": start or f"start-{try_number}"}
    statuses = [{"name": "base", "state": state}, {"name": "sidecar", "state": RUNNING}]
    return parse_pod_state(
        {
            "metadata": {
                "name": name,
                "namespace": "n",
                "uid": uid,
                "labels": {**default, **(labels or {})},
                **metadata,
            },
            "status": {"phase": phase, "reason": reason, "containerStatuses": statuses},
        }
    )


def deleting(requested_at: str, state: dict[str, Any] = RUNNING, try_number: int = 2) -> PodState:
    """A pod whose deletion was requested 30 s before its time stamp."""
    stamp = requested_at.replace(":00Z", ":30Z")
    return build_pod(state, try_number=try_number, deletionTimestamp=stamp, deletionGracePeriodSeconds=30)


CHECKED = {"already_checked": "True"}
NEW = ": the task starts a new pod."
