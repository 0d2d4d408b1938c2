"""Every argument of the stock operator builds the same pod, except for the differences in docs/operator.md.

Run with the oldest provider by `scripts/test --only unit` and with the newest by `--only providers`.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.providers.cncf.kubernetes import secret
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.secret import Secret
from kubernetes.client import models as k8s

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.operators.arguments.serialize import serialize
from kpo_platform.pod.rules.argument_names import STOCK_ARGUMENTS
from unit.support.pod_comparison import build_context, remove_empty
from unit.support.published_contract import Publish

pytestmark = pytest.mark.filterwarnings("ignore:.reattach_on_restart. is deprecated")

REFUSED = {"is_delete_operator_pod", "progress_callback", "hostnetwork", "base_container_name", "namespace"}
REFUSED |= {"automount_service_account_token", "service_account_name"}
"""Arguments that TeamPodOperator refuses; `test_stock_differences` covers them and refused values of others."""

PLAIN = {"sizes": {"small": {"cpu": "1", "memory": "1Gi", "gpu": 0, "ephemeralStorage": ""}}, "template": "plain"}
PLAIN |= {"volumes": [], "env": [], "labels": {}, "podSecurity": "baseline"}


class Callbacks:
    """A callback class; building a pod calls none of its methods."""


def log_line(container: str, message: str) -> str:
    return f"{container}: {message}"


CONTEXT = k8s.V1PodSecurityContext(run_as_user=1000, fs_group=2000)
TERMS = [{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]
AFFINITY = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": TERMS}}}
POD: dict[str, Any] = {
    "metadata": {"name": "from-template", "labels": {"from": "template"}, "annotations": {"a": "t"}},
    "spec": {
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "volumes": [{"name": "cache", "emptyDir": {}}],
        "initContainers": [{"name": "prepare", "image": "p:1"}],
        "containers": [
            {"name": "base", "image": "t:1", "tty": True, "env": [{"name": "T", "value": "t"}]},
            {"name": "aside", "image": "a:1"},
        ],
    },
}
MODEL = k8s.V1Pod(
    metadata=k8s.V1ObjectMeta(labels={"from": "full"}),
    spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base", working_dir="/w")], share_process_namespace=True),
)

VALUES: dict[str, Any] = {
    "active_deadline_seconds": 60,
    "affinity": AFFINITY,
    "annotations": {"a": "b"},
    "arguments": ["hi"],
    "base_container_status_polling_interval": 2,
    "callbacks": [Callbacks],
    "cluster_context": "other",
    "cmds": ["echo"],
    "config_file": "/tmp/config",
    "configmaps": ["settings"],
    "container_logs": ["base", "aside"],
    "container_name_log_prefix_enabled": False,
    "container_resources": k8s.V1ResourceRequirements(limits={"cpu": "2", "memory": "2Gi"}, requests={"cpu": "1"}),
    "container_security_context": {"runAsUser": 1000},
    "deferrable": False,
    "dns_config": k8s.V1PodDNSConfig(nameservers=["192.0.2.1"]),
    "dnspolicy": "None",
    "do_xcom_push": True,
    "durable": False,
    "env_from": [k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name="s"))],
    "env_vars": {"A": "b"},
    "full_pod_spec": MODEL,
    "get_logs": False,
    "host_aliases": [k8s.V1HostAlias(ip="192.0.2.1", hostnames=["h"])],
    "hostname": "h",
    "image": "other:1",
    "image_pull_policy": "Always",
    "image_pull_secrets": [k8s.V1LocalObjectReference(name="regcred")],
    "in_cluster": True,
    "init_container_logs": True,
    "init_containers": [k8s.V1Container(name="first", image="i:1")],
    "kubernetes_conn_id": "other",
    "labels": {"a": "b"},
    "log_events_on_failure": False,
    "log_events_on_startup": False,
    "log_formatter": log_line,
    "log_pod_spec_on_failure": True,
    "logging_interval": 5,
    "name": "called",
    "node_selector": {"disk": "ssd"},
    "on_finish_action": "keep_pod",
    "on_kill_action": "keep_pod",
    "pod_runtime_info_envs": [
        k8s.V1EnvVar(
            "IP", value_from=k8s.V1EnvVarSource(field_ref=k8s.V1ObjectFieldSelector(field_path="status.podIP"))
        )
    ],
    "pod_template_dict": POD,
    "pod_template_file": POD,
    "poll_interval": 3,
    "ports": [k8s.V1ContainerPort(container_port=80)],
    "priority_class_name": "high",
    "random_name_suffix": False,
    "reattach_on_restart": False,
    "runtime_class_name": "gvisor",
    "schedule_timeout_seconds": 7,
    "schedulername": "own",
    "secrets": [Secret("env", "KEY", "s", "k"), Secret("volume", "/etc/s", "s")],
    "security_context": CONTEXT,
    "skip_on_exit_code": 99,
    "startup_check_interval_seconds": 9,
    "startup_timeout_seconds": 11,
    "subdomain": "sub",
    "termination_grace_period": 13,
    "termination_message_policy": "FallbackToLogsOnError",
    "tolerations": [k8s.V1Toleration(key="batch", operator="Exists")],
    "trigger_kwargs": {"a": 1},
    "volume_mounts": [k8s.V1VolumeMount(name="v", mount_path="/v")],
    "volumes": [k8s.V1Volume(name="v", empty_dir=k8s.V1EmptyDirVolumeSource())],
    "xcom_sidecar_container_security_context": {"runAsUser": 1000},
}
"""Every argument with a value other than its default; the pod of pod_template_file is written to a file."""

RUN = ["TRACEPARENT", "KPO_IDEMPOTENCY_KEY", "KPO_TRY_NUMBER"]

HERE = STOCK_ARGUMENTS & set(inspect.signature(KubernetesPodOperator.__init__).parameters)

SETTINGS = {"base_container_status_polling_interval", "callbacks", "cluster_context", "config_file", "container_logs"}
SETTINGS |= {"container_name_log_prefix_enabled", "deferrable", "durable", "get_logs", "in_cluster", "poll_interval"}
SETTINGS |= {"init_container_logs", "kubernetes_conn_id", "log_events_on_failure", "log_events_on_startup"}
SETTINGS |= {"log_formatter", "log_pod_spec_on_failure", "logging_interval", "on_finish_action", "on_kill_action"}
SETTINGS |= {"reattach_on_restart", "schedule_timeout_seconds", "skip_on_exit_code", "startup_check_interval_seconds"}
SETTINGS |= {"startup_timeout_seconds", "trigger_kwargs"}
"""Arguments that configure the run of the task, not its pod."""

NEEDED = {
    "random_name_suffix": {"random_name_suffix": True},
    "volume_mounts": {"volumes": VALUES["volumes"]},
    "xcom_sidecar_container_security_context": {"do_xcom_push": True},
}
"""Arguments that another argument needs to have a visible effect."""


@pytest.fixture(autouse=True)
def plain_team(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    """A team with an empty template, so that every difference comes from the operator."""
    publish(plain=PLAIN, templates={"plain": {"spec": {"containers": [{"name": "base"}]}}})
    monkeypatch.setattr(secret.uuid, "uuid4", lambda: "fixed")
    for connection in ("KUBERNETES_DEFAULT", "K8S_DEFAULT", "OTHER"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{connection}", "kubernetes://")


def create_tasks(**arguments: Any) -> tuple[KubernetesPodOperator, TeamPodOperator]:
    """Create a stock task and a TeamPodOperator with the same arguments."""
    common = {"task_id": "t", "image": "busybox:1.35", "random_name_suffix": False, **arguments}
    return KubernetesPodOperator(**{"namespace": "team-alpha", **common}), TeamPodOperator(team="plain", **common)


def build_pods(**arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Build the pods of both tasks; the second has what every pod of the team has."""
    both = create_tasks(**arguments)
    pods = (task.build_pod_request_obj(build_context(task), dry_run=True) for task in both)
    stock, team_pod = (remove_empty(serialize(pod)) for pod in pods)
    for pod in (stock, team_pod):
        if pod["spec"].get("hostNetwork") is False:
            del pod["spec"]["hostNetwork"]  # the API server's default
        for resources in (
            container["resources"] for container in pod["spec"]["containers"] if "resources" in container
        ):
            # As in the API server, a missing request equals the limit.
            resources["requests"] = {**resources.get("limits", {}), **resources.get("requests", {})}
    return stock, team_pod


def remove_team_fields(pod: dict[str, Any], argument_names: set[str]) -> dict[str, Any]:
    """Remove what the team adds to every pod: label, account, token, resources, termination message policy."""
    base = dict(pod["spec"]["containers"][0])
    if "container_resources" not in argument_names:
        assert base.pop("resources") == {kind: {"cpu": "1", "memory": "1Gi"} for kind in ("requests", "limits")}
    if "termination_message_policy" not in argument_names:
        assert base["terminationMessagePolicy"] == "FallbackToLogsOnError"
        base["terminationMessagePolicy"] = "File"
    spec = {**pod["spec"], "containers": [base, *pod["spec"]["containers"][1:]]}
    assert (spec.pop("serviceAccountName"), spec.pop("automountServiceAccountToken")) == ("team-pod", False)
    labels = dict(pod["metadata"]["labels"])
    assert [labels.pop(name) for name in ("kpo-platform/team", "owner", "cost-center")] == ["plain"] * 3
    return {**pod, "metadata": {**pod["metadata"], "labels": labels}, "spec": spec}


def remove_run_identity(pod: dict[str, Any]) -> dict[str, Any]:
    """Remove the run's identity: a label, and the last variables of each container."""
    labels = dict(pod["metadata"]["labels"])
    assert len(labels.pop("trace-id")) == 32
    containers = []
    for container in pod["spec"]["containers"]:
        env = container.get("env", [])
        if container["name"] != "airflow-xcom-sidecar":
            added = [variable["name"] for variable in env if variable["name"] in RUN]
            assert added == RUN
            env = [variable for variable in env if variable["name"] not in RUN]
        containers.append(remove_empty({**container, "env": env}))
    return {**pod, "metadata": {**pod["metadata"], "labels": labels}, "spec": {**pod["spec"], "containers": containers}}


def get_value(name: str, folder: Path) -> Any:
    if name != "pod_template_file":
        return VALUES[name]
    (folder / "pod.yaml").write_text(yaml.safe_dump(POD))
    return str(folder / "pod.yaml")


def test_every_stock_argument_has_a_case():
    assert VALUES.keys() | REFUSED == STOCK_ARGUMENTS
    assert STOCK_ARGUMENTS - {"log_events_on_startup"} <= HERE


@pytest.mark.parametrize("lower_layer", [{}, {"pod_template_dict": POD}], ids=["alone", "over-a-template"])
@pytest.mark.parametrize("name", sorted(HERE - REFUSED))
def test_argument_builds_the_stock_operators_pod(name: str, lower_layer: dict[str, Any], tmp_path: Path):
    beside = {**lower_layer, **NEEDED.get(name, {})}
    arguments = {**beside, name: get_value(name, tmp_path)}
    stock, team_pod = build_pods(**arguments)
    if name == "tolerations" and lower_layer:  # one of the listed differences: they add up
        stock["spec"]["tolerations"] = [*POD["spec"]["tolerations"], *stock["spec"]["tolerations"]]
    assert remove_run_identity(remove_team_fields(team_pod, set(arguments))) == stock


@pytest.mark.parametrize("name", sorted(HERE - REFUSED - SETTINGS))
def test_pod_argument_changes_the_pod(name: str, tmp_path: Path):
    beside = NEEDED.get(name, {})
    assert build_pods(**{**beside, name: get_value(name, tmp_path)})[0] != build_pods(**beside)[0]


@pytest.mark.parametrize("name", sorted(HERE & SETTINGS))
def test_task_setting_has_the_stock_value_and_changes_no_pod(name: str):
    stock, team_pod = create_tasks(**{name: VALUES[name]})
    assert getattr(team_pod, name) == getattr(stock, name)
    assert getattr(team_pod, name) != getattr(create_tasks()[1], name)
    assert build_pods(**{name: VALUES[name]}) == build_pods()
