"""airflow.guards.triggers.judge: which stored triggers may run, by class path and arguments."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.serde import deserialize
from hypothesis import given, settings
from hypothesis import strategies as st

from kpo_platform.airflow.guards.triggers.default_triggers import DEFAULT_TRIGGERS
from kpo_platform.airflow.guards.triggers.judge import judge_form, judge_trigger
from kpo_platform.airflow.guards.triggers.request import TriggerRequest
from kpo_platform.contract import Contract
from unit.support.stored_triggers import (
    CALLBACK,
    DATE,
    EXEC_KUBECONFIG,
    FILE,
    POD,
    TASK,
    build_two_teams,
    list_stock_triggers,
    pod_trigger,
    store,
)
from unit.support.trigger_judgement import ASK, CONTRACT, OWN_CONNECTION, OWNERS, build, judge, refused

STANDARD = "airflow.providers.standard.triggers"


@pytest.mark.parametrize("name", list_stock_triggers())
def test_stock_trigger_runs_with_its_arguments(name: str):
    class_path, arguments = store(list_stock_triggers()[name])
    judgement = judge_trigger(
        TriggerRequest(class_path, arguments, "alpha", TASK), CONTRACT, lambda dag_id: OWNERS[dag_id]
    )
    ignored = {"connection_extras": None} if class_path == POD else {}
    assert judgement.refusal is None
    assert deserialize(judgement.arguments) == deserialize({**arguments, **ignored})


@pytest.mark.parametrize("name", list_stock_triggers())
def test_class_of_stock_trigger_has_the_listed_arguments(name: str):
    trigger = list_stock_triggers()[name]
    class_path, arguments = trigger.serialize()
    assert f"{type(trigger).__module__}.{type(trigger).__name__}" in DEFAULT_TRIGGERS
    assert arguments.keys() <= DEFAULT_TRIGGERS[class_path].arguments


NOT_LISTED = "it is not in the list of allowed triggers"


@pytest.mark.parametrize(
    "class_path",
    [
        "subprocess.getoutput",
        "os.system",
        "builtins.exec",
        CALLBACK,
        FILE,
        "airflow.triggers.testing.SuccessTrigger",
        "airflow.providers.amazon.aws.triggers.s3.S3KeyTrigger",
        f" {POD}",
        f"{POD} ",
        f"{POD}\n",
        POD.replace(".KubernetesPodTrigger", ":KubernetesPodTrigger"),
        POD.replace(".pod.", "..pod."),
        POD.replace("KubernetesPodTrigger", "KubernetesPodTrigger.run"),
        POD.replace("triggers.pod", "triggers.kubernetes_pod"),
        POD.replace("triggers.pod", "operators.pod"),
        POD.upper(),
        POD.replace("o", "о"),
        "airflow.triggers.temporal.DateTimeTrigger",
        "airflow.triggers.external_task.WorkflowTrigger",
        "",
    ],
)
def test_class_path_that_is_not_listed_is_refused(class_path: str):
    shown = repr(class_path)[1:-1]
    assert judge(class_path, store(pod_trigger())[1]) == refused(shown, NOT_LISTED)


def test_arguments_of_an_older_airflow_become_current_ones():
    old = {"__type": "dict", "__var": {"moment": {"__type": "datetime", "__var": 1767225600.0}}}
    judgement = judge_trigger(TriggerRequest(DATE, old, "alpha", TASK), CONTRACT, lambda _: frozenset())
    assert (judgement.refusal, deserialize(judgement.arguments)) == (None, deserialize(old))


def test_extras_with_a_program_are_not_taken_from_the_task():
    class_path, arguments = build("pod", connection_extras={"kube_config": EXEC_KUBECONFIG, "__classname__": "x"})
    request = TriggerRequest(class_path, arguments, "alpha", TASK)
    judgement = judge_trigger(request, CONTRACT, lambda _: frozenset())
    assert (judgement.refusal, judgement.arguments["connection_extras"]) == (None, None)


@pytest.mark.parametrize(
    ("changes", "cause", "fix"),
    [
        (
            {"pod_namespace": "team-beta"},
            "pod_namespace is 'team-beta' of team 'beta', but the task's DAG has no team",
            ASK,
        ),
        (
            {"kubernetes_conn_id": "k8s_default", "pod_namespace": "jobs"},
            "kubernetes_conn_id is 'k8s_default' of team 'alpha', but the task's DAG has no team",
            OWN_CONNECTION,
        ),
    ],
)
def test_task_of_no_team_does_not_reach_a_teams_pods(changes: dict[str, Any], cause: str, fix: str):
    class_path, arguments = build("pod", **changes)
    assert judge(class_path, arguments, team=None) == refused(class_path, cause, fix)


def test_task_of_no_team_keeps_the_other_default_triggers():
    pod = build("pod", pod_namespace="jobs", kubernetes_conn_id="kubernetes_default")
    assert [judge(*each, team=None) for each in (pod, build("date"), build("shared DAG"))] == ["", "", ""]
    fix = "Move the DAG file to the folder or bundle of team 'beta'."
    class_path, arguments = build("own DAG", external_dag_id="beta_dag")
    cause = "the DAG 'beta_dag' belongs to team 'beta', but the task's DAG has no team"
    assert judge(class_path, arguments, team=None) == refused(class_path, cause, fix)


def test_grant_allows_another_teams_dag_in_its_direction():
    contract = build_two_teams({"grants": [{"from": "alpha", "to": "beta", "do": ["state"]}]})
    class_path, arguments = build("own DAG", external_dag_id="beta_dag")
    assert judge(class_path, arguments, contract=contract) == ""
    class_path, arguments = build("own DAG", external_dag_id="alpha_dag")
    assert judge(class_path, arguments, team="beta", contract=contract) != ""


def allow(class_path: str, **arguments: list[str]) -> Contract:
    return build_two_teams({"triggers": [{"class": class_path, "arguments": arguments}]})


LISTED = "its arguments are not those that triggerer.allow has for it"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"filepath": "/data/ready", "recursive": True}, ""),
        ({"filepath": ["/data/ready"], "recursive": True}, ""),
        ({"filepath": "/etc/passwd", "recursive": True}, refused(FILE, LISTED)),
        ({"filepath": ["/data/ready", "/etc/passwd"], "recursive": True}, refused(FILE, LISTED)),
        ({"filepath": [], "recursive": True}, refused(FILE, LISTED)),
        ({"filepath": {"/data/ready": 1}, "recursive": True}, refused(FILE, LISTED)),
        ({"filepath": "/data/ready", "recursive": False}, refused(FILE, LISTED)),
        ({"filepath": "/data/ready"}, refused(FILE, LISTED)),
    ],
)
def test_entry_allows_a_class_with_its_values(arguments: dict[str, Any], text: str):
    contract = allow(FILE, filepath=["/data/ready"], recursive=["true"])
    assert judge(FILE, arguments, contract=contract) == text


def test_callback_needs_an_entry_with_its_path():
    arguments = {"callback_path": "team.notify", "callback_kwargs": {}}
    named, unnamed = allow(CALLBACK, callback_path=["team.notify"]), allow(CALLBACK)
    assert judge(CALLBACK, arguments, task=None, team=None, contract=named) == ""
    assert judge(CALLBACK, arguments, task=None, team=None, contract=unnamed) == refused(CALLBACK, NOT_LISTED)
    other = {**arguments, "callback_path": "os.system"}
    assert judge(CALLBACK, other, task=None, team=None, contract=named) == refused(CALLBACK, LISTED)


def test_entry_replaces_owners_but_never_the_cluster():
    contract = allow(POD, pod_namespace=["jobs"])
    class_path, arguments = build("pod", pod_namespace="jobs")
    assert judge(class_path, arguments, contract=contract) == ""
    assert "it has config_dict" in judge(class_path, {**arguments, "config_dict": EXEC_KUBECONFIG}, contract=contract)


def test_asset_watcher_needs_an_entry_for_default_triggers_too():
    class_path, arguments = build("date")
    assert judge(class_path, arguments, team=None, task=None) == refused(class_path, NOT_LISTED)
    assert judge(class_path, arguments, team=None, task=None, contract=allow(DATE)) == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["__classname__", "__version__", "__data__", "__type", "__var", "a", "pod_namespace"]),
            inner,
        )
    ),
    max_leaves=8,
)
CLASS_PATHS = st.sampled_from([*DEFAULT_TRIGGERS, FILE, CALLBACK, "subprocess.getoutput"]) | st.text(max_size=20)
NAMES = sorted({name for default in DEFAULT_TRIGGERS.values() for name in default.arguments})
ARGUMENTS = JSON | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), JSON)


@settings(max_examples=60)
@given(CLASS_PATHS, ARGUMENTS, st.sampled_from(["alpha", "beta", None]), st.sampled_from([TASK, None]))
def test_judgement_never_raises_and_never_allows_what_is_not_listed(
    class_path: str, arguments: Any, team: str | None, task: str | None
):
    request = TriggerRequest(class_path, arguments, team, task)
    judgement = judge_trigger(request, CONTRACT, lambda dag_id: OWNERS.get(dag_id, frozenset()))
    form = judge_form(request, CONTRACT)
    if judgement.refusal is None:
        assert class_path in DEFAULT_TRIGGERS and task is not None and form.refusal is None
        assert judgement.arguments.get("pod_namespace", f"team-{team}") in (f"team-{team}", *["a"] * (team is None))
        # What is judged is what runs: a second judgement changes nothing.
        again = TriggerRequest(class_path, json.loads(json.dumps(judgement.arguments)), team, task)
        assert repr(judge_form(again, CONTRACT).arguments) == repr(judgement.arguments)


@given(JSON)
def test_plain_argument_has_only_harmless_classes(value: Any):
    class_path, arguments = build("pod", trigger_kwargs=value)
    judgement = judge_form(TriggerRequest(class_path, arguments, "alpha", TASK), CONTRACT)
    if judgement.refusal is None:
        text = json.dumps(judgement.arguments["trigger_kwargs"])
        assert "__type" not in text and "__var" not in text
