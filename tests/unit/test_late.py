"""What is locked stays locked when the value comes late: from Jinja, or from a mapped argument."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpo_platform import TeamPodOperator
from kpo_platform.errors import PodError
from kpo_platform.operator.data import as_data
from unit.conftest import Publish

LOCKED: list[tuple[str, str, Any]] = [
    ("metadata", "namespace", "team-alpha"),
    ("spec", "serviceAccountName", "team-pod"),
    ("spec", "serviceAccount", "team-pod"),
    ("spec", "automountServiceAccountToken", False),
    ("spec", "restartPolicy", "Never"),
]
OTHERS = st.sampled_from(["team-beta", "admin", "True", "Always", ""])


@pytest.fixture(autouse=True)
def contract_of_alpha(publish: Publish) -> None:
    publish()


def pod_of(task: TeamPodOperator) -> dict[str, Any] | None:
    """The task's pod, or None when it is refused."""
    try:
        return dict(as_data(task.build_pod_request_obj(dry_run=True)))
    except PodError:
        return None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.sampled_from(LOCKED), OTHERS)
def test_a_rendered_value_moves_no_locked_field(locked: tuple[str, str, Any], value: str):
    part, field, wanted = locked
    override = {part: {field: "{{ late }}"}}
    task = TeamPodOperator(task_id="t", team="alpha", image="b:1", pod_override=override)
    task.render_template_fields({"late": value})  # type: ignore[typeddict-unknown-key]
    made = pod_of(task)
    assert made is None or made[part].get(field, wanted) == wanted


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.sampled_from(LOCKED), OTHERS)
def test_a_mapped_value_moves_no_locked_field(locked: tuple[str, str, Any], value: str):
    part, field, wanted = locked
    override = {part: {field: True if value == "True" else value}}
    with DAG("d"):
        mapped = TeamPodOperator.partial(task_id="t", team="alpha", image="b:1").expand(pod_override=[override])
    try:
        task = mapped.unmap({"pod_override": override})
    except PodError:
        return
    made = pod_of(task)
    assert made is None or made[part].get(field, wanted) == wanted


@pytest.mark.parametrize("argument", ["namespace", "service_account_name", "team"])
def test_a_mapped_argument_aims_at_no_other_team(argument: str):
    with DAG("d"):
        mapped = TeamPodOperator.partial(
            task_id="t", image="b:1", **({} if argument == "team" else {"team": "alpha"})
        ).expand(**{argument: ["team-beta"]})
    with pytest.raises(Exception, match="team-beta"):
        mapped.unmap({argument: "team-beta"})


MOUNTS = [{"name": "late", "mountPath": "/late"}]
LATE = {"spec": {"volumes": [{"name": "late", "emptyDir": {}}]}}


@pytest.mark.parametrize(("value", "is_made"), [(LATE, True), ({}, False), ("a text", False)])
def test_a_volume_that_comes_late_is_missed_only_when_it_does_not_come(value: Any, is_made: bool):
    with DAG("d", render_template_as_native_obj=True):
        task = TeamPodOperator(
            task_id="t", team="alpha", image="b:1", volume_mounts=MOUNTS, pod_override="{{ params.late }}"
        )
    task.render_template_fields({"params": {"late": value}})  # type: ignore[typeddict-unknown-key]
    assert (pod_of(task) is not None) == is_made
