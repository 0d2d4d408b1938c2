"""The local cluster's lifecycle: `down` leaves nothing, and killed processes do not prevent a new start.

The group runs last, because it leaves an empty cluster.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from common.paths import REPOSITORY
from common.polling import NotYet, wait_for
from local_cluster import cgroups
from local_cluster.addresses import BENCHMARK_RANGE, NAME
from local_cluster.cluster_paths import default_paths
from local_cluster.mounts import read_mounts
from stack.release import Stack

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "sleeper", "namespace": "default"},
    "spec": {
        "containers": [{"name": "base", "image": "localhost/kpo-platform/busybox:1.35", "command": ["sleep", "3600"]}]
    },
}


def cluster(*words: str) -> str:
    """Run scripts/cluster and return its stdout."""
    command = [REPOSITORY / "scripts" / "cluster", *words]
    return subprocess.run(command, check=True, timeout=300, stdout=subprocess.PIPE, text=True).stdout


def list_processes() -> set[int]:
    """Return the cluster's processes, including those in containers."""
    return cgroups.list_processes(cgroups.select_hierarchies(read_mounts()))


def find_remains() -> dict[str, object]:
    """Return everything of a cluster that is on this machine."""
    state = default_paths().state
    links = json.loads(subprocess.run(["ip", "-j", "link"], check=True, capture_output=True, timeout=10).stdout)
    routes = json.loads(subprocess.run(["ip", "-j", "route"], check=True, capture_output=True, timeout=10).stdout)
    prefix = BENCHMARK_RANGE.split(".")[0] + "."
    return {
        "processes": list_processes(),
        "cgroups": [
            str(hierarchy.cluster_cgroup)
            for hierarchy in cgroups.select_hierarchies(read_mounts())
            if hierarchy.cluster_cgroup.exists()
        ],
        "mounts": [str(mount.point) for mount in read_mounts() if mount.point.is_relative_to(state)],
        "network namespaces": [
            path.name for path in Path("/run/netns").glob("*") if path.name.startswith((NAME, "cni-"))
        ],
        "interfaces": [link["ifname"] for link in links if link["ifname"].startswith("kpo")],
        "routes": [route["dst"] for route in routes if route["dst"].startswith(prefix)],
    }


NOTHING = {
    "processes": set(),
    "cgroups": [],
    "mounts": [],
    "network namespaces": [],
    "interfaces": [],
    "routes": [],
}


def run_pod(stack: Stack) -> None:
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(POD))
    stack.kubectl("wait", "pod/sleeper", "--for=condition=Ready", "--timeout=60s", timeout_s=70)


@pytest.fixture(autouse=True)
def running_pod(stack: Stack) -> None:
    """Start the cluster with a pod before each test."""
    cluster("up")
    run_pod(stack)


def test_down_leaves_nothing_and_up_starts_an_empty_cluster(stack: Stack):
    cluster("down")
    assert find_remains() == NOTHING
    cluster("up")
    assert stack.get("pods", "-n", "default")["items"] == []
    run_pod(stack)


def test_killed_cluster_is_restarted_empty(stack: Stack):
    """As when a machine kills a session: processes end, files, mounts and namespaces remain."""
    for process in list_processes():
        os.kill(process, signal.SIGKILL)

    def check_killed() -> None:
        if remaining := list_processes():
            raise NotYet(f"{len(remaining)} processes")

    wait_for("the killed processes to end", check_killed, deadline_s=30)
    assert find_remains() != NOTHING
    cluster("up")
    run_pod(stack)


@pytest.mark.parametrize("seconds", [0.5, 2, 4])
def test_interrupted_up_is_completed_by_the_next(stack: Stack, seconds: float):
    cluster("down")
    with subprocess.Popen([REPOSITORY / "scripts" / "cluster", "up"], start_new_session=True) as up:
        time.sleep(seconds)
        up.send_signal(signal.SIGINT)
        assert up.wait(60) in (0, 130)
    cluster("up")
    run_pod(stack)


def test_killed_component_is_restarted(stack: Stack):
    before = read_pid("kube-scheduler")
    os.kill(before, signal.SIGKILL)
    cluster("up")
    assert read_pid("kube-scheduler") != before
    stack.kubectl("delete", "pod", "sleeper", "--grace-period=1")
    run_pod(stack)


def read_pid(component: str) -> int:
    """Return the process id of a component from scripts/cluster status."""
    (line,) = [line for line in cluster("status").splitlines() if line.split()[:1] == [component]]
    return int(line.split()[1])
