"""TeamPodOperator builds the pod that the contract and its arguments describe."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import models as k8s

from kpo_platform.errors import PodError
from kpo_platform.operator.arguments import as_json
from kpo_platform.pod.compose import PodRequest, compose
from unit.contracts import CONTRACT, contract

Build = Callable[..., dict[str, Any]]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Build the pod of a TeamPodOperator for team alpha, as JSON."""
    file = tmp_path / "contract.json"
    file.write_text(json.dumps(CONTRACT))
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(file))

    def build_pod(**arguments: Any) -> dict[str, Any]:
        from kpo_platform import TeamPodOperator

        task = TeamPodOperator(**{"task_id": "t", "team": "alpha", "image": "busybox:1.35", **arguments})
        return as_json(task.build_pod_request_obj(dry_run=True))

    return build_pod


def without_empty(value: Any) -> Any:
    """The value without the empty lists and dictionaries that the stock operator sprinkles over a pod."""
    if isinstance(value, dict):
        pruned = {key: without_empty(inner) for key, inner in value.items()}
        return {key: inner for key, inner in pruned.items() if inner not in ({}, [])}
    return [without_empty(inner) for inner in value] if isinstance(value, list) else value


def test_the_pod_is_the_composed_one_with_the_stock_name_and_labels(build: Build):
    pod = build(random_name_suffix=False, cmds=["echo"], arguments=["hi"])
    labels = pod["metadata"]["labels"]
    assert labels.pop("airflow_version")
    arguments = {
        "spec": {
            "containers": [
                {
                    "name": "base",
                    "image": "busybox:1.35",
                    "command": ["echo"],
                    "args": ["hi"],
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                }
            ]
        }
    }
    expected = compose(contract(), PodRequest(team="alpha", arguments=arguments))
    expected["metadata"]["name"] = "t"
    assert without_empty(pod) == without_empty(expected)


def test_the_teams_policy_holds_where_the_author_says_nothing(build: Build):
    from kpo_platform import TeamPodOperator

    build()
    task = TeamPodOperator(task_id="t", team="alpha", image="busybox:1.35")
    asked = TeamPodOperator(task_id="t2", team="alpha", image="b:1", deferrable=False, default_args={"get_logs": False})
    assert (task.deferrable, task.get_logs, task.kubernetes_conn_id) == (True, True, "k8s_default")
    own = TeamPodOperator(task_id="t3", team="alpha", image="b:1", pool="nightly")
    assert (task.pool, asked.pool, own.pool) == ("team-alpha", "team-alpha", "nightly")
    assert (asked.deferrable, asked.get_logs, asked.startup_timeout_seconds) == (False, False, 300)


def test_building_twice_gives_the_same_pod_and_leaves_the_task_as_it_was(build: Build):
    arguments = {"random_name_suffix": False, "env_vars": {"A": "1"}, "labels": {"x": "y"}}
    assert build(**arguments) == build(**arguments)

    from kpo_platform import TeamPodOperator

    task = TeamPodOperator(task_id="t", team="alpha", image="busybox:1.35", **arguments)
    assert as_json(task.build_pod_request_obj(dry_run=True)) == as_json(task.build_pod_request_obj(dry_run=True))


def test_false_and_empty_win_when_the_author_gives_them(build: Build):
    template = {"spec": {"hostNetwork": True, "tolerations": [{"key": "gpu"}], "containers": [{"name": "base"}]}}
    pod = build(pod_template_dict=template, hostnetwork=False, tolerations=[])
    assert (pod["spec"]["hostNetwork"], pod["spec"]["tolerations"]) == (False, [])


def test_pod_override_takes_a_dictionary_or_a_model(build: Build):
    as_dict = {"spec": {"containers": [{"name": "base", "workingDir": "/data"}]}}
    as_model = k8s.V1Pod(spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base", working_dir="/data")]))
    assert build(random_name_suffix=False, pod_override=as_dict) == build(
        random_name_suffix=False, pod_override=as_model
    )


@pytest.mark.parametrize("locked", ["namespace", "service_account_name", "base_container_name"])
def test_a_locked_argument_is_refused_by_name(build: Build, locked: str):
    with pytest.raises(PodError) as refusal:
        build(**{locked: "other"})
    assert str(refusal.value) == (
        f"{locked}='other' was given, but team 'alpha' decides it: "
        "leave it out, or ask the platform team to change the team's values."
    )


def test_an_xcom_is_refused_where_airflow_may_run_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from kpo_platform import TeamPodOperator

    closed = {**CONTRACT, "teams": {"alpha": {**CONTRACT["teams"]["alpha"], "rbac": {"exec": False, "extraRules": []}}}}
    file = tmp_path / "contract.json"
    file.write_text(json.dumps(closed))
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(file))
    with pytest.raises(PodError) as refusal:
        TeamPodOperator(task_id="t", team="alpha", image="busybox:1.35", do_xcom_push=True)
    assert str(refusal.value) == (
        "do_xcom_push=True needs a command in the pod's sidecar, but team 'alpha' has rbac.exec false: "
        "leave it out, or ask the platform team to change the team's values."
    )


def test_importing_the_package_loads_neither_airflow_nor_the_kubernetes_client():
    script = "import sys, kpo_platform; print([m for m in ('airflow', 'kubernetes') if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "platform")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert result.stdout == "[]\n"
