"""The cluster policy on mapped tasks, and arguments.mapped: their expansions at parse time."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from airflow.configuration import conf
from airflow.exceptions import AirflowClusterPolicyViolation
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import OperatorPartial
from airflow.sdk.exceptions import AirflowFailException

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.policies import cluster_policy
from kpo_platform.errors import PlatformError, PodError
from unit.support.contracts import TEAM
from unit.support.published_contract import Publish

Kind = type[KubernetesPodOperator]
Expand = Callable[[OperatorPartial], Any]

KINDS = pytest.mark.parametrize("kind", [KubernetesPodOperator, TeamPodOperator])


@pytest.fixture(autouse=True)
def teams(publish: Publish) -> None:
    images = {**TEAM["images"], "allow": ["registry.test/*"], "pin": "digest"}
    connection = {"id": "k8s_beta", "mode": "inCluster", "via": "api"}
    publish(alpha={"images": images}, beta={"namespace": "team-beta", "connection": connection})


GOOD = f"registry.test/a@sha256:{'0' * 64}"


def build_dag() -> DAG:
    dag = DAG("nightly", schedule=None)
    dag.fileloc = f"{conf.get('core', 'dags_folder')}/alpha/nightly.py"
    return dag


def map_task(kind: Kind, expand: Expand, **partial: Any) -> Any:
    """Create a mapped task and apply the cluster policy, as when its DAG is parsed."""
    task = expand(kind.partial(task_id="mapped", dag=build_dag(), **partial))
    cluster_policy.task_policy(task)
    return task


def create_upstream_output(partial: OperatorPartial) -> Any:
    """Create another task in the DAG and return its output."""
    return KubernetesPodOperator(task_id="before", image=GOOD, dag=partial.kwargs["dag"]).output


@KINDS
def test_team_defaults_are_set_on_mapped_task(kind: Kind):
    task = map_task(kind, lambda partial: partial.expand(image=[GOOD, GOOD]))
    single_task = task.unmap({"image": GOOD})
    assert (single_task.namespace, single_task.pool, single_task.kubernetes_conn_id) == (
        "team-alpha",
        "team-alpha",
        "k8s_default",
    )


@KINDS
def test_expand_kwargs_overrides_team_defaults(kind: Kind):
    arguments = {"kubernetes_conn_id": "elsewhere", "pool": "nightly"}
    task = map_task(kind, lambda partial: partial.expand_kwargs([arguments]), image=GOOD)
    single_task = task.unmap(arguments)
    assert (single_task.namespace, single_task.pool, single_task.kubernetes_conn_id) == (
        "team-alpha",
        "nightly",
        "elsewhere",
    )


@KINDS
def test_result_of_another_task_overrides_team_defaults(kind: Kind):
    task = map_task(kind, lambda partial: partial.expand_kwargs(create_upstream_output(partial)), image=GOOD)
    single_task = task.unmap({"pool": "nightly"})
    assert (single_task.namespace, single_task.pool, single_task.kubernetes_conn_id) == (
        "team-alpha",
        "nightly",
        "k8s_default",
    )


@KINDS
@pytest.mark.parametrize(
    "expand",
    [
        lambda partial: partial.expand(image=create_upstream_output(partial)),
        lambda partial: partial.expand(env_vars=[{"A": "1"}], image=create_upstream_output(partial)),
        lambda partial: partial.expand(volumes=create_upstream_output(partial), image=[GOOD]),
        lambda partial: partial.expand_kwargs(create_upstream_output(partial)),
    ],
)
def test_unresolved_expansion_is_accepted_at_parse(kind: Kind, expand: Expand):
    mounts = [{"name": "late", "mountPath": "/late"}]
    assert map_task(kind, expand, volume_mounts=mounts if kind is TeamPodOperator else None).task_id == "mapped"


REFUSED_BY_BOTH: list[tuple[dict[str, Any], str]] = [
    ({"image": "busybox:1.35"}, "The image 'busybox:1.35' of container 'base' is not allowed for team 'alpha'"),
    ({"namespace": "team-beta"}, "'team-beta'"),
    ({"kubernetes_conn_id": "k8s_beta"}, "uses the connection 'k8s_beta' of team 'beta'"),
    ({"env_vars": {"DB_PASSWORD": "hunter2x"}}, "The variable DB_PASSWORD of container 'base' looks"),
    ({"labels": {"kpo-platform/team": "beta"}}, "The label kpo-platform/team is 'beta'"),
    ({"trigger_kwargs": {"name": "victim"}}, "trigger_kwargs has 'name'"),
]
REFUSED_BY_TEAM_POD: list[tuple[dict[str, Any], str]] = [
    (
        {"team": "beta"},
        "The task has team 'beta', but its DAG file is in the bundle or folder of team 'alpha'",
    ),
    ({"size": "hueg"}, "hueg"),
    ({"labels": ("a", "b")}, "labels is a tuple, but a dictionary is required"),
    ({"resources": {"cpus": 1}}, "resources has no effect on a pod"),
    ({"pod_override": {"metadata": {"namespace": "team-beta"}}}, "namespace is 'team-beta', but team 'alpha' has"),
]
REFUSALS = [*((kind, *case) for kind in (KubernetesPodOperator, TeamPodOperator) for case in REFUSED_BY_BOTH)]
REFUSALS += [(TeamPodOperator, *case) for case in REFUSED_BY_TEAM_POD]


@pytest.mark.parametrize(("kind", "arguments", "sentence"), REFUSALS)
@pytest.mark.parametrize("where", ["partial", "expand", "expand_kwargs"])
def test_refused_argument_of_mapped_task_fails_at_parse(
    kind: Kind, arguments: dict[str, Any], sentence: str, where: str
):
    others = {"image": GOOD, **(arguments if where == "partial" else {})}
    expansions: dict[str, Expand] = {
        "partial": lambda partial: partial.expand(cmds=[["true"]]),
        "expand": lambda partial: partial.expand(**{name: [value] for name, value in arguments.items()}),
        "expand_kwargs": lambda partial: partial.expand_kwargs([arguments]),
    }
    if where != "partial":
        others = {name: value for name, value in others.items() if name not in arguments}
    with pytest.raises(AirflowClusterPolicyViolation, match=re.escape(sentence)):
        map_task(kind, expansions[where], **others)


@pytest.mark.parametrize(("kind", "arguments", "sentence"), [each for each in REFUSALS if each[0] is TeamPodOperator])
def test_process_of_a_task_checks_only_the_single_task_that_it_runs(
    kind: Kind, arguments: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "mapped")
    good = {"image": GOOD, **{name: None for name in arguments if name != "image"}}
    task = map_task(kind, lambda partial: partial.expand_kwargs([arguments, good]))
    if "pod_override" not in arguments:  # it is checked when the pod is built
        with pytest.raises((AirflowFailException, PlatformError), match=re.escape(sentence)):
            task.unmap({"image": GOOD, **arguments})
    task.unmap(good)


def test_value_refused_in_the_run_is_not_retried():
    task = map_task(TeamPodOperator, lambda partial: partial.expand(image=create_upstream_output(partial)))
    with pytest.raises(AirflowFailException, match="is not allowed for team"):
        task.unmap({"image": "busybox:1.35"})


def test_typo_in_partial_is_refused_with_the_right_name():
    with pytest.raises(PodError, match=r"^imagee is not an argument of TeamPodOperator. Did you mean image\?$"):
        TeamPodOperator.partial(task_id="mapped", imagee="busybox:1.35")


def test_mapped_subclass_accepts_own_arguments():
    class Report(TeamPodOperator):
        def __init__(self, *, day: str = "", **stock: Any) -> None:
            super().__init__(**stock)

    task = Report.partial(task_id="mapped", dag=build_dag(), image=GOOD, day="monday").expand(cmds=[["a"], ["b"]])
    assert task.unmap({"cmds": ["a"]}).image == GOOD
