"""How a task returns its result: its own choice, the team's policy, or what the stock operator does."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.decorators.team_pod import team_pod_task
from kpo_platform.airflow.operators.arguments.serialize import serialize
from kpo_platform.contract import XComSidecar
from kpo_platform.errors import PodError
from kpo_platform.pod.xcom import build_connection_extra
from unit.support.contracts import TEAM
from unit.support.published_contract import Publish

FILE = "/airflow/xcom/return.json"
SIDECAR = {"policy": {**TEAM["policy"], "xcom": "sidecar"}}
NO_EXEC = {"rbac": {**TEAM["rbac"], "exec": False}}
NO_RIGHT = (
    "The task's result is read with a command in the XCom sidecar, but team 'alpha' has rbac.exec false. Use "
    'TeamPodOperator with xcom="message" and a supported provider, and without engine="stock", or ask the platform '
    "team to change the team's values."
)


@pytest.fixture(autouse=True)
def connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the team's connection, from which the stock operator takes the sidecar."""
    extra = build_connection_extra(XComSidecar(image="alpine:3", resources={}, security_context={}))
    monkeypatch.setenv("AIRFLOW_CONN_K8S_DEFAULT", json.dumps({"conn_type": "kubernetes", "extra": extra}))


def count_rows() -> int:
    return 3


def build_task(**arguments: Any) -> TeamPodOperator:
    return TeamPodOperator(**{"task_id": "t", "team": "alpha", "image": "busybox:1.35", **arguments})


def describe(task: Any) -> tuple[str, bool, bool]:
    """Return the file of the message, whether the pod has a sidecar, and whether Airflow gets a result."""
    spec = serialize(task.build_pod_request_obj(dry_run=True))["spec"]
    base, *others = spec["containers"]
    has_sidecar = [each["name"] for each in others] == ["airflow-xcom-sidecar"]
    assert ("xcom" in [each["name"] for each in spec["volumes"]]) is has_sidecar
    return base.get("terminationMessagePath", ""), has_sidecar, bool(task.do_xcom_push)


MESSAGE, OTHER, NONE = (FILE, False, True), ("", True, True), ("", False, False)
CASES: list[tuple[dict[str, Any], tuple[Any, ...], tuple[Any, ...]]] = [
    ({}, NONE, NONE),
    ({"xcom": False}, NONE, NONE),
    ({"xcom": True}, MESSAGE, OTHER),
    ({"xcom": "message"}, MESSAGE, MESSAGE),
    ({"xcom": "sidecar"}, OTHER, OTHER),
    ({"do_xcom_push": True}, OTHER, OTHER),
    ({"default_args": {"do_xcom_push": True}}, OTHER, OTHER),
    ({"default_args": {"do_xcom_push": True}, "xcom": "message"}, MESSAGE, MESSAGE),
    ({"default_args": {"xcom": True}}, MESSAGE, OTHER),
    ({"default_args": {"xcom": True}, "do_xcom_push": True}, MESSAGE, OTHER),
    ({"default_args": {"xcom": True}, "xcom": None}, NONE, NONE),
    ({"default_args": {"xcom": True}, "xcom": None, "do_xcom_push": True}, OTHER, OTHER),
    ({"default_args": {"do_xcom_push": True}, "do_xcom_push": None}, NONE, NONE),
    ({"xcom": True, "engine": "stock"}, OTHER, OTHER),
]


IDS = [str(case[0]) for case in CASES]


@pytest.mark.parametrize(("arguments", "expected"), [(case[0], case[1]) for case in CASES], ids=IDS)
def test_result_with_the_policy_message(arguments: dict[str, Any], expected: tuple[Any, ...], publish: Publish):
    publish()
    assert describe(build_task(**arguments)) == expected


@pytest.mark.parametrize(("arguments", "expected"), [(case[0], case[2]) for case in CASES], ids=IDS)
def test_result_with_the_policy_sidecar(arguments: dict[str, Any], expected: tuple[Any, ...], publish: Publish):
    publish(alpha=SIDECAR)
    assert describe(build_task(**arguments)) == expected


def test_message_is_the_whole_difference_to_a_task_without_a_result(publish: Publish):
    publish()
    with_result, without = (
        serialize(build_task(xcom=xcom, random_name_suffix=False).build_pod_request_obj(dry_run=True))
        for xcom in ("message", False)
    )
    base = without["spec"]["containers"][0]
    assert base["terminationMessagePolicy"] == "FallbackToLogsOnError"
    base |= {"terminationMessagePath": FILE, "terminationMessagePolicy": "File"}
    assert with_result == without


@pytest.mark.parametrize("policy", [{}, SIDECAR], ids=["message", "sidecar"])
@pytest.mark.parametrize(("arguments", "message", "sidecar"), CASES, ids=IDS)
def test_only_a_result_in_the_sidecar_is_refused_without_the_right_to_exec(
    arguments: dict[str, Any], message: tuple[Any, ...], sidecar: tuple[Any, ...], policy: Any, publish: Publish
):
    publish(alpha={**NO_EXEC, **policy})
    expected = sidecar if policy else message
    if expected != OTHER:
        assert describe(build_task(**arguments)) == expected
        return
    with pytest.raises(PodError) as error:
        build_task(**arguments)
    assert str(error.value) == NO_RIGHT


def test_decorated_function_returns_a_message(publish: Publish):
    publish()
    with DAG("d", schedule=None):
        task = team_pod_task(count_rows, image="python:3.12", team="alpha", xcom=True)()
    assert describe(task.operator) == MESSAGE
    assert FILE in task.operator._generate_cmds()[-1]


@pytest.mark.parametrize("call", ["partial", "expand"])
def test_mapped_task_returns_a_message(call: str, publish: Publish):
    publish()
    common = {"task_id": "t", "team": "alpha", "image": "busybox:1.35"}
    with DAG("d", schedule=None):
        if call == "partial":
            mapped = TeamPodOperator.partial(**common, xcom="message").expand(cmds=[["a"], ["b"]])
        else:
            mapped = TeamPodOperator.partial(**common).expand_kwargs([{"cmds": ["a"], "xcom": "message"}])
    assert describe(mapped.unmap({"cmds": ["a"], **({"xcom": "message"} if call == "expand" else {})})) == MESSAGE


@pytest.mark.parametrize(
    "arguments",
    [
        {"termination_message_policy": "FallbackToLogsOnError"},
        {"volumes": [{"name": "v", "emptyDir": {}}], "volume_mounts": [{"name": "v", "mountPath": "/airflow/xcom"}]},
        {"pod_override": {"spec": {"containers": [{"name": "base", "terminationMessagePath": "/tmp/said"}]}}},
        {"pod_template_dict": {"spec": {"containers": [{"name": "base", "terminationMessagePath": "/tmp/said"}]}}},
    ],
    ids=str,
)
def test_pod_that_cannot_return_a_message_is_refused_when_the_dag_is_parsed(
    arguments: dict[str, Any], publish: Publish
):
    publish()
    with pytest.raises(PodError, match="result"):
        build_task(xcom=True, **arguments)
    assert describe(build_task(**arguments))[2] is False


def test_mount_that_the_run_adds_is_refused(publish: Publish):
    publish()
    secret = SimpleNamespace(
        attach_to_pod=lambda pod: pod.spec.containers[0].volume_mounts.append({"name": "s", "mountPath": FILE}) or pod
    )
    with pytest.raises(PodError, match=r"A volume is mounted at '/airflow/xcom/return\.json'"):
        build_task(xcom=True, secrets=[secret]).build_pod_request_obj(dry_run=True)


def test_untested_provider_reads_every_result_from_the_sidecar(publish: Publish, monkeypatch: pytest.MonkeyPatch):
    publish()
    monkeypatch.setattr("kpo_platform.airflow.operators.team_pod.is_supported", lambda: False)
    assert describe(build_task(xcom=True)) == describe(build_task(xcom="message")) == OTHER
