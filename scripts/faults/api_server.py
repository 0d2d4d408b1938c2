"""Outages of the local cluster's API server: frozen, or killed and started again.

Each outage ends with its block. A watchdog ends a freeze also if this process is killed; a killed API server is started
again by `scripts/cluster up`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from common.errors import ScriptError
from common.polling import NotYet, wait_for
from local_cluster import processes
from local_cluster.cluster_paths import ClusterPaths, default_paths
from local_cluster.components import cluster_components
from local_cluster.health import wait_until_healthy
from local_cluster.toolchain import programs_folder

COMPONENT = "kube-apiserver"
_LONGEST_FREEZE_S = 180
_EXIT_TIMEOUT_S = 30.0
_REPAIRS = 3
_LOOK_S = 5.0


@contextmanager
def freeze_api_server() -> Iterator[None]:
    """Stop the API server's process (SIGSTOP) during the block: connections stay open and get no answer.

    Raises:
        ScriptError: the API server does not run, or is not healthy after the block.
    """
    paths = default_paths()
    process = _find_process(paths)
    watchdog = subprocess.Popen(
        ["sh", "-c", f"sleep {_LONGEST_FREEZE_S}; kill -CONT {process.pid}"], start_new_session=True
    )
    try:
        os.kill(process.pid, signal.SIGSTOP)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)
        os.killpg(watchdog.pid, signal.SIGTERM)
        watchdog.wait()
        _repair_cluster(paths)


@contextmanager
def stop_api_server() -> Iterator[None]:
    """Kill the API server (SIGKILL), and start it again after the block: meanwhile connections are refused.

    Raises:
        ScriptError: the API server does not run, or is not healthy after the block.
    """
    paths = default_paths()
    process = _find_process(paths)

    def probe() -> None:
        if processes.find_process(paths, COMPONENT):
            raise NotYet(f"process {process.pid} runs")

    try:
        os.kill(process.pid, signal.SIGKILL)
        wait_for("the API server to exit", probe, _EXIT_TIMEOUT_S)
        yield
    finally:
        _repair_cluster(paths)


@contextmanager
def keep_components_running() -> Iterator[None]:
    """Start components that exit during the block, as the kubelet of a real control plane does.

    kube-scheduler exits if its cache does not fit to what it gets after an outage ("Scheduler cache is corrupted").
    """
    paths, is_over = default_paths(), threading.Event()

    def keep() -> None:
        while not is_over.wait(_LOOK_S):
            _start_missing(paths)

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _find_process(paths: ClusterPaths) -> processes.Process:
    process = processes.find_process(paths, COMPONENT)
    if process is None:
        raise ScriptError("The API server does not run. Run `scripts/cluster up` first.")
    return process


def _repair_cluster(paths: ClusterPaths) -> None:
    """Start components that are not running, such as one that gave up without the API server; wait for all.

    A component may give up only after the outage, so that is repeated.
    """
    components = cluster_components(paths, programs_folder()).values()
    for attempt in range(_REPAIRS):
        _start_missing(paths)
        try:
            for component in components:
                wait_until_healthy(paths, component, lambda _: None)
        except ScriptError:
            if attempt == _REPAIRS - 1:
                raise
        else:
            return


def _start_missing(paths: ClusterPaths) -> None:
    for component in cluster_components(paths, programs_folder()).values():
        if not processes.find_process(paths, component.name):
            processes.start_process(paths, component.name, component.argv)
