"""lifecycle.overrides: which subclasses of an author may end in the triggerer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.trigger_finish import plan_finish
from kpo_platform.pod.summary import summarize_pod
from unit.support.pod_statuses import RUNNING, pod
from unit.support.published_contract import Publish


@pytest.fixture(autouse=True)
def contract(publish: Publish) -> None:
    publish()


def call_stock(self: Any, *args: Any, **options: Any) -> Any:
    """Stand for a method of an author."""
    raise NotImplementedError


def can_end_in_triggerer(kind: type[TeamPodOperator], **members: Any) -> bool:
    """Tell whether a task of this class, with these members of the object, may end in the triggerer."""
    task: Any = kind(task_id="t", team="alpha", image="busybox:1.35", dag=DAG("d"), get_logs=False)
    task.can_finish_in_triggerer = True
    vars(task).update({"pod_manager": SimpleNamespace(), **members})
    api: Any = SimpleNamespace()
    context: Any = {"ti": SimpleNamespace()}
    return (
        plan_finish(task, context, ObservedPod(api, summarize_pod(pod("Running", RUNNING)), "base"), None) is not None
    )


def build_class(**members: Any) -> type[TeamPodOperator]:
    return type("Own", (TeamPodOperator,), members)


@pytest.mark.parametrize(
    "name",
    [
        *("execute", "trigger_reentry", "resume_execution", "post_execute", "extract_xcom", "refresh_credentials"),
        *("_push_xcom_with_fan_out", "iter_mapped_dependants"),
    ],
)
def test_method_of_the_end_needs_a_worker(name: str):
    assert not can_end_in_triggerer(build_class(**{name: call_stock}))


def test_property_of_the_end_needs_a_worker():
    assert not can_end_in_triggerer(build_class(client=property(call_stock)))


def test_method_of_a_base_class_or_a_mixin_needs_a_worker():
    mixin = type("Mixin", (), {"extract_xcom": call_stock})
    assert not can_end_in_triggerer(type("Own", (mixin, TeamPodOperator), {}))
    assert not can_end_in_triggerer(type("Late", (build_class(extract_xcom=call_stock),), {}))


def test_method_of_the_object_needs_a_worker():
    assert not can_end_in_triggerer(TeamPodOperator, extract_xcom=call_stock)


def test_mixin_whose_methods_are_not_called_needs_none():
    assert can_end_in_triggerer(type("Own", (TeamPodOperator, type("Mixin", (), {"extract_xcom": call_stock})), {}))


@pytest.mark.parametrize(
    "members",
    [
        {"build_pod_request_obj": call_stock, "create_pod": call_stock, "get_or_create_pod": call_stock},
        {"invoke_defer_method": call_stock, "pre_execute": call_stock, "on_kill": call_stock},
        {"render_template_fields": call_stock},
        {"await_pod_completion": call_stock},
        {"template_fields": (*TeamPodOperator.template_fields, "region"), "region": "eu", "ui_color": "#fff"},
        {"own_helper": call_stock, "__repr__": call_stock},
    ],
    ids=lambda members: next(iter(members)),
)
def test_class_whose_code_runs_before_the_end_needs_none(members: dict[str, Any]):
    assert can_end_in_triggerer(build_class(**members))
