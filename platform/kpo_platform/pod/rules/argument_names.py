"""What TeamPodOperator can be called with, and what people write instead: names, types, and what the team decides.

Plain data, so that DAG files can be judged where Airflow is not installed. A test holds the names to the signatures
of both providers, the oldest and the newest that are supported.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from kpo_platform.contract import Team
from kpo_platform.finding import Refusal
from kpo_platform.pod.rules.argument_types import check_argument_types


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OWN_ARGUMENTS = frozenset({"pod_override", "sidecars", "size", "team", "template", "xcom"})
"""Arguments of TeamPodOperator itself."""

STOCK_ARGUMENTS = _words(
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

BASE_OPERATOR_ARGUMENTS = _words(
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
"""Arguments that every operator of Airflow 3.3 takes."""

KNOWN_ARGUMENTS = OWN_ARGUMENTS | STOCK_ARGUMENTS | BASE_OPERATOR_ARGUMENTS
"""Every argument that TeamPodOperator takes or speaks of."""

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
"""What people write, and what it is called here. Some of them the stock operator takes and silently ignores."""

_DEAD = frozenset({"is_delete_operator_pod", "progress_callback"})
"""Names in default_args that mean this operator; others there may be meant for other operators."""

_ACTIONS = ("keep_pod", "delete_pod", "delete_active_pod", "delete_succeeded_pod")


def check_arguments(given: Mapping[str, Any], inherited: Mapping[str, Any], name: str, team: Team) -> list[Refusal]:
    """What speaks against the arguments of a task, before any pod is made of them.

    Args:
        given: the arguments of the call.
        inherited: ``default_args`` of task, group and DAG; names there that mean nothing here are left alone.
        name: the team's name.
        team: the team that the task runs for.
    """
    dead = {key: value for key, value in inherited.items() if key in _DEAD}
    effective = {**inherited, **given}
    values = [*check_argument_types(effective), *_unknown_values(effective)]
    return [*check_argument_names({**dead, **given}), *values, *_decided(effective, name, team)]


def check_argument_names(given: Mapping[str, Any]) -> Iterator[Refusal]:
    """Refuse names that are no argument of TeamPodOperator, with the right one where it is known."""
    for name, value in given.items():
        if name in REPLACEMENTS and value is not None:
            yield Refusal("argument", f"{name} does nothing for a pod", f"write {REPLACEMENTS[name]}.", name)
        elif name not in KNOWN_ARGUMENTS and not name.startswith("_"):
            near = difflib.get_close_matches(name, sorted(KNOWN_ARGUMENTS - set(REPLACEMENTS)), n=1)
            hint = f"did you mean {near[0]}?" if near else "docs/operator.md lists what there is."
            yield Refusal("argument", f"{name} is no argument of TeamPodOperator", hint, name)


def _unknown_values(given: Mapping[str, Any]) -> Iterator[Refusal]:
    action = given.get("on_finish_action")
    if isinstance(action, str) and action not in _ACTIONS:
        near = difflib.get_close_matches(action, _ACTIONS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(_ACTIONS)}."
        yield Refusal("argument", f"on_finish_action={action!r} is not known", hint, "on_finish_action")
    for name in ("xcom", "do_xcom_push"):
        if not isinstance(given.get(name), bool | None):
            yield Refusal(
                "argument", f"{name} is neither True nor False", "it says whether the task has a result.", name
            )


def _decided(given: Mapping[str, Any], name: str, team: Team) -> Iterator[Refusal]:
    decided = {
        "namespace": team.namespace,
        "service_account_name": team.service_account.name,
        "automount_service_account_token": team.service_account.mount_token,
        "base_container_name": "base",
    }
    for argument, wanted in decided.items():
        value = given.get(argument)
        if value is not None and value != wanted:
            yield Refusal(
                "locked",
                f"{argument}={value!r} was given, but team {name!r} has {wanted!r}",
                "leave it out, or ask the platform team to change the team's values.",
                argument,
            )
    if given.get("xcom") is not None and given.get("do_xcom_push", given["xcom"]) != given["xcom"]:
        yield Refusal("argument", "xcom and do_xcom_push contradict each other", "they mean the same, give only xcom.")
    if (given.get("xcom") or given.get("do_xcom_push")) and not team.rbac.exec:
        yield Refusal(
            "argument",
            f"xcom=True needs a command in the pod's sidecar, but team {name!r} has rbac.exec false",
            "leave it out, or ask the platform team to change the team's values.",
        )
