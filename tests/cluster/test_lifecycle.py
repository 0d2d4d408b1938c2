"""The local cluster comes and goes: nothing stays behind, and whatever was killed hinders no new start.

It runs last, for it leaves an empty cluster.
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
    """Run scripts/cluster to its end and give its stdout."""
    command = [REPOSITORY / "scripts" / "cluster", *words]
    return subprocess.run(command, check=True, timeout=300, stdout=subprocess.PIPE, text=True).stdout


def alive() -> set[int]:
    """The processes of the cluster, those in containers among them."""
    return cgroups.list_processes(cgroups.select_hierarchies(read_mounts()))


def remains() -> dict[str, object]:
    """What of a cluster is on the machine."""
    state = default_paths().state
    links = json.loads(subprocess.run(["ip", "-j", "link"], check=True, capture_output=True, timeout=10).stdout)
    routes = json.loads(subprocess.run(["ip", "-j", "route"], check=True, capture_output=True, timeout=10).stdout)
    cluster_cgroup = BENCHMARK_RANGE.split(".")[0] + "."
    return {
        "processes": alive(),
        "cgroups": [
            str(tree.cluster_cgroup)
            for tree in cgroups.select_hierarchies(read_mounts())
            if tree.cluster_cgroup.exists()
        ],
        "mounts": [str(mount.point) for mount in read_mounts() if mount.point.is_relative_to(state)],
        "network namespaces": [p.name for p in Path("/run/netns").glob("*") if p.name.startswith((NAME, "cni-"))],
        "interfaces": [link["ifname"] for link in links if link["ifname"].startswith("kpo")],
        "routes": [route["dst"] for route in routes if route["dst"].startswith(cluster_cgroup)],
    }


NOTHING = {
    "processes": set(),
    "cgroups": [],
    "mounts": [],
    "network namespaces": [],
    "interfaces": [],
    "routes": [],
}


def run_a_pod(stack: Stack) -> None:
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(POD))
    stack.kubectl("wait", "pod/sleeper", "--for=condition=Ready", "--timeout=60s", timeout_s=70)


@pytest.fixture(autouse=True)
def a_cluster_with_a_running_pod(stack: Stack) -> None:
    """Each test begins with a cluster that is in use."""
    cluster("up")
    run_a_pod(stack)


def test_down_leaves_nothing_and_up_starts_anew(stack: Stack):
    cluster("down")
    assert remains() == NOTHING
    cluster("up")
    assert stack.get("pods", "-n", "default")["items"] == []
    run_a_pod(stack)


def test_a_cluster_whose_every_process_was_killed_starts_anew(stack: Stack):
    """What a machine does to a session that ends: processes go, files, mounts and namespaces stay."""
    for process in alive():
        os.kill(process, signal.SIGKILL)

    def gone() -> None:
        if left := alive():
            raise NotYet(f"{len(left)} processes")

    wait_for("the killed processes to go", gone, deadline_s=30)
    assert remains() != NOTHING
    cluster("up")
    run_a_pod(stack)


@pytest.mark.parametrize("seconds", [0.5, 2, 4])
def test_an_interrupted_up_is_taken_up_again(stack: Stack, seconds: float):
    cluster("down")
    with subprocess.Popen([REPOSITORY / "scripts" / "cluster", "up"], start_new_session=True) as up:
        time.sleep(seconds)
        up.send_signal(signal.SIGINT)
        assert up.wait(60) in (0, 130)
    cluster("up")
    run_a_pod(stack)


def test_a_part_that_died_is_started_again(stack: Stack):
    before = pid_of("kube-scheduler")
    os.kill(before, signal.SIGKILL)
    cluster("up")
    assert pid_of("kube-scheduler") != before
    stack.kubectl("delete", "pod", "sleeper", "--grace-period=1")
    run_a_pod(stack)


def pid_of(part: str) -> int:
    """The process of a part, as scripts/cluster status has it."""
    (line,) = [line for line in cluster("status").splitlines() if line.split()[:1] == [part]]
    return int(line.split()[1])
