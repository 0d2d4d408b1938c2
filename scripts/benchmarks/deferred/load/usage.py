"""What the triggerer needs in a time: CPU, memory, and requests to the Kubernetes API."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.deferred.load.triggerer import COMPONENT
from benchmarks.sync.audit_log import count_requests, read_audit_log
from benchmarks.sync.idle_cpu import measure_cpu
from common.errors import ScriptError
from local_cluster.cgroups import Hierarchy, select_hierarchies
from local_cluster.cluster_paths import default_paths
from local_cluster.mounts import read_mounts
from stack.release import NAMESPACE, RELEASE, Stack

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{RELEASE}-triggerer"
"""The account with which the triggerer reads the pods of all teams."""

_MIB = 2**20


@dataclass(frozen=True)
class Container:
    """A container by the uid of its pod and its own id."""

    pod: str
    id: str


def find_triggerer(stack: Stack) -> Container:
    """Return the container of the only triggerer.

    Raises:
        ScriptError: there is none, or more than one.
    """
    pods = stack.get("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/component={COMPONENT}")["items"]
    if len(pods) != 1:
        raise ScriptError(f"Cannot measure the triggerer: {len(pods)} pods exist. Set triggerer.replicas to 1.")
    (status,) = (each for each in pods[0]["status"]["containerStatuses"] if each["name"] == COMPONENT)
    return Container(pods[0]["metadata"]["uid"], status["containerID"].partition("://")[2])


def measure_usage(stack: Stack, seconds: float) -> dict[str, Any]:
    """Measure for this time: seconds, CPU seconds, memory at its end, requests by kind, CPU of all components."""
    hierarchies, container = select_hierarchies(read_mounts()), find_triggerer(stack)
    start, before = time.time(), read_container_cpu(hierarchies, container)
    components = measure_cpu(stack, seconds)
    end, after = time.time(), read_container_cpu(hierarchies, container)
    _, requests = count_requests(read_audit_log(default_paths().logs, start), [], start, ACCOUNT, end)
    return {
        "seconds": round(end - start, 1),
        "cpu_s": round(after - before, 2),
        "memory_mib": measure_memory(stack),
        "requests": dict(sorted(requests.items())),
        "components": components,
    }


def measure_memory(stack: Stack) -> dict[str, float]:
    """Return memory of the triggerer now, in MiB.

    `container` is the anonymous memory of all processes of the container, `runner` the resident memory of the process
    that runs the triggers. Another one serves that with Airflow's database, and a third serves logs.
    """
    container = find_triggerer(stack)
    hierarchies = select_hierarchies(read_mounts())
    sizes = {
        "container": read_container_memory(hierarchies, container),
        "runner": read_runner_memory(hierarchies, container),
    }
    return {name: round(size / _MIB, 1) for name, size in sizes.items()}


def read_container_cpu(hierarchies: Iterable[Hierarchy], container: Container) -> float:
    """Return the CPU seconds that a container has used so far.

    Raises:
        ScriptError: its cgroup does not exist.
    """
    for hierarchy, folder in _list_cgroups(hierarchies, container):
        if "cpuacct" in hierarchy.controllers:
            return int((folder / "cpuacct.usage").read_text()) / 1e9
        if hierarchy.version == 2 and "cpu" in hierarchy.controllers:
            return _read_words(folder / "cpu.stat")["usage_usec"] / 1e6
    raise ScriptError(f"Cannot read the CPU time of container {container.id}: it has no cgroup. Repeat the benchmark.")


def read_container_memory(hierarchies: Iterable[Hierarchy], container: Container) -> int:
    """Return the bytes of anonymous memory of a container's processes; exceptions as of `read_container_cpu`."""
    for hierarchy, folder in _list_cgroups(hierarchies, container):
        if "memory" in hierarchy.controllers:
            return _read_words(folder / "memory.stat")["anon" if hierarchy.version == 2 else "total_rss"]
    raise ScriptError(f"Cannot read the memory of container {container.id}: it has no cgroup. Repeat the benchmark.")


def read_runner_memory(hierarchies: Iterable[Hierarchy], container: Container, proc: Path = Path("/proc")) -> int:
    """Return the bytes of resident memory of the process that runs the triggers, the child of the other triggerer.

    Raises:
        ScriptError: there is no such process.
    """
    pids = {int(pid) for _, folder in _list_cgroups(hierarchies, container) for pid in _read_pids(folder)}
    titles = {pid: (proc / str(pid) / "cmdline").read_bytes().split(b"\0") for pid in pids}
    triggerers = {pid for pid, words in titles.items() if COMPONENT.encode() in words and b"--" not in words}
    statuses = (_read_status(proc / str(pid) / "status") for pid in sorted(triggerers))
    for status in statuses:
        if int(status["PPid"]) in triggerers:
            return int(status["VmRSS"].split()[0]) * 1024
    raise ScriptError(f"Cannot measure the triggerer: none of the processes {sorted(pids)} is a child of another one.")


def _read_pids(folder: Path) -> list[str]:
    return (folder / "cgroup.procs").read_text().split()


def _read_status(file: Path) -> dict[str, str]:
    fields = (line.partition(":") for line in file.read_text().splitlines())
    return {name: text.strip() for name, _, text in fields}


def _list_cgroups(hierarchies: Iterable[Hierarchy], container: Container) -> Iterable[tuple[Hierarchy, Path]]:
    for hierarchy in hierarchies:
        root = hierarchy.cluster_cgroup / "kubepods"
        for folder in (*root.glob(f"pod{container.pod}"), *root.glob(f"*/pod{container.pod}")):
            if (folder / container.id).is_dir():
                yield hierarchy, folder / container.id


def _read_words(file: Path) -> dict[str, int]:
    lines = (line.split() for line in file.read_text().splitlines())
    return {words[0]: int(words[1]) for words in lines}
