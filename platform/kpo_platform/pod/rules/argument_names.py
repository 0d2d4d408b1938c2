"""Rule: TeamPodOperator has every argument, and its value is allowed for the team.

Does not import Airflow. A test compares the names with the signatures in the oldest and the newest supported provider.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from kpo_platform.contract import Team
from kpo_platform.errors import suggest_name
from kpo_platform.finding import Refusal
from kpo_platform.pod.rules.argument_types import check_argument_types
from kpo_platform.pod.xcom import RESULT_MODES


def _split(text: str) -> frozenset[str]:
    return frozenset(text.split())


OWN_ARGUMENTS = frozenset({"defer_after", "engine", "pod_override", "sidecars", "size", "team", "template", "xcom"})
"""Arguments that TeamPodOperator adds."""

STOCK_ARGUMENTS = _split(
    """
    active_deadline_seconds affinity annotations arguments automount_service_account_token base_container_name
    base_container_status_polling_interval callbacks cluster_context cmds config_file configmaps container_logs
    container_name_log_prefix_enabled container_resources container_security_context deferrable dns_config dnspolicy
    do_xcom_push durable env_from env_vars full_pod_spec get_logs host_aliases hostname hostnetwork image
    image_pull_policy image_pull_secrets in_cluster init_container_logs init_containers is_delete_operator_pod
    kubernetes_conn_id labels log_events_on_failure log_events_on_startup log_formatter log_pod_spec_on_failure
    logging_interval name namespace node_selector on_finish_action on_kill_action pod_runtime_info_envs
    pod_template_dict pod_template_file poll_interval ports priority_class_name progress_callback random_name_suffix
    reattach_on_restart runtime_class_name schedule_timeout_seconds schedulername secrets security_context
    service_account_name skip_on_exit_code startup_check_interval_seconds startup_timeout_seconds subdomain
    termination_grace_period termination_message_policy tolerations trigger_kwargs volume_mounts volumes
    xcom_sidecar_container_security_context
    """
)
"""Arguments of the stock KubernetesPodOperator, providers 10.22 to 10.25."""

BASE_OPERATOR_ARGUMENTS = _split(
    """
    allow_nested_operators dag default_args depends_on_past do_xcom_push doc doc_json doc_md doc_rst doc_yaml email
    email_on_failure email_on_retry end_date execution_timeout executor executor_config ignore_first_depends_on_past
    inlets logger_name map_index_template max_active_tis_per_dag max_active_tis_per_dagrun max_retry_delay
    multiple_outputs on_execute_callback on_failure_callback on_retry_callback on_skipped_callback
    on_success_callback outlets owner params pool pool_slots post_execute pre_execute priority_weight queue
    render_template_as_native_obj resources retries retry_delay retry_exponential_backoff retry_policy run_as_user
    sla start_date task_display_name task_group task_id trigger_rule wait_for_downstream
    wait_for_past_depends_before_skipping weight_rule
    """
)
"""Arguments of every operator in Airflow 3.3."""

KNOWN_ARGUMENTS = OWN_ARGUMENTS | STOCK_ARGUMENTS | BASE_OPERATOR_ARGUMENTS
"""All arguments of TeamPodOperator, including rejected ones."""

REPLACEMENTS: dict[str, str] = {
    "args": "arguments",
    "command": "cmds",
    "delete_succeeded_pods": "on_finish_action='delete_succeeded_pod'",
    "env": "env_vars",
    "environment": "env_vars",
    "is_delete_operator_pod": "on_finish_action='delete_pod' or 'keep_pod'",
    "limits": "size, or container_resources={'limits': {…}}",
    "memory": "size, or container_resources={'limits': {…}}",
    "node_selectors": "node_selector",
    "pod_spec": "pod_override={'spec': {…}}",
    "pod_template": "template, or pod_template_file",
    "progress_callback": "callbacks",
    "requests": "size, or container_resources={'requests': {…}}",
    "resources": "size, or container_resources={'requests': {…}, 'limits': {…}}",
    "startup_timeout": "startup_timeout_seconds",
    "xcom_push": "xcom=True",
    "xcom_push_kpo_executor_output": "xcom=True",
}
"""Common wrong names, and the arguments to use instead. The stock operator ignores some of them without an error."""

_REFUSED_DEFAULT_ARGS = frozenset({"is_delete_operator_pod", "progress_callback"})
"""Wrong names that are refused in default_args; the others there may be for other operators."""

_FINISH_ACTIONS = ("keep_pod", "delete_pod", "delete_active_pod", "delete_succeeded_pod")
_ENGINES = ("stock", "team")


def check_arguments(
    arguments: Mapping[str, Any], inherited: Mapping[str, Any], team_name: str, team: Team
) -> list[Refusal]:
    """Check the arguments of a task before its pod is composed.

    Args:
        arguments: the arguments of the call.
        inherited: ``default_args`` of task, group and DAG; unknown names in it are ignored.
        team_name: the team's name.
        team: the team of the task.
    """
    refused = {name: value for name, value in inherited.items() if name in _REFUSED_DEFAULT_ARGS}
    effective = {**inherited, **arguments}
    values = [*check_argument_types(effective), *_check_values(effective)]
    return [*check_argument_names({**refused, **arguments}), *values, *_check_team_values(effective, team_name, team)]


def check_argument_names(arguments: Mapping[str, Any]) -> Iterator[Refusal]:
    """Refuse unknown argument names; the fix suggests the right or the most similar one."""
    for name, value in arguments.items():
        if name in REPLACEMENTS and value is not None:
            yield Refusal("argument", f"{name} has no effect on a pod", f"Use {REPLACEMENTS[name]}.", name)
        elif name not in KNOWN_ARGUMENTS and not name.startswith("_"):
            similar = difflib.get_close_matches(name, sorted(KNOWN_ARGUMENTS - set(REPLACEMENTS)), n=1)
            fix = f"Did you mean {similar[0]}?" if similar else "See the arguments in docs/operator.md."
            yield Refusal("argument", f"{name} is not an argument of TeamPodOperator", fix, name)


def _check_values(arguments: Mapping[str, Any]) -> Iterator[Refusal]:
    action = arguments.get("on_finish_action")
    if isinstance(action, str) and action not in _FINISH_ACTIONS:
        fix = suggest_name(action, _FINISH_ACTIONS)
        yield Refusal("argument", f"on_finish_action={action!r} is not valid", fix, "on_finish_action")
    engine = arguments.get("engine")
    if engine is not None and engine not in _ENGINES:
        fix = suggest_name(str(engine), _ENGINES)
        yield Refusal("argument", f"engine={engine!r} is not valid", fix, "engine")
    seconds = arguments.get("defer_after")
    if isinstance(seconds, int | float) and not seconds >= 0:
        fix = "Write 0 to defer at once."
        yield Refusal("argument", f"defer_after is {seconds}, but it cannot be negative", fix, "defer_after")
    yield from _check_result_arguments(arguments)


def _check_result_arguments(arguments: Mapping[str, Any]) -> Iterator[Refusal]:
    fix = "Set it to True if the task returns a result."
    xcom, pushes = arguments.get("xcom"), arguments.get("do_xcom_push")
    if not isinstance(xcom, bool | None) and xcom not in RESULT_MODES:
        required = "True, False, 'message' or 'sidecar' is required"
        yield Refusal("argument", f"xcom is {xcom!r}, but {required}", fix, "xcom")
    elif xcom is not None and pushes is not None and bool(xcom) != pushes:
        yield Refusal("argument", "xcom and do_xcom_push contradict each other", "Set only xcom.")
    if not isinstance(pushes, bool | None):
        yield Refusal("argument", f"do_xcom_push is {pushes!r}, but True or False is required", fix, "do_xcom_push")
    if xcom == "message" and arguments.get("engine") == "stock":
        yield Refusal(
            "result",
            "engine='stock' reads a result from the XCom sidecar, but xcom is 'message'",
            "Set xcom=True, or leave out engine.",
        )


def _check_team_values(arguments: Mapping[str, Any], team_name: str, team: Team) -> Iterator[Refusal]:
    team_values = {
        "namespace": team.namespace,
        "service_account_name": team.service_account.name,
        "automount_service_account_token": team.service_account.mount_token,
        "base_container_name": "base",
    }
    for argument, required in team_values.items():
        value = arguments.get(argument)
        if value is not None and value != required:
            yield Refusal(
                "locked",
                f"{argument} is {value!r}, but team {team_name!r} has {required!r}",
                "Leave it out, or ask the platform team to change the team's values.",
                argument,
            )
