"""CPU time of Airflow's components, from the cgroups of their pods."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress

from common.errors import ScriptError
from local_cluster.cgroups import Hierarchy, select_hierarchies
from local_cluster.mounts import read_mounts
from stack.release import NAMESPACE, Stack

SECONDS = 60.0

_COMPONENT = "app.kubernetes.io/component"


def measure_cpu(stack: Stack, seconds: float = SECONDS) -> dict[str, float]:
    """Return the CPU seconds that each component of the release uses in this time.

    Pods that start or end meanwhile, such as those of a CronJob, do not count.

    Args:
        stack: the cluster.
        seconds: the time.
    """
    hierarchies = select_hierarchies(read_mounts())
    pods = stack.get("pods", "-n", NAMESPACE, "--field-selector=status.phase=Running")["items"]
    components = {
        str(pod["metadata"]["uid"]): str(pod["metadata"]["labels"].get(_COMPONENT, pod["metadata"]["name"]))
        for pod in pods
    }
    before, start = read_cpu_seconds(hierarchies, components), time.monotonic()
    time.sleep(seconds)
    after, duration = read_cpu_seconds(hierarchies, components), time.monotonic() - start
    if not after:
        raise ScriptError(f"Cannot measure the CPU time of Airflow: no pod runs in namespace {NAMESPACE}.")
    used: dict[str, float] = {}
    for uid in before.keys() & after.keys():
        component = components[uid]
        used[component] = used.get(component, 0.0) + (after[uid] - before[uid]) * seconds / duration
    return {component: round(used[component], 2) for component in sorted(used)}


def read_cpu_seconds(hierarchies: Iterable[Hierarchy], uids: Iterable[str]) -> dict[str, float]:
    """Return the CPU seconds that pods have used so far, by uid; a pod without a cgroup is left out."""
    hierarchies, seconds = list(hierarchies), {}
    for uid in uids:
        with suppress(FileNotFoundError):  # the pod has ended
            if (used := _read_pod(hierarchies, uid)) is not None:
                seconds[uid] = used
    return seconds


def _read_pod(hierarchies: list[Hierarchy], uid: str) -> float | None:
    for hierarchy in hierarchies:
        root = hierarchy.cluster_cgroup / "kubepods"
        for folder in (*root.glob(f"pod{uid}"), *root.glob(f"*/pod{uid}")):
            if "cpuacct" in hierarchy.controllers:
                return int((folder / "cpuacct.usage").read_text()) / 1e9
            if (file := folder / "cpu.stat").exists() and hierarchy.version == 2:
                words = dict(line.split() for line in file.read_text().splitlines())
                return int(words["usage_usec"]) / 1e6
    return None
