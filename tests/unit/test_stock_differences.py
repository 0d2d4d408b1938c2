"""Differences between TeamPodOperator's pod and the stock operator's, with their reasons.

docs/operator.md lists the same sentences; beyond them `test_conformance` finds no difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import models as k8s

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.operators.arguments.serialize import serialize
from kpo_platform.airflow.operators.lifecycle.task_run import read_task_run
from kpo_platform.errors import PodError
from unit.support.pod_comparison import build_context, remove_empty
from unit.support.published_contract import Publish

PAGE = Path(__file__).parents[2] / "docs" / "operator.md"
MOST = 15

Pair = tuple[dict[str, Any], dict[str, Any]]
Both = Callable[..., Pair]
SENTENCES: list[str] = []


@pytest.fixture
def both(publish: Publish) -> Both:
    """Build the stock pod and the TeamPodOperator's from the same arguments, without empty fields."""
    publish()

    def make(**arguments: Any) -> Pair:
        common = {"task_id": "t", "image": "busybox:1.35", "random_name_suffix": False, **arguments}
        stock_task = KubernetesPodOperator(**{"namespace": "team-alpha", **common})
        tasks = stock_task, TeamPodOperator(team="alpha", **common)
        stock, team_pod = (remove_empty(serialize(one.build_pod_request_obj(dry_run=True))) for one in tasks)
        return stock, team_pod

    return make


def covers_difference(sentence: str) -> Callable[[Any], Any]:
    """Mark a test with the sentence of its difference in docs/operator.md."""
    SENTENCES.append(sentence)
    return lambda test: test


def over(template: dict[str, Any], **base: Any) -> dict[str, Any]:
    """A template's pod with a container base."""
    return {"spec": {"containers": [{"name": "base", **base}], **template}}


def base_of(pod: dict[str, Any]) -> dict[str, Any]:
    [base] = [one for one in pod["spec"]["containers"] if one["name"] == "base"]
    return dict(base)


@covers_difference(
    "Every pod has the team's service account, team label and labels, and a token only if the team mounts one."
)
def test_pod_has_the_teams_account_and_labels(both: Both):
    stock, team_pod = both()
    assert "serviceAccountName" not in stock["spec"]  # the namespace's default account, with a token
    assert (team_pod["spec"]["serviceAccountName"], team_pod["spec"]["automountServiceAccountToken"]) == (
        "team-pod",
        False,
    )
    assert team_pod["metadata"]["labels"].items() >= {"kpo-platform/team": "alpha", "cost-center": "cc-1"}.items()


@covers_difference("A task without resources gets those of its size; a task with only a request keeps a limit.")
def test_pod_has_resources(both: Both):
    asked = k8s.V1ResourceRequirements(requests={"cpu": "2"})
    stock, team_pod = both(container_resources=asked)
    assert base_of(stock)["resources"] == {"requests": {"cpu": "2"}}  # memory without end, or a default of 100m < 2
    assert base_of(team_pod)["resources"] == {
        "requests": {"cpu": "2", "memory": "128Mi"},
        "limits": {"cpu": "2", "memory": "128Mi"},
    }


@covers_difference(
    "The message of a failed container falls back to the end of its log, unless the task's result is a message."
)
def test_failure_has_a_message(both: Both):
    stock, team_pod = both()
    messages = [base_of(pod)["terminationMessagePolicy"] for pod in (stock, team_pod)]
    assert messages == ["File", "FallbackToLogsOnError"]


@covers_difference("The security settings of the level restricted are set on every container, including sidecars.")
def test_pod_passes_its_security_level(both: Both):
    first = k8s.V1Container(name="first", image="i:1")
    stock, team_pod = both(init_containers=[first])
    assert stock["spec"]["initContainers"] == [{"name": "first", "image": "i:1"}]  # refused by the namespace
    floor = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert team_pod["spec"]["initContainers"] == [{"name": "first", "image": "i:1", "securityContext": floor}]
    assert team_pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


@covers_difference("False and empty values that are set override a template.")
def test_explicit_false_wins(both: Both):
    template = over({"tolerations": [{"key": "gpu"}], "activeDeadlineSeconds": 60})
    stock, team_pod = both(pod_template_dict=template, tolerations=[], active_deadline_seconds=0)
    assert stock["spec"].items() >= {"tolerations": [{"key": "gpu"}], "activeDeadlineSeconds": 60}.items()
    assert team_pod["spec"]["activeDeadlineSeconds"] == 0
    assert "tolerations" not in team_pod["spec"]


@covers_difference("Containers are merged by name: base is found at any position.")
def test_base_container_is_found_by_name(both: Both):
    containers = [
        {"name": "aside", "image": "a:1", "env": [{"name": "A", "value": "1"}]},
        {"name": "base", "image": "b:1"},
    ]
    stock, team_pod = both(pod_template_dict={"spec": {"containers": containers}})
    assert [one["name"] for one in stock["spec"]["containers"]] == ["base", "base"]  # the API refuses it
    assert [one["name"] for one in team_pod["spec"]["containers"]] == ["base", "aside"]
    assert team_pod["spec"]["containers"][1]["env"] == [{"name": "A", "value": "1"}]


@covers_difference("If two variables have the same name, only the stronger one stays.")
def test_duplicate_variable_is_merged(both: Both):
    template = over({}, env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}])
    stock, team_pod = both(pod_template_dict=template, env_vars={"A": "1"})
    assert len([one for one in base_of(stock)["env"] if one["name"] == "A"]) == 2
    assert [one for one in base_of(team_pod)["env"] if one["name"] == "A"] == [{"name": "A", "value": "1"}]


@covers_difference("A volume, mount or port that a template also has appears once.")
def test_duplicate_volume_is_merged(both: Both):
    claim = k8s.V1Volume(name="v", persistent_volume_claim=k8s.V1PersistentVolumeClaimVolumeSource(claim_name="data"))
    template = over({"volumes": [{"name": "v", "emptyDir": {}}]}, ports=[{"containerPort": 80}])
    stock, team_pod = both(pod_template_dict=template, volumes=[claim], ports=[k8s.V1ContainerPort(container_port=80)])
    assert [one["name"] for one in stock["spec"]["volumes"]] == ["v", "v"]  # the API refuses it
    assert team_pod["spec"]["volumes"][-1] == {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
    assert [one["name"] for one in team_pod["spec"]["volumes"]].count("v") == 1
    assert (len(base_of(stock)["ports"]), base_of(team_pod)["ports"]) == (2, [{"containerPort": 80}])


@covers_difference("Node selectors, tolerations and pull secrets are added to those of a template.")
def test_scheduling_fields_are_merged(both: Both):
    template = over(
        {"nodeSelector": {"zone": "a"}, "tolerations": [{"key": "gpu"}], "imagePullSecrets": [{"name": "one"}]}
    )
    two = [k8s.V1LocalObjectReference(name="two")]
    given = {"node_selector": {"disk": "ssd"}, "tolerations": [{"key": "batch"}], "image_pull_secrets": two}
    stock, team_pod = both(pod_template_dict=template, **given)
    assert stock["spec"].items() >= {"nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "batch"}]}.items()
    assert team_pod["spec"]["nodeSelector"] == {"zone": "a", "disk": "ssd"}
    assert team_pod["spec"]["tolerations"] == [{"key": "gpu"}, {"key": "batch"}]
    assert team_pod["spec"]["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]


@covers_difference("Security contexts, affinity and resources are merged with those of a template field by field.")
def test_fs_group_of_the_template_is_kept(both: Both):
    template = over({"securityContext": {"fsGroup": 2000}}, securityContext={"readOnlyRootFilesystem": True})
    given = {"security_context": {"runAsUser": 1000}, "container_security_context": {"runAsGroup": 1000}}
    stock, team_pod = both(pod_template_dict=template, **given)
    assert stock["spec"]["securityContext"] == {"runAsUser": 1000}
    assert team_pod["spec"]["securityContext"].items() >= {"runAsUser": 1000, "fsGroup": 2000}.items()
    assert base_of(stock)["securityContext"] == {"runAsGroup": 1000}
    assert base_of(team_pod)["securityContext"].items() >= {"runAsGroup": 1000, "readOnlyRootFilesystem": True}.items()


@covers_difference("Numbers and booleans in labels, annotations, node selectors and variables become strings.")
def test_numbers_are_converted_to_strings(both: Both):
    stock, team_pod = both(labels={"attempt": 1}, env_vars={"DRY": True})
    assert stock["metadata"]["labels"]["attempt"] == 1  # the API takes texts only
    assert team_pod["metadata"]["labels"]["attempt"] == "1"
    assert {"name": "DRY", "value": True} in base_of(stock)["env"]
    assert {"name": "DRY", "value": "true"} in base_of(team_pod)["env"]


@covers_difference("Pull secrets may be names, and a dictionary may replace any model of the client.")
def test_names_and_dictionaries_are_accepted(both: Both):
    stock, team_pod = both(image_pull_secrets=["regcred"])
    assert stock["spec"]["imagePullSecrets"] == ["regcred"]  # the API takes objects only
    assert team_pod["spec"]["imagePullSecrets"] == [{"name": "regcred"}]


@covers_difference("A missing pod_template_file is refused.")
def test_missing_template_file_is_refused(both: Both):
    task = KubernetesPodOperator(task_id="t", image="b:1", namespace="n", pod_template_file="/nowhere/pod.yaml")
    assert task.build_pod_request_obj(dry_run=True).spec.containers[0].image == "b:1"  # a warning, and no template
    with pytest.raises(PodError, match=r"^pod_template_file='/nowhere/pod.yaml' cannot be read: No such file"):
        both(pod_template_file="/nowhere/pod.yaml")


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "namespace": ({"namespace": "team-beta"}, "namespace is 'team-beta', but team 'alpha' has 'team-alpha'"),
    "service account": ({"service_account_name": "admin"}, "service_account_name is 'admin', but team 'alpha'"),
    "token": ({"automount_service_account_token": True}, "automount_service_account_token is True, but team"),
    "container": ({"base_container_name": "main"}, "base_container_name is 'main', but team 'alpha' has 'base'"),
    "node's network": ({"hostnetwork": True}, "The pod sets hostNetwork, which no team's Pod Security level allows"),
    "root": ({"container_security_context": {"runAsUser": 0}}, "Container 'base' runs as root (runAsUser 0), but team"),
    "root pod": ({"security_context": {"runAsUser": 0}}, "The pod runs as root (runAsUser 0), but team 'alpha'"),
    "privileges": ({"container_security_context": {"privileged": True}}, "Container 'base' is privileged, which no"),
    "image": (
        {"image": "busybox"},
        "The image 'busybox' of container 'base' has no fixed version, which team 'alpha' requires",
    ),
    "command": ({"cmds": "echo hi"}, "cmds is a string, but a list is required"),
    "dead": ({"is_delete_operator_pod": False}, "is_delete_operator_pod has no effect on a pod"),
    "deaf": ({"progress_callback": print}, "progress_callback has no effect on a pod"),
}
"""Arguments that the stock operator accepts, and the start of TeamPodOperator's message."""


@pytest.mark.filterwarnings("ignore::airflow.exceptions.AirflowProviderDeprecationWarning")
@covers_difference(
    "Locked values, refused pods (see above) and arguments without effect raise an error instead of creating a pod."
)
@pytest.mark.parametrize("what", REFUSED)
def test_pod_that_cannot_run_is_refused(both: Both, what: str):
    arguments, sentence = REFUSED[what]
    common = {"task_id": "t", "image": "busybox:1.35", "namespace": "team-alpha", **arguments}
    assert KubernetesPodOperator(**common).build_pod_request_obj(dry_run=True).spec.containers
    with pytest.raises(PodError, match=f"^{re.escape(sentence)}"):
        both(**arguments)


@covers_difference(
    "A running pod names its run: labels owner, cost-center and trace-id, variables with trace, idempotency key and "
    "try."
)
def test_pod_carries_the_identity_of_its_run(publish: Publish):
    publish()
    common = {"task_id": "t", "image": "busybox:1.35", "owner": "data-team"}
    both = KubernetesPodOperator(namespace="team-alpha", **common), TeamPodOperator(team="alpha", **common)
    stock, team_pod = (serialize(one.build_pod_request_obj(build_context(one), dry_run=True)) for one in both)
    run = read_task_run(build_context(both[1]))
    added = {
        name: value for name, value in team_pod["metadata"]["labels"].items() if name not in stock["metadata"]["labels"]
    }
    assert added.items() >= {"owner": "data-team", "cost-center": "cc-1", "trace-id": run.trace_id}.items()
    assert base_of(stock)["env"] == []  # a program cannot tell whether its work was done before
    assert base_of(team_pod)["env"][-3:] == [
        {"name": "TRACEPARENT", "value": run.trace_context},
        {"name": "KPO_IDEMPOTENCY_KEY", "value": run.idempotency_key},
        {"name": "KPO_TRY_NUMBER", "value": "2"},
    ]


def test_docs_list_exactly_these_differences():
    _, _, section = PAGE.read_text(encoding="utf-8").partition("## Differences from the stock operator\n")
    lines = section.partition("\n## ")[0].splitlines()
    assert [line.partition(". ")[2] for line in lines if line[:1].isdigit()] == SENTENCES
    assert len(SENTENCES) <= MOST
