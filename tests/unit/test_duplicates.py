"""Duplicate names within one layer."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from kpo_platform import TeamPodOperator
from kpo_platform.errors import PodError
from unit.support.contracts import Build

ONE, OTHER = {"name": "i", "image": "i:1"}, {"name": "i", "image": "i:2"}


@pytest.mark.parametrize(
    ("arguments", "evidence", "field"),
    [
        ({"init_containers": [ONE, OTHER]}, "initContainers has two different items with name i", "name"),
        (
            {"pod_override": {"spec": {"initContainers": [ONE, OTHER]}}},
            "initContainers has two different items with name i",
            "name",
        ),
        (
            {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "secret": {"secretName": "s"}}]},
            "volumes has two different items with name v",
            "name",
        ),
        (
            {"volume_mounts": [{"name": "data", "mountPath": "/m"}, {"name": "work", "mountPath": "/m"}]},
            "volumeMounts has two different items with mountPath /m",
            "mountPath",
        ),
        (
            {"ports": [{"containerPort": 80, "name": "a"}, {"containerPort": 80, "name": "b"}]},
            "ports has two different items with containerPort 80 and protocol TCP",
            "containerPort",
        ),
    ],
)
def test_different_items_with_one_name_are_refused(build: Build, arguments: dict[str, Any], evidence: str, field: str):
    with pytest.raises(PodError) as refusal:
        build(**arguments)
    assert str(refusal.value) == f"{evidence}. Change the {field} of one of them, or leave it out."


def test_equal_duplicates_are_merged(build: Build):
    assert build(init_containers=[ONE, ONE])["spec"]["initContainers"] == [
        {**ONE, "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    ]


def test_duplicate_name_after_rendering_is_refused(build: Build):
    build()
    override = {"spec": {"initContainers": [ONE, {**OTHER, "name": "{{ params.late }}"}]}}
    with DAG("d"):
        task = TeamPodOperator(task_id="t", team="alpha", image="b:1", pod_override=override)
    task.render_template_fields({"params": {"late": "i"}})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(PodError, match=r"^initContainers has two different items with name i"):
        task.build_pod_request_obj(dry_run=True)
