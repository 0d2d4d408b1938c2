"""The state of a task in Airflow, and values in the store that a try keeps when its process restarts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk.exceptions import AirflowRescheduleException

from kpo_platform.airflow.api_errors import StateUnreadable, describe_error
from kpo_platform.airflow.operators.lifecycle.patience import STARTUP_S, Patience
from kpo_platform.pod.cluster_text import sanitize

if TYPE_CHECKING:
    from airflow.sdk import Context

_ACTIVE_STATES = frozenset({"deferred", "queued", "running", "scheduled", "up_for_reschedule", "up_for_retry"})
"""States in which this try, or the next one, still needs the pod."""

_PASSING_STATUSES = (408, 429)

_Result = TypeVar("_Result")


def read_patiently(context: Context, read: Callable[[], _Result], name: str = "", namespace: str = "") -> _Result:
    """Call a function that reads the store, for a minute while Airflow does not answer.

    It is for a value without which the task does not know its pod; `name` and `namespace` are the pod's, if known. A
    task that its user has stopped reads without it: its process is killed five seconds later.

    Raises:
        StateUnreadable: Airflow refuses the value, or has not answered for a minute.
    """
    operator: Any = context["task"]

    def attempt() -> _Result:
        try:
            return read()
        except Exception as error:
            raise _build_unreadable(operator, error, name, namespace) from error

    patience = Patience(STARTUP_S, operator.log, sleep=operator.stop_signal.sleep, server="Airflow")
    call = partial(patience.call, "read Airflow's task state store", attempt, is_allowed=True)
    return operator.patience.measure(call)  # type: ignore[no-any-return]


def _build_unreadable(operator: Any, error: Exception, name: str, namespace: str) -> StateUnreadable:
    pod = f"Pod {name} in namespace {namespace}" if name else "If the task has a pod, it"
    what = "takes up the pod, or its result" if operator.reattach_on_restart else "replaces the pod"
    unreadable = StateUnreadable(
        f"Cannot read Airflow's task state store: {describe_error(error)}. {pod} was not deleted, and may still run",
        f"Check Airflow's API server. A retry of the task {what}.",
    )
    unreadable.is_refused = _is_refusal(error)
    return unreadable


def _is_refusal(error: Exception) -> bool:
    """Tell whether Airflow's API has refused a request, which its client says in the detail of an error."""
    detail = getattr(getattr(error, "error", None), "detail", None)
    status = detail.get("status_code") if isinstance(detail, Mapping) else None
    return isinstance(status, int) and 400 <= status < 500 and status not in _PASSING_STATUSES


def read_stored(context: Context, key: str) -> Mapping[str, Any]:
    """Read an object from the store; empty if there is none, as in ``dag.test``, which has no store."""
    store: Any = context.get("task_state_store")
    stored = store.get(key) if store is not None else None
    return stored if isinstance(stored, Mapping) else {}


def write_stored(context: Context, key: str, value: Mapping[str, Any]) -> None:
    """Write an object to the store, if there is one."""
    store: Any = context.get("task_state_store")
    if store is not None:
        store.set(key, value)


class TryState:
    """Values under one key, valid for the current try. ``dag.test`` has no store: `is_available` is False."""

    def __init__(self, context: Context, key: str) -> None:
        self._context, self._key = context, f"kpo_platform_{key}"
        self._try = context["ti"].try_number
        self.is_available = context.get("task_state_store") is not None

    def read(self) -> dict[str, Any]:
        """Return the values of this try; empty if it has written none."""
        stored = read_stored(self._context, self._key)
        return dict(stored) if stored.get("try") == self._try else {}

    def write(self, **values: Any) -> None:
        """Store values for the next start of this try."""
        write_stored(self._context, self._key, {**values, "try": self._try})


def is_task_active(context: Context) -> bool:
    """Tell whether Airflow still needs the task's work; True if Airflow does not answer, as in a shutdown.

    A user's stop changes the task's state before SIGTERM, a shutdown of the worker does not. The stock operator reacts
    to both alike: it deletes the pod and reports success (apache/airflow#73006).
    """
    ti = context["ti"]
    name = f"{ti.task_id}_{ti.map_index}" if ti.map_index is not None and ti.map_index >= 0 else ti.task_id
    try:
        states = type(ti).get_task_states(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
        )
    except Exception as error:  # any error: a restarted task finds a kept pod, but a deleted pod is lost
        ti.task.log.warning(
            "Cannot read the task's state from Airflow: %s. The task counts as not stopped.", sanitize(error)
        )
        return True
    return states.get(ti.run_id, {}).get(name) in _ACTIVE_STATES


def has_next_try(context: Context) -> bool:
    """Tell whether Airflow tries the task again if this try fails."""
    ti = context["ti"]
    max_tries = getattr(ti, "max_tries", None)
    return max_tries is not None and ti.try_number <= max_tries


def try_to_store(what: str, store: Callable[[], object], log: Any) -> None:
    """Store something in Airflow that the run of the pod does not need; an error is logged."""
    try:
        store()
    except Exception as error:
        log.warning("Airflow did not store %s: %s", what, sanitize(error))


def push_pod_name(context: Context, name: str, namespace: str, log: Any) -> None:
    """Tell Airflow which pod the task has; now, so that it knows it also after a failure."""
    for key, value in {"pod_name": name, "pod_namespace": namespace}.items():
        try_to_store(f"the XCom {key}", partial(context["ti"].xcom_push, key=key, value=value), log)


def build_reschedule(seconds: float) -> Exception:
    """Build the exception that makes Airflow restart the task after this delay, in the same try."""
    return AirflowRescheduleException(datetime.now(UTC) + timedelta(seconds=seconds))  # type: ignore[no-untyped-call]
