"""The names of TeamPodOperator's arguments, and the messages for other names."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import BaseOperator

from kpo_platform import TeamPodOperator
from kpo_platform.pod.rules.argument_names import (
    BASE_OPERATOR_ARGUMENTS,
    OWN_ARGUMENTS,
    REPLACEMENTS,
    STOCK_ARGUMENTS,
    check_arguments,
)
from unit.support.contracts import build_contract

ASK = "Leave it out, or ask the platform team to change the team's values."


def list_refusals(arguments: dict[str, Any], inherited: dict[str, Any] | None = None, **team: Any) -> list[str]:
    contract = build_contract(**team)
    return [str(refusal) for refusal in check_arguments(arguments, inherited or {}, "alpha", contract.team("alpha"))]


def list_parameters(operator: type) -> set[str]:
    parameters = inspect.signature(operator.__init__).parameters.values()  # type: ignore[misc]
    return {parameter.name for parameter in parameters if parameter.kind != parameter.VAR_KEYWORD} - {"self"}


def test_argument_names_match_the_operators():
    assert list_parameters(TeamPodOperator) == OWN_ARGUMENTS
    assert list_parameters(BaseOperator) == BASE_OPERATOR_ARGUMENTS
    # Version 10.22 of the provider has no log_events_on_startup.
    assert STOCK_ARGUMENTS - {"log_events_on_startup"} <= list_parameters(KubernetesPodOperator) <= STOCK_ARGUMENTS


def test_docs_describe_every_own_argument():
    page = (Path(__file__).parents[2] / "docs" / "operator.md").read_text(encoding="utf-8")
    assert {name for name in OWN_ARGUMENTS if f"| `{name}` | " in page} == OWN_ARGUMENTS


@pytest.mark.parametrize("name", sorted(REPLACEMENTS))
def test_replaced_name_is_refused_with_the_right_name(name: str):
    assert list_refusals({name: "x"}) == [f"{name} has no effect on a pod. Use {REPLACEMENTS[name]}."]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("imge", "Did you mean image?"),
        ("volume", "Did you mean volumes?"),
        ("env_var", "Did you mean env_vars?"),
        ("container_resource", "Did you mean container_resources?"),
        ("zzz", "See the arguments in docs/operator.md."),
    ],
)
def test_typo_is_refused_with_a_similar_name(name: str, hint: str):
    assert list_refusals({name: "x"}) == [f"{name} is not an argument of TeamPodOperator. {hint}"]


def test_default_args_refuse_only_misleading_arguments():
    inherited = {"bash_command": "echo", "env": {}, "is_delete_operator_pod": False}
    assert list_refusals({}, inherited) == [
        "is_delete_operator_pod has no effect on a pod. Use on_finish_action='delete_pod' or 'keep_pod'."
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"xcom": "yes"},
            "xcom is 'yes', but True, False, 'message' or 'sidecar' is required. Set it to True if the task returns a "
            "result.",
        ),
        (
            {"do_xcom_push": "message"},
            "do_xcom_push is 'message', but True or False is required. Set it to True if the task returns a result.",
        ),
        (
            {"xcom": "message", "engine": "stock"},
            "engine='stock' reads a result from the XCom sidecar, but xcom is 'message'. Set xcom=True, or leave out "
            "engine.",
        ),
        (
            {"on_finish_action": "delete_succeeded_pods"},
            "on_finish_action='delete_succeeded_pods' is not valid. Did you mean 'delete_succeeded_pod'?",
        ),
        (
            {"on_finish_action": "never"},
            "on_finish_action='never' is not valid. Use one of: delete_active_pod, delete_pod, delete_succeeded_pod, "
            "keep_pod.",
        ),
        ({"engine": "stcok"}, "engine='stcok' is not valid. Did you mean 'stock'?"),
        ({"engine": "fast"}, "engine='fast' is not valid. Use one of: stock, team."),
        ({"engine": 5}, "engine=5 is not valid. Use one of: stock, team."),
        (
            {"xcom": "message", "do_xcom_push": False},
            "xcom and do_xcom_push contradict each other. Set only xcom.",
        ),
    ],
)
def test_unknown_or_contradictory_value_is_refused(arguments: dict[str, Any], sentence: str):
    assert list_refusals(arguments) == [sentence]


@pytest.mark.parametrize(
    "arguments",
    [
        {"labels": "{{ params.labels }}", "cmds": "{{ params.words }}"},
        {"env_vars": [{"name": "A", "value": "b"}]},
        {"cmds": ("echo", "hi")},
        {"xcom": True, "do_xcom_push": True},
        {"xcom": "message", "do_xcom_push": True},
        {"xcom": "sidecar"},
        {"xcom": False, "do_xcom_push": False},
        {"namespace": "team-alpha", "service_account_name": "team-pod", "base_container_name": "base"},
        {"resources": None},
    ],
)
def test_equivalent_or_unresolved_value_is_accepted(arguments: dict[str, Any]):
    assert list_refusals(arguments) == []


@pytest.mark.parametrize(
    ("name", "value", "required"),
    [
        ("namespace", "team-beta", "team-alpha"),
        ("service_account_name", "admin", "team-pod"),
        ("automount_service_account_token", True, False),
        ("base_container_name", "main", "base"),
    ],
)
def test_locked_argument_is_refused_by_name(name: str, value: Any, required: Any):
    sentence = f"{name} is {value!r}, but team 'alpha' has {required!r}. {ASK}"
    assert list_refusals({name: value}) == list_refusals({}, {name: value}) == [sentence]
