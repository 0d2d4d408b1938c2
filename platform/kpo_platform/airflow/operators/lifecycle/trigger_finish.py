"""Decide whether the triggerer may finish a task after the success of its pod, without another process.

What Airflow 3.3 does not do for such an end (models/trigger.py, ``handle_event_submit``): events of outlets, listeners,
callbacks and mails of the task's process, ``post_execute``, the lengths of results over which tasks are mapped, and a
custom XCom backend. And it reads the log of an ended task only from a place that all components share.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.configuration import conf
from airflow.sdk.execution_time.xcom import XCom
from airflow.sdk.listener import get_listener_manager

from kpo_platform.airflow.api_errors import describe_error
from kpo_platform.airflow.log_masks import hides_more_than_triggerer
from kpo_platform.airflow.operators.arguments.serialize import serialize_pod
from kpo_platform.airflow.operators.lifecycle.log_positions import LogProgress
from kpo_platform.airflow.operators.lifecycle.log_writer import select_containers
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.overrides import has_end_code, is_known
from kpo_platform.airflow.triggers.finish import FinishPlan

if TYPE_CHECKING:
    from airflow.sdk import Context

_DELETES = ("delete_pod", "delete_succeeded_pod")
_HOOKS = ("running", "success", "failed", "skipped")


def plan_finish(operator: Any, context: Context, pod: ObservedPod, progress: LogProgress | None) -> FinishPlan | None:
    """Plan what the trigger does after the success of the pod; None if a worker must finish the task."""
    try:
        if next(_find_obstacles(operator, pod), None) is None:
            return _build_plan(operator, context, pod, progress)
    except Exception as error:  # of a link, or of a request to Airflow
        operator.log.info("A worker will finish the task: %s.", describe_error(error))
    return None


def _build_plan(operator: Any, context: Context, pod: ObservedPod, progress: LogProgress | None) -> FinishPlan:
    wanted = select_containers(
        operator.pod_manager,
        pod.model,
        containers=operator.container_logs if operator.get_logs else None,
        init_containers=operator.init_container_logs,
    )
    positions = progress.positions if progress is not None else {}
    return FinishPlan(
        {name: positions.get(name) for name in wanted},
        has_result=bool(operator.do_xcom_push),
        has_prefix=bool(operator.container_name_log_prefix_enabled),
        links={each.xcom_key: each.get_link(operator, ti_key=context["ti"]) for each in operator.operator_extra_links},
        operator=type(operator).__name__,
    )


def _find_obstacles(operator: Any, pod: ObservedPod) -> Iterator[str]:
    """Yield why a worker must finish the task."""
    if not operator.can_finish_in_triggerer:
        yield "the team's policy, or logs that only one component can read"
    if operator.on_finish_action.value not in _DELETES:
        yield "a pod that is kept is marked"
    if operator.callbacks or operator.log_formatter or operator.on_success_callback or has_end_code(operator):
        yield "the author's code"
    if not all(is_known(type(link)) for link in operator.operator_extra_links):
        yield "an author's link, which may depend on the end"
    if operator.outlets or operator.map_index_template:
        yield "outlets, or the name of a mapped task"
    if operator.do_xcom_push and (operator.result_mode != "message" or operator.multiple_outputs):
        yield "a result that is not one message"
    if operator.returns_dag_result or operator.overwrite_rtif_after_execution:
        yield "the result of the DAG run, or fields that are stored after the run"
    if conf.getboolean("state_store", "clear_on_success", fallback=False):
        yield "a state store that Airflow clears at the end of a worker's task"
    if XCom is not BaseXCom:
        yield "a custom XCom backend"
    if next(iter(operator.iter_mapped_dependants()), None) is not None:
        yield "tasks that are mapped over the result"
    if any(getattr(get_listener_manager().hook, f"on_task_instance_{hook}").get_hookimpls() for hook in _HOOKS):
        yield "a listener"
    if (operator.get_logs or operator.init_container_logs) and _hides_more_than_triggerer(operator, pod):
        yield "secrets that the triggerer would not hide in the log"


def _hides_more_than_triggerer(operator: Any, pod: ObservedPod) -> bool:
    return hides_more_than_triggerer(lambda: operator.hook.conn_extras, serialize_pod(pod.model).get("spec"))
