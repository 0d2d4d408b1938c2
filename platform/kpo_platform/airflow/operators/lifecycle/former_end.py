"""Find the end of a task's pod that an earlier process has stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpo_platform.airflow.operators.lifecycle.adoption import AdoptionKind
from kpo_platform.airflow.operators.lifecycle.earlier_pod import Start
from kpo_platform.airflow.operators.lifecycle.end_record import EndRecord, read_end_record
from kpo_platform.airflow.operators.lifecycle.later_code import has_later_code
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.stop_mark import is_marked_stopped
from kpo_platform.airflow.operators.lifecycle.task_result import SIDECAR

if TYPE_CHECKING:
    from airflow.sdk import Context


def find_former_end(operator: Any, context: Context, start: Start) -> EndRecord | None:
    """Find the end that an earlier process has stored, if a process that starts needs no more than that."""
    end = read_end_record(context) if start.former is not None else None
    if end is None or start.former is None or end.uid != start.former.uid:
        return None
    if end.is_result_lost and start.adoption.kind is AdoptionKind.TAKE_RESULT:
        return None
    ti = context["ti"]
    is_cleared = start.former.is_cleared_since(str(ti.id), getattr(ti, "max_tries", None), operator.retries)
    if is_cleared or is_marked_stopped(context, start.former):
        return None
    return end if end.counts_for(ti, is_final=not has_later_code(operator)) else None


def find_own_end(context: Context, pod: ObservedPod) -> EndRecord | None:
    """Find the end that an earlier process of a resumed task has stored, if the pod no longer gives it."""
    if not pod.is_gone and not pod.state.container(SIDECAR).is_terminated:
        return None
    end = read_end_record(context)
    return end if end is not None and end.uid == pod.state.uid and end.uid else None
