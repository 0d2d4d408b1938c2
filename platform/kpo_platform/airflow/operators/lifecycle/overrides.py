"""Find the code of an author that runs around the run of a pod, and call what runs after a deferral."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

from airflow.sdk import BaseOperator

from kpo_platform.airflow.operators.lifecycle.engine import UNUSED
from kpo_platform.pod.outcome import OutcomeKind
from kpo_platform.pod.reported_end import FAILED, SUCCESS
from kpo_platform.pod.state import PodState

_REENTRY_METHODS = ("trigger_reentry", "resume_execution")
_RUN_METHODS = ("execute", *_REENTRY_METHODS)
_KNOWN_MODULES = ("airflow.sdk.", "airflow.providers.cncf.kubernetes.", "kpo_platform.")
"""Packages that no other distribution extends; ``airflow`` and ``airflow.providers`` are namespaces for all."""

_BEFORE_END = frozenset(
    {
        *(
            "partial",
            "dry_run",
            "pre_execute",
            "on_kill",
            "defer",
            "invoke_defer_method",
            "convert_config_file_to_dict",
        ),
        *("build_pod_request_obj", "get_or_create_pod", "create_pod", *UNUSED),
        *(
            "get_template_env",
            "prepare_template",
            "render_template",
            "render_template_fields",
            "resolve_template_files",
        ),
    }
)
"""Methods that no worker calls after the success of a pod that was deferred."""


def has_later_code(operator: Any) -> bool:
    """Tell whether code of the author runs after the pod's end, and may fail the task to get its work done again.

    It is a ``post_execute``, in one of Airflow's two ways, or the method of a subclass around the run of the pod.
    """
    is_overridden = getattr(operator.post_execute, "__func__", None) is not BaseOperator.post_execute
    if is_overridden or getattr(operator, "_post_execute_hook", None) is not None:
        return True
    return any(_is_own(operator, name) for name in _RUN_METHODS)


def has_reentry_code(operator: Any) -> bool:
    """Tell whether the author's subclass has code that runs only if the task is deferred."""
    return any(_is_own(operator, name) for name in _REENTRY_METHODS)


def has_end_code(operator: Any) -> bool:
    """Tell whether code of the author may run in a worker after the pod's end, or take part in the task's result.

    It is that of `has_later_code`, or another member of a subclass in place of one of this class. A member counts
    unless it is known to be called before: a worker of another release of Airflow may call more of them.
    """
    return has_later_code(operator) or bool(_list_own_members(operator) - _BEFORE_END)


def end_undeferred(operator: Any, context: Any, pod: PodState, kind: str, finish: Callable[[], Any]) -> Any:
    """End a task whose process does not defer, because its pod has ended; `kind` says how.

    The author's `trigger_reentry` is called nevertheless, as by the stock operator; there `finish` ends the task.
    """
    if not operator.deferrable or not has_reentry_code(operator):
        return finish()
    operator.finish_undeferred = finish
    status = SUCCESS if kind == OutcomeKind.SUCCEEDED.value else FAILED
    event = {"status": status, "namespace": pod.namespace, "name": pod.name, "message": f"Container {kind}"}
    return operator.trigger_reentry(context=context, event={**event, **(operator.trigger_kwargs or {})})


def _list_own_members(operator: Any) -> set[str]:
    """List the methods and properties that an author's class, or the object itself, has in place of known ones."""
    own: set[str] = set()
    known: set[str] = set()
    for kind in reversed(type(operator).__mro__):
        names = {name for name, member in vars(kind).items() if hasattr(member, "__get__") and name[:2] != "__"}
        if is_known(kind):
            own, known = own - names, known | names
        else:
            own |= names & known
    patched = {name for name, member in vars(operator).items() if isinstance(member, FunctionType | MethodType)}
    return own | (patched & known)


def _is_own(operator: Any, name: str) -> bool:
    return not is_known(getattr(operator, name))


def is_known(definition: Any) -> bool:
    """Tell whether a class or function is defined by Airflow or by the platform, and not by an author."""
    return str(definition.__module__).startswith(_KNOWN_MODULES)
