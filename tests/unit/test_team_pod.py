"""The pod that TeamPodOperator builds from the contract and its arguments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG
from kubernetes.client import models as k8s

from kpo_platform.airflow.operators.arguments.serialize import serialize_pod
from kpo_platform.pod.compose import PodRequest
from unit.support.contracts import TEAM, Build, build_contract
from unit.support.pod_checks import compose_and_check
from unit.support.pod_comparison import remove_empty
from unit.support.published_contract import Publish


def test_pod_is_composed_with_stock_name_and_labels(build: Build):
    pod = build(random_name_suffix=False, cmds=["echo"], arguments=["hi"])
    labels = pod["metadata"]["labels"]
    assert labels.pop("airflow_version")
    arguments = {
        "spec": {
            "containers": [
                {
                    "name": "base",
                    "image": "busybox:1.35",
                    "command": ["echo"],
                    "args": ["hi"],
                }
            ]
        }
    }
    expected = compose_and_check(build_contract(), PodRequest(team="alpha", arguments=arguments))
    expected["metadata"]["name"] = "t"
    assert remove_empty(pod) == remove_empty(expected)


def test_team_policy_applies_to_absent_arguments(build: Build):
    from kpo_platform import TeamPodOperator

    build()
    task = TeamPodOperator(task_id="t", team="alpha", image="busybox:1.35")
    asked = TeamPodOperator(task_id="t2", team="alpha", image="b:1", deferrable=False, default_args={"get_logs": False})
    assert (task.deferrable, task.get_logs, task.kubernetes_conn_id) == (True, True, "k8s_default")
    own = TeamPodOperator(task_id="t3", team="alpha", image="b:1", pool="nightly")
    assert (task.pool, asked.pool, own.pool) == ("team-alpha", "team-alpha", "nightly")
    assert (asked.deferrable, asked.get_logs, asked.startup_timeout_seconds) == (False, False, 300)


def test_trigger_reads_a_pod_every_five_seconds_until_it_starts_then_every_two(publish: Publish):
    publish()
    from kpo_platform import TeamPodOperator

    task = TeamPodOperator(task_id="t", team="alpha", image="b:1")
    assert (task.deferrable, task.startup_check_interval_seconds, task.poll_interval) == (True, 5, 2)


def test_wait_for_room_is_limited_by_the_team_unless_the_task_says_so(publish: Publish):
    publish(beta={"policy": {**TEAM["policy"], "roomTimeout": 7200}})
    from kpo_platform import TeamPodOperator

    def read_timeout(**arguments: Any) -> int:
        return int(TeamPodOperator(task_id="t", image="b:1", **arguments).schedule_timeout_seconds)

    assert read_timeout(team="alpha") == 86400
    assert read_timeout(team="beta", startup_timeout_seconds=5) == 7200
    assert read_timeout(team="beta", schedule_timeout_seconds=60) == 60
    assert read_timeout(team="beta", default_args={"schedule_timeout_seconds": 70}) == 70


def test_building_twice_gives_equal_pods_and_changes_no_argument(build: Build):
    arguments = {"random_name_suffix": False, "env_vars": {"A": "1"}, "labels": {"x": "y"}}
    assert build(**arguments) == build(**arguments)

    from kpo_platform import TeamPodOperator

    task = TeamPodOperator(task_id="t", team="alpha", image="busybox:1.35", **arguments)
    assert serialize_pod(task.build_pod_request_obj(dry_run=True)) == serialize_pod(
        task.build_pod_request_obj(dry_run=True)
    )


def test_own_labels_are_not_in_the_reattach_selector(publish: Publish):
    publish()
    from kpo_platform import TeamPodOperator
    from kpo_platform.offline.task_instance import DagRunSettings, create_context

    with DAG("d"):
        task = TeamPodOperator(task_id="t", team="alpha", image="b:1", labels={"of": "the-author"})
    context = create_context(task, DagRunSettings("r", datetime(2026, 1, 1, tzinfo=UTC)))
    task.hook._is_in_cluster = True  # else it would open a connection to know
    labels = task.build_pod_request_obj(context).metadata.labels
    selector = task._build_find_pod_label_selector(context)
    wanted = dict(part.split("=") for part in selector.split(",") if "!=" not in part and "=" in part)
    assert {*wanted} == {"dag_id", "task_id", "run_id", "kubernetes_pod_operator", "of"}
    assert {"kpo-platform/team", "owner", "cost-center", "trace-id"} <= {*labels} - {*wanted}


def test_explicit_false_and_empty_values_win(build: Build):
    template = {"spec": {"hostNetwork": True, "tolerations": [{"key": "gpu"}], "containers": [{"name": "base"}]}}
    pod = build(pod_template_dict=template, hostnetwork=False, tolerations=[])
    assert (pod["spec"]["hostNetwork"], pod["spec"]["tolerations"]) == (False, [])


def test_pod_override_accepts_dictionary_or_model(build: Build):
    as_dict = {"spec": {"containers": [{"name": "base", "workingDir": "/data"}]}}
    as_model = k8s.V1Pod(spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base", working_dir="/data")]))
    assert build(random_name_suffix=False, pod_override=as_dict) == build(
        random_name_suffix=False, pod_override=as_model
    )


def test_pod_link_has_the_pod_of_the_try(publish: Publish):
    publish()
    from kpo_platform import TeamPodOperator

    assert list(TeamPodOperator(task_id="t", team="alpha", image="b:1").operator_extra_links) == []
    publish(pod_link="https://console.test/{namespace}?pod={name}&uid={uid}")
    task = TeamPodOperator(task_id="t", team="alpha", image="b:1")
    (link,) = task.operator_extra_links
    before = link.get_link(task, ti_key=None)
    task.pod = k8s.V1Pod(metadata=k8s.V1ObjectMeta(name="t-1", namespace="team-alpha", uid="a/b"))
    after = link.get_link(task, ti_key=None)
    assert (link.name, before, after) == ("Pod", "", "https://console.test/team-alpha?pod=t-1&uid=a%2Fb")
