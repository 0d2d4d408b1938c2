"""Find running pods whose tasks are over: no process could receive the stop, or a failed task left its pod."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from airflow.observability import stats

from kpo_platform.airflow.api_errors import describe_error
from kpo_platform.airflow.triggers.over_tasks import find_tasks_that_are_over
from kpo_platform.airflow.triggers.pod_cache import PodNews
from kpo_platform.airflow.triggers.pod_informer import PodInformer
from kpo_platform.contract import Contract
from kpo_platform.contract import load as load_contract
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.compose import BASE
from kpo_platform.pod.merge import Json
from kpo_platform.pod.state import parse_pod_state
from kpo_platform.pod.task_mark import MarkedTask, find_task_of_pod, name_installation

log = logging.getLogger(__name__)

_INTERVAL_S = 300.0
"""The time between two looks; a pod is an orphan if its task was over at both."""

_LARGEST_SHARE, _ALWAYS_ALLOWED = 0.1, 3
"""So many of the running pods may be deleted at once: more are probably a fault of what Airflow tells."""

_PODS_AT_ONCE = 50
"""So many pods are parsed, in a few milliseconds, before other triggers have a turn."""


@dataclass(frozen=True)
class _RunningPod:
    """The summary of a running pod, and its task."""

    pod: Json
    task: MarkedTask


async def watch_for_orphans(informer: PodInformer, namespace: str) -> None:
    """Look for orphans until the task is cancelled, and report or delete them as the team's policy says."""
    suspected: set[str] = set()
    try:
        while True:
            await asyncio.sleep(_INTERVAL_S)
            try:
                suspected = await look_for_orphans(informer, namespace, suspected)
            except Exception as error:
                why = describe_error(error)
                log.warning("Cannot look for pods of ended tasks in namespace %s: %s.", namespace, why)
    finally:
        _send_gauges(namespace, 0, is_refused=False)  # a gauge keeps its last value


async def look_for_orphans(informer: PodInformer, namespace: str, suspected: set[str]) -> set[str]:
    """Look once, and return the uids of the pods whose tasks are over; `suspected` are those of the look before.

    Raises:
        Exception: Airflow does not tell the states of tasks, or the contract cannot be read.
    """
    contract = load_contract()
    running = await _list_running(informer, name_installation(contract))
    left = _leave_out_awaited(informer, running)
    over = await find_tasks_that_are_over(each.task for each in left.values())
    found = {uid for uid, each in left.items() if each.task in over}
    orphans = [left[uid] for uid in sorted(found & suspected)]
    await _handle(informer, namespace, orphans, len(running), _read_policy(contract, namespace))
    return found


async def _list_running(informer: PodInformer, installation: str) -> dict[str, _RunningPod]:
    """List the running pods of tasks by their uid."""
    running = {}
    for number, pod in enumerate(informer.cache.list_pods(), 1):
        if number % _PODS_AT_ONCE == 0:
            await asyncio.sleep(0)
        state, task = parse_pod_state(pod), find_task_of_pod(pod, installation)
        if task is not None and not state.has_finished(BASE) and state.deletion_requested_at is None:
            running[state.uid] = _RunningPod(pod, task)
    return running


def _leave_out_awaited(informer: PodInformer, running: Mapping[str, _RunningPod]) -> dict[str, _RunningPod]:
    """Leave out pods that a trigger here waits for: Airflow takes it away once its task is over."""
    awaited: defaultdict[str, list[PodNews]] = defaultdict(list)
    for news in informer.cache.waiting:
        awaited[news.name].append(news)
    return {
        uid: each
        for uid, each in running.items()
        if not any(news.is_of(each.pod) for news in awaited.get(each.pod["metadata"]["name"], ()))
    }


def _read_policy(contract: Contract, namespace: str) -> str:
    policies = [team.policy.orphans for team in contract.teams.values() if team.namespace == namespace]
    return policies[0] if policies else "report"


async def _handle(informer: PodInformer, namespace: str, orphans: list[_RunningPod], running: int, policy: str) -> None:
    is_refused = policy == "end" and len(orphans) > max(_ALWAYS_ALLOWED, running * _LARGEST_SHARE)
    _send_gauges(namespace, len(orphans), is_refused=is_refused)
    if is_refused:
        log.error(
            "%d of %d running pods in namespace %s belong to tasks that are over. No pod is deleted: Airflow's "
            "database may be wrong. Compare the tasks' states (runbook: AirflowOrphansRefused).",
            *(len(orphans), running, namespace),
        )
        return
    for orphan in orphans:
        what = "Deleting it" if policy == "end" else "Delete the pod, or clear the task to continue with it"
        log.warning(
            "Pod %s in namespace %s runs, but its task %s is over. %s.",
            *(sanitize(orphan.pod["metadata"]["name"]), namespace, sanitize(orphan.task.describe()), what),
        )
        if policy == "end":
            await _delete(informer, namespace, orphan.pod)


async def _delete(informer: PodInformer, namespace: str, pod: Json) -> None:
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    try:
        await informer.requests.delete(name, uid, None)
    except Exception as error:
        why = describe_error(error)
        log.warning("Cannot delete pod %s in namespace %s: %s. Delete it with kubectl.", sanitize(name), namespace, why)


def _send_gauges(namespace: str, orphans: int, *, is_refused: bool) -> None:
    tags = {"pod_namespace": namespace}
    stats.gauge("kpo_platform.orphaned_pods", orphans, tags=tags)
    stats.gauge("kpo_platform.orphans_refused", int(is_refused), tags=tags)
