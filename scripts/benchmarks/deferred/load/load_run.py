"""A run of many deferred tasks in one triggerer: all wait, then their pods end one after the other."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.deferred.load.kwok_config import NODE
from benchmarks.deferred.load.kwok_node import NAMESPACE, KwokNode, play_node
from benchmarks.deferred.load.model_task import Model, create_pods, defer_model, delete_models, load_copies
from benchmarks.deferred.load.outcome import Observations, judge
from benchmarks.deferred.load.pod_copies import plan_copies
from benchmarks.deferred.load.pod_ends import PodEnds, watch_ends
from benchmarks.deferred.load.trigger_logs import find_trigger_logs, read_fired
from benchmarks.deferred.load.triggerer import delete_runs, query_rows, restart_triggerer
from benchmarks.deferred.load.usage import measure_memory, measure_usage
from benchmarks.sync.scene import Scene
from benchmarks.sync.variants import STOCK
from common.errors import ScriptError
from common.polling import NotYet, wait_for
from common.steps import Steps

Json = dict[str, Any]

_START_S = 600.0
_SETTLE_S = 20.0
_LEAD_S = 15.0
"""Seconds until the first end, in which kwok is started again."""

_END_S, _DELETE_S, _POLL_S = 900.0, 120.0, 5.0


@dataclass(frozen=True)
class Load:
    """What is loaded.

    Attributes:
        engine: of the tasks.
        pods: the number of tasks and pods.
        wait_s: how long all of them wait and are measured before the first ends; 0 to leave that out.
        spread_s: the time over which the ends are spread evenly.
    """

    engine: str
    pods: int
    wait_s: float
    spread_s: float


@dataclass(frozen=True)
class _LoadRun:
    scene: Scene
    load: Load
    dag: str
    id: str
    ends: PodEnds


def measure_load(steps: Steps, scene: Scene, load: Load) -> Json:
    """Measure a load.

    Returns:
        The load; `idle_mib`, the memory before; `load_s`, the time until all triggers run; `waiting` and `completing`
        as of `measure_usage`; what `judge` returns; and `pods_left`, which the triggers have not deleted.

    Raises:
        ScriptError: the tasks could not be loaded, or the ends of the pods were not seen.
    """
    run = f"many-{time.time_ns()}"
    with ExitStack() as stack:
        with steps.step("Restart the triggerer, and start kwok") as step:
            delete_runs(scene.stack)
            restart_triggerer(scene.stack)
            node = stack.enter_context(play_node(scene.stack, step.detail))
            stack.callback(delete_runs, scene.stack)
            stack.callback(delete_models, scene.stack)
        with steps.step(f"Defer a task, and load {load.pods} copies of it"):
            model = defer_model(scene, load.engine)
            ends = stack.enter_context(watch_ends(scene.stack, NAMESPACE, run))
            load_run = _LoadRun(scene, load, model.dag, run, ends)
            idle, start = measure_memory(scene.stack), time.monotonic()
            _load(load_run, model)
            measured: Json = {**asdict(load), "idle_mib": idle, "load_s": round(time.monotonic() - start, 1)}
        return {**measured, **_play(steps, load_run, node)}


def _load(run: _LoadRun, model: Model) -> None:
    """Create the pods, load the tasks, and wait until the triggerer runs all of their triggers."""
    count, copies = run.load.pods, plan_copies(run.id, run.load.pods, run.load.spread_s)
    uids = create_pods(run.scene, model, copies)

    def probe_pods() -> None:
        if len(run.ends.running) < count:
            raise NotYet(f"{len(run.ends.running)} run")

    def probe_triggers() -> None:
        if (started := len(find_trigger_logs(run.scene.logs, run.dag, run.id))) < count:
            raise NotYet(f"the triggerer has begun {started} logs")

    wait_for(f"{count} pods to run", probe_pods, _START_S)
    load_copies(run.scene, model, copies, uids)
    wait_for(f"{count} triggers to start", probe_triggers, _START_S, interval_s=2)


def _play(steps: Steps, run: _LoadRun, node: KwokNode) -> Json:
    load, cluster = run.load, run.scene.stack
    measured: Json = {}
    time.sleep(_SETTLE_S)
    if load.wait_s:
        with steps.step(f"Let {load.pods} tasks wait for {load.wait_s:g} s"):
            measured["waiting"] = measure_usage(cluster, load.wait_s)
    with steps.step(f"End {load.pods} pods within {load.spread_s:g} s"):
        ends_from = time.time() + _LEAD_S
        node.start(ends_from)
        time.sleep(max(0.0, ends_from - time.time()))
        measured["completing"] = measure_usage(cluster, load.spread_s)
        _wait_for_ends(run)
        # A worker deletes the pod of a task that the stock trigger has resumed; here it gets none.
        pods_left = load.pods if load.engine == STOCK else _wait_for_deletions(run)
    return {**measured, **judge(_observe(run)), "pods_left": pods_left, "watch_ends": run.ends.answers}


def _wait_for_ends(run: _LoadRun) -> None:
    """Wait until Airflow has recorded the end of all tasks; those that it has not recorded then are lost."""
    count = run.load.pods

    def probe() -> None:
        if len(run.ends.ended) < count:
            raise NotYet(f"{len(run.ends.ended)} pods have ended")
        if left := _count_deferred(run):
            raise NotYet(f"{left} tasks are deferred")

    try:
        wait_for(f"{count} tasks to end", probe, _END_S, interval_s=_POLL_S)
    except ScriptError:
        if len(run.ends.ended) < count:
            raise


def _wait_for_deletions(run: _LoadRun) -> int:
    """Wait until the triggers have deleted their pods, and return the number of those that are left."""

    def probe() -> None:
        if left := _count_pods(run):
            raise NotYet(f"{left} pods are left")

    try:
        wait_for("all pods to be deleted", probe, _DELETE_S, interval_s=_POLL_S)
    except ScriptError:
        return _count_pods(run)
    return 0


def _count_deferred(run: _LoadRun) -> int:
    condition = f"dag_id = '{run.dag}' AND run_id = '{run.id}' AND state = 'deferred'"
    return int(query_rows(run.scene.stack, f"SELECT count(*) FROM task_instance WHERE {condition}")[0][0])


def _count_pods(run: _LoadRun) -> int:
    names = ("get", "pods", "-n", NAMESPACE, f"--field-selector=spec.nodeName={NODE}", "-o", "name")
    return len(run.scene.stack.kubectl(*names).splitlines())


def _observe(run: _LoadRun) -> Observations:
    columns = "map_index, state, try_number, extract(epoch FROM end_date), extract(epoch FROM scheduled_dttm)"
    condition = f"dag_id = '{run.dag}' AND run_id = '{run.id}'"
    states, recorded = {}, {}
    rows = query_rows(run.scene.stack, f"SELECT {columns} FROM task_instance WHERE {condition}")
    for index, state, tries, ended, scheduled in rows:
        states[int(index)] = (state, int(tries))
        if state != "deferred":
            recorded[int(index)] = float(scheduled if state == "scheduled" else ended)
    fired = read_fired(run.scene.logs, run.dag, run.id)
    return Observations(run.ends.ended, run.ends.pods, fired, recorded, states)
