"""airflow.guards.triggers: refused arguments of default triggers."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from unit.support.stored_triggers import EXEC_KUBECONFIG
from unit.support.trigger_judgement import ASK, OWN_CONNECTION, build, judge, refused

POD_CLUSTER = "Put the kubeconfig into the Airflow connection kubernetes_conn_id of the task."
INTERVAL = "Set it to a number of seconds of at least 0.1."


@pytest.mark.parametrize(
    ("kind", "changes", "cause", "fix"),
    [
        ("pod", {"pod_namespace": "team-beta"}, "pod_namespace is 'team-beta', but team 'alpha' has 'team-alpha'", ASK),
        ("pod", {"pod_namespace": "airflow"}, "pod_namespace is 'airflow', but team 'alpha' has 'team-alpha'", ASK),
        ("pod", {"pod_namespace": None}, "pod_namespace is None", "Use the name of a namespace."),
        (
            "pod",
            {"pod_namespace": "team-alpha/pods/x/../../../team-beta"},
            "pod_namespace is 'team-alpha/pods/x/../../../team-beta'",
            "Use the name of a namespace.",
        ),
        ("job", {"job_namespace": "team-beta"}, "job_namespace is 'team-beta', but team 'alpha' has 'team-alpha'", ASK),
        ("job", {"pod_namespace": "team-beta"}, "pod_namespace is 'team-beta', but team 'alpha' has 'team-alpha'", ASK),
        ("pod", {"pod_name": "../../team-beta/pods/x"}, "'../../team-beta/pods/x' is not the name of a pod or Job", ""),
        ("job", {"pod_names": ["a", ".."]}, "'..' is not the name of a pod or Job", ""),
        ("job", {"job_name": ["a"]}, "['a'] is not the name of a pod or Job", ""),
        (
            "pod",
            {"kubernetes_conn_id": "k8s_beta"},
            "kubernetes_conn_id is 'k8s_beta' of team 'beta', but the task runs for team 'alpha'",
            OWN_CONNECTION,
        ),
        (
            "pod",
            {"kubernetes_conn_id": "BETA-cluster"},
            "kubernetes_conn_id is 'BETA-cluster' of team 'beta', but the task runs for team 'alpha'",
            OWN_CONNECTION,
        ),
        (
            "pod",
            {"kubernetes_conn_id": "x/../k8s_beta"},
            "kubernetes_conn_id is 'x/../k8s_beta'",
            "Use the id of a connection.",
        ),
        (
            "job",
            {"kubernetes_conn_id": "k8s_beta#x"},
            "kubernetes_conn_id is 'k8s_beta#x'",
            "Use the id of a connection.",
        ),
        (
            "pod",
            {"config_dict": EXEC_KUBECONFIG},
            "it has config_dict, and the triggerer takes the cluster only from the connection",
            POD_CLUSTER,
        ),
        (
            "job",
            {"config_file": "/opt/airflow/dags/kubeconfig"},
            "it has config_file, and the triggerer takes the cluster only from the connection",
            POD_CLUSTER,
        ),
        ("pod", {"hook": 1}, "it has no argument 'hook'", "Leave the argument out."),
        ("pod", {"__init__": 1}, "it has no argument '__init__'", "Correct the trigger's serialize()."),
        ("pod", {"poll_interval": 0}, "poll_interval is 0", INTERVAL),
        ("pod", {"startup_check_interval": -1}, "startup_check_interval is -1", INTERVAL),
        ("own DAG", {"poke_interval": "1"}, "poke_interval is '1'", INTERVAL),
        (
            "own DAG",
            {"external_dag_id": "beta_dag"},
            "the DAG 'beta_dag' belongs to team 'beta', but the task runs for team 'alpha'",
            "Ask the platform team to add {from: alpha, to: beta, do: [state]} to isolation.grants.",
        ),
        (
            "own DAG",
            {"external_dag_id": "later"},
            "Airflow does not know the DAG 'later'",
            "Correct the id, or start the task after the DAG exists.",
        ),
        ("own DAG", {"external_dag_id": ["beta_dag"]}, "the DAG is ['beta_dag']", "Use the id of a DAG."),
        (
            "shared DAG",
            {"run_ids": ["x/../../beta_dag/r1"]},
            "'x/../../beta_dag/r1' is not a run id",
            "Use the id of a DAG run.",
        ),
        (
            "shared DAG",
            {"dag_id": "beta_dag"},
            "the DAG 'beta_dag' belongs to team 'beta', but the task runs for team 'alpha'",
            "Ask the platform team to add {from: alpha, to: beta, do: [state]} to isolation.grants.",
        ),
        (
            "person",
            {"ti_id": "018f3c1e-0000-7000-8000-000000000002"},
            "ti_id is not the task that waits",
            "Use the id of the task's own instance.",
        ),
        (
            "person",
            {"params": {"x": {"value": "a", "description": "", "schema": {"pattern": "(a+)+$"}}}},
            "params has the schema keyword 'pattern'",
            "Leave it out.",
        ),
    ],
)
def test_refused_argument_names_cause_and_fix(kind: str, changes: dict[str, Any], cause: str, fix: str):
    class_path, arguments = build(kind, **changes)
    assert judge(class_path, arguments) == refused(class_path, cause, fix or "Use the object's name.")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (
            {"__classname__": "airflow.models.connection.Connection", "__version__": 1, "__data__": {}},
            "has an object of class 'airflow.models.connection.Connection'",
        ),
        (
            {"__classname__": "kubernetes.client.models.v1_pod.V1Pod", "__version__": 1, "__data__": {}},
            "has an object of class 'kubernetes.client.models.v1_pod.V1Pod'",
        ),
        (
            {"__classname__": "pydantic.main.BaseModel", "__version__": 1, "__data__": {}},
            "has an object of class 'pydantic.main.BaseModel'",
        ),
        ({"__type": "connection", "__var": {"uri": "x"}}, "has an object of class 'connection'"),
        ({"__type": "airflow_exc_ser", "__var": {}}, "has an object of class 'airflow_exc_ser'"),
        ({"__type": "dict", "__var": [1]}, "has an invalid object of class 'dict'"),
        ({"__type": "dict", "__var": {"__type": "base_exc_ser", "__var": 1}}, "has an object of class 'base_exc_ser'"),
        ({"Encoding.TYPE": "base_exc_ser", "Encoding.VAR": {}}, "has the reserved name 'Encoding.TYPE'"),
        ({"__var": 1}, "has the reserved name '__var'"),
        ({"__classname__": "builtins.tuple", "__version__": 1}, "has an invalid object of class 'builtins.tuple'"),
        ({"__classname__": ["builtins.tuple"], "__version__": 1}, "has an object of class \"['builtins.tuple']\""),
        (
            {"__classname__": "datetime.datetime", "__version__": 2, "__data__": {"timestamp": 1, "tz": ["UTC", "os"]}},
            "has a date with an invalid time zone",
        ),
    ],
)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_object_hidden_in_an_argument_is_refused(value: Any, found: str, depth: int):
    for _ in range(depth):
        value = {"__classname__": "builtins.tuple", "__version__": 1, "__data__": [{"inner": value}]}
    class_path, arguments = build("pod", trigger_kwargs=value)
    fix = "Pass only JSON values, dates, times, tuples, sets and UUIDs."
    assert judge(class_path, arguments) == refused(class_path, f"its argument 'trigger_kwargs' {found}", fix)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a\0b", "has a text with a null character or half of a surrogate pair"),
        ({"\ud800": 1}, "has a text with a null character or half of a surrogate pair"),
        (float("inf"), "has the number inf"),
        (2**63, "has a number of more than 64 bits"),
        ({"__classname__": "datetime.timedelta", "__version__": 2, "__data__": float("nan")}, "has the number nan"),
    ],
)
def test_value_that_cannot_be_sent_or_stored_is_refused(value: Any, found: str):
    class_path, arguments = build("pod", trigger_kwargs={"x": value})
    fix = "Pass only JSON values, dates, times, tuples, sets and UUIDs."
    assert judge(class_path, arguments) == refused(class_path, f"its argument 'trigger_kwargs' {found}", fix)


def test_deeply_nested_argument_is_refused():
    value: Any = []
    for _ in range(sys.getrecursionlimit() * 2):
        value = [value]
    class_path, arguments = build("pod", trigger_kwargs=value)
    assert "its argument 'trigger_kwargs' has more than 32 levels." in judge(class_path, arguments)
