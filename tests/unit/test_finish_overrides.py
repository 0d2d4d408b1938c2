"""lifecycle.overrides: which subclasses of an author may end in the triggerer."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import airflow.providers.cncf.kubernetes
import airflow.sdk
import pytest
from airflow.sdk import DAG

import kpo_platform
from kpo_platform import TeamPodOperator
from kpo_platform.airflow.decorators.team_pod import TeamPodDecoratedOperator
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod
from kpo_platform.airflow.operators.lifecycle.overrides import has_end_code
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


IN_HOUSE = ["airflow.providers.acme.operators.pod", "airflow.providers.cncf.acme", "airflow.acme", "kpo_platform_acme"]


@pytest.mark.parametrize("module", IN_HOUSE)
@pytest.mark.parametrize("name", ["trigger_reentry", "extract_xcom"])
def test_in_house_code_in_a_namespace_of_airflow_needs_a_worker(module: str, name: str):
    def run(self: Any, *args: Any, **options: Any) -> Any:
        """Stand for a method of an in-house provider."""

    run.__module__ = module
    assert not can_end_in_triggerer(build_class(__module__=module, **{name: run}))


def test_classes_of_the_platform_and_their_bases_are_known():
    known = ("airflow.sdk", "airflow.providers.cncf.kubernetes", "kpo_platform", "typing", "builtins")
    unknown = [kind for kind in TeamPodDecoratedOperator.__mro__ if not kind.__module__.startswith(known)]
    assert unknown == []
    names = (each.__name__ for each in (airflow.sdk, airflow.providers.cncf.kubernetes, kpo_platform))
    assert [name for name in names if importlib.util.find_spec(name).origin is None] == []  # type: ignore[union-attr]


def test_python_function_in_a_pod_may_end_in_the_triggerer():
    task: Any = TeamPodDecoratedOperator(
        task_id="t", team="alpha", image="python:3.12", dag=DAG("d"), python_callable=print, get_logs=False
    )
    assert has_end_code(task) is False


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
