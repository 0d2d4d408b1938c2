"""What a pod carries so that costs, traces and repeated work can be told apart: labels and environment of its run."""

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

OWNER, COST_CENTER, TRACE_ID = "owner", "cost-center", "trace-id"
"""Labels on every pod of a task, beside the team's and the stock ones."""

TRACEPARENT, IDEMPOTENCY_KEY, TRY_NUMBER = "TRACEPARENT", "KPO_IDEMPOTENCY_KEY", "KPO_TRY_NUMBER"
"""Environment of every container of a task's pod; what the author sets under these names stays."""

_NO_OWNER = frozenset({"", "airflow"})
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True)
class TaskRun:
    """One try of one task in one run.

    ``map_index`` is -1 for a task that is not mapped; ``owner`` is Airflow's owner of the task; ``traceparent`` is the
    W3C trace context that the pod's work belongs to, or empty where Airflow has none.
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
        """The same for every try of this task in this run, different for all other work: a UUID."""
        work = "\n".join((self.dag_id, self.run_id, self.task_id, str(self.map_index)))
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"kpo-platform:{work}"))

    @property
    def trace_context(self) -> str:
        """The trace context, derived from run and try where Airflow gives none: equal for equal tries, not sampled."""
        if _TRACEPARENT.fullmatch(self.traceparent):
            return self.traceparent
        trace = hashlib.sha256(f"{self.dag_id}\n{self.run_id}".encode()).hexdigest()[:32]
        span = hashlib.sha256(f"{self.idempotency_key}\n{self.try_number}".encode()).hexdigest()[:16]
        return f"00-{trace}-{span}-00"

    @property
    def trace_id(self) -> str:
        """The trace that all tasks of the run share: 32 hexadecimal digits."""
        return self.trace_context.split("-")[1]


def add_run_identity(pod: Json, name: str, team: Team, run: TaskRun) -> Json:
    """The pod with the labels and the environment of its run; labels and variables that are there already stay.

    Args:
        pod: a v1 Pod with its team's labels.
        name: the team's name; it stands in for an owner or a cost center that nobody named.
        team: the team of this name.
        run: what the pod works for.
    """
    metadata, spec = pod.get("metadata") or {}, pod["spec"]
    owner = name if run.owner in _NO_OWNER else run.owner
    labels = {
        OWNER: to_label_value(owner),
        COST_CENTER: to_label_value(team.labels.get(COST_CENTER, name)),
        **(metadata.get("labels") or {}),
        TRACE_ID: run.trace_id,
    }
    variables = {
        TRACEPARENT: run.trace_context,
        IDEMPOTENCY_KEY: run.idempotency_key,
        TRY_NUMBER: str(run.try_number),
    }
    containers = [
        container if container.get("name") == XCOM_CONTAINER else _with_variables(container, variables)
        for container in spec["containers"]
    ]
    return {**pod, "metadata": {**metadata, "labels": labels}, "spec": {**spec, "containers": containers}}


def to_label_value(text: str) -> str:
    """The text as Kubernetes takes it for a label's value: other characters become ``_``, at most 63 of them."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)[:63].strip("._-")


def _with_variables(container: Json, variables: dict[str, str]) -> Json:
    own = container.get("env") or []
    named = {one["name"] for one in own}
    added = [{"name": name, "value": value} for name, value in variables.items() if name not in named]
    return {**container, "env": [*own, *added]}
