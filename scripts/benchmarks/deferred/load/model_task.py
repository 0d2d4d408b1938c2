"""A task that Airflow itself has deferred, and the load of its copies."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client, config

from benchmarks.deferred.load.kwok_node import NAMESPACE as TEAM_NAMESPACE
from benchmarks.deferred.load.pod_copies import START_LABEL, PodCopy, build_pod
from benchmarks.sync.scene import Scene, push_dags
from benchmarks.sync.variants import ENGINES
from common.errors import ScriptError
from common.polling import NotYet, wait_for
from stack.release import NAMESPACE, RELEASE, Stack

Json = dict[str, Any]

_DEFER_S = 300.0
_LOAD_S = 300.0
_CREATORS = 8
"""Threads that create pods."""

_PROGRAM = Path(__file__).with_name("airflow_rows.py")
_RUN = "import json, sys; exec(json.loads(sys.stdin.readline()))"
_DAG_FILE = Path(__file__).with_name("dags") / "deferred_model.py"


@dataclass(frozen=True)
class Model:
    """The task.

    Attributes:
        dag: the DAG's id.
        run: its run's id.
        pod: its running pod.
    """

    dag: str
    run: str
    pod: Json


def name_model_dag(engine: str) -> str:
    """Return the id of the DAG of an engine."""
    return f"deferred_model_{engine}"


def read_dag_files() -> dict[str, str]:
    """Return the DAG files by their names in the repository, one per engine."""
    text = _DAG_FILE.read_text(encoding="utf-8")
    return {f"{name_model_dag(each)}.py": text.replace('ENGINE = "team"', f'ENGINE = "{each}"') for each in ENGINES}


def defer_model(scene: Scene, engine: str) -> Model:
    """Run the only task of the DAG of an engine until it is deferred and its pod runs, and pause the DAG.

    The scheduler does nothing with the runs of a paused DAG; the triggerer does not know the difference.

    Raises:
        ScriptError: it is not deferred in time.
    """
    dag, run = name_model_dag(engine), f"model-{time.time_ns()}"
    push_dags(scene.stack, scene.airflow, "deferred", read_dag_files(), [dag])
    scene.airflow.post(f"dags/{dag}/dagRuns", {"dag_run_id": run, "logical_date": None})

    def probe() -> Json:
        states = {task["state"] for task in scene.airflow.list_task_instances(dag, run)}
        pods = scene.stack.get("pods", "-n", TEAM_NAMESPACE, "-l", f"run_id={run}")["items"]
        phases = [pod["status"].get("phase") for pod in pods]
        if states & {"failed", "success"}:
            raise ScriptError(f"The task of {dag} was not deferred: it is {states}. See its log in {scene.logs}.")
        if states != {"deferred"} or phases != ["Running"]:
            raise NotYet(f"states {states}, pods {phases}")
        model: Json = pods[0]
        return model

    try:
        return Model(dag, run, wait_for(f"the task of {dag} to be deferred", probe, _DEFER_S, interval_s=1))
    finally:
        scene.airflow.patch(f"dags/{dag}", {"is_paused": True})


def delete_models(stack: Stack) -> None:
    """Delete the pods of models, which their triggers have left if the triggerer was restarted."""
    labels = f"dag_id in ({','.join(map(name_model_dag, ENGINES))}),map_index=0"
    stack.kubectl("delete", "pods", "-n", TEAM_NAMESPACE, "-l", labels, "--wait=false", timeout_s=120)


def create_pods(scene: Scene, model: Model, copies: Sequence[PodCopy]) -> dict[int, str]:
    """Create the pods of the copies, and return their uids by map index."""
    api = client.CoreV1Api(config.new_client_from_config(str(scene.stack.kubeconfig)))

    def create(copy: PodCopy) -> tuple[int, str]:
        pod = build_pod(model.pod, copy)
        reply = api.create_namespaced_pod(TEAM_NAMESPACE, pod, _preload_content=False)
        return copy.index, json.loads(reply.data)["metadata"]["uid"]

    with ThreadPoolExecutor(_CREATORS) as pool:
        return dict(pool.map(create, copies))


def load_copies(scene: Scene, model: Model, copies: Sequence[PodCopy], uids: Mapping[int, str]) -> None:
    """Load the task instances and triggers of the copies into Airflow's database; the model is ended."""
    order = {
        "dag": model.dag,
        "model_run": model.run,
        "run": copies[0].run,
        "copies": [{"index": copy.index, "names": list_names(model.pod, copy, uids[copy.index])} for copy in copies],
    }
    target = ("exec", "-i", "-n", NAMESPACE, f"deployment/{RELEASE}-scheduler", "-c", "scheduler", "--")
    program = json.dumps(_PROGRAM.read_text(encoding="utf-8"))
    stdin = f"{program}\n{json.dumps(order)}"
    output = scene.stack.kubectl(*target, "python", "-c", _RUN, stdin=stdin, timeout_s=_LOAD_S)
    loaded = json.loads(output.splitlines()[-1])["loaded"]
    if loaded != len(copies):
        raise ScriptError(f"Only {loaded} of {len(copies)} tasks were loaded. Repeat the benchmark.")


def list_names(model: Json, copy: PodCopy, uid: str) -> dict[str, str]:
    """Return what replaces which word of the model's trigger."""
    metadata = model["metadata"]
    names = {metadata["name"]: copy.name, metadata["uid"]: uid}
    start = metadata["labels"].get(START_LABEL)
    return {**names, start: copy.start} if start else names
