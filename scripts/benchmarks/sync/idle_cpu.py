"""CPU time of Airflow's components, from the cgroups of their pods."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

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
    with count_cpu(stack) as used:
        start = time.monotonic()
        time.sleep(seconds)
        duration = time.monotonic() - start
    return {component: round(cpu * seconds / duration, 2) for component, cpu in used.items()}


@contextmanager
def count_cpu(stack: Stack) -> Iterator[dict[str, float]]:
    """Yield a dictionary that has, after the block, the CPU seconds of each component of the release during it.

    Raises:
        ScriptError: no pod of Airflow runs.
    """
    hierarchies = select_hierarchies(read_mounts())
    pods = stack.get("pods", "-n", NAMESPACE, "--field-selector=status.phase=Running")["items"]
    components = {
        str(pod["metadata"]["uid"]): str(pod["metadata"]["labels"].get(_COMPONENT, pod["metadata"]["name"]))
        for pod in pods
    }
    used: dict[str, float] = {}
    before = read_cpu_seconds(hierarchies, components)
    yield used
    after = read_cpu_seconds(hierarchies, components)
    if not after:
        raise ScriptError(f"Cannot measure the CPU time of Airflow: no pod runs in namespace {NAMESPACE}.")
    for uid in sorted(before.keys() & after.keys(), key=lambda uid: components[uid]):
        used[components[uid]] = round(used.get(components[uid], 0.0) + after[uid] - before[uid], 2)


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
