"""The cluster policy on tasks of the stock operator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.configuration import conf
from airflow.exceptions import AirflowClusterPolicyViolation
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.operators.spark_kubernetes import SparkKubernetesOperator
from airflow.sdk import DAG
from airflow.sdk.definitions._internal.contextmanager import _CURRENT_CONTEXT
from kubernetes.client import models as k8s

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.exceptions import RefusedPod
from kpo_platform.airflow.operators.arguments.serialize import serialize_pod
from kpo_platform.airflow.policies import cluster_policy
from unit.support.published_contract import Publish

Task = Callable[..., KubernetesPodOperator]

OTHER_NAMESPACE = "namespace is 'team-beta', but team 'alpha' has 'team-alpha'"


def build_dag(team: str = "alpha") -> DAG:
    dag = DAG("nightly", schedule=None)
    dag.fileloc = f"{conf.get('core', 'dags_folder')}/{team}/nightly.py"
    return dag


@pytest.fixture
def task(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> Task:
    """Create a stock task of team alpha and apply the cluster policy, as when its DAG is parsed."""
    monkeypatch.setenv("AIRFLOW_CONN_K8S_DEFAULT", '{"conn_type": "kubernetes"}')
    publish(beta={"namespace": "team-beta", "connection": {"id": "k8s_beta", "mode": "inCluster", "via": "api"}})

    def make(**arguments: Any) -> KubernetesPodOperator:
        created = KubernetesPodOperator(
            **{"task_id": "load", "image": "busybox:1.35", "random_name_suffix": False, "dag": build_dag(), **arguments}
        )
        cluster_policy.task_policy(created)
        return created

    return make


def build_pod(task: KubernetesPodOperator) -> dict[str, Any]:
    """Build the pod that the task creates in a run."""
    ti = SimpleNamespace(id="u", dag_id="nightly", task_id="load", map_index=-1, try_number=1, context_carrier=None)
    _CURRENT_CONTEXT.append({"task": task, "ti": ti, "run_id": "r"})
    try:
        return serialize_pod(task.build_pod_request_obj(dry_run=True))
    finally:
        _CURRENT_CONTEXT.pop()


def test_stock_pod_equals_team_pod_operators_pod(task: Task):
    floor = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    arguments = {"cmds": ["echo"], "env_vars": {"A": "1"}, "labels": {"x": "y"}, "do_xcom_push": True}
    arguments["xcom_sidecar_container_security_context"] = floor  # without it, only the stock pod would get the floor
    stock = build_pod(task(**arguments))
    own = serialize_pod(
        TeamPodOperator(
            task_id="load", image="busybox:1.35", random_name_suffix=False, dag=build_dag(), **arguments
        ).build_pod_request_obj(dry_run=True)
    )
    labels, variables = stock["metadata"]["labels"], stock["spec"]["containers"][0]["env"]
    added = {key: labels.pop(key) for key in ("owner", "trace-id")}
    assert (added["owner"], len(added["trace-id"])) == ("alpha", 32)
    own_variables = [
        variable
        for variable in variables
        if variable["name"] not in ("TRACEPARENT", "KPO_IDEMPOTENCY_KEY", "KPO_TRY_NUMBER")
    ]
    stock["spec"]["containers"][0]["env"] = own_variables
    assert _plain(stock) == _plain(own)


def _plain(pod: dict[str, Any]) -> Any:
    """Remove empty fields, and index the containers' variables and mounts by name."""
    spec = {key: value for key, value in pod["spec"].items() if value not in ({}, [])}
    spec["containers"] = {
        container["name"]: {
            **{key: value for key, value in container.items() if value not in ({}, [])},
            "env": {item["name"]: item for item in container.get("env") or []},
            "volumeMounts": {item["mountPath"]: item for item in container["volumeMounts"]},
        }
        for container in spec["containers"]
    }
    spec["volumes"] = {volume["name"]: volume for volume in spec["volumes"]}
    metadata = {key: value for key, value in pod["metadata"].items() if value != {}}
    return {**pod, "metadata": metadata, "spec": spec}


def test_namespace_pool_and_connection_are_set_if_absent(task: Task):
    default, own = task(), task(task_id="own", pool="nightly", kubernetes_conn_id="elsewhere")
    assert (default.namespace, default.pool, default.kubernetes_conn_id) == ("team-alpha", "team-alpha", "k8s_default")
    assert (own.namespace, own.pool, own.kubernetes_conn_id) == ("team-alpha", "nightly", "elsewhere")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"namespace": "team-beta"}, OTHER_NAMESPACE),
        ({"full_pod_spec": k8s.V1Pod(metadata=k8s.V1ObjectMeta(namespace="team-beta"))}, OTHER_NAMESPACE),
        ({"pod_template_dict": {"metadata": {"namespace": "team-beta"}}}, OTHER_NAMESPACE),
        ({"service_account_name": "root"}, "serviceAccountName is 'root', but team 'alpha' has 'team-pod'"),
        ({"kubernetes_conn_id": "k8s_beta"}, "uses the connection 'k8s_beta' of team 'beta'"),
        (
            {"image": "busybox"},
            "The image 'busybox' of container 'base' has no fixed version, which team 'alpha' requires",
        ),
        ({"env_vars": {"DB_PASSWORD": "hunter2x"}}, "The variable DB_PASSWORD of container 'base' looks"),
        ({"labels": {"kpo-platform/team": "beta"}}, "The label kpo-platform/team is 'beta'"),
        (
            {"trigger_kwargs": {"namespace": "team-beta"}},
            "trigger_kwargs has 'namespace', which only the",
        ),
    ],
)
def test_refused_argument_fails_at_parse(task: Task, arguments: dict[str, Any], sentence: str):
    with pytest.raises(AirflowClusterPolicyViolation, match=r"^Task load of DAG nightly: ") as refused:
        task(**arguments)
    assert sentence in str(refused.value)


def test_template_file_with_another_team_is_refused(task: Task, tmp_path: Path):
    file = tmp_path / "pod.yaml"
    file.write_text("metadata: {namespace: team-beta}\nspec: {containers: [{name: main, image: 'busybox:1.35'}]}\n")
    with pytest.raises(AirflowClusterPolicyViolation, match=OTHER_NAMESPACE):
        task(pod_template_file=str(file), image=None)


def test_rendered_trigger_kwargs_fail_in_pod_mutation(task: Task):
    created = task(trigger_kwargs="{{ params.event }}")
    created.trigger_kwargs = {"name": "another", "namespace": "team-beta"}
    with pytest.raises(RefusedPod, match=r"trigger_kwargs has 'name', .*\ntrigger_kwargs has 'namespace', "):
        build_pod(created)


JINJA_PODS = [{"pod_template_file": "/dags/{{ params.pod }}.yaml"}, {"pod_template_dict": "{{ params.pod }}"}]


@pytest.mark.parametrize("arguments", [*JINJA_PODS, {"pod_template_file": "{% if params.pod %}pod.yaml{% endif %}"}])
def test_unrendered_template_may_set_the_image(task: Task, arguments: dict[str, Any]):
    created = task(image=None, **arguments)
    created.pod_template_file = None
    created.pod_template_dict = {"spec": {"containers": [{"name": "main", "image": "busybox:1.35"}]}}
    assert [container["image"] for container in build_pod(created)["spec"]["containers"]] == ["busybox:1.35"]


def test_argument_beside_unrendered_template_is_refused(task: Task):
    with pytest.raises(AirflowClusterPolicyViolation, match="serviceAccountName is 'root'"):
        task(image=None, pod_template_file="{{ params.pod }}", service_account_name="root")


@pytest.mark.parametrize("argument", ["namespace", "pod_template_file", "kubernetes_conn_id"])
def test_rendered_value_fails_in_pod_mutation(task: Task, argument: str, tmp_path: Path):
    file = tmp_path / "pod.yaml"
    file.write_text("metadata: {namespace: team-beta}\nspec: {containers: [{name: base}]}\n")
    created = task(**{argument: "{{ params.where }}"})
    rendered = {"namespace": "team-beta", "pod_template_file": str(file), "kubernetes_conn_id": "k8s_beta"}[argument]
    setattr(created, argument, rendered)
    with pytest.raises(RefusedPod, match=r"team-beta|k8s_beta"):
        build_pod(created)


def test_container_keeps_the_stock_operators_name(task: Task):
    pod = build_pod(task(base_container_name="main"))
    assert [container["name"] for container in pod["spec"]["containers"]] == ["main"]


def test_tasks_without_team_or_contract_are_not_changed(publish: Publish, monkeypatch: pytest.MonkeyPatch):
    publish()
    outside = KubernetesPodOperator(task_id="t", namespace="x", dag=build_dag("unknown"))
    cluster_policy.task_policy(outside)
    kind = type(
        "EksPodOperator", (KubernetesPodOperator,), {"__module__": "airflow.providers.amazon.aws.operators.eks"}
    )
    elsewhere = kind(task_id="t", namespace="x", dag=build_dag())
    cluster_policy.task_policy(elsewhere)
    spark = SparkKubernetesOperator(task_id="s", namespace="x", application_file="spark.yaml", dag=build_dag())
    cluster_policy.task_policy(spark)
    monkeypatch.delenv("KPO_PLATFORM_CONTRACT")
    unmanaged = KubernetesPodOperator(task_id="t", namespace="x", dag=build_dag())
    cluster_policy.task_policy(unmanaged)
    unchanged = (outside, elsewhere, spark, unmanaged)
    assert {(task.namespace, task.pool) for task in unchanged} == {("x", "default_pool")}
