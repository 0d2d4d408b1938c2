"""Start a task again whose pod the cluster has disrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowException

from kpo_platform.airflow.api_errors import describe_error
from kpo_platform.airflow.operators.lifecycle import quota_wait
from kpo_platform.airflow.operators.lifecycle.task_state import TryState, build_reschedule, read_patiently
from kpo_platform.pod.outcome import Outcome
from kpo_platform.pod.state import PodState

if TYPE_CHECKING:
    from airflow.sdk import Context

RESCHEDULE_DELAY_S = 10  # Airflow notices meanwhile that the task's former process has ended

_KEY = "disruptions"
_MAX_DISRUPTIONS = 3
_ADVICE = "Check the other workloads of its node, or set resource requests and a priority class that protect the pod."


def has_counted_disruption(context: Context, pod: PodState) -> bool:
    """Tell whether this try has been restarted because of this pod, which looks the same if it was not removed."""
    if pod.uid == "":
        return False
    stored = read_patiently(context, TryState(context, _KEY).read, pod.name, pod.namespace)
    return stored.get("uid") == pod.uid


def restart_disrupted(operator: Any, context: Context, pod: PodState, outcome: Outcome) -> NoReturn:
    """Make Airflow start the task again in the same try, or fail it if Airflow cannot count this, or too often."""
    name, state = pod.name, TryState(context, _KEY)
    try:
        count = read_patiently(context, state.read, name, pod.namespace).get("count", 0)
        if count < _MAX_DISRUPTIONS:
            state.write(count=count + 1, uid=pod.uid)
            quota_wait.restart_clock(context)
    except Exception as error:  # the disruption is the true reason
        raise AirflowException(
            f"Pod {name} failed. {outcome.message} Its task was not restarted: Airflow did not store the number of "
            f"restarts ({describe_error(error)})."
        ) from error
    if count >= _MAX_DISRUPTIONS or not state.is_available:
        why = f"restarted {count} times in this try" if count else "not restarted: Airflow stores no task state"
        raise AirflowException(f"Pod {name} failed. {outcome.message} Its task was {why}. {_ADVICE}")
    operator.log.warning(
        "%s The task restarts (%d of %d) without using a retry.", outcome.message, count + 1, _MAX_DISRUPTIONS
    )
    raise build_reschedule(RESCHEDULE_DELAY_S) from None
