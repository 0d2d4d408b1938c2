"""platformctl render: the pod that an operator would send, without a cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.airflow_version import AIRFLOW_VERSION
from kpo_platform.pod.identity import TaskRun
from unit.support.contracts import CONTRACT
from unit.support.platformctl import CommandResult, Platformctl
from unit.support.pod_comparison import remove_empty

DAG = """
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG, task
from kpo_platform import TeamPodOperator

with DAG("sample", schedule=None, params={"day": "monday"}):
    TeamPodOperator(task_id="made", image="busybox:1.35", cmds=["echo"], arguments=["{{ ds }}"], size="large")
    KubernetesPodOperator(task_id="stock", image="busybox:1.35", cmds=["echo", "{{ params.day }}"])
    TeamPodOperator.partial(task_id="each", image="busybox:1.35").expand(cmds=[["echo", "a"], ["echo", "b"]])
    TeamPodOperator(task_id="uses", image="busybox:1.35", cmds=["echo", "{{ ti.xcom_pull('made')['n'] }}"])
    TeamPodOperator(task_id="later", image="busybox:{{ params.day }}")

    @task.team_pod(image="python:3.12")
    def function() -> None:
        print("hello")

    function()
"""

RUN = TaskRun("sample", "r", "made", map_index=-1, try_number=1, owner="airflow")

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "made",
        "namespace": "team-alpha",
        "labels": {
            "owner": "alpha",
            "cost-center": "cc-1",
            "kpo-platform/team": "alpha",
            "app.kubernetes.io/part-of": "kpo-platform",
            "trace-id": RUN.trace_id,
            "dag_id": "sample",
            "task_id": "made",
            "run_id": "r",
            "kubernetes_pod_operator": "True",
            "try_number": "1",
            "airflow_version": AIRFLOW_VERSION,
            "airflow_kpo_in_cluster": "True",
        },
    },
    "spec": {
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "serviceAccountName": "team-pod",
        "securityContext": {
            "fsGroup": 50000,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data", "readOnly": False}},
            {"name": "work", "emptyDir": {}},
        ],
        "containers": [
            {
                "name": "base",
                "image": "busybox:1.35",
                "command": ["echo"],
                "args": ["2026-01-02"],
                "env": [
                    {"name": "STAGE", "value": "test"},
                    {"name": "HOME", "value": "/work"},
                    {"name": "TRACEPARENT", "value": RUN.trace_context},
                    {"name": "KPO_IDEMPOTENCY_KEY", "value": RUN.idempotency_key},
                    {"name": "KPO_TRY_NUMBER", "value": "1"},
                ],
                "resources": {
                    "limits": {"cpu": "1", "memory": "1Gi"},
                    "requests": {"cpu": "1", "memory": "1Gi"},
                },
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [
                    {"mountPath": "/data", "name": "data", "readOnly": False},
                    {"mountPath": "/work", "name": "work"},
                ],
            }
        ],
    },
}


@pytest.fixture
def render(platformctl: Platformctl, tmp_path: Path) -> Any:
    """Renders a task of the sample DAG of team alpha."""
    (tmp_path / "dags" / "alpha").mkdir(parents=True)
    (tmp_path / "dags" / "alpha" / "sample.py").write_text(DAG)
    (tmp_path / "contract.json").write_text(json.dumps(CONTRACT))
    options = ("--folder", str(tmp_path / "dags"), "--contract", str(tmp_path / "contract.json"))

    def render_task(*words: str, dag: str = "sample") -> CommandResult:
        return platformctl("render", dag, *words, *options)

    return render_task


def pod(result: CommandResult) -> dict[str, Any]:
    """Return the rendered pod without the random suffix of its name."""
    assert result.code == 0, result.err
    content = remove_empty(yaml.safe_load(result.out))
    content["metadata"]["name"] = content["metadata"]["name"].rpartition("-")[0]
    return content


def test_render_shows_the_complete_pod(render: Any):
    assert pod(render("made", "--logical-date", "2026-01-02", "--run-id", "r")) == remove_empty(POD)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["stock", "--params", '{"day": "tuesday"}'], ["echo", "tuesday"]),
        (["each", "--map-index", "1"], ["echo", "b"]),
        (["uses", "--xcom", 'made={"n": 7}'], ["echo", "7"]),
    ],
    ids=["stock operator with params", "mapped", "result of another task"],
)
def test_params_map_index_and_xcom_options_are_rendered(
    render: Any, offline_in_process: None, words: list[str], command: list[str]
):
    content = pod(render(*words))
    assert (content["metadata"]["namespace"], content["spec"]["serviceAccountName"]) == ("team-alpha", "team-pod")
    assert content["spec"]["containers"][0]["command"] == command


def test_decorated_function_is_part_of_the_pod(render: Any, offline_in_process: None):
    base = pod(render("function"))["spec"]["containers"][0]
    assert base["command"][:2] == ["bash", "-cx"]
    assert {"__PYTHON_SCRIPT", "__PYTHON_INPUT"} <= {variable["name"] for variable in base["env"]}


def test_refused_pod_exits_with_1(render: Any, offline_in_process: None):
    result = render("later", "--params", '{"day": "latest"}')
    assert (result.code, result.out) == (1, "")
    assert result.err.splitlines()[-1] == (
        "✗ The image 'busybox:latest' of container 'base' has no fixed version, which team 'alpha' requires. "
        "Use a tag other than latest, such as name:1.2."
    )


REFUSED = """
with DAG("refused", schedule=None):
    TeamPodOperator(task_id="good", image="busybox:1.35")
    TeamPodOperator(task_id="bad", image="busybox:latest", retries="three")
    KubernetesPodOperator(task_id="stock", image="busybox:1.35", retries="three")
    TeamPodOperator.partial(task_id="mapped", image="busybox:1.35", retries="three").expand(cmds=[["a"], ["b"]])
    KubernetesPodOperator(task_id="elsewhere", image="busybox:1.35", namespace="other")
"""

NO_NUMBER = "✗ 'retries' type must be int, not str"
UNPINNED = (
    "✗ The image 'busybox:latest' of container 'base' has no fixed version, which team 'alpha' requires. "
    "Use a tag other than latest, such as name:1.2."
)
ELSEWHERE = (
    "✗ namespace is 'other', but team 'alpha' has 'team-alpha'. Leave it out, or ask the platform team to change the "
    "team's values."
)


@pytest.mark.parametrize(
    ("name", "sentences"),
    [("bad", [NO_NUMBER, UNPINNED]), ("stock", [NO_NUMBER]), ("mapped", [NO_NUMBER]), ("elsewhere", [ELSEWHERE])],
)
def test_task_refused_at_creation_exits_with_1(
    render: Any, tmp_path: Path, offline_in_process: None, name: str, sentences: list[str]
):
    (tmp_path / "dags" / "alpha" / "refused.py").write_text(DAG.replace('"sample"', '"other"') + REFUSED)
    result = render(name, dag="refused")
    assert (result.code, result.out, result.err.splitlines()[1:]) == (1, "", sentences)


def test_refused_task_does_not_stop_other_tasks_of_its_file(render: Any, tmp_path: Path, offline_in_process: None):
    (tmp_path / "dags" / "alpha" / "refused.py").write_text(DAG.replace('"sample"', '"other"') + REFUSED)
    assert pod(render("good", dag="refused"))["spec"]["containers"][0]["image"] == "busybox:1.35"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mad"], "sample has no task 'mad' that creates a pod. Did you mean 'made'?"),
        (["each"], "Task 'each' is mapped. Choose one of its pods with --map-index, counted from 0."),
        (["each", "--map-index", "2"], "Task 'each' has 2 pods. Pass a --map-index of at most 1."),
        (["made", "--map-index", "0"], "Task 'made' is not mapped. Leave out --map-index."),
        (["uses"], "Task 'uses' needs the result of task 'made'. Pass it with --xcom made=JSON."),
        (["made", "--params", "7"], "Invalid value for '--params': expected a JSON object, such as {\"day\": 1}."),
        (["made", "--team", "alhpa"], "team 'alhpa' is not in the contract. Did you mean 'alpha'?"),
    ],
)
def test_wrong_usage_exits_with_64(render: Any, offline_in_process: None, words: list[str], sentence: str):
    result = render(*words)
    assert (result.code, result.out, result.err.splitlines()[-1]) == (64, "", f"Error: {sentence}")


def test_file_of_a_team_repository_renders_with_team_option(
    platformctl: Platformctl, tmp_path: Path, offline_in_process: None
):
    (tmp_path / "mine.py").write_text(DAG)
    (tmp_path / "contract.json").write_text(json.dumps(CONTRACT))
    words = ("render", str(tmp_path / "mine.py"), "made", "--contract", str(tmp_path / "contract.json"))
    result = platformctl(*words, "--team", "alpha")
    assert pod(result)["metadata"]["labels"]["kpo-platform/team"] == "alpha"


def test_dag_file_that_exits_the_process_is_reported(platformctl: Platformctl, tmp_path: Path):
    (tmp_path / "dag.py").write_text("import os, sys\nprint('bye', flush=True)\nos._exit(7)")
    (tmp_path / "contract.json").write_text(json.dumps(CONTRACT))
    result = platformctl("render", str(tmp_path / "dag.py"), "x", "--contract", str(tmp_path / "contract.json"))
    assert (result.code, result.out) == (3, "")
    assert result.err.splitlines()[-1].startswith(
        "Error: The process that reads DAG files exited with code 7 before it had a result. "
        "Correct the DAG file that ends the process. Its last"
    )
    assert result.err.splitlines()[-1].endswith("bye")
