"""Labels and environment variables that identify a pod's task run."""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass

from kpo_platform.contract import Team
from kpo_platform.pod.merge import Json
from kpo_platform.pod.xcom import XCOM_CONTAINER

TEAM_LABEL = "kpo-platform/team"
"""The label with the name of the pod's team."""

START_LABEL = "kpo-platform/start"
"""The label with the hash of the one start of a task that created the pod: task instance and restart number."""

OWNER, COST_CENTER, TRACE_ID = "owner", "cost-center", "trace-id"
"""Labels of every task pod, in addition to those of team and stock operator."""

TRACEPARENT, IDEMPOTENCY_KEY, TRY_NUMBER = "TRACEPARENT", "KPO_IDEMPOTENCY_KEY", "KPO_TRY_NUMBER"
"""Environment variables of every container of a task pod; the author's values take precedence."""

_NO_OWNER = frozenset({"", "airflow"})
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True)
class TaskRun:
    """One try of one task in one run.

    ``map_index`` is -1 for an unmapped task; ``owner`` is Airflow's owner of the task; ``traceparent`` is the W3C trace
    context from Airflow, or empty.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    owner: str
    traceparent: str = ""

    @property
    def idempotency_key(self) -> str:
        """A UUID that is the same for all tries of this task in this run, and different for all other tasks."""
        task = "\n".join((self.dag_id, self.run_id, self.task_id, str(self.map_index)))
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"kpo-platform:{task}"))

    @property
    def trace_context(self) -> str:
        """The trace context; without one from Airflow, derived from run and try, and not sampled."""
        if _TRACEPARENT.fullmatch(self.traceparent):
            return self.traceparent
        trace = hashlib.sha256(f"{self.dag_id}\n{self.run_id}".encode()).hexdigest()[:32]
        span = hashlib.sha256(f"{self.idempotency_key}\n{self.try_number}".encode()).hexdigest()[:16]
        return f"00-{trace}-{span}-00"

    @property
    def trace_id(self) -> str:
        """The trace ID, 32 hexadecimal digits; all tasks of a run share it."""
        return self.trace_context.split("-")[1]


def add_run_identity(pod: Json, team_name: str, team: Team, run: TaskRun) -> Json:
    """Add labels and environment variables of a task run to a pod; existing ones stay.

    Args:
        pod: a v1 Pod with its team's labels.
        team_name: the team's name; the default of owner and cost center.
        team: the team of this name.
        run: the task run of the pod.
    """
    metadata, spec = pod.get("metadata") or {}, pod["spec"]
    owner = team_name if run.owner in _NO_OWNER else run.owner
    labels = {
        OWNER: to_label_value(owner),
        COST_CENTER: to_label_value(team.labels.get(COST_CENTER, team_name)),
        **(metadata.get("labels") or {}),
        TRACE_ID: run.trace_id,
    }
    variables = {
        TRACEPARENT: run.trace_context,
        IDEMPOTENCY_KEY: run.idempotency_key,
        TRY_NUMBER: str(run.try_number),
    }
    containers = [
        container if container.get("name") == XCOM_CONTAINER else _add_variables(container, variables)
        for container in spec["containers"]
    ]
    return {**pod, "metadata": {**metadata, "labels": labels}, "spec": {**spec, "containers": containers}}


def to_label_value(text: str) -> str:
    """Convert a string to a label value: replace invalid characters with ``_`` and cut to 63 characters."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)[:63].strip("._-")


def _add_variables(container: Json, variables: dict[str, str]) -> Json:
    existing = container.get("env") or []
    names = {variable["name"] for variable in existing}
    added = [{"name": name, "value": value} for name, value in variables.items() if name not in names]
    return {**container, "env": [*existing, *added]}
