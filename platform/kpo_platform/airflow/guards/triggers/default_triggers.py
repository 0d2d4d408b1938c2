"""The triggers that every task may use, with their arguments.

The names of arguments are those of all supported providers; another argument is refused, because nothing is known
about its effect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kpo_platform.airflow.guards.triggers import argument_checks as checks
from kpo_platform.airflow.guards.triggers.request import Scope

Check = Callable[[checks.Arguments, Scope], None]
"""Raises `TriggerRefusedError` if an argument is refused."""


@dataclass(frozen=True)
class DefaultTrigger:
    """A trigger that every task may use.

    Attributes:
        arguments: the names of its arguments.
        checks: checks that always hold.
        owner_checks: checks of what the trigger reaches, which an entry of `isolation.triggers` may replace.
        ignored: arguments that are not taken from the task but set to None.
    """

    arguments: frozenset[str]
    checks: tuple[Check, ...] = (checks.check_intervals,)
    owner_checks: tuple[Check, ...] = ()
    ignored: frozenset[str] = field(default_factory=frozenset)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_KUBERNETES_CHECKS = (checks.check_intervals, checks.check_cluster, checks.check_object_names)
_KUBERNETES_OWNER_CHECKS = (checks.check_namespaces, checks.check_connection)
# The stock operator copies the whole connection into connection_extras, from where its content may come from any task.
# At None, not at {}, the trigger's hook reads the connection itself (hooks/kubernetes.py).
_IGNORED = frozenset({"connection_extras"})

_DATE_TIME = DefaultTrigger(_names("moment end_from_trigger"))

_POD_ARGUMENTS = _names(
    "pod_name pod_namespace trigger_start_time base_container_name kubernetes_conn_id connection_extras "
    "poll_interval cluster_context config_dict in_cluster get_logs startup_timeout startup_check_interval "
    "schedule_timeout on_finish_action on_kill_action termination_grace_period last_log_time logging_interval "
    "trigger_kwargs log_events_on_startup"
)

DEFAULT_TRIGGERS: dict[str, DefaultTrigger] = {
    "airflow.providers.cncf.kubernetes.triggers.pod.KubernetesPodTrigger": DefaultTrigger(
        _POD_ARGUMENTS, _KUBERNETES_CHECKS, _KUBERNETES_OWNER_CHECKS, _IGNORED
    ),
    "kpo_platform.airflow.triggers.team_pod.TeamPodTrigger": DefaultTrigger(
        _POD_ARGUMENTS | {"pod_uid", "start", "finish"}, _KUBERNETES_CHECKS, _KUBERNETES_OWNER_CHECKS, _IGNORED
    ),
    "airflow.providers.cncf.kubernetes.triggers.job.KubernetesJobTrigger": DefaultTrigger(
        _names(
            "job_name job_namespace pod_name pod_names pod_namespace base_container_name kubernetes_conn_id "
            "poll_interval cluster_context config_file in_cluster get_logs do_xcom_push"
        ),
        _KUBERNETES_CHECKS,
        _KUBERNETES_OWNER_CHECKS,
    ),
    "airflow.providers.standard.triggers.temporal.DateTimeTrigger": _DATE_TIME,
    "airflow.providers.standard.triggers.temporal.TimeDeltaTrigger": DefaultTrigger(_names("delta end_from_trigger")),
    "airflow.providers.standard.triggers.hitl.HITLTrigger": DefaultTrigger(
        _names("ti_id options params defaults multiple timeout_datetime poke_interval"),
        (checks.check_intervals, checks.check_human_input),
    ),
    "airflow.providers.standard.triggers.external_task.WorkflowTrigger": DefaultTrigger(
        _names(
            "external_dag_id run_ids execution_dates logical_dates external_task_ids external_task_group_id "
            "failed_states skipped_states allowed_states poke_interval soft_fail"
        ),
        owner_checks=(checks.check_watched_dag,),
    ),
    "airflow.providers.standard.triggers.external_task.DagStateTrigger": DefaultTrigger(
        _names("dag_id states run_ids execution_dates poll_interval"),
        owner_checks=(checks.check_watched_dag,),
    ),
}
"""The default triggers by the exact path of their class; another path to the same class is refused."""
